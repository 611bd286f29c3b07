//! How much there is, folder by folder: what a listing finds, or what a manifest says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entries::{self, ObjectOrFolder};
use crate::error::Result;
use crate::storage::{Location, Stores};
use crate::table::dataset_around;

/// A folder with everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Its path below the location that was asked for; empty for that location itself.
    pub path: String,
    /// Files, at any depth.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows, where a manifest has them.
    pub rows: Option<u64>,
}

impl Folder {
    fn empty(path: &str) -> Self {
        Self { path: path.to_owned(), files: 0, bytes: 0, rows: None }
    }

    /// How many segments its path has.
    pub fn depth(&self) -> usize {
        segments(&self.path).count()
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// What the store holds at `location`, as a listing finds it, records of runs included: the sum,
/// then each folder down to `depth`.
///
/// # Errors
/// Of kind [`InputMissing`](crate::error::Kind::InputMissing) if there is nothing; or if storage
/// fails.
pub async fn usage(stores: &Arc<Stores>, location: &Location, depth: usize) -> Result<Vec<Folder>> {
    listed(stores, location, Folders::new(depth)).await
}

/// Where files are shown beside folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// Everywhere.
    Always,
    /// Where there is no dataset: the names of its files say nothing to people.
    Plain,
    /// Nowhere.
    Never,
}

async fn listed(
    stores: &Arc<Stores>,
    location: &Location,
    mut folders: Folders,
) -> Result<Vec<Folder>> {
    if location.glob().is_some() {
        let base = location.join("");
        let mut found = false;
        for (path, meta) in entries::objects_below(stores, &base).await? {
            if entries::matched_part(location, &base, &path).is_some() {
                folders.add(&path, meta.size, None);
                found = true;
            }
        }
        return if found { Ok(folders.sorted()) } else { Err(entries::no_match(location)) };
    }
    match entries::look(stores, location).await? {
        ObjectOrFolder::Object(meta) => folders.add("", meta.size, None),
        ObjectOrFolder::Folder => {
            for (path, meta) in entries::objects_below(stores, location).await? {
                folders.add(&path, meta.size, None);
            }
        }
    }
    Ok(folders.sorted())
}

/// The tables and partitions of the dataset that `location` is, or is in, by its manifest; the
/// folders of any other location by a listing. Down to `depth`, parents first.
///
/// # Errors
/// As [`usage`].
pub async fn tree(
    stores: &Arc<Stores>,
    location: &Location,
    depth: usize,
    files: Files,
) -> Result<Vec<Folder>> {
    let as_listed = || {
        let leaves = files != Files::Never;
        listed(stores, location, Folders { leaves, ..Folders::new(depth) })
    };
    if location.glob().is_some() {
        return as_listed().await;
    }
    let Some(within) = dataset_around(stores, location).await? else {
        return as_listed().await;
    };
    let leaves = files == Files::Always;
    let mut folders = Folders { leaves, ..Folders::new(depth) };
    for file in &within.manifest.files {
        let below = match within.path.as_str() {
            "" => Some(file.path.as_str()),
            path => file.path.strip_prefix(path).and_then(|rest| rest.strip_prefix('/')),
        };
        if let Some(path) = below {
            folders.add(path, file.size, Some(file.rows));
        }
    }
    match folders.is_empty() {
        // Text files, or a place that no version names, such as the record of a run.
        true => as_listed().await,
        false => Ok(folders.sorted()),
    }
}

/// Sums by path, down to a depth.
struct Folders {
    found: BTreeMap<String, Folder>,
    depth: usize,
    /// Whether files are shown, too.
    leaves: bool,
}

impl Folders {
    /// Nothing but the location itself.
    fn new(depth: usize) -> Self {
        let found = BTreeMap::from([(String::new(), Folder::empty(""))]);
        Self { found, depth, leaves: false }
    }

    fn is_empty(&self) -> bool {
        self.found.values().all(|folder| folder.files == 0)
    }

    /// Adds a file to all folders above it.
    fn add(&mut self, path: &str, bytes: u64, rows: Option<u64>) {
        let ends = path.match_indices('/').map(|(end, _)| end);
        let leaf = (self.leaves && !path.is_empty()).then_some(path.len());
        for end in std::iter::once(0).chain(ends).chain(leaf).take(self.depth.saturating_add(1)) {
            let folder = self.found.entry(path[..end].to_owned());
            let folder = folder.or_insert_with_key(|path| Folder::empty(path));
            folder.files += 1;
            folder.bytes += bytes;
            folder.rows = match (folder.rows, rows) {
                (None, None) => None,
                (sum, rows) => Some(sum.unwrap_or(0) + rows.unwrap_or(0)),
            };
        }
    }

    /// Parents first, `block=2` before `block=10`.
    fn sorted(self) -> Vec<Folder> {
        let mut folders: Vec<_> = self.found.into_values().collect();
        folders.sort_by(|a, b| {
            segments(&a.path).map(SortKey::of).cmp(segments(&b.path).map(SortKey::of))
        });
        folders
    }
}

/// What segments of paths are sorted by: key values that are numbers by their value and before other
/// values of that key, all else by text. Only equal segments are equal.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct SortKey<'a> {
    key: &'a str,
    is_text: bool,
    number: i64,
    segment: &'a str,
}

impl<'a> SortKey<'a> {
    fn of(segment: &'a str) -> Self {
        let (key, value) = segment.split_once('=').unwrap_or((segment, ""));
        let number = value.parse().ok();
        Self { key, is_text: number.is_none(), number: number.unwrap_or(0), segment }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_go_to_every_folder_above_and_numbers_sort_as_numbers() {
        let mut folders = Folders::new(2);
        for (path, rows) in [("t/k=10/a", 1), ("t/k=2/a", 2), ("t/k=2/b", 3), ("x", 4)] {
            folders.add(path, 10 * rows, Some(rows));
        }
        let sorted = folders.sorted();
        let found: Vec<_> =
            sorted.iter().map(|f| (f.path.as_str(), f.files, f.bytes, f.rows)).collect();
        let expected = [
            ("", 4, 100, Some(10)),
            ("t", 3, 60, Some(6)),
            ("t/k=2", 2, 50, Some(5)),
            ("t/k=10", 1, 10, Some(1)),
        ];
        assert_eq!(found, expected);
    }

    /// Some values are numbers and some are not, and some numbers are written in two ways.
    #[test]
    fn the_order_is_total_and_children_follow_their_parent() {
        let mut folders = Folders::new(2);
        for n in (0..300).rev() {
            for name in [format!("k={n}"), format!("k={n}a"), format!("k=0{n}"), format!("k{n}")] {
                folders.add(&format!("{name}/x/file"), 1, None);
            }
        }
        let sorted = folders.sorted();
        let paths: Vec<_> = sorted.iter().map(|folder| folder.path.as_str()).collect();
        for pair in paths[1..].chunks(2) {
            assert_eq!(pair[1], format!("{}/x", pair[0]));
        }
        let at = |path: &str| paths.iter().position(|found| *found == path).unwrap();
        let expected = ["k=01", "k=1", "k=02", "k=2", "k=10", "k=0a", "k=10a", "k=2a", "k1", "k2"];
        assert!(expected.is_sorted_by_key(|path| at(path)), "{paths:?}");
    }

    #[test]
    fn depth_0_is_the_sum_alone() {
        let mut folders = Folders::new(0);
        folders.add("a/b/c", 7, None);
        folders.add("d", 1, None);
        let sorted = folders.sorted();
        assert_eq!((sorted.len(), sorted[0].files, sorted[0].bytes), (1, 2, 8));
    }
}
