//! What every layout is written from.

use crate::event::{Event, Observer, Unit};
use crate::partition::catalogue::Catalogue;
use crate::partition::count::CountResult;
use crate::partition::options::Params;

/// A catalogue whose rows are counted.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The rows.
    pub catalogue: &'a Catalogue,
    /// How they are partitioned.
    pub params: &'a Params,
    /// Their blocks.
    pub counted: &'a CountResult,
    /// Who listens.
    pub watch: &'a dyn Observer,
}

impl Job<'_> {
    /// Reports that a table of `rows` rows is being written.
    pub(super) fn stage(&self, name: &str, rows: u64) {
        self.watch.report(Event::Stage { name: name.into(), total: Some(rows), unit: Unit::Rows });
    }
}
