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

/// Where a field is, relative to its record; no record has more than 4 GiB.
#[derive(Clone, Copy, Debug)]
struct Place {
    begin: u32,
    end: u32,
    is_quoted: bool,
    /// Whether quotes inside are written as two characters.
    is_escaped: bool,
}

/// A text on its way.
#[derive(Debug)]
pub struct Records<'a> {
    dialect: Dialect,
    max_line: usize,
    buffer: Cow<'a, [u8]>,
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
    window: Window,
    fields: Vec<Place>,
    record: Range<usize>,
    record_line: u64,
    comments: u64,
    has_newlines: bool,
}

impl<'a> Records<'a> {
    /// Of a text whose first byte is byte `before` of the file and is in line `line`.
    pub fn new(dialect: Dialect, max_line: usize, before: u64, line: u64) -> Self {
        Self::over(&[], dialect, max_line, (before, line))
    }

    /// The same, with the first bytes of the text, which are not copied.
    pub fn over(
        bytes: &'a [u8],
        dialect: Dialect,
        max_line: usize,
        (before, line): (u64, u64),
    ) -> Self {
        Self {
            dialect,
            max_line: max_line.min(MAX_RECORD),
            buffer: Cow::Borrowed(bytes),
            at: 0,
            before,
            has_ended: false,
            line,
            wanted: 1,
            marks: Marks::of(dialect),
            window: Window::NONE,
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
        match &mut self.buffer {
            Cow::Owned(buffer) => {
                buffer.drain(..self.at);
            }
            Cow::Borrowed(left) => self.buffer = Cow::Owned(left[self.at..].to_vec()),
        }
        self.at = 0;
        self.buffer.to_mut().extend_from_slice(bytes);
        self.window = Window::NONE;
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
            let cut = Cut {
                bytes: &self.buffer,
                marks: &self.marks,
                dialect: self.dialect,
                has_ended: self.has_ended,
                max_line: self.max_line,
                at: self.at,
                line: self.line,
            };
            let first = cut.bytes[self.at];
            let is_comment = self.dialect.comment == Some(first);
            let next = match first {
                b'\n' | b'\r' => cut.line_end(self.at),
                _ if is_comment => {
                    let ended = cut.bytes[self.at..].iter().position(|b| is_line_end(*b));
                    match ended {
                        Some(length) => cut.line_end(self.at + length),
                        None if self.has_ended => Some(cut.bytes.len()),
                        None => None,
                    }
                }
                _ => {
                    let Some((end, next, lines)) =
                        cut.record(&mut self.window, &mut self.fields)?
                    else {
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

    fn want_more(&mut self) -> Result<(), Fault> {
        let left = self.buffer.len() - self.at;
        // A line end may have two bytes.
        if left > self.max_line.saturating_add(1) {
            return Err(Fault::TooLong { line: self.line, max: self.max_line });
        }
        self.wanted = left.saturating_mul(2).min(self.max_line.saturating_add(2)).max(left + 1);
        Ok(())
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
        match &self.buffer {
            Cow::Owned(buffer) => buffer.capacity(),
            Cow::Borrowed(_) => 0,
        }
    }
}

/// The longest record.
const MAX_RECORD: usize = 1 << 31;

/// A place in a record.
#[inline]
fn offset(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// A record that is cut: where it ends, where the next begins, and the line ends inside of it.
type Ends = (usize, usize, u64);

/// What a record is cut out of, and how.
struct Cut<'b> {
    bytes: &'b [u8],
    marks: &'b Marks,
    dialect: Dialect,
    has_ended: bool,
    max_line: usize,
    /// Where the record begins, and its line.
    at: usize,
    line: u64,
}

impl Cut<'_> {
    /// Cuts the record into `fields`; `None` if it is not whole.
    fn record(&self, window: &mut Window, fields: &mut Vec<Place>) -> Result<Option<Ends>, Fault> {
        fields.clear();
        let Dialect { delimiter, quote, .. } = self.dialect;
        let (mut begin, mut lines) = (self.at, 0);
        let mut marks = window.behind(self.bytes, begin, self.marks);
        let ends = loop {
            let Some((place, byte)) = marks.next(self.bytes, self.marks) else {
                if !self.has_ended {
                    break None;
                }
                let end = self.bytes.len();
                fields.push(self.plain(begin, end));
                break Some((end, end, lines));
            };
            if place == begin && quote == Some(byte) {
                let (field, after, inside) = match self.quoted(place, self.line + lines, marks)? {
                    Some(found) => found,
                    None => break None,
                };
                fields.push(field);
                lines += inside;
                match self.bytes.get(after) {
                    None => break Some((after, after, lines)), // the text has ended
                    Some(byte) if *byte == delimiter => begin = after + 1,
                    Some(_) => break self.line_end(after).map(|next| (after, next, lines)),
                }
                marks = marks.behind(self.bytes, begin, self.marks);
            } else if byte == delimiter {
                fields.push(self.plain(begin, place));
                begin = place + 1;
            } else if is_line_end(byte) {
                fields.push(self.plain(begin, place));
                break self.line_end(place).map(|next| (place, next, lines));
            }
            // A quote or an escape inside of a field is what it says.
        };
        *window = marks;
        Ok(ends)
    }

    /// A field without quotes.
    #[inline]
    fn plain(&self, begin: usize, end: usize) -> Place {
        let (begin, end) = (offset(begin - self.at), offset(end - self.at));
        Place { begin, end, is_quoted: false, is_escaped: false }
    }

    /// Cuts the quoted field at `at`, in line `opens`: where it is, the place of what ends it, and the line ends
    /// inside of it.
    fn quoted(
        &self,
        at: usize,
        opens: u64,
        marks: Window,
    ) -> Result<Option<(Place, usize, u64)>, Fault> {
        let Dialect { quote, escape, delimiter, .. } = self.dialect;
        let (bytes, quote) = (self.bytes, quote.unwrap_or(b'"'));
        let (begin, mut lines, mut is_escaped) = (at + 1, 0, false);
        let mut marks = marks.behind(bytes, begin, self.marks);
        let end = loop {
            let Some((at, byte)) = marks.next(bytes, self.marks) else {
                return self.open_quote(opens);
            };
            match (byte, bytes.get(at + 1)) {
                (b'\r', Some(b'\n')) => {} // counted with its LF
                (b'\n' | b'\r', _) => lines += 1,
                (byte, _) if byte != quote && Some(byte) != escape => {} // a delimiter
                (_, None) if !self.has_ended => return Ok(None),
                (byte, Some(following)) if byte == quote && *following == quote => {
                    is_escaped = true;
                    marks = marks.behind(bytes, at + 2, self.marks);
                }
                (byte, _) if byte == quote => break at,
                (_, None) => return self.open_quote(opens),
                (_, Some(following)) if *following == quote || Some(*following) == escape => {
                    is_escaped = true;
                    marks = marks.behind(bytes, at + 2, self.marks);
                }
                _ => {}
            }
        };
        let mut after = end + 1;
        while bytes.get(after).is_some_and(|b| *b == b' ' && *b != delimiter) {
            after += 1;
        }
        match bytes.get(after) {
            None if !self.has_ended => return Ok(None),
            Some(byte) if *byte != delimiter && !is_line_end(*byte) => {
                let is_escaped = end > begin && bytes[end - 1] == b'\\';
                return Err(Fault::AfterQuote { line: opens + lines, is_escaped });
            }
            _ => {}
        }
        let (begin, end) = (offset(begin - self.at), offset(end - self.at));
        Ok(Some((Place { begin, end, is_quoted: true, is_escaped }, after, lines)))
    }

    fn open_quote<T>(&self, line: u64) -> Result<Option<T>, Fault> {
        match self.has_ended || self.bytes.len() - self.at > self.max_line {
            true => Err(Fault::Unterminated { line }),
            false => Ok(None),
        }
    }

    /// The place behind the line end at `at`, if it is known.
    #[inline]
    fn line_end(&self, at: usize) -> Option<usize> {
        match (self.bytes[at], self.bytes.get(at + 1)) {
            (b'\r', Some(b'\n')) => Some(at + 2),
            (b'\r', None) if !self.has_ended => None,
            _ => Some(at + 1),
        }
    }
}

/// The marks of [`BLOCK`] bytes: those that may have a meaning.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Where the bytes begin.
    block: usize,
    /// A bit for each mark.
    bits: u64,
    /// Those of them that come next.
    left: u64,
}

const BLOCK: usize = u64::BITS as usize;

impl Window {
    const NONE: Self = Self { block: usize::MAX, bits: 0, left: 0 };

    /// The marks at `at` and behind it.
    #[inline]
    fn behind(self, bytes: &[u8], at: usize, marks: &Marks) -> Self {
        match at.checked_sub(self.block) {
            Some(inside @ ..BLOCK) => Self { left: self.bits & (u64::MAX << inside), ..self },
            _ => Self::at(bytes, at, marks),
        }
    }

    #[inline]
    fn at(bytes: &[u8], block: usize, marks: &Marks) -> Self {
        let rest = bytes.get(block..).unwrap_or_default();
        let bits = match rest.first_chunk::<BLOCK>() {
            Some(block) => marks.bits(block),
            None => marks.last_bits(rest),
        };
        Self { block, bits, left: bits }
    }

    /// The next mark and its byte; `None` if the bytes end before it.
    #[inline]
    fn next(&mut self, bytes: &[u8], marks: &Marks) -> Option<(usize, u8)> {
        while self.left == 0 {
            let next = self.block + BLOCK;
            if next >= bytes.len() {
                return None;
            }
            *self = Self::at(bytes, next, marks);
        }
        let place = self.block + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some((place, bytes[place]))
    }
}

/// The bytes that may have a meaning, each as often as a register holds.
#[derive(Debug)]
struct Marks([[u8; 16]; 5]);

impl Marks {
    fn of(dialect: Dialect) -> Self {
        let Dialect { delimiter, quote, escape, comment: _ } = dialect;
        let marks = [delimiter, b'\n', b'\r', quote.unwrap_or(b'\n'), escape.unwrap_or(b'\n')];
        Self(marks.map(|mark| [mark; 16]))
    }

    /// Those among the last bytes of a text.
    #[cold]
    fn last_bits(&self, rest: &[u8]) -> u64 {
        let mut block = [0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        self.bits(&block) & !(u64::MAX << rest.len())
    }

    /// A bit for each byte that is a mark.
    #[inline]
    fn bits(&self, block: &[u8; BLOCK]) -> u64 {
        #[cfg(target_arch = "x86_64")]
        #[expect(
            unsafe_code,
            reason = "calls a function compiled for a feature of all of the target"
        )]
        // SAFETY: every processor of the target has SSE2.
        return unsafe { bits_sse2(block, &self.0) };
        #[cfg(not(target_arch = "x86_64"))]
        bits(block, self.0.map(|[mark, ..]| mark))
    }
}

/// A bit for each byte that is one of `marks`, sixteen at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn bits_sse2(block: &[u8; BLOCK], marks: &[[u8; 16]; 5]) -> u64 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
    };
    #[target_feature(enable = "sse2")]
    #[inline]
    fn load(bytes: &[u8; 16]) -> __m128i {
        let [low, high] = [0, 8].map(|at| {
            let half = bytes[at..].first_chunk().expect("sixteen bytes are two halves");
            i64::from_le_bytes(*half)
        });
        _mm_set_epi64x(high, low)
    }
    let [a, b, c, d, e] = marks;
    let (a, b, c, d, e) = (load(a), load(b), load(c), load(d), load(e));
    let mut bits = 0;
    for part in block.as_chunks::<16>().0.iter().rev() {
        let part = load(part);
        let ab = _mm_or_si128(_mm_cmpeq_epi8(part, a), _mm_cmpeq_epi8(part, b));
        let cd = _mm_or_si128(_mm_cmpeq_epi8(part, c), _mm_cmpeq_epi8(part, d));
        let hits = _mm_or_si128(_mm_or_si128(ab, cd), _mm_cmpeq_epi8(part, e));
        bits = (bits << 16) | u64::from(_mm_movemask_epi8(hits).cast_unsigned());
    }
    bits
}

/// A bit for each byte that is one of `wanted`.
#[cfg(any(test, not(target_arch = "x86_64")))]
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

    /// Whether it has a field for each of so many columns; an empty one more may end it.
    pub fn fits(&self, columns: usize) -> bool {
        let width = self.width();
        width == columns || (width == columns + 1 && self.value(columns).is_empty())
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
        let text = &self.text[place.begin as usize..place.end as usize];
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
    fn marks_are_found_at_every_place() {
        let dialect = Dialect { escape: Some(0xFF), ..BACKSLASH };
        let marks = Marks::of(dialect);
        for place in 0..BLOCK {
            for byte in 0..=u8::MAX {
                let mut block = [b'x'; BLOCK];
                (block[place], block[(place * 7 + 3) % BLOCK]) = (byte, b',');
                let expected = bits(&block, [b',', b'\n', b'\r', b'"', 0xFF]);
                assert_eq!(marks.bits(&block), expected, "{byte} at {place}");
                assert_eq!(marks.last_bits(&block[..place]), expected & !(u64::MAX << place));
            }
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
