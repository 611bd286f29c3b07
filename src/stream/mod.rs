//! Tables without an end: lines that keep coming, and the rows they hold.

#[cfg_attr(not(test), expect(dead_code, reason = "the sources read through it"))]
mod decode; // whole lines to rows
mod feed; // a server of lines
mod file_lines; // the lines of a file
#[cfg_attr(not(test), expect(dead_code, reason = "the sources cut chunks with all of it"))]
mod lines; // bytes to whole lines

pub use feed::{AtEnd, Clients, Feed, FeedLines, Paced, serve};
pub use file_lines::file_lines;
