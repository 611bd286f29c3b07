//! Text cut into records, and records into fields: RFC 4180 and what the field writes besides.
//!
//! Bytes are pushed in pieces of any size; a record is given once it is whole, and no record is longer
//! than the longest line that is allowed. A quote counts at the begin of a field only, so `5" wide` is
//! what it says. Within quotes two quotes are one; with an escape character so is an escaped quote.
//! Lines end with LF, CR or CR LF. Empty lines are passed over, and so are comments.

use std::borrow::Cow;
use std::ops::Range;

/// Characters that have a meaning. All are ASCII, so no cut is inside another character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// What is between two fields.
    pub delimiter: u8,
    /// What a field is put in that holds any of these.
    pub quote: Option<u8>,
    /// What takes its meaning from a quote that follows.
    pub escape: Option<u8>,
    /// What begins a line that is no record.
    pub comment: Option<u8>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', quote: Some(b'"'), escape: None, comment: None }
    }
}

/// What cannot be cut, with the number of its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A record is longer than allowed.
    TooLong {
        /// The line that it begins in.
        line: u64,
        /// The most bytes that a record may have.
        max: usize,
    },
    /// A quote opens in this line, and does not end before the text or the longest line does.
    Unterminated {
        /// The line.
        line: u64,
    },
    /// Text follows a quote that ends.
    AfterQuote {
        /// The line of the quote.
        line: u64,
        /// Whether a backslash is before the quote.
        is_escaped: bool,
    },
    /// Not UTF-8.
    NotUtf8 {
        /// The line that its record begins in.
        line: u64,
        /// The first byte that is wrong, counted in the text.
        byte: u64,
    },
}

impl Fault {
    /// The same with so many lines before it.
    #[must_use]
    pub fn behind(self, lines: u64) -> Self {
        match self {
            Self::TooLong { line, max } => Self::TooLong { line: line + lines, max },
            Self::Unterminated { line } => Self::Unterminated { line: line + lines },
            Self::AfterQuote { line, is_escaped } => {
                Self::AfterQuote { line: line + lines, is_escaped }
            }
            Self::NotUtf8 { line, byte } => Self::NotUtf8 { line: line + lines, byte },
        }
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A record: see [`Records::record`].
    Record,
    /// More bytes are needed.
    More,
    /// The text is at its end.
    End,
}

/// Where a field is, relative to its record.
#[derive(Clone, Copy, Debug)]
struct Place {
    begin: usize,
    end: usize,
    is_quoted: bool,
    /// Whether quotes inside are written as two characters.
    is_escaped: bool,
}

/// A text on its way.
#[derive(Debug)]
pub struct Records {
    dialect: Dialect,
    max_line: usize,
    buffer: Vec<u8>,
    /// Where the text that is not read begins in the buffer.
    at: usize,
    /// Bytes of the text before the buffer.
    before: u64,
    has_ended: bool,
    /// The line that begins at `at`.
    line: u64,
    /// Bytes there must be before looking again pays.
    wanted: usize,
    marks: Marks,
    fields: Vec<Place>,
    record: Range<usize>,
    record_line: u64,
    comments: u64,
    has_newlines: bool,
}

impl Records {
    /// Of a text whose first byte is byte `before` of the file and is in line `line`.
    pub fn new(dialect: Dialect, max_line: usize, before: u64, line: u64) -> Self {
        Self {
            dialect,
            max_line,
            buffer: Vec::new(),
            at: 0,
            before,
            has_ended: false,
            line,
            wanted: 1,
            marks: Marks::of(dialect),
            fields: Vec::new(),
            record: 0..0,
            record_line: line,
            comments: 0,
            has_newlines: false,
        }
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.before += self.at as u64;
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
        self.marks.forget();
    }

    /// Says that so many bytes of the text came before the next that are pushed.
    pub fn pass(&mut self, bytes: u64) {
        self.before += bytes;
    }

