//! What reads bytes of unknown origin, for `fuzz/` and its twins in `tests/it/corrupt.rs`.
//!
//! Each function reads `bytes` and returns the error of a reader that refuses them. What is read is
//! written and read again, and must be the same.

use std::str::from_utf8;

use crate::dbscan::merge::block_result::BlockResult;
use crate::error::{Error, Result};
use crate::grid::{Cells, Plan};
use crate::script::{Variables, split};
use crate::storage::{Environment, StorageOptions, Stores};
use crate::table::{Manifest, properties};

fn text(bytes: &[u8]) -> Result<&str> {
    from_utf8(bytes).map_err(|error| Error::data("not UTF-8").caused_by(error))
}

/// A manifest of a dataset.
///
/// # Errors
/// As [`Manifest::parse`].
pub fn manifest(bytes: &[u8]) -> Result<()> {
    let written = Manifest::parse(bytes, "m")?.to_bytes();
    assert_eq!(Manifest::parse(&written, "m")?.to_bytes(), written);
    Ok(())
}

/// The bytes of a plan of blocks.
///
/// # Errors
/// As [`Plan::decode`].
pub fn plan(bytes: &[u8]) -> Result<()> {
    let written = Plan::decode(bytes)?.encode();
    assert_eq!(Plan::decode(&written)?.encode(), written);
    Ok(())
}

/// The bytes of cells that rows are counted in.
///
/// # Errors
/// As [`Cells::decode`].
pub fn cells(bytes: &[u8]) -> Result<()> {
    let written = Cells::decode(bytes)?.encode();
    assert_eq!(Cells::decode(&written)?.encode(), written);
    Ok(())
}

/// A script of SQL, cut into statements.
///
/// # Errors
/// As [`split`].
pub fn statements(bytes: &[u8]) -> Result<()> {
    split("s", text(bytes)?, &Variables::default())?;
    Ok(())
}

/// A Java properties file.
///
/// # Errors
/// As [`properties::parse`].
pub fn properties(bytes: &[u8]) -> Result<()> {
    let read = properties::parse(text(bytes)?)?;
    assert_eq!(properties::parse(&properties::render(&read))?, read);
    Ok(())
}

/// The value of `MC_HOST_a`.
///
/// # Errors
/// As [`Stores::open`].
pub fn mc_host(bytes: &[u8]) -> Result<()> {
    let environment = Environment::of([("MC_HOST_a", text(bytes)?)]);
    let stores = Stores::new(StorageOptions { environment, ..StorageOptions::default() });
    stores.open(&stores.parse("a/bucket/key")?)?;
    Ok(())
}

/// The bytes of the clusters of one block.
///
/// # Errors
/// Bytes that are not those of a block.
pub fn block_result(bytes: &[u8]) -> Result<()> {
    let written = BlockResult::<2>::from_bytes(bytes)?.to_bytes();
    assert_eq!(BlockResult::<2>::from_bytes(&written)?.to_bytes(), written);
    Ok(())
}
