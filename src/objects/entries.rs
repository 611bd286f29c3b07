//! What a location holds: objects and folders.
//!
//! A folder of a bucket exists as long as some key begins with its name. Empty objects that only
//! stand for a folder (`dir/`, as some consoles make them) are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use crate::error::{Error, Kind, Result};
use crate::storage::{Location, Server, Store, Stores};
use crate::table::dataset_around;

/// An object, or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path below the location that was asked for, or the name of an object that was asked for
    /// itself; of a pattern the whole location. A folder ends in `/`.
    pub name: String,
    /// What is known of an object; `None` for a folder.
    pub object: Option<Object>,
}

/// What a store knows of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Bytes.
    pub size: u64,
    /// When it was last written, in seconds since 1970.
    pub modified: i64,
    /// What changes with its bytes, where the store has such a thing.
    pub e_tag: Option<String>,
}

impl From<&ObjectMeta> for Object {
    fn from(meta: &ObjectMeta) -> Self {
        let modified = meta.last_modified.timestamp();
        Self { size: meta.size, modified, e_tag: meta.e_tag.clone() }
    }
}

/// What is at a location.
#[derive(Clone, Debug)]
pub enum ObjectOrFolder {
    /// An object.
    Object(ObjectMeta),
    /// A folder; on local disks it may be empty. A bucket is one.
    Folder,
}

/// Looks at a location that is not a pattern.
///
/// # Errors
/// Of kind [`Kind::InputMissing`] if there is nothing; or if storage fails.
pub async fn look(stores: &Stores, location: &Location) -> Result<ObjectOrFolder> {
    match found(stores, location).await {
        Err(error) => Err(stores.with_near_buckets(location, error).await),
        found => found,
    }
}

