//! What a run reads, as far as its output is concerned: a run that reads its output publishes right after
//! the version that it has read, or not at all.

use std::path::PathBuf;

use super::place::DatasetRoot;
use crate::error::{Error, Kind, Result};
use crate::storage::{Location, Stores, blocking};
use crate::table::manifest::{Manifest, Mode};

/// What a run reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The current version of a dataset, as it was when the run was planned.
    Version(Location, u64),
    /// A version of a dataset that was asked for by its number: it stays what it is.
    Past(Location, u64),
    /// Files that no manifest names, by their locations.
    Files(Vec<String>),
}

/// How a run treats what it reads of its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnInput {
    /// It may not replace it: the rows it was computed from would be gone.
    #[default]
    Kept,
    /// It may replace it: its rows are those of the version before, changed.
    Replaced,
}

/// Whether a run that starts from `base` reads it.
///
/// # Errors
/// Of kind [`Kind::Retry`] if it has read an older version than `base`; of kind [`Kind::Usage`] if it
/// would replace what it must keep, or reads files of its output without knowing of which version.
pub(super) async fn reads_base(
    stores: &Stores,
    place: &DatasetRoot,
    base: &Manifest,
    mode: Mode,
    reads: &[ReadFrom],
    own: OwnInput,
) -> Result<bool> {
    let out = &place.location;
    let inside = format!("{}/", out.to_string().trim_end_matches('/'));
    let is_inside =
        |file: &&String| file.starts_with(&inside) || is_inside_by_alias(stores, out, file);
    let mut reads_base = false;
    for read in reads {
        match read {
            ReadFrom::Version(dataset, _) | ReadFrom::Past(dataset, _)
                if !is_same(stores, out, dataset).await? => {}
            ReadFrom::Version(..) | ReadFrom::Past(..)
                if mode == Mode::Overwrite && own == OwnInput::Kept =>
            {
                return Err(Error::usage(format!(
                    "output '{out}' is also the input, whose rows would be gone with the version \
                     that is replaced: choose another output"
                )));
            }
            ReadFrom::Version(_, version) if *version != base.version => {
                return Err(Error::new(
                    Kind::Retry,
                    format!(
                        "output '{out}' is at version {}, but this run has read its version \
                         {version}: run it again",
                        base.version
                    ),
                ));
            }
            ReadFrom::Version(..) => reads_base = true,
            ReadFrom::Past(..) => {}
            ReadFrom::Files(files) => {
                if let Some(file) = files.iter().find(is_inside) {
                    return Err(Error::usage(format!(
                        "input '{file}' is a file of the output '{out}', read without its version: \
                         name the dataset instead, or choose another output"
                    )));
                }
            }
        }
    }
    Ok(reads_base)
}

/// Whether two locations are the same place, also by a symbolic link or another alias.
async fn is_same(stores: &Stores, one: &Location, other: &Location) -> Result<bool> {
    if one.path() == other.path() && stores.are_in_one_store(one, other) {
        return Ok(true);
    }
    let (Some(one), Some(other)) = (one.local_path(), other.local_path()) else { return Ok(false) };
    let (one, other) = (one.to_owned(), other.to_owned());
    let real = |path: PathBuf| path.canonicalize().ok();
    blocking(move || Ok(real(one).is_some_and(|one| real(other) == Some(one)))).await
}

/// Whether a file is below `out`, which another alias may name.
fn is_inside_by_alias(stores: &Stores, out: &Location, file: &str) -> bool {
    if out.local_path().is_some() {
        return false;
    }
    let is_below =
        |file: &Location| file.path() != out.path() && file.path().prefix_matches(out.path());
    let file = stores.parse_existing(file);
    file.is_ok_and(|file| is_below(&file) && stores.are_in_one_store(out, &file))
}
