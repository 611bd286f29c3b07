//! Tables without an end: lines that keep coming, and the rows they hold.

#[cfg_attr(not(test), expect(dead_code, reason = "the sources read through it"))]
mod decode; // whole lines to rows
#[cfg_attr(not(test), expect(dead_code, reason = "the sources read through it"))]
mod lines; // bytes to whole lines
