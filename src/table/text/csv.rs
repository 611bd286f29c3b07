//! What a CSV file is: its delimiter, its header and the types of its columns.
//!
//! The delimiter is the one that gives the first hundred lines one and the same number of fields.
//! For the types the whole file is read once and every value looked at ([`super::infer`]):
//! nothing that is computed with is guessed from a sample. A preview may ask for one.
//! An empty value is NULL. A byte order mark is skipped; what is not UTF-8 is refused with its place.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Decoder;
use arrow::datatypes::{DataType, Field, Schema};
use bytes::{Buf, Bytes, BytesMut};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::{ObjectMeta, ObjectStore};

use super::decoded;
use super::format::{CsvFormat, Encoding};
use super::infer::Seen;
use crate::error::{Error, Result};

/// Delimiters that are looked for; of two as frequent the first.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// What [`delimiter`] takes, as errors say it.
pub(crate) const DELIMITER: &str = "one character of ASCII but '\"' and line ends, or tab";

/// The delimiter that an option names; `None` if files with it could not be read.
pub(crate) fn delimiter(text: &str) -> Option<u8> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Some(b'\t'),
        [b'"' | b'\r' | b'\n'] => None,
        [byte] => Some(*byte),
        _ => None,
    }
}

/// The longest header line, in bytes.
const MAX_HEADER_BYTES: usize = 1024 * 1024;

/// Lines that are looked at for the delimiter, and bytes in which they are looked for.
const FIRST_LINES: usize = 100;
const FIRST_BYTES: usize = 64 * 1024;

/// What is known of a CSV file after reading it.
#[derive(Debug)]
pub(crate) struct CsvFacts {
    pub(crate) format: CsvFormat,
    /// The columns; of type `Null` where there is no value.
    pub(crate) fields: Vec<Field>,
    /// How many there are, if all of the file was read.
    pub(crate) rows: Option<u64>,
}

/// How a file is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look<'a> {
    /// The names of the columns, which the first line then does not hold.
    pub(crate) names: Option<&'a [String]>,
    /// The delimiter, if it is known.
    pub(crate) delimiter: Option<u8>,
    /// Whether the first line names the columns, if that is known.
    pub(crate) header: Option<bool>,
    /// How its characters are stored as bytes.
    pub(crate) encoding: Encoding,
    /// Look only at about this many bytes of the file.
    pub(crate) sample: Option<u64>,
}

/// Reads the file through; `shown` names it in errors. A first line that holds a number is not a header:
/// the columns are then `column_1` and so on.
pub(crate) async fn inspect(
    store: &dyn ObjectStore,
    meta: &ObjectMeta,
    shown: &str,
    look: Look<'_>,
) -> Result<CsvFacts> {
    let gzip = decoded::is_gzip(&meta.location);
    let sample = look.sample.filter(|sample| gzip || *sample < meta.size);
    let mut text = Text {
        stream: decoded::bytes(store, &meta.location, shown, look.encoding, sample).await?,
        utf8: Utf8::default(),
        shown,
        has_ended: false,
    };
    let wanted = sample.map_or(FIRST_BYTES, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let mut buffer = BytesMut::new();
    while !text.has_ended {
        let has_line = line_ends(&buffer).next().is_some();
        if !has_line && buffer.len() > MAX_HEADER_BYTES {
            return Err(Error::data(format!(
                "file '{shown}' has no line end in its first {MAX_HEADER_BYTES} bytes, expected a header"
            )));
        }
        if has_line && buffer.len() >= wanted {
            break;
        }
        buffer.extend_from_slice(&text.next().await?);
    }
    let is_cut = sample.is_some() && !(gzip && text.has_ended);
    if is_cut {
        let end = line_ends(&buffer).last().map_or(buffer.len(), |at| at + 1);
        buffer.truncate(end);
    } else if text.has_ended {
        text.utf8.end().map_err(|at| text.not_utf8(at))?;
    }
    let lines = first_lines(&buffer, text.has_ended && !is_cut);
    let Header { delimiter, is_header, names } = header(&lines, shown, look)?;
    let format = CsvFormat {
        delimiter,
        newlines_in_values: false,
        header: is_header,
        gzip,
        encoding: look.encoding,
    };
    let mut columns = Columns::new(&names, format);
    let mut bytes = buffer.freeze();
    loop {
        let is_last = is_cut || text.has_ended;
        let fed =
            columns.feed(&mut bytes).and_then(|()| if is_last { columns.end() } else { Ok(()) });
        fed.map_err(|cause| Error::data(format!("file '{shown}': {}", sentence(&cause))))?;
        if is_last {
            let facts = columns.facts(&names);
            return Ok(CsvFacts { rows: facts.rows.filter(|_| !is_cut), ..facts });
        }
        bytes = text.next().await?;
    }
}

/// The bytes of a file, checked on their way.
struct Text<'a> {
    stream: BoxStream<'static, Result<Bytes>>,
    utf8: Utf8,
    shown: &'a str,
    has_ended: bool,
}

