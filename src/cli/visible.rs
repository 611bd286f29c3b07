//! What people read, without the characters that would steer their terminal.
//!
//! Names of columns, keys, values and the answers of servers are written by others. Printed as it is, a
//! control sequence among them moves the cursor, renames the window or hides what follows. All that is
//! meant for people passes through [`visible`], a text, or [`Visible`], a stream. The bytes of `csv`,
//! `json` and the like are left alone where a program reads them.

use std::borrow::Cow;
use std::io::{self, Write};

/// Whether a character acts on the terminal, or on the order in which its neighbours are shown.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with such characters written out, as `\u{1b}`; ends of lines stay.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |c| steers(c) && c != '\n')
}

/// `text` on one line.
pub(super) fn visible_line(text: &str) -> Cow<'_, str> {
    escaped(text, steers)
}

fn escaped(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_bad(c) {
            true => clean.extend(c.escape_default()),
            false => clean.push(c),
        }
    }
    Cow::Owned(clean)
}

/// A stream of text whose reader sees every character: ends of lines and tabs stay, others that
/// [`steer`](visible) are written out, and so are bytes that are not UTF-8.
#[derive(Debug)]
pub(super) struct Visible<W> {
    out: W,
    /// The first bytes of a character whose others are still to come.
    begun: Vec<u8>,
}

impl<W: Write> Visible<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, begun: Vec::new() }
    }

    fn write_invalid(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.iter().try_for_each(|byte| write!(self.out, "\\x{byte:02x}"))
    }
}

impl<W: Write> Write for Visible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            let text = escaped(chunk.valid(), |c| steers(c) && !"\n\t".contains(c));
            self.out.write_all(text.as_bytes())?;
            let rest = chunk.invalid();
            let goes_on = |error: std::str::Utf8Error| error.error_len().is_none();
            match chunks.peek().is_none() && std::str::from_utf8(rest).is_err_and(goes_on) {
                true => self.begun = rest.to_vec(),
                false => self.write_invalid(rest)?,
            }
        }
        Ok(bytes.len())
    }

    /// A writer flushes between characters; what is open then is not one.
    fn flush(&mut self) -> io::Result<()> {
        let begun = std::mem::take(&mut self.begun);
        self.write_invalid(&begun)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        let text = "a\x1b[2J\u{9b}1m\x07\r\u{202e}b\nü\t";
        assert_eq!(visible(text), "a\\u{1b}[2J\\u{9b}1m\\u{7}\\r\\u{202e}b\nü\\t");
        assert_eq!(visible_line("a\nb"), "a\\nb");
        assert!(matches!(visible("größe, 'quoted'\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_stream_may_be_cut_anywhere() {
        let text = "a\tü\n\x1b]0;x\x07\u{9b}\u{2067}€ and \u{1F980}".as_bytes();
        let bytes = [text, b"\xff.\xe2\x82"].concat();
        let expected = "a\tü\n\\u{1b}]0;x\\u{7}\\u{9b}\\u{2067}€ and \u{1F980}\\xff.\\xe2\\x82";
        for size in 1..=bytes.len() {
            let mut out = Vec::new();
            let mut stream = Visible::new(&mut out);
            bytes.chunks(size).for_each(|piece| stream.write_all(piece).expect("written"));
            stream.flush().expect("flushed");
            assert_eq!(String::from_utf8(out).expect("text"), expected, "pieces of {size}");
        }
    }
}
