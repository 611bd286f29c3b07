//! Files of text: CSV and JSON lines, compressed or not, what they hold and how they are read.

pub(crate) mod options; // what a user says of text files
pub(crate) mod format; // how one file is read
pub(crate) mod bytes; // the text of a file: decompressed, decoded
mod numbers; // numbers as text writes them
mod times; // dates and times as text writes them
pub(crate) mod values; // the type that holds a column of text
mod ecsv; // the header of ECSV
mod header; // whether the first line is one
pub(crate) mod preamble; // what comes before the first row
pub(crate) mod csv; // a look at a CSV file
mod look; // its rows, on all cores
pub(crate) mod shape; // what values of JSON look like
pub(crate) mod json; // a look at a file of JSON lines
pub(crate) mod guess; // what first bytes say, checked while rows go by
pub(crate) mod known; // what looks have found, kept
pub(crate) mod guesses; // the files that a query has guessed
pub(crate) mod join; // one table of several files
mod batches; // rows of text as columns
pub(crate) mod scan; // text files as the engine scans them
