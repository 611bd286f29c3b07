//! Questions about what is stored, and their answers as plain values; nothing here prints.
//!
//! Objects of a bucket and files of this machine are one thing here: an object has a name, a size
//! and a time, a folder is what names have in common up to a `/`. Sizes are bytes, times seconds
//! since 1970 by the store's clock. In reading order:

pub mod entries; // what a location holds: ls, stat
pub mod folders; // how much that is, folder by folder: du, tree
mod roots; // datasets in a listing, and the order of their files
pub mod copy; // bytes of an object; objects to another place: cat, cp
pub mod remove; // what may be removed, and how: rm
pub mod columns; // names and types, and who says so: schema
pub mod head; // the first rows: head
pub mod summary; // how many rows, and what is in them: count, summary
pub mod footer; // what a Parquet file says of itself: meta
pub mod dataset; // what a dataset says of itself: show

pub use entries::{Entry, Found, Object, buckets, list, look, stat};