    /// Says that no more bytes come.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Goes to the next record.
    ///
    /// # Errors
    /// What cannot be cut. Nothing follows it.
    pub fn step(&mut self) -> Result<Step, Fault> {
        loop {
            let left = self.buffer.len() - self.at;
            if left == 0 && self.has_ended {
                return Ok(Step::End);
            }
            if left < self.wanted && !self.has_ended {
                return Ok(Step::More);
            }
            let first = self.buffer[self.at];
            let is_comment = self.dialect.comment == Some(first);
            let next = match first {
                b'\n' | b'\r' => self.line_end(self.at),
                _ if is_comment => {
                    let ended = self.buffer[self.at..].iter().position(|b| is_line_end(*b));
                    match ended {
                        Some(length) => self.line_end(self.at + length),
                        None if self.has_ended => Some(self.buffer.len()),
                        None => None,
                    }
                }
                _ => {
                    let Some((end, next, lines)) = self.cut()? else {
                        self.want_more()?;
                        continue;
                    };
                    if end - self.at > self.max_line {
                        return Err(Fault::TooLong { line: self.line, max: self.max_line });
                    }
                    self.record = self.at..end;
                    self.record_line = self.line;
                    self.line += lines + 1;
                    self.has_newlines |= lines > 0;
                    self.at = next;
                    self.wanted = 1;
                    return Ok(Step::Record);
                }
            };
            match next {
                Some(next) => {
                    self.comments += u64::from(is_comment);
                    self.at = next;
                    self.line += 1;
                    self.wanted = 1;
                }
                None => self.want_more()?,
            }
        }
    }

    /// The place behind the line end at `at`, if it is known.
    fn line_end(&self, at: usize) -> Option<usize> {
        match (self.buffer[at], self.buffer.get(at + 1)) {
            (b'\r', Some(b'\n')) => Some(at + 2),
            (b'\r', None) if !self.has_ended => None,
            _ => Some(at + 1),
        }
    }

    fn want_more(&mut self) -> Result<(), Fault> {
        let left = self.buffer.len() - self.at;
        // A line end may have two bytes.
        if left > self.max_line.saturating_add(1) {
            return Err(Fault::TooLong { line: self.line, max: self.max_line });
        }
        self.wanted = left.saturating_mul(2).min(self.max_line.saturating_add(2)).max(left + 1);
        Ok(())
    }

    /// Cuts the record at `at`: where it ends, where the next begins, and the line ends inside of it.
    /// `None` if it is not whole.
    fn cut(&mut self) -> Result<Option<(usize, usize, u64)>, Fault> {
        self.fields.clear();
        let Dialect { delimiter, quote, .. } = self.dialect;
        let (begin, mut at, mut lines) = (self.at, self.at, 0);
        loop {
            if quote.is_some() && self.buffer.get(at).copied() == quote {
                let Some((place, next)) = self.quoted(at, &mut lines)? else { return Ok(None) };
                self.fields.push(place);
                at = next;
            } else {
                let mut next = at;
                let end = loop {
                    match self.marks.next(&self.buffer, next) {
                        // A quote or an escape inside of a field is what it says.
                        Some((place, byte)) if byte != delimiter && !is_line_end(byte) => {
                            next = place + 1;
                        }
                        Some((place, _)) => break place,
                        None if self.has_ended => break self.buffer.len(),
                        None => return Ok(None),
                    }
                };
                let (from, to) = (at - begin, end - begin);
                self.fields.push(Place {
                    begin: from,
                    end: to,
                    is_quoted: false,
                    is_escaped: false,
                });
                at = end;
            }
            match self.buffer.get(at) {
                None => return Ok(Some((at, at, lines))), // the text has ended
                Some(byte) if *byte == delimiter => at += 1,
                Some(_) => return Ok(self.line_end(at).map(|next| (at, next, lines))),
            }
        }
    }

