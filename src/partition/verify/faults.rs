//! Sentences about what is wrong, the first of them in full.

/// Faults that are shown one by one.
const MAX_SHOWN: usize = 50;

/// What is wrong with a dataset.
#[derive(Debug, Default)]
pub(super) struct Faults {
    shown: Vec<String>,
    more: usize,
}

impl Faults {
    pub(super) fn add(&mut self, what: String) {
        if self.shown.len() < MAX_SHOWN { self.shown.push(what) } else { self.more += 1 }
    }

    /// Adds `what` if it has another number than expected.
    pub(super) fn compare(&mut self, what: &str, found: u64, expected: u64, by: &str) {
        if found != expected {
            self.add(format!("{what} {found}, expected {expected} by {by}"));
        }
    }

    /// These faults and then `others`.
    pub(super) fn and(mut self, others: Self) -> Self {
        others.shown.into_iter().for_each(|what| self.add(what));
        self.more += others.more;
        self
    }

    pub(super) fn sentences(mut self) -> Vec<String> {
        if self.more > 0 {
            self.shown.push(format!("and {} more faults of blocks", self.more));
        }
        self.shown
    }
}
