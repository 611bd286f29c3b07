//! What is written where: a table, its keys and order, and how rows find their file.

use serde::{Deserialize, Serialize};

/// The table a plan is written to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSpec {
    /// Its path in the dataset, `/` between segments; empty for the dataset's root table.
    pub name: String,
    /// Its Hive keys, outermost first: columns of the plan that become directories.
    pub keys: Vec<String>,
    /// The columns its rows are sorted by inside a file, ascending, NULLs last.
    pub order: Vec<String>,
    /// How rows find their file.
    pub layout: KeyLayout,
    /// Further tables of the same columns and keys, written by the same plan. Its first key, a whole
    /// number, is then a route: the number of tables times the key of the row there, plus the place of
    /// its table, 0 for `name`.
    pub beside: Vec<String>,
    /// Whether it is a table aside: copies of rows, refused rows, or figures. Drivers that read the
    /// dataset as a whole leave it out. Tables `beside` always are.
    pub aside: bool,
    /// Whether numbers hardly repeat: floats and integers of 64 bits are then written without
    /// dictionary, floats byte by byte.
    pub high_cardinality: bool,
    /// Where a table is written by several calls, which of them this is: files are read in the order
    /// of these.
    pub part: Option<u32>,
}

impl TableSpec {
    /// The names of all its tables, in the order of their routes.
    pub fn tables(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.name).chain(&self.beside)
    }
}

/// How rows find the file of their key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyLayout {
    /// For few keys: every stream keeps a writer open for each key it meets. Nothing is shuffled,
    /// nothing sorted but by `order`. A stream that meets a key beyond the 64th makes the whole
    /// write start over as [`KeyLayout::Clustered`].
    #[default]
    Fanout,
    /// For keys that were counted: every stream keeps a writer open for each, however many there
    /// are. Row groups end early where memory is short. A key that is alone may be a list here: the
    /// row is written once for each item.
    CountedFanout,
    /// For many keys: rows are hashed by key and sorted, a stream has one writer open, and a key
    /// has one file. Without keys the table becomes one file.
    Clustered,
}

/// What a write made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// Rows.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Files.
    pub files: usize,
}