impl Text<'_> {
    /// The next bytes; none at the end.
    async fn next(&mut self) -> Result<Bytes> {
        let Some(bytes) = self.stream.try_next().await? else {
            self.has_ended = true;
            return Ok(Bytes::new());
        };
        self.utf8.check(&bytes).map_err(|at| self.not_utf8(at))?;
        Ok(bytes)
    }

    fn not_utf8(&self, at: u64) -> Error {
        Error::data(format!(
            "file '{}' is not UTF-8 at byte {at}: convert it, or read it in SQL with OPTIONS \
             ('encoding' 'latin1')",
            self.shown
        ))
    }
}

/// Checks a text piece by piece.
#[derive(Debug, Default)]
struct Utf8 {
    /// Bytes of whole characters so far.
    checked: u64,
    /// The first bytes of a character that the next piece completes.
    begun: Vec<u8>,
}

impl Utf8 {
    /// Takes a piece, or gives the place of the first byte that is wrong.
    fn check(&mut self, piece: &[u8]) -> Result<(), u64> {
        let joined: Vec<u8>;
        let piece = match self.begun.is_empty() {
            true => piece,
            false => {
                joined = [&self.begun, piece].concat();
                &joined
            }
        };
        let (whole, begun) = match str::from_utf8(piece) {
            Ok(text) => (text.len(), &[][..]),
            Err(wrong) if wrong.error_len().is_some() => {
                return Err(self.checked + wrong.valid_up_to() as u64);
            }
            Err(short) => (short.valid_up_to(), &piece[short.valid_up_to()..]),
        };
        self.checked += whole as u64;
        self.begun = begun.to_vec();
        Ok(())
    }

    /// Refuses a character that is not finished.
    fn end(&self) -> Result<(), u64> {
        if self.begun.is_empty() { Ok(()) } else { Err(self.checked) }
    }
}

/// Arrow's sentence in our shape.
fn sentence(cause: &arrow::error::ArrowError) -> String {
    let text = cause.to_string();
    let text = text.trim_start_matches("Csv error: ");
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}", first.to_lowercase())
}

/// Where lines end, quotes respected.
fn line_ends(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let mut quoted = false;
    bytes.iter().enumerate().filter_map(move |(at, byte)| {
        quoted ^= *byte == b'"';
        (!quoted && matches!(byte, b'\n' | b'\r')).then_some(at)
    })
}

/// The first lines that are not empty, after the mark of byte order; the last of the file too if
/// `is_whole`. There is one at least, be it empty.
fn first_lines(bytes: &[u8], is_whole: bool) -> Vec<&str> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut begin = 0;
    let ends = line_ends(bytes).chain(is_whole.then_some(bytes.len()));
    let lines = ends.map(|end| &bytes[std::mem::replace(&mut begin, end + 1)..end]);
    // Checked already; a place in an escaped quote cannot cut a character.
    let lines = lines.filter_map(|line| str::from_utf8(line).ok());
    let mut lines: Vec<_> = lines
        .enumerate()
        .filter(|(at, line)| *at == 0 || !line.is_empty())
        .map(|(_, line)| line)
        .take(FIRST_LINES)
        .collect();
    if lines.is_empty() {
        lines.push("");
    }
    lines
}

/// What the first line says.
struct Header {
    delimiter: u8,
    is_header: bool,
    names: Vec<String>,
}

/// The delimiter that gives all lines the same number of fields, and more than one; where none does,
/// the one that cuts the first line into most.
fn delimiter_of(lines: &[&str]) -> u8 {
    let first = |delimiter: u8| cut(lines[0], delimiter).len();
    let is_even = |delimiter: &u8| {
        let fields = first(*delimiter);
        fields > 1 && lines.iter().all(|line| cut(line, *delimiter).len() == fields)
    };
    let even: Vec<u8> = DELIMITERS.into_iter().filter(is_even).collect();
    let candidates = if even.is_empty() { &DELIMITERS[..] } else { &even };
    let most = candidates.iter().map(|delimiter| first(*delimiter)).max();
    let found = candidates.iter().find(|delimiter| Some(first(**delimiter)) == most);
    found.copied().unwrap_or(b',')
}