async fn found(stores: &Stores, location: &Location) -> Result<ObjectOrFolder> {
    let store = stores.open(location)?;
    if location.path().is_root() || location.is_directory().await {
        return Ok(ObjectOrFolder::Folder);
    }
    if location.local_path().is_some() {
        return Ok(ObjectOrFolder::Object(store.objects().head(location.path()).await?));
    }
    // A name with an ending is most often an object's: then one request is enough.
    if location.name().contains('.')
        && let Some(object) = object_at(&store, location).await?
    {
        return Ok(ObjectOrFolder::Object(object));
    }
    match is_folder(&store, location).await {
        Ok(true) => Ok(ObjectOrFolder::Folder),
        Ok(false) => {
            let object = object_at(&store, location).await?;
            object.map(ObjectOrFolder::Object).ok_or_else(|| missing(location))
        }
        // Who may not list may still read.
        Err(error) if error.kind() == Kind::Denied => match object_at(&store, location).await {
            Ok(Some(object)) => Ok(ObjectOrFolder::Object(object)),
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// The kind of what is at a location, `object`, `folder` or `dataset`, and what is known of an
/// object.
///
/// # Errors
/// As [`look`].
pub async fn stat(
    stores: &Arc<Stores>,
    location: &Location,
) -> Result<(&'static str, Option<Object>)> {
    match look(stores, location).await? {
        ObjectOrFolder::Object(meta) => Ok(("object", Some(Object::from(&meta)))),
        ObjectOrFolder::Folder => {
            let within = dataset_around(stores, location).await?;
            let is_dataset = within.is_some_and(|within| within.path.is_empty());
            Ok((if is_dataset { "dataset" } else { "folder" }, None))
        }
    }
}

/// The object of exactly this name, if there is one.
async fn object_at(store: &Store, location: &Location) -> Result<Option<ObjectMeta>> {
    match store.objects().head(location.path()).await {
        Ok(meta) => Ok(Some(meta)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn is_folder(store: &Store, location: &Location) -> Result<bool> {
    let listed = store.objects().list_with_delimiter(Some(location.path())).await?;
    Ok(!listed.objects.is_empty() || !listed.common_prefixes.is_empty())
}

/// Says that there is nothing.
pub(super) fn missing(location: &Location) -> Error {
    Error::missing(format!("nothing found at '{location}': neither an object nor a folder"))
}

/// The entries of a folder, or of everything below it, sorted by name; of an object itself; of a
/// pattern the objects and folders that match, or in place of folders all that is below them.
///
/// # Errors
/// Of kind [`Kind::InputMissing`] if there is nothing; or if storage fails.
pub async fn list(stores: &Stores, location: &Location, recursive: bool) -> Result<Vec<Entry>> {
    match listed(stores, location, recursive).await {
        Err(error) => Err(stores.with_near_buckets(location, error).await),
        listed => listed,
    }
}

async fn listed(stores: &Stores, location: &Location, recursive: bool) -> Result<Vec<Entry>> {
    if location.glob().is_some() {
        return matching(stores, location, recursive).await;
    }
    if let ObjectOrFolder::Object(meta) = found(stores, location).await? {
        let object = Some(Object::from(&meta));
        return Ok(vec![Entry { name: location.name().to_owned(), object }]);
    }
    match recursive {
        true => {
            let named = |(name, meta): (String, ObjectMeta)| {
                let object = Some(Object::from(&meta));
                Entry { name, object }
            };
            Ok(objects_below(stores, location).await?.into_iter().map(named).collect())
        }
        false => children(stores, location).await,
    }
}

/// The buckets of a server, as folders.
///
/// # Errors
/// If storage fails, or its key may not list them.
pub async fn buckets(stores: &Stores, server: &Server) -> Result<Vec<Entry>> {
    let names = stores.buckets(server).await?.into_iter();
    Ok(names.map(|name| Entry { name: format!("{name}/"), object: None }).collect())
}

/// What is directly in a folder.
async fn children(stores: &Stores, folder: &Location) -> Result<Vec<Entry>> {
    let store = stores.open(folder)?;
    let listed = store.objects().list_with_delimiter(Some(folder.path())).await?;
    let folders: BTreeSet<String> =
        listed.common_prefixes.iter().map(|path| relative(folder, path)).collect();
    let objects = listed.objects.iter().map(|meta| (relative(folder, &meta.location), meta));
    let objects = objects.filter(|(name, meta)| {
        let is_marker = meta.size == 0 && (name.is_empty() || folders.contains(name));
        !is_marker
    });
    let objects = objects.map(|(name, meta)| Entry { name, object: Some(Object::from(meta)) });
    let folders = folders.iter().map(|name| Entry { name: format!("{name}/"), object: None });
    let mut entries: Vec<_> = objects.chain(folders).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Every object below a folder with its path in it, sorted; markers of folders are left out.
pub(super) async fn objects_below(
    stores: &Stores,
    folder: &Location,
) -> Result<Vec<(String, ObjectMeta)>> {
    let found = objects_in(&stores.open(folder)?, folder).await?;
    Ok(without_markers(found.into_iter().collect()))
}

/// Every object below a folder of `store`, markers too.
pub(super) async fn objects_in(
    store: &Store,
    folder: &Location,
) -> Result<Vec<(String, ObjectMeta)>> {
    let listed = store.objects().list(Some(folder.path()));
    let listed: Vec<ObjectMeta> = listed.try_collect().await?;
    let named = listed.into_iter().map(|meta| (relative(folder, &meta.location), meta));
    let sorted: BTreeMap<_, _> = named.collect();
    Ok(sorted.into_iter().collect())
}

/// Leaves out the empty objects that are folders of others.
fn without_markers(objects: BTreeMap<String, ObjectMeta>) -> Vec<(String, ObjectMeta)> {
    let mut folders = BTreeSet::from([String::new()]);
    for name in objects.keys() {
        folders.extend(name.match_indices('/').map(|(end, _)| name[..end].to_owned()));
    }
    let is_marker = |(name, meta): &(String, ObjectMeta)| meta.size == 0 && folders.contains(name);
    objects.into_iter().filter(|object| !is_marker(object)).collect()
}

/// The objects that match a pattern, and the folders that do with nothing above them that does.
async fn matching(stores: &Stores, location: &Location, recursive: bool) -> Result<Vec<Entry>> {
    let base = location.join("");
    let mut found = BTreeMap::new();
    for (name, meta) in objects_below(stores, &base).await? {
        let Some(end) = matched_part(location, &base, &name) else { continue };
        let end = if recursive { name.len() } else { end };
        let is_object = end == name.len();
        let shown = base.join(&name[..end]).to_string();
        let name = if is_object { shown } else { format!("{shown}/") };
        found.insert(name, is_object.then(|| Object::from(&meta)));
    }
    if found.is_empty() {
        return Err(no_match(location));
    }
    Ok(found.into_iter().map(|(name, object)| Entry { name, object }).collect())
}

/// How much of a path below `base` the pattern of `location` matches at least: the path itself or
/// a folder of it.
pub(super) fn matched_part(location: &Location, base: &Location, path: &str) -> Option<usize> {
    let pattern = location.glob()?;
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    ends.into_iter().find(|end| pattern.matches(base.join(&path[..*end]).path()))
}

/// Says that nothing matches.
pub(crate) fn no_match(location: &Location) -> Error {
    Error::missing(format!("no object or folder matches '{location}'"))
}

/// The path of `path` below `folder`.
fn relative(folder: &Location, path: &Path) -> String {
    let rest = path.as_ref().strip_prefix(folder.path().as_ref()).unwrap_or(path.as_ref());
    rest.trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::StorageOptions;

    /// A bucket in memory with these keys, each holding its own name; markers end in `/`.
    async fn bucket(keys: &[&str]) -> (Arc<Stores>, Location) {
        let stores = Stores::new(StorageOptions::default());
        let root = Location::parse("memory://lab").unwrap();
        let store = stores.open(&root).unwrap();
        for key in keys {
            let bytes = if key.ends_with('/') { String::new() } else { (*key).to_owned() };
            store.objects().put(&Path::from(*key), bytes.into()).await.unwrap();
        }
        (stores, root)
    }

    async fn names(keys: &[&str], at: &str, recursive: bool) -> Result<Vec<String>> {
        let (stores, root) = bucket(keys).await;
        let location = Location::parse(&format!("{root}/{at}"))?;
        let entries = list(&stores, &location, recursive).await?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    #[tokio::test]
    async fn a_folder_shows_objects_and_folders_but_no_markers() {
        let keys = ["a.csv", "in/b.csv", "in/deep/c.csv", "in/", "in/deep/", "out"];
        assert_eq!(names(&keys, "", false).await.unwrap(), ["a.csv", "in/", "out"]);
        assert_eq!(names(&keys, "in", false).await.unwrap(), ["b.csv", "deep/"]);
        assert_eq!(names(&keys, "in", true).await.unwrap(), ["b.csv", "deep/c.csv"]);
        assert_eq!(names(&keys, "out", false).await.unwrap(), ["out"]);
        let error = names(&keys, "ou", false).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InputMissing);
        assert!(error.to_string().starts_with("nothing found at 'memory://lab/ou'"), "{error}");
    }

    #[tokio::test]
    async fn a_pattern_shows_what_matches_and_nothing_below_it() {
        let keys = ["x/1.csv", "x/2.csv", "x/2.txt", "y/k=1/p", "y/k=2/p", "y/k=2/q"];
        let found = |at: &'static str| async move { names(&keys, at, false).await };
        assert_eq!(
            found("x/*.csv").await.unwrap(),
            ["memory://lab/x/1.csv", "memory://lab/x/2.csv"]
        );
        assert_eq!(found("y/*").await.unwrap(), ["memory://lab/y/k=1/", "memory://lab/y/k=2/"]);
        let below = names(&keys, "y/*", true).await.unwrap();
        assert_eq!(below, ["k=1/p", "k=2/p", "k=2/q"].map(|at| format!("memory://lab/y/{at}")));
        let error = found("z*").await.unwrap_err();
        assert_eq!(error.to_string(), "no object or folder matches 'memory://lab/z*'");
    }
}