    /// Cuts the quoted field at `at`: where it is, and the place of what ends it.
    fn quoted(&mut self, at: usize, lines: &mut u64) -> Result<Option<(Place, usize)>, Fault> {
        let opens = self.line + *lines;
        let Dialect { quote, escape, delimiter, .. } = self.dialect;
        let quote = quote.unwrap_or(b'"');
        let (begin, mut at, mut is_escaped) = (at + 1, at + 1, false);
        let end = loop {
            let Some((place, byte)) = self.marks.next(&self.buffer, at) else {
                return self.open_quote(opens);
            };
            at = place;
            match (byte, self.buffer.get(at + 1)) {
                (b'\r', Some(b'\n')) => at += 1, // counted with its LF
                (b'\n' | b'\r', _) => (*lines, at) = (*lines + 1, at + 1),
                (byte, _) if byte != quote && Some(byte) != escape => at += 1, // a delimiter
                (_, None) if !self.has_ended => return Ok(None),
                (byte, Some(following)) if byte == quote && *following == quote => {
                    (is_escaped, at) = (true, at + 2);
                }
                (byte, _) if byte == quote => break at,
                (_, None) => return self.open_quote(opens),
                (_, Some(following)) => {
                    let is_pair = *following == quote || Some(*following) == escape;
                    is_escaped |= is_pair;
                    at += if is_pair { 2 } else { 1 };
                }
            }
        };
        let mut after = end + 1;
        while self.buffer.get(after).is_some_and(|b| *b == b' ' && *b != delimiter) {
            after += 1;
        }
        match self.buffer.get(after) {
            None if !self.has_ended => return Ok(None),
            Some(byte) if *byte != delimiter && !is_line_end(*byte) => {
                let is_escaped = end > begin && self.buffer[end - 1] == b'\\';
                return Err(Fault::AfterQuote { line: self.line + *lines, is_escaped });
            }
            _ => {}
        }
        let (begin, end) = (begin - self.at, end - self.at);
        Ok(Some((Place { begin, end, is_quoted: true, is_escaped }, after)))
    }

    fn open_quote<T>(&self, line: u64) -> Result<Option<T>, Fault> {
        match self.has_ended || self.buffer.len() - self.at > self.max_line {
            true => Err(Fault::Unterminated { line }),
            false => Ok(None),
        }
    }

    /// The record that was stepped to.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn record(&self) -> Result<Record<'_>, Fault> {
        let bytes = &self.buffer[self.record.clone()];
        let text = str::from_utf8(bytes).map_err(|wrong| Fault::NotUtf8 {
            line: self.record_line,
            byte: self.before + (self.record.start + wrong.valid_up_to()) as u64,
        })?;
        Ok(Record { text, fields: &self.fields, dialect: self.dialect, line: self.record_line })
    }

    /// The place of the record's first byte in the text.
    pub fn offset(&self) -> u64 {
        self.before + self.record.start as u64
    }

    /// The place behind the record, and the number of the line there.
    pub fn after(&self) -> (u64, u64) {
        (self.before + self.at as u64, self.line)
    }

    /// How many comments were passed over.
    pub fn comments(&self) -> u64 {
        self.comments
    }

    /// Whether a record had line ends inside.
    pub fn has_newlines(&self) -> bool {
        self.has_newlines
    }

    /// Bytes that it takes.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

/// The places of bytes that may have a meaning, found [`BLOCK`] bytes at a time.
#[derive(Debug)]
struct Marks {
    wanted: [u8; 5],
    /// Where the block begins that `bits` is of, a bit for each of its bytes.
    block: usize,
    bits: u64,
}

const BLOCK: usize = u64::BITS as usize;

impl Marks {
    fn of(dialect: Dialect) -> Self {
        let Dialect { delimiter, quote, escape, comment: _ } = dialect;
        let wanted = [delimiter, b'\n', b'\r', quote.unwrap_or(b'\n'), escape.unwrap_or(b'\n')];
        Self { wanted, block: usize::MAX, bits: 0 }
    }

    /// Says that the bytes are others.
    fn forget(&mut self) {
        self.block = usize::MAX;
    }

    /// The first mark of `bytes` at `at` or behind it, and its byte.
    #[inline]
    fn next(&mut self, bytes: &[u8], at: usize) -> Option<(usize, u8)> {
        let mut left = match at.checked_sub(self.block) {
            Some(inside @ ..BLOCK) => self.bits & (u64::MAX << inside),
            _ => {
                self.block = at;
                self.bits = self.bits_at(bytes, at)?;
                self.bits
            }
        };
        while left == 0 {
            self.block += BLOCK;
            self.bits = self.bits_at(bytes, self.block)?;
            left = self.bits;
        }
        let place = self.block + left.trailing_zeros() as usize;
        Some((place, bytes[place]))
    }