/// What the first lines say, where the user does not.
fn header(lines: &[&str], shown: &str, look: Look<'_>) -> Result<Header> {
    let line = lines[0];
    if line.is_empty() {
        return Err(Error::data(format!(
            "file '{shown}' has an empty first line, expected a header"
        )));
    }
    let delimiter = look.delimiter.unwrap_or_else(|| delimiter_of(lines));
    let mut names = cut(line, delimiter);
    if let Some(given) = look.names {
        if given.len() != names.len() {
            return Err(Error::data(format!(
                "file '{shown}': line 1 has {} fields, the schema has {}",
                names.len(),
                given.len()
            )));
        }
        let is_header = look.header.unwrap_or(false);
        return Ok(Header { delimiter, is_header, names: given.to_vec() });
    }
    let is_number = |name: &String| {
        name.parse::<f64>().is_ok() && name.bytes().any(|byte| byte.is_ascii_digit())
    };
    if !look.header.unwrap_or_else(|| !names.iter().any(is_number)) {
        let names = (1..=names.len()).map(|number| format!("column_{number}")).collect();
        return Ok(Header { delimiter, is_header: false, names });
    }
    let mut seen = BTreeSet::new();
    for (number, name) in (1..).zip(&mut names) {
        if name.is_empty() {
            *name = format!("column_{number}");
        }
        if !seen.insert(name.clone()) {
            return Err(Error::data(format!(
                "file '{shown}' has two columns named '{name}': rename one in its header"
            )));
        }
    }
    Ok(Header { delimiter, is_header: true, names })
}

/// The values of one line.
fn cut(line: &str, delimiter: u8) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let value = values.last_mut().expect("there is always a last value");
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                value.push('"');
            }
            '"' if quoted || value.is_empty() => quoted = !quoted,
            c if !quoted && c == char::from(delimiter) => values.push(String::new()),
            c => value.push(c),
        }
    }
    values
}

/// The columns of a file while it is read.
struct Columns {
    decoder: Decoder,
    format: CsvFormat,
    seen: Vec<Seen>,
    newlines: bool,
    rows: u64,
}

impl Columns {
    fn new(names: &[String], format: CsvFormat) -> Self {
        let text = names.iter().map(|name| Field::new(name, DataType::Utf8, true));
        let schema = Arc::new(Schema::new(text.collect::<Vec<_>>()));
        let decoder = ReaderBuilder::new(schema)
            .with_header(format.header)
            .with_delimiter(format.delimiter)
            .build_decoder();
        let seen = vec![Seen::default(); names.len()];
        Self { decoder, format, seen, newlines: false, rows: 0 }
    }

