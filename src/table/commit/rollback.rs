//! An old version once more: a new version that holds what it held.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::place::DatasetRoot;
use super::preflight::RunOptions;
use super::record::{self, Prepared, Stage, StagedFile};
use super::run::{Begin, Run};
use super::{cleanup, names, versions};
use crate::error::{Error, Result};
use crate::storage::{Location, Stores};
use crate::table::manifest::{FileRecord, Manifest, Mode};

/// Publishes what version `version` of `out` held as a new version. Files of then that are not in use get a
/// second name: a copy on object stores, a hard link on local disks.
///
/// # Errors
/// Of kind [`InputMissing`](crate::error::Kind::InputMissing) if there is no such version; of kind
/// [`Data`](crate::error::Kind::Data) if files of it are gone; of kind
/// [`Retry`](crate::error::Kind::Retry) if another run publishes first; or if storage fails.
pub async fn rollback(
    stores: &Arc<Stores>,
    out: &Location,
    version: u64,
    options: RunOptions,
) -> Result<Manifest> {
    let place = DatasetRoot::open(stores, out)?;
    versions::existing(&place, version).await?;
    let options = RunOptions { mode: Mode::Overwrite, ..options };
    let arguments = options.arguments.clone();
    let Begin::Run(run) = Run::begin(stores, out, options).await? else {
        return Err(Error::internal("mode overwrite always writes"));
    };
    let prepared = prepared(&place, &run, version, arguments).await;
    match prepared {
        Ok(prepared) => run.commit_prepared(prepared).await,
        Err(error) => {
            run.abort().await?;
            Err(error)
        }
    }
}

async fn prepared(
    place: &DatasetRoot,
    run: &Run,
    version: u64,
    arguments: Vec<(String, String)>,
) -> Result<Prepared> {
    let old = versions::existing(place, version).await?;
    let base = run.base().map_or(0, |base| base.version);
    if version == base {
        return Err(Error::usage(format!("version {version} of '{}' is current", place.location)));
    }
    let listed = place.sizes().await?;
    let current = run.base().map(|base| base.files.as_slice()).unwrap_or_default();
    let current: BTreeSet<_> = current.iter().map(|file| (&file.path, &file.sha256)).collect();
    let (mut files, mut staged) = (Vec::with_capacity(old.files.len()), Vec::new());
    for file in &old.files {
        if current.contains(&(&file.path, &file.sha256)) {
            files.push(file.clone());
            continue;
        }
        let is_there = |path: &String| listed.get(path) == Some(&file.size);
        let from = [names::kept(&file.path), file.path.clone()].into_iter().find(is_there);
        let from = from.filter(|_| file.path.ends_with(names::DATA_ENDING)).ok_or_else(|| {
            Error::data(format!(
                "version {version} of '{}' can no longer be read: '{}' is gone (--keep-old says how \
                 long files are kept)",
                place.location, file.path
            ))
        })?;
        // A name is used once: someone may still be removing what was replaced.
        let folder = file.path.rfind('/').map_or("", |end| &file.path[..=end]);
        let name =
            format!("{}{:08x}{}", names::data_of(run.id()), staged.len(), names::DATA_ENDING);
        let file = FileRecord { path: format!("{folder}{name}"), e_tag: None, ..file.clone() };
        files.push(file.clone());
        staged.push(StagedFile { file, stage: Stage::Kept(from) });
    }
    let paths = staged.iter().map(|staged| staged.file.path.clone()).collect();
    cleanup::refuse_links(place, paths).await?;
    let manifest = Manifest {
        version: base + 1,
        run: run.id().to_owned(),
        base,
        mode: Mode::Overwrite,
        created: record::now(),
        restores: Some(version),
        revokes: None,
        arguments,
        location: place.location.to_string(),
        files,
        ..old
    };
    Ok(Prepared { manifest, staged, reads_base: true, keep_seconds: run.keep_seconds() })
}
