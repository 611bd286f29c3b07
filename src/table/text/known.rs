//! What looks at files have found, kept for as long as their store is open: the next statement need not look
//! at the same file again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

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
    files: Mutex<HashMap<Asked, TextFacts>>,
}

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
        let look = format!("{look:?}");
        Some(Self { path: meta.location.clone(), size: meta.size, tag, look })
    }
}

impl KnownFiles {
    /// What the same look at the same file has found.
    pub(crate) fn find(&self, asked: &Asked) -> Option<TextFacts> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).get(asked).cloned()
    }

    /// Keeps what a look has found.
    pub(crate) fn keep(&self, asked: Asked, facts: TextFacts) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if files.len() >= MAX_FILES {
            files.clear();
        }
        files.insert(asked, facts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::text::options::{Header, TextOptions};

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
        let look = Look { names: None, options: &plain, sample: None };
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
        let look = Look { names: None, options: &plain, sample: None };
        assert_eq!(Asked::of(&meta(None, 10), look), None);
        assert_eq!(Asked::of(&meta(Some("a"), 0), look), None);
    }
}
