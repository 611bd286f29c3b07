//! Bytes that keep coming, cut into whole lines.
//!
//! LF ends a line. What has come of a line whose end has not is kept until it does, or until the text ends:
//! the rest is a line then. A mark of byte order at the start goes. A line longer than [`MAX_LINE`] is kept
//! up to one byte more, so that it is seen to be too long and takes no more memory than that.

use std::ops::Range;

use memchr::memchr;

/// The longest line, in bytes without its end.
pub(crate) const MAX_LINE: usize = 16 << 20;

const MARK: &[u8] = "\u{feff}".as_bytes();

/// A text on its way: a connection, a file.
#[derive(Debug)]
pub(crate) struct Lines {
    max_line: usize,
    /// Whole lines, and behind them what has come of the next.
    kept: Vec<u8>,
    /// Where the whole lines end.
    whole: usize,
    /// Whether the start, which may hold a mark, has not been seen.
    is_start: bool,
}

impl Lines {
    /// At its start.
    pub(crate) fn new() -> Self {
        Self::with_max_line(MAX_LINE)
    }

    fn with_max_line(max_line: usize) -> Self {
        Self { max_line, kept: Vec::new(), whole: 0, is_start: true }
    }

    /// Adds bytes as they came, cut anywhere.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while let Some(lf) = memchr(b'\n', bytes) {
            self.add(&bytes[..lf]);
            self.kept.push(b'\n');
            self.pass_mark();
            self.whole = self.kept.len();
            bytes = &bytes[lf + 1..];
        }
        self.add(bytes);
    }

    /// Adds to the line that is not whole, up to one byte more than it may have.
    fn add(&mut self, bytes: &[u8]) {
        let room = (self.max_line + 1).saturating_sub(self.kept.len() - self.whole);
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn pass_mark(&mut self) {
        if std::mem::take(&mut self.is_start) && self.kept.starts_with(MARK) {
            self.kept.drain(..MARK.len());
        }
    }

    /// Takes the whole lines that have come, each with its LF.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let rest = self.kept.split_off(self.whole);
        self.whole = 0;
        std::mem::replace(&mut self.kept, rest)
    }

    /// Bytes of whole lines that [`Self::take`] would give.
    pub(crate) fn len(&self) -> usize {
        self.whole
    }

    /// Ends the text: takes all that is left, the last line perhaps without LF. What is pushed then is
    /// another text, with a start of its own.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        self.pass_mark();
        self.is_start = true;
        self.whole = 0;
        std::mem::take(&mut self.kept)
    }
}

/// Cuts whole lines into ranges of whole lines, each of about `bytes` or of one longer line.
pub(crate) fn ranges(lines: &[u8], bytes: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut begin = 0;
    while begin < lines.len() {
        let wanted = begin + bytes.max(1) - 1;
        let rest = lines.get(wanted..).unwrap_or_default();
        let lf = rest.iter().position(|byte| *byte == b'\n');
        let end = lf.map_or(lines.len(), |lf| wanted + lf + 1);
        ranges.push(begin..end);
        begin = end;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &[u8], max_line: usize, sizes: &[usize]) -> Vec<u8> {
        let mut lines = Lines::with_max_line(max_line);
        let (mut rest, mut sizes) = (text, sizes.iter().cycle());
        let mut all = Vec::new();
        while !rest.is_empty() {
            let size = sizes.next().map_or(rest.len(), |size| (*size).min(rest.len()));
            lines.push(&rest[..size]);
            rest = &rest[size..];
            let taken = lines.take();
            assert!(taken.is_empty() || taken.ends_with(b"\n"));
            all.extend(taken);
        }
        all.extend(lines.end());
        all
    }

    #[test]
    fn a_mark_goes_at_the_start_only() {
        let text = "\u{feff}a\r\n\u{feff}b\n\nc".as_bytes();
        let expected = "a\r\n\u{feff}b\n\nc".as_bytes();
        for size in 1..=text.len() {
            assert_eq!(cut(text, MAX_LINE, &[size]), expected, "cuts of {size}");
        }
        assert_eq!(cut("\u{feff}".as_bytes(), MAX_LINE, &[1]), b"");
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_those_after_it_are_not() {
        for size in 1..12 {
            let seen = cut(b"abc\nabcdefgh\nab\nabcdefgh", 3, &[size]);
            assert_eq!(seen, b"abc\nabcd\nab\nabcd", "cuts of {size}");
        }
    }

    #[test]
    fn what_is_pushed_behind_an_end_is_another_text() {
        let mut lines = Lines::new();
        lines.push("\u{feff}a".as_bytes());
        assert_eq!((lines.take(), lines.end()), (vec![], b"a".to_vec()));
        lines.push("\u{feff}b\nc".as_bytes());
        assert_eq!(lines.len(), 2);
        assert_eq!((lines.take(), lines.end()), (b"b\n".to_vec(), b"c".to_vec()));
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(text in "[ab\n\r]{0,60}", sizes in prop::collection::vec(1..9usize, 1..5)) {
            prop_assert_eq!(cut(text.as_bytes(), MAX_LINE, &sizes), text.as_bytes());
        }

        #[test]
        fn ranges_are_whole_lines_in_order(text in "[ab\n]{0,60}", bytes in 0..20usize) {
            let ranges = ranges(text.as_bytes(), bytes);
            let mut next = 0;
            for range in &ranges {
                prop_assert!(range.start == next && range.end > next);
                prop_assert!(range.end == text.len() || text.as_bytes()[range.end - 1] == b'\n');
                next = range.end;
            }
            prop_assert_eq!(next, text.len());
        }
    }
}
