//! A dataset without one of its tables: a new version of the others.

use std::sync::Arc;

use super::preflight::RunOptions;
use super::record::{self, Prepared};
use super::run::{Begin, Run};
use crate::error::{Error, Result};
use crate::storage::{Location, Stores};
use crate::table::manifest::{Manifest, Mode};

/// Publishes a version of `out` without the table `table`; empty is the table at its root. The files are
/// kept for a while, as those that an overwrite replaces.
///
/// # Errors
/// Of kind [`InputMissing`](crate::error::Kind::InputMissing) if there is no dataset or no such table; of
/// kind [`Usage`](crate::error::Kind::Usage) if it is the only one or a driver made the version as a
/// whole; of kind [`Retry`](crate::error::Kind::Retry) if another run publishes first; or if storage fails.
pub async fn drop_table(
    stores: &Arc<Stores>,
    out: &Location,
    table: &str,
    options: RunOptions,
) -> Result<Manifest> {
    let options = RunOptions { mode: Mode::Overwrite, ..options };
    let arguments = options.arguments.clone();
    let Begin::Run(run) = Run::begin(stores, out, options).await? else {
        return Err(Error::internal("mode overwrite always writes"));
    };
    match without(&run, out, table, arguments) {
        Ok(prepared) => run.commit_prepared(prepared).await,
        Err(error) => {
            run.abort().await?;
            Err(error)
        }
    }
}

fn without(
    run: &Run,
    out: &Location,
    table: &str,
    arguments: Vec<(String, String)>,
) -> Result<Prepared> {
    let Some(base) = run.base() else {
        return Err(Error::missing(format!("'{out}' is not a dataset")));
    };
    let shown = if table.is_empty() { "." } else { table };
    if base.table(table).is_none() {
        let known = base.tables.iter().map(|table| match table.name.as_str() {
            "" => ".",
            name => name,
        });
        return Err(Error::missing(format!(
            "no table '{shown}' in '{out}', which has {}",
            known.collect::<Vec<_>>().join(", ")
        )));
    }
    if let Some(driver) = base.made_by() {
        return Err(Error::usage(format!(
            "'{out}' was made by pleiad {driver} as a whole: its tables belong together"
        )));
    }
    if base.tables.len() == 1 {
        return Err(Error::usage(format!(
            "'{shown}' is the only table of '{out}': remove the dataset"
        )));
    }
    let mut manifest = base.clone();
    manifest.tables.retain(|record| record.name != table);
    manifest.files.retain(|file| file.table != table);
    let manifest = Manifest {
        version: base.version + 1,
        run: run.id().to_owned(),
        base: base.version,
        mode: Mode::Overwrite,
        created: record::now(),
        restores: None,
        revokes: None,
        arguments,
        location: out.to_string(),
        ..manifest
    };
    let keep_seconds = run.keep_seconds();
    Ok(Prepared { manifest, staged: Vec::new(), reads_base: true, keep_seconds })
}
