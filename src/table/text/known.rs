//! What looks at files have found, kept for as long as their store is open: the next statement need not look
//! at the same file again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::ObjectMeta;
use object_store::path::Path;

use super::csv::{Look, TextFacts};

/// The most files that are known at the same time.
const MAX_FILES: usize = 4096;

/// A file that was written so shortly ago may be written again under the same tag: clocks of file systems
/// tick every few milliseconds.
const SETTLED_SECONDS: i64 = 2;

/// Files that were looked at.
#[derive(Debug, Default)]
pub(crate) struct KnownFiles {
    files: Mutex<HashMap<Asked, Known>>,
}

/// What looks at a file have found.
#[derive(Clone, Debug)]
struct Known {
    facts: TextFacts,
    /// The columns whose types were found, if not all.
    needed: Needed,
}

/// Columns whose types matter; all without a set.
pub(crate) type Needed = Option<Arc<BTreeSet<String>>>;

/// A file as it was, and how it was looked at.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    path: Path,
    size: u64,
    tag: String,
    look: String,
}

impl Asked {
    /// `None` for a file of which no one can say whether it is the same.
    pub(crate) fn of(meta: &ObjectMeta, look: Look<'_>) -> Option<Self> {
        let age = jiff::Timestamp::now().as_second() - meta.last_modified.timestamp();
        let tag = meta.e_tag.clone().filter(|_| age >= SETTLED_SECONDS)?;
        let look = format!("{:?}", Look { needed: None, ..look });
        Some(Self { path: meta.location.clone(), size: meta.size, tag, look })
    }
}

impl KnownFiles {
    /// What the same look at the same file has found, if it was for the columns that are `needed` too. Else the
    /// columns that the next look should be for: what was found before is not lost.
    pub(crate) fn find(&self, asked: &Asked, needed: &Needed) -> Result<TextFacts, Needed> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = files.get(asked) else { return Err(needed.clone()) };
        let Some(found) = &known.needed else { return Ok(known.facts.clone()) };
        match needed {
            Some(needed) if needed.is_subset(found) => Ok(known.facts.clone()),
            Some(needed) => Err(Some(Arc::new(found.union(needed).cloned().collect()))),
            None => Err(None),
        }
    }

    /// Keeps what a look has found for the columns that were `needed`.
    pub(crate) fn keep(&self, asked: Asked, facts: TextFacts, needed: Needed) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() >= MAX_FILES {
            files.clear();
        }
        files.insert(asked, Known { facts, needed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::text::format::{Decoding, JsonLines, Lines, TextFile};
    use crate::table::text::options::{Header, TextOptions};
    use crate::table::text::shape::Shape;

    fn meta(tag: Option<&str>, seconds_ago: i64) -> ObjectMeta {
        let modified = jiff::Timestamp::now().as_millisecond() - seconds_ago * 1000;
        let modified = std::time::UNIX_EPOCH
            + std::time::Duration::from_millis(u64::try_from(modified).unwrap());
        ObjectMeta {
            location: Path::from("x.csv"),
            last_modified: modified.into(),
            size: 7,
            e_tag: tag.map(str::to_owned),
            version: None,
        }
    }

    #[test]
    fn a_file_is_known_while_its_tag_and_the_options_are_the_same() {
        let plain = TextOptions::default();
        let look = Look { names: None, options: &plain, needed: None, sample: None };
        let asked = Asked::of(&meta(Some("a"), 10), look).unwrap();
        assert_eq!(asked, Asked::of(&meta(Some("a"), 99), look).unwrap());
        assert_ne!(asked, Asked::of(&meta(Some("b"), 10), look).unwrap());
        let other = TextOptions { header: Header::Yes, ..TextOptions::default() };
        assert_ne!(
            asked,
            Asked::of(&meta(Some("a"), 10), Look { options: &other, ..look }).unwrap()
        );
        assert_ne!(
            asked,
            Asked::of(&meta(Some("a"), 10), Look { sample: Some(9), ..look }).unwrap()
        );
    }

    #[test]
    fn a_file_without_a_tag_or_just_written_is_looked_at_again() {
        let plain = TextOptions::default();
        let look = Look { names: None, options: &plain, needed: None, sample: None };
        assert_eq!(Asked::of(&meta(None, 10), look), None);
        assert_eq!(Asked::of(&meta(Some("a"), 0), look), None);
    }

    #[test]
    fn a_file_is_looked_at_again_for_columns_that_no_look_was_for() {
        let plain = TextOptions::default();
        let asked = || {
            let look = Look { names: None, options: &plain, needed: None, sample: None };
            Asked::of(&meta(Some("a"), 10), look).unwrap()
        };
        let columns = |names: &[&str]| -> Needed {
            Some(Arc::new(names.iter().map(|name| (*name).to_owned()).collect()))
        };
        let lines = Lines::Json(JsonLines { shape: Shape::default() });
        let file = TextFile { decoding: Decoding::default(), lines, max_line: 9 };
        let facts = TextFacts { file, rows: Some(7), findings: Vec::new() };
        let known = KnownFiles::default();
        let find = |names: &Needed| known.find(&asked(), names).map(|facts| facts.rows);
        assert_eq!(find(&columns(&["a"])), Err(columns(&["a"])));
        known.keep(asked(), facts.clone(), columns(&["a"]));
        assert_eq!(find(&columns(&["a"])), Ok(Some(7)));
        assert_eq!(find(&columns(&[])), Ok(Some(7)));
        assert_eq!(find(&columns(&["b"])), Err(columns(&["a", "b"])));
        assert_eq!(find(&None), Err(None));
        known.keep(asked(), facts, None);
        assert_eq!(find(&columns(&["c"])), Ok(Some(7)));
    }
}
