//! What was found at a location, in sentences, each with its remedy.

use super::place::DatasetRoot;
use crate::table::manifest::Manifest;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The current version, or that there is none.
    Dataset,
    /// A data file.
    File,
    /// Rows of a block.
    Block,
    /// A run.
    Run,
    /// A claim of a version.
    Claim,
    /// The store.
    Store,
}

impl Subject {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::File => "file",
            Self::Block => "block",
            Self::Run => "run",
            Self::Claim => "claim",
            Self::Store => "store",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// A sentence.
    pub what: String,
    /// What to do about it, if anything.
    pub remedy: Option<String>,
    /// Rows that a reader should get cannot be got, or are not those that were written.
    pub is_damage: bool,
}

/// What is stored at a location.
#[derive(Clone, Debug)]
pub struct Checkup {
    /// The findings, the dataset's first.
    pub findings: Vec<Finding>,
    /// The current version, if there is one that can be read.
    pub manifest: Option<Manifest>,
}

impl Checkup {
    /// How many findings are damage.
    pub fn damages(&self) -> usize {
        self.findings.iter().filter(|finding| finding.is_damage).count()
    }

    /// Adds a finding that is not damage.
    pub fn note(&mut self, subject: Subject, what: impl Into<String>, remedy: Option<String>) {
        let what = what.into();
        self.findings.push(Finding { subject, what, remedy, is_damage: false });
    }

    /// Adds a finding of damage.
    pub fn damage(&mut self, subject: Subject, what: impl Into<String>, remedy: Option<String>) {
        let what = what.into();
        self.findings.push(Finding { subject, what, remedy, is_damage: true });
    }
}

/// A command on this location, as one would type it.
pub(super) fn command(name: &str, place: &DatasetRoot, option: &str) -> String {
    format!("pleiad {name} '{}' {option}", place.location).trim_end().to_owned()
}