    fn feed(&mut self, bytes: &mut Bytes) -> Result<(), arrow::error::ArrowError> {
        while !bytes.is_empty() {
            let read = self.decoder.decode(bytes)?;
            bytes.advance(read);
            if self.decoder.capacity() == 0 || read == 0 {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), arrow::error::ArrowError> {
        self.decoder.decode(&[])?;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), arrow::error::ArrowError> {
        if let Some(batch) = self.decoder.flush()? {
            self.look_at(&batch);
        }
        Ok(())
    }

    fn look_at(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        for (column, seen) in batch.columns().iter().zip(&mut self.seen) {
            let column = column.as_string::<i32>();
            column.iter().flatten().for_each(|value| seen.look_at(value));
            if column.null_count() < column.len() && !self.newlines {
                self.newlines = column.iter().flatten().any(|value| value.contains(['\n', '\r']));
            }
        }
    }

    fn facts(&self, names: &[String]) -> CsvFacts {
        let fields = names
            .iter()
            .zip(&self.seen)
            .map(|(name, seen)| Field::new(name, seen.data_type(), true));
        CsvFacts {
            fields: fields.collect(),
            format: CsvFormat { newlines_in_values: self.newlines, ..self.format },
            rows: Some(self.rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use rstest::rstest;

    use super::*;

    async fn inspected(text: &str) -> Result<CsvFacts> {
        let store = InMemory::new();
        let path = object_store::path::Path::from("x.csv");
        store.put(&path, text.to_owned().into()).await.unwrap();
        inspect(&store, &store.head(&path).await.unwrap(), "x.csv", Look::default()).await
    }

    async fn sampled(text: &str, sample: u64) -> Result<CsvFacts> {
        let store = InMemory::new();
        let path = object_store::path::Path::from("x.csv");
        store.put(&path, text.to_owned().into()).await.unwrap();
        let look = Look { sample: Some(sample), ..Look::default() };
        inspect(&store, &store.head(&path).await.unwrap(), "x.csv", look).await
    }

    #[tokio::test]
    async fn delimiter_names_and_types_are_found() {
        let facts =
            inspected("\u{feff}id;\"a, b\";x\r\n1;\"one\r\ntwo\";0.5\r\n2;;7\r\n").await.unwrap();
        let expected = CsvFormat {
            delimiter: b';',
            newlines_in_values: true,
            header: true,
            gzip: false,
            encoding: Encoding::Utf8,
        };
        assert_eq!(facts.format, expected);
        let columns: Vec<_> =
            facts.fields.iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
        let expected =
            [("id", DataType::Int64), ("a, b", DataType::Utf8), ("x", DataType::Float64)];
        assert_eq!(columns, expected);
        assert_eq!(facts.rows, Some(2));
    }

    #[tokio::test]
    async fn a_first_line_with_a_number_is_no_header() {
        let facts = inspected("1\tNULL\t-0.5\n").await.unwrap();
        let names: Vec<_> = facts.fields.iter().map(|field| field.name().as_str()).collect();
        assert_eq!((names, facts.rows), (vec!["column_1", "column_2", "column_3"], Some(1)));
        assert!(!facts.format.header);
    }

    #[tokio::test]
    async fn only_a_header_is_no_rows() {
        let facts = inspected("a,b").await.unwrap();
        assert_eq!((facts.fields.len(), facts.rows), (2, Some(0)));
    }

    #[rstest]
    #[case("", "file 'x.csv' has an empty first line, expected a header")]
    #[case("a,a\n", "file 'x.csv' has two columns named 'a': rename one in its header")]
    #[case(
        "a,b\n1,2\n3\n",
        "file 'x.csv': incorrect number of fields for line 3, expected 2 got 1"
    )]
    #[tokio::test]
    async fn what_cannot_be_read_is_named(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(inspected(text).await.unwrap_err().to_string(), expected);
    }

    #[tokio::test]
    async fn the_delimiter_is_the_one_that_all_lines_agree_on() {
        let facts = inspected("a;b, c, d\n1,5;x\n2,5;y, z\n").await.unwrap();
        assert_eq!((facts.format.delimiter, facts.fields.len()), (b';', 2));
        let facts = inspected("a|b,c\n1|2,3\n").await.unwrap();
        assert_eq!(facts.format.delimiter, b',', "of two that all agree on the first");
    }

    #[tokio::test]
    async fn a_sample_ends_with_a_whole_line_and_does_not_count() {
        let text = "a,b\n1,\"x\ny\"\n2,é\n3,z\n";
        for sample in 4..text.len() as u64 {
            let facts = sampled(text, sample).await.unwrap();
            assert_eq!((facts.rows, facts.fields.len()), (None, 2), "{sample}");
        }
        assert_eq!(sampled(text, text.len() as u64).await.unwrap().rows, Some(3));
    }

    #[rstest]
    #[case(b"a,b\n1,\xE9\n", 6)]
    #[case(b"\xEF\xBB\xBFa,b\n1,\xFF\xFE\n", 9)]
    #[case(b"a,b\n1,\xC3", 6)]
    #[tokio::test]
    async fn what_is_not_utf8_is_named_with_its_place(
        #[case] text: &'static [u8],
        #[case] at: u64,
    ) {
        let store = InMemory::new();
        let path = object_store::path::Path::from("x.csv");
        store.put(&path, text.into()).await.unwrap();
        let meta = store.head(&path).await.unwrap();
        let error = inspect(&store, &meta, "x.csv", Look::default()).await.unwrap_err();
        let expected = format!("file 'x.csv' is not UTF-8 at byte {at}: convert it");
        assert!(error.to_string().starts_with(&expected), "{error}");
        let look = Look { encoding: Encoding::Latin1, ..Look::default() };
        if text[0] == b'a' {
            assert_eq!(inspect(&store, &meta, "x.csv", look).await.unwrap().rows, Some(1));
        }
    }

    #[test]
    fn pieces_may_cut_a_character_anywhere() {
        let text = "aé€🦀z".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut utf8 = Utf8::default();
                for piece in [&text[..first], &text[first..second], &text[second..]] {
                    utf8.check(piece).unwrap();
                }
                utf8.end().unwrap();
                assert_eq!(utf8.checked, text.len() as u64);
            }
        }
    }
}