    /// The marks of the block at `at`; `None` behind the end.
    #[inline]
    fn bits_at(&mut self, bytes: &[u8], at: usize) -> Option<u64> {
        match bytes.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
            Some(block) => Some(bits(block, self.wanted)),
            None => self.last_bits(bytes, at),
        }
    }

    #[cold]
    fn last_bits(&mut self, bytes: &[u8], at: usize) -> Option<u64> {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty());
        let Some(rest) = rest else {
            self.forget();
            return None;
        };
        let mut block = [0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        Some(bits(&block, self.wanted) & !(u64::MAX << rest.len()))
    }
}

/// A bit for each byte that is one of `wanted`.
#[inline]
fn bits(block: &[u8; BLOCK], wanted: [u8; 5]) -> u64 {
    let mut hits = [0_u8; BLOCK];
    for (hit, byte) in hits.iter_mut().zip(block) {
        let [a, b, c, d, e] = wanted.map(|mark| *byte == mark);
        *hit = if a | b | c | d | e { u8::MAX } else { 0 };
    }
    let (groups, _) = hits.as_chunks::<8>();
    groups.iter().rev().fold(0, |bits, group| {
        // One bit of each byte, all in different places, summed up in the highest byte.
        let group = u64::from_le_bytes(*group) & 0x8040_2010_0804_0201;
        (bits << 8) | (group.wrapping_mul(0x0101_0101_0101_0101) >> 56)
    })
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// A record: the fields of a line.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    text: &'a str,
    fields: &'a [Place],
    dialect: Dialect,
    /// The line that it begins in.
    pub line: u64,
}

impl<'a> Record<'a> {
    /// How many fields it has.
    pub fn width(&self) -> usize {
        self.fields.len()
    }

    /// Its text as it is written.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Whether a field is in quotes.
    pub fn is_quoted(&self, field: usize) -> bool {
        self.fields[field].is_quoted
    }

