//! Questions about what is stored, and their answers as plain values; nothing here prints.

pub mod columns; // names and types, and who says so: schema
pub mod head; // the first rows: head
pub mod column_sums; // what columns hold: summary, SUMMARIZE
pub mod summary; // how many rows, and what is in them: count, summary
pub mod footer; // what a Parquet file says of itself: meta
pub mod dataset; // what a dataset says of itself: show
pub mod numbers; // numbers of columns: plot
