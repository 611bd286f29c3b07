//! Files of text: CSV and JSON lines, plain or compressed, and the types of their columns.

pub(crate) mod format; // how a CSV file is read
pub(crate) mod csv; // delimiter, header and types of a CSV file
pub(crate) mod json; // members of JSON lines, and their types
pub(crate) mod decoded; // text that is compressed or not UTF-8
pub(crate) mod infer; // the type that holds a column of text