    /// The value of a field.
    pub fn value(&self, field: usize) -> Cow<'a, str> {
        let place = self.fields[field];
        let text = &self.text[place.begin..place.end];
        match place.is_escaped {
            true => Cow::Owned(self.unescaped(text)),
            false => Cow::Borrowed(text),
        }
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = Cow<'a, str>> {
        (0..self.width()).map(|field| self.value(field))
    }

    fn unescaped(&self, text: &str) -> String {
        let quote = self.dialect.quote.map(char::from);
        let escape = self.dialect.escape.map(char::from);
        let mut value = String::with_capacity(text.len());
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            let follows = characters.peek().copied();
            let is_doubled = Some(c) == quote && follows == quote;
            let is_escaped = Some(c) == escape && (follows == quote || follows == escape);
            match follows.filter(|_| is_doubled || is_escaped) {
                Some(meant) => {
                    characters.next();
                    value.push(meant);
                }
                None => value.push(c),
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const BACKSLASH: Dialect =
        Dialect { delimiter: b',', quote: Some(b'"'), escape: Some(b'\\'), comment: None };

    /// The records of a text that comes in pieces of `size`, each with its line.
    fn cut(
        text: &str,
        dialect: Dialect,
        size: usize,
        max: usize,
    ) -> Result<Vec<(u64, Vec<String>)>, Fault> {
        let mut records = Records::new(dialect, max, 0, 1);
        let mut pieces = text.as_bytes().chunks(size);
        let mut found = Vec::new();
        loop {
            match records.step()? {
                Step::Record => {
                    let record = records.record()?;
                    found.push((record.line, record.values().map(Cow::into_owned).collect()));
                }
                Step::More => match pieces.next() {
                    Some(piece) => records.push(piece),
                    None => records.end(),
                },
                Step::End => return Ok(found),
            }
        }
    }

    #[track_caller]
    fn check(text: &str, dialect: Dialect, expected: &[(u64, &[&str])]) {
        let expected: Vec<(u64, Vec<String>)> = expected
            .iter()
            .map(|(line, values)| (*line, values.iter().map(|v| (*v).to_owned()).collect()))
            .collect();
        for size in [1, 2, 3, 7, 1000] {
            assert_eq!(cut(text, dialect, size, 1000).unwrap(), expected, "{text:?} by {size}");
        }
    }

    #[test]
    fn records_are_those_of_rfc_4180() {
        let csv = Dialect::default();
        check("a,b\n1,2\n", csv, &[(1, &["a", "b"]), (2, &["1", "2"])]);
        check("a,b\r\n\r\n1,\r\n", csv, &[(1, &["a", "b"]), (3, &["1", ""])]);
        check("a\rb\r", csv, &[(1, &["a"]), (2, &["b"])]);
        check("a,\"x\n\"\"y\"\"\",c\nd", csv, &[(1, &["a", "x\n\"y\"", "c"]), (3, &["d"])]);
        check("\"\",\"a\" ,\" b\"", csv, &[(1, &["", "a", " b"])]);
        check("", csv, &[]);
    }

    #[test]
    fn a_quote_inside_a_field_is_a_quote() {
        let csv = Dialect::default();
        check("5\" wide,8\"\n\\\"x,y", csv, &[(1, &["5\" wide", "8\""]), (2, &["\\\"x", "y"])]);
        let none = Dialect { quote: None, ..csv };
        check("\"a,b\"\n", none, &[(1, &["\"a", "b\""])]);
    }

    #[test]
    fn an_escape_counts_before_a_quote_and_before_itself() {
        check(
            "1,\"a \\\"b\\\", c\\\\\",\"d\\n\"\n2,e\\f\n",
            BACKSLASH,
            &[(1, &["1", "a \"b\", c\\", "d\\n"]), (2, &["2", "e\\f"])],
        );
    }

    #[test]
    fn comments_are_passed_over_and_counted() {
        let dialect = Dialect { comment: Some(b'#'), ..Dialect::default() };
        check("# \"a\n1,2\n#b\n3,#4\n#c", dialect, &[(2, &["1", "2"]), (4, &["3", "#4"])]);
        let mut records = Records::new(dialect, 100, 0, 1);
        records.push(b"#a\n1\n#b");
        records.end();
        while records.step().unwrap() != Step::End {}
        assert_eq!(records.comments(), 2);
    }

    #[rstest]
    #[case("a\n\"b\n", Fault::Unterminated { line: 2 })]
    #[case("a\n1,\"x\ny\",\"b\n", Fault::Unterminated { line: 3 })]
    #[case("a\n\"b\"c\n", Fault::AfterQuote { line: 2, is_escaped: false })]
    #[case("\"b\\\"c\"\n", Fault::AfterQuote { line: 1, is_escaped: true })]
    #[case("a\n0123456789012345\n", Fault::TooLong { line: 2, max: 15 })]
    #[case("a\n0123456789012345", Fault::TooLong { line: 2, max: 15 })]
    #[case("a\n1,\"345678901234567890123456789", Fault::Unterminated { line: 2 })]
    fn what_cannot_be_cut_is_named_with_its_line(#[case] text: &str, #[case] expected: Fault) {
        for size in [1, 4, 100] {
            assert_eq!(cut(text, Dialect::default(), size, 15), Err(expected.clone()), "{size}");
        }
    }

    #[test]
    fn the_longest_line_is_exact() {
        for size in [1, 2, 64] {
            let text = "0123456789\r\n0123456789";
            assert_eq!(cut(text, Dialect::default(), size, 10).unwrap().len(), 2);
            let error = cut(text, Dialect::default(), size, 9).unwrap_err();
            assert_eq!(error, Fault::TooLong { line: 1, max: 9 });
        }
    }

    #[test]
    fn what_is_not_utf8_is_named_with_its_byte() {
        let mut records = Records::new(Dialect::default(), 100, 0, 1);
        records.push(b"a,b\n1,\xE9\n");
        records.end();
        records.step().unwrap();
        records.step().unwrap();
        assert_eq!(records.record().unwrap_err(), Fault::NotUtf8 { line: 2, byte: 6 });
    }
}
