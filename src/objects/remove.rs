//! What may be removed, and how.
//!
//! One object is removed when it is named. A folder, or what matches a pattern, has to be allowed,
//! and so has anything of a dataset: its files belong together, and [`gc`](crate::table::commit::gc)
//! removes what is left over. A dataset loses its name first, so that no reader finds half of it.
//! Symbolic links are removed, never followed; a pattern that would have to is refused. A local folder
//! goes with all that is in it, what listings leave out too, and all of that is counted; of a folder of a
//! bucket objects go, too, whose names other listings leave out.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use super::entries::{self, ObjectOrFolder};
use super::roots::{LAST_RANK, Roots, rank};
use crate::error::{Error, Result};
use crate::storage::{LocalFiles, Location, Store, Stores, blocking, is_upload_note};
use crate::table::dataset_around;

/// What else than single objects may be removed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// Folders and patterns.
    pub many: bool,
    /// Datasets and parts of them.
    pub datasets: bool,
}

/// What is removed with one location.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The location.
    pub location: Location,
    /// Objects.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    names: Vec<String>,
    work: Work,
}

impl Removal {
    /// What is removed but for the notes that writers leave each other.
    pub fn content(&self) -> impl Iterator<Item = Location> {
        self.names.iter().map(|name| match name.as_str() {
            "" => self.location.clone(),
            name => self.location.join(name),
        })
    }
}

/// What there is to do, each name with its [`rank`].
#[derive(Clone, Debug)]
enum Work {
    /// Objects; and the local folders that a pattern matched, where they are empty then.
    Objects { keys: Vec<(u8, Path)>, folders: BTreeSet<PathBuf> },
    /// A local folder with all that is in it, or a link to one.
    Folder { folder: PathBuf, signs: Vec<(u8, PathBuf)> },
}

/// What is at a location or matches it.
struct Targets {
    /// Paths below the fixed part of the location, with their bytes.
    names: Vec<(String, u64)>,
    /// The datasets there, whether or not their manifests match.
    roots: Roots,
    work: Work,
}

/// Finds what removing `location` means; nothing is removed yet.
///
/// # Errors
/// Of kind [`InputMissing`](crate::error::Kind::InputMissing) if there is nothing, of kind
/// [`Usage`](crate::error::Kind::Usage) if it is more than is `allowed` or a pattern would lead through
/// a link; or if storage fails.
pub async fn look(stores: &Arc<Stores>, location: &Location, allowed: Allowed) -> Result<Removal> {
    let (is_many, found) = match location.glob() {
        Some(_) => (true, matching(stores, location).await?),
        None => match entries::look(stores, location).await? {
            ObjectOrFolder::Object(meta) => (false, objects(vec![(String::new(), meta)])),
            ObjectOrFolder::Folder => (true, folder(stores, location).await?),
        },
    };
    let files = found.names.len() as u64;
    let bytes: u64 = found.names.iter().map(|(_, size)| size).sum();
    if !allowed.datasets {
        refuse_datasets(stores, location, &found).await?;
    }
    if is_many && !allowed.many {
        let s = if files == 1 { "" } else { "s" };
        return Err(Error::usage(format!(
            "'{location}' is {files} file{s} with {bytes} bytes: pass --yes to remove all of that"
        )));
    }
    let is_content = |name: &str| !found.roots.is_of_runs(name) && !is_upload_note(name);
    let names = found.names.iter().map(|(name, _)| name).filter(|name| is_content(name));
    let names = names.cloned().collect();
    Ok(Removal { location: location.clone(), files, bytes, names, work: found.work })
}

fn objects(found: Vec<(String, ObjectMeta)>) -> Targets {
    let roots = Roots::of(found.iter().map(|(name, _)| name.as_str()));
    let names = found.iter().map(|(name, meta)| (name.clone(), meta.size)).collect();
    let keys = found.into_iter().map(|(name, meta)| (rank(&name), meta.location)).collect();
    Targets { names, roots, work: Work::Objects { keys, folders: BTreeSet::new() } }
}

/// What a pattern matches.
async fn matching(stores: &Stores, location: &Location) -> Result<Targets> {
    let base = location.join("");
    let all = entries::objects_in(&stores.open_every(&base)?, &base).await?;
    let roots = Roots::of(all.iter().map(|(name, _)| name.as_str()));
    let (mut matching, mut folders) = (Vec::new(), BTreeSet::new());
    for (name, meta) in all {
        let Some(end) = entries::matched_part(location, &base, &name) else { continue };
        if end < name.len() {
            let folder = base.join(&name[..end]);
            folders.extend(folder.local_path().map(ToOwned::to_owned));
        }
        matching.push((name, meta));
    }
    if matching.is_empty() {
        return Err(entries::no_match(location));
    }
    refuse_links(&base, matching.iter().map(|(name, _)| name.as_str())).await?;
    let found = objects(matching);
    let work = match found.work {
        Work::Objects { keys, .. } => Work::Objects { keys, folders },
        other @ Work::Folder { .. } => other,
    };
    Ok(Targets { roots, work, ..found })
}

