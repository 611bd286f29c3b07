//! The files that a query has guessed.

use std::sync::{Arc, Mutex, PoisonError};

use super::csv::TextFacts;
use super::format::{CsvLines, Lines, TextColumn};
use super::guess::{Confirmed, Guess};
use super::known::{Asked, KnownFiles, Needed};

/// The files of which a query knows only what their first bytes say.
#[derive(Debug, Default)]
pub struct Guesses {
    files: Mutex<Vec<Guessed>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Guessed {
    /// What its first bytes say.
    pub(crate) facts: TextFacts,
    /// Where that is kept once all of it is known.
    pub(crate) keep: Option<(Arc<KnownFiles>, Asked, Needed)>,
}

impl Guesses {
    /// Adds a file.
    pub(crate) fn add(&self, file: Guessed) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).push(file);
    }

    /// Whether nothing was guessed.
    pub fn is_empty(&self) -> bool {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether what was guessed of every file was seen in so many of its first rows.
    pub fn have_seen(&self, rows: u64) -> bool {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().all(|file| file.guess().is_some_and(|guess| rows <= guess.rows))
    }

    /// Whether every file was read to its end and is what it was taken for; it is known from then on.
    pub fn are_confirmed(&self) -> bool {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let known: Option<Vec<_>> = files.iter().map(Guessed::confirmed).collect();
        let Some(known) = known else { return false };
        for (file, found) in files.iter_mut().zip(known) {
            // Where values hold line ends, no one knows yet where streams may begin.
            if let Some((known, asked, needed)) = file.keep.take()
                && !found.has_newlines
            {
                known.keep(asked, file.facts.known(&found), needed);
            }
        }
        true
    }
}

impl Guessed {
    fn guess(&self) -> Option<&Guess> {
        match &self.facts.file.lines {
            Lines::Csv(lines) => lines.guess.as_deref(),
            Lines::Json(_) => None,
        }
    }

    fn confirmed(&self) -> Option<Confirmed> {
        self.guess()?.confirmed()
    }
}

impl TextFacts {
    /// The facts of a file that is as it looked.
    fn known(&self, found: &Confirmed) -> Self {
        let mut known = self.clone();
        known.rows = Some(found.rows);
        if let Lines::Csv(lines) = &mut known.file.lines {
            let columns = lines.columns.iter().enumerate().map(|(place, column)| {
                let seen = found.seen.iter().find(|(checked, _)| *checked == place);
                TextColumn { seen: seen.map_or(column.seen, |(_, seen)| *seen), ..column.clone() }
            });
            *lines = CsvLines { columns: columns.collect(), guess: None, ..lines.clone() };
        }
        known
    }
}
