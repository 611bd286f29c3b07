//! Objects of a bucket and files of this machine, as one thing: listed, read, copied, removed.
//!
//! An object has a name, a size and a time; a folder is what names have in common up to a `/`. Sizes
//! are bytes, times seconds since 1970 by the store's clock. In reading order:

pub mod entries; // what a location holds: ls, stat
pub mod folders; // how much that is, folder by folder: du, tree
mod roots; // datasets in a listing, and the order of their files
pub mod filter; // which names are meant
pub mod copy; // bytes of an object; objects to another place: cat, cp
pub mod mirror; // a folder as it is in another place: mirror
pub mod remove; // what may be removed, and how: rm

pub use entries::{Entry, Object, ObjectOrFolder, buckets, list, look, stat};
