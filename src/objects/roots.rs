//! Datasets in a listing: where they are, and in which order their files appear and go.

use std::collections::BTreeSet;

/// The rank of what says that a dataset is whole.
pub(super) const LAST_RANK: u8 = 2;

/// Where the datasets are in a listing: the paths to their folders, each with a `/` at its end; of
/// the listed folder itself the empty path.
pub(super) struct Roots(BTreeSet<String>);

impl Roots {
    /// The datasets whose manifests are among `names`.
    pub(super) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let root = |name: &str| {
            let (folder, file) = name.rsplit_once('/')?;
            let root = folder.strip_suffix("_manifest")?;
            let is_manifest = file.ends_with(".json") && (root.is_empty() || root.ends_with('/'));
            is_manifest.then(|| root.to_owned())
        };
        Self(names.into_iter().filter_map(root).collect())
    }

    /// The datasets that hold `name`, the outermost first.
    pub(super) fn around<'a>(&self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let ends = name.match_indices('/').map(|(end, _)| end + 1);
        std::iter::once(0).chain(ends).map(|end| &name[..end]).filter(|root| self.0.contains(*root))
    }

    /// Whether `name` is a note of writers to each other in one of the datasets.
    pub(super) fn is_of_runs(&self, name: &str) -> bool {
        let notes = ["_runs/", "_claims/", "_probe/", "_kept/"];
        self.around(name)
            .any(|root| notes.iter().any(|notes| name[root.len()..].starts_with(notes)))
    }
}

/// When a file may appear: data first, then manifests, then what readers that list look for. Files
/// go the other way round, so that a reader never finds half of a dataset.
pub(super) fn rank(name: &str) -> u8 {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    match file {
        "_SUCCESS" => LAST_RANK,
        _ if folder == "_manifest" || folder.ends_with("/_manifest") => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_are_found_by_their_manifests_at_any_depth() {
        let names =
            ["_manifest/1.json", "a/b/_manifest/2.json", "x_manifest/3.json", "c/_manifest"];
        let roots = Roots::of(names);
        assert_eq!(roots.around("a/b/t/part").collect::<Vec<_>>(), ["", "a/b/"]);
        assert_eq!(roots.around("a/bc").collect::<Vec<_>>(), [""]);
        assert!(roots.is_of_runs("_runs/1/x") && roots.is_of_runs("a/b/_claims/1"));
        assert!(!roots.is_of_runs("a/_runs/x") && !roots.is_of_runs("a/b/_runs_/x"));
        assert_eq!(Roots::of(["x_manifest/3.json"]).around("x_").count(), 0);
    }

    #[test]
    fn what_publishes_has_the_last_ranks_at_any_depth() {
        let ranks = ["t/part", "a/_manifest/1.json", "_manifest/1.json", "a/_SUCCESS", "_SUCCESS"];
        assert_eq!(ranks.map(rank), [0, 1, 1, 2, 2]);
        assert_eq!(["my_manifest/x", "not_SUCCESS"].map(rank), [0, 0]);
    }
}
