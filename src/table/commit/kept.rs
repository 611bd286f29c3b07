//! Files of versions that were replaced, kept for a while so that those who read them finish:
//! `_kept/<path>.kept`. Readers that only list do not see them; ours look there for what is gone.
//!
//! `_kept/00000005-3600.json` says that the files which version 5 has replaced are kept for an hour. It is
//! put before the first of them is set aside, and its time is that of the store.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{Error as StoreError, ObjectStoreExt};

use super::place::DatasetRoot;
use super::{cleanup, liveness, names, record, versions};
use crate::error::Result;
use crate::storage::blocking;
use crate::table::manifest::Manifest;

/// Files set aside at the same time.
const AT_ONCE: usize = 16;

/// How long the files of a version are kept that is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// They are removed at once.
    #[default]
    Nothing,
    /// An hour on local disks, where it costs nothing; nowhere else.
    Usual,
    /// So long. On an object store each file is copied to be kept.
    For(Duration),
}

impl Keep {
    /// In seconds, at `place`.
    pub(super) fn seconds(self, place: &DatasetRoot) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Usual if place.store.is_local() => 60 * 60,
            Self::Usual => 0,
            Self::For(time) => time.as_secs(),
        }
    }
}

/// What one version has replaced, as far as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// The version that replaced it.
    pub(super) by: u64,
    /// Where that is noted.
    notice: String,
    /// The files by the paths they had, with their sizes.
    pub(super) files: BTreeMap<String, u64>,
    /// The time is over.
    pub(super) is_over: bool,
}

/// Sets aside for `seconds` what `manifest` has replaced, and removes what was kept long enough.
pub(super) async fn replace(place: &DatasetRoot, manifest: &Manifest, seconds: u64) -> Result<()> {
    let gone = cleanup::replaced(place, manifest).await?;
    if seconds == 0 {
        return cleanup::delete_files(place, gone).await;
    }
    if !gone.is_empty() {
        let notice = names::notice(manifest.version, seconds);
        // Put once: its time is when the files were set aside.
        if place.head(&notice).await?.is_none() {
            place.replace(&notice, record::to_bytes(&manifest.run)).await?;
        }
        set_aside(place, gone).await?;
    }
    for over in kept(place, Which::Over(None)).await? {
        remove(place, over).await?;
    }
    Ok(())
}

/// The same again: whether files were to be kept, and how long, the notice says.
pub(super) async fn replace_again(place: &DatasetRoot, manifest: &Manifest) -> Result<()> {
    let notices = place.list(names::KEPT).await?;
    let mut notices = notices.iter().filter_map(|path| names::of_notice(path));
    let noticed = notices.find(|(version, _)| *version == manifest.version);
    replace(place, manifest, noticed.map_or(0, |(_, seconds)| seconds)).await
}

/// Moves files to where only readers of their version look. Those that are not there have been moved.
pub(super) async fn set_aside(place: &DatasetRoot, paths: Vec<String>) -> Result<()> {
    cleanup::refuse_links(place, paths.clone()).await?;
    let moved = stream::iter(paths.clone()).map(|path| move_file(place, path));
    moved.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    match place.store.is_local() {
        true => cleanup::remove_empty_dirs(place, paths).await,
        false => place.delete(paths).await,
    }
}

async fn move_file(place: &DatasetRoot, path: String) -> Result<()> {
    let kept = names::kept(&path);
    if let (Some((files, from)), Some((_, to))) = (place.local(&path), place.local(&kept)) {
        return blocking(move || match from.try_exists() {
            Ok(false) => Ok(()),
            _ => files.rename(&from, &to),
        })
        .await;
    }
    match place.store.objects().copy(&place.key(&path), &place.key(&kept)).await {
        Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What is asked for of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All of it.
    All,
    /// What was kept as long as it shall be, or so many seconds.
    Over(Option<u64>),
}

/// What is kept, by the version that replaced it.
pub(super) async fn kept(place: &DatasetRoot, which: Which) -> Result<Vec<Kept>> {
    let listed = place.listed(names::KEPT).await?;
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    let now = match place.store.is_local() {
        true => None,
        false => liveness::server_time(place).await?,
    };
    let now = now.unwrap_or_else(|| jiff::Timestamp::now().as_second());
    let longest = match which {
        Which::All => None,
        Which::Over(longest) => longest,
    };
    let mut all = Vec::new();
    for (notice, meta) in &listed {
        let Some((by, seconds)) = names::of_notice(notice) else { continue };
        let age = u64::try_from(now - meta.last_modified.timestamp()).unwrap_or(0);
        let is_over = age >= longest.unwrap_or(seconds);
        if which != Which::All && !is_over {
            continue;
        }
        let replaced = match versions::version(place, by).await? {
            Some(manifest) => cleanup::replaced(place, &manifest).await?,
            None => Vec::new(),
        };
        let size = |path: &String| Some(listed.get(&names::kept(path))?.size);
        let files = replaced.into_iter().filter_map(|path| size(&path).map(|size| (path, size)));
        all.push(Kept { by, notice: notice.clone(), files: files.collect(), is_over });
    }
    Ok(all)
}

/// Removes what is kept. The notice goes last: without it no one would know of the files.
pub(super) async fn remove(place: &DatasetRoot, kept: Kept) -> Result<()> {
    let mut paths: Vec<_> = kept.files.keys().map(|path| names::kept(path)).collect();
    place.delete(paths.clone()).await?;
    paths.push(kept.notice.clone());
    place.delete([kept.notice]).await?;
    cleanup::remove_empty_dirs(place, paths).await
}
