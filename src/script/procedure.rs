//! What a script calls and is answered with: the [`Procedures`] are given by who runs it.

use arrow::array::RecordBatch;
use async_trait::async_trait;

use crate::error::Result;

/// A small table with a name.
#[derive(Clone, Debug)]
pub struct NamedTable {
    /// Its name.
    pub name: String,
    /// All of it.
    pub rows: RecordBatch,
}

/// A procedure with its arguments as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Arguments without a name, in order.
    pub words: Vec<String>,
    /// NamedTable arguments; of a list all values.
    pub named: Vec<(String, Vec<String>)>,
}

/// What a procedure did.
#[derive(Clone, Debug, Default)]
pub struct CallResult {
    /// What is shown.
    pub answers: Vec<NamedTable>,
    /// What later statements may use, if nothing was published.
    pub tables: Vec<NamedTable>,
    /// The dataset that was published.
    pub published: Option<String>,
}

/// The procedures that a script can call.
#[async_trait(?Send)]
pub trait Procedures {
    /// Their names.
    fn names(&self) -> Vec<String>;

    /// Runs one.
    ///
    /// # Errors
    /// What its command would report.
    async fn call(&self, call: Call) -> Result<CallResult>;
}