/// Refuses local paths below `base` that lead through a link.
async fn refuse_links(base: &Location, names: impl Iterator<Item = &str>) -> Result<()> {
    if base.local_path().is_none() {
        return Ok(());
    }
    let folders = names.flat_map(|name| name.match_indices('/').map(|(end, _)| &name[..end]));
    let folders: BTreeSet<_> = folders.collect();
    let folders: Vec<_> = folders.into_iter().map(|folder| base.join(folder)).collect();
    let is_link = |folder: &Location| folder.local_path().is_some_and(std::path::Path::is_symlink);
    match blocking(move || Ok(folders.into_iter().find(is_link))).await? {
        Some(link) => Err(Error::usage(format!(
            "'{link}' is a symbolic link, which a pattern does not follow: remove it by its own name"
        ))),
        None => Ok(()),
    }
}

/// What is in a folder.
async fn folder(stores: &Stores, location: &Location) -> Result<Targets> {
    let Some((files, folder)) = local(&stores.open(location)?, location) else {
        let found = entries::objects_in(&stores.open_every(location)?, location).await?;
        if found.is_empty() {
            return Err(entries::missing(location));
        }
        return Ok(objects(found));
    };
    if location.path().is_root() {
        return Err(Error::usage(format!(
            "'{location}' is the root directory, which is never removed"
        )));
    }
    let dir = folder.clone();
    let list = move || if dir.is_symlink() { Ok(Vec::new()) } else { files.below(&dir) };
    let found = blocking(list).await?;
    let named = found.into_iter().map(|file| {
        let name = file.path.strip_prefix(&folder).unwrap_or(&file.path);
        (name.to_string_lossy().into_owned(), file)
    });
    let named: Vec<_> = named.collect();
    let roots = Roots::of(named.iter().map(|(name, _)| name.as_str()));
    let names = named.iter().map(|(name, file)| (name.clone(), file.size)).collect();
    let ranked = named.into_iter().map(|(name, file)| (rank(&name), file.path));
    let signs = ranked.filter(|(rank, _)| *rank > 0).collect();
    Ok(Targets { names, roots, work: Work::Folder { folder, signs } })
}

fn local(store: &Store, location: &Location) -> Option<(LocalFiles, PathBuf)> {
    Some((store.files()?.clone(), location.local_path()?.to_owned()))
}

/// Refuses a dataset, a part of one, and what holds one or a part of it.
async fn refuse_datasets(stores: &Arc<Stores>, location: &Location, found: &Targets) -> Result<()> {
    let refused = |dataset: &dyn std::fmt::Display, what: &str| {
        Err(Error::usage(format!(
            "'{location}' {what} the dataset '{dataset}': pass --dataset to remove it anyway"
        )))
    };
    let base = location.join("");
    if let Some(within) = dataset_around(stores, &base).await? {
        let what = if within.path.is_empty() { "is" } else { "is in" };
        return refused(&within.dataset, what);
    }
    match found.names.iter().find_map(|(name, _)| found.roots.around(name).next()) {
        Some(root) => refused(&base.join(root), "holds"),
        None => Ok(()),
    }
}

/// Removes it. That an object is gone already is fine.
///
/// # Errors
/// If storage fails; what was removed before is gone.
pub async fn remove(stores: &Stores, removal: Removal) -> Result<()> {
    let store = stores.open(&removal.location)?;
    let files = store.files().cloned();
    match (removal.work, files) {
        (Work::Objects { keys, folders }, files) => {
            remove_objects(&store, keys).await?;
            let Some(files) = files else { return Ok(()) };
            blocking(move || folders.iter().try_for_each(|f| files.remove_empty_dirs(f))).await
        }
        (Work::Folder { folder, signs }, Some(files)) => {
            blocking(move || remove_folder(&files, &folder, signs)).await
        }
        (Work::Folder { .. }, None) => Err(Error::internal("a folder of no disk")),
    }
}

async fn remove_objects(store: &Store, keys: Vec<(u8, Path)>) -> Result<()> {
    // Keys of one call are removed in any order.
    for rank in (0..=LAST_RANK).rev() {
        let keys = keys.iter().filter(|(of, _)| *of == rank).map(|(_, key)| Ok(key.clone()));
        let keys = stream::iter(keys.collect::<Vec<_>>()).boxed();
        let mut removed = store.objects().delete_stream(keys);
        while let Some(removed) = removed.next().await {
            match removed {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

fn remove_folder(
    files: &LocalFiles,
    folder: &std::path::Path,
    mut signs: Vec<(u8, PathBuf)>,
) -> Result<()> {
    signs.sort_unstable_by(|a, b| b.cmp(a));
    signs.iter().try_for_each(|(_, sign)| files.remove(sign).map(drop))?;
    files.remove_dir(folder).map(drop)
}
