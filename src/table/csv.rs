//! What a CSV file is: its delimiter, its header and the types of its columns.
//!
//! The whole file is read once and every value looked at; nothing is guessed from a sample. A
//! column is `Int64` if all its values are integers without a leading zero or a plus sign and of
//! at most 18 digits, `Float64` if all are such integers (of at most 15 digits, so that none
//! is rounded) or decimal numbers, else text. So `07`, `1e`, `NaN` and numbers of 30 digits stay
//! text. An empty value is NULL. UTF-8 only; a byte order mark is skipped.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Decoder;
use arrow::datatypes::{DataType, Field, Schema};
use bytes::{Buf, Bytes, BytesMut};
use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore};

use super::gunzip;
use crate::error::{Error, Result};

/// Delimiters that are looked for; of two as frequent the first.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// The longest header line, in bytes.
const LONGEST_HEADER: usize = 1024 * 1024;

/// How a CSV file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvFormat {
    /// What separates values.
    pub delimiter: u8,
    /// Whether a quoted value holds a line end; such a file is read by one stream.
    pub newlines_in_values: bool,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Whether the files are compressed by gzip; each is then read by one stream.
    pub gzip: bool,
}

/// What reading a CSV file through has told.
#[derive(Debug)]
pub(crate) struct CsvFacts {
    pub(crate) format: CsvFormat,
    pub(crate) fields: Vec<Field>,
    pub(crate) rows: u64,
}

/// Reads the file through; `shown` names it in errors. With `names` it has no header but these
/// columns, without them a first line that holds a number is no header: its columns are then
/// `column_1` and so on.
pub(crate) async fn inspect(
    store: &dyn ObjectStore,
    meta: &ObjectMeta,
    shown: &str,
    names: Option<&[String]>,
) -> Result<CsvFacts> {
    let gzip = gunzip::is_gzip(&meta.location);
    let mut stream = gunzip::bytes(store, &meta.location, shown).await?;
    let mut buffer = BytesMut::new();
    let (header_end, mut is_last) = loop {
        if let Some(end) = header_end(&buffer) {
            break (end, false);
        }
        if buffer.len() > LONGEST_HEADER {
            return Err(Error::data(format!(
                "file '{shown}' has no line end in its first {LONGEST_HEADER} bytes, expected a header"
            )));
        }
        match stream.try_next().await? {
            Some(bytes) => buffer.extend_from_slice(&bytes),
            None => break (buffer.len(), true),
        }
    };
    let Header { delimiter, is_header, names } = header(&buffer[..header_end], shown, names)?;
    let format = CsvFormat { delimiter, newlines_in_values: false, header: is_header, gzip };
    let mut columns = Columns::new(&names, format);
    let mut bytes = buffer.freeze();
    loop {
        let fed =
            columns.feed(&mut bytes).and_then(|()| if is_last { columns.end() } else { Ok(()) });
        fed.map_err(|cause| Error::data(format!("file '{shown}': {}", sentence(&cause))))?;
        if is_last {
            return Ok(columns.facts(&names));
        }
        match stream.try_next().await? {
            Some(next) => bytes = next,
            None => is_last = true,
        }
    }
}

/// Arrow's sentence in our shape.
fn sentence(cause: &arrow::error::ArrowError) -> String {
    let text = cause.to_string();
    let text = text.trim_start_matches("Csv error: ");
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    format!("{}{rest}", first.to_lowercase())
}

/// Where the first line ends, quotes respected.
fn header_end(bytes: &[u8]) -> Option<usize> {
    let mut quoted = false;
    bytes.iter().position(|byte| {
        quoted ^= *byte == b'"';
        !quoted && matches!(byte, b'\n' | b'\r')
    })
}

/// What a first line tells.
struct Header {
    delimiter: u8,
    is_header: bool,
    names: Vec<String>,
}

/// The delimiter of a first line, and the names of the columns.
fn header(line: &[u8], shown: &str, given: Option<&[String]>) -> Result<Header> {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    let Ok(line) = str::from_utf8(line) else {
        return Err(Error::data(format!(
            "file '{shown}' has a header that is not UTF-8: convert it first"
        )));
    };
    if line.is_empty() {
        return Err(Error::data(format!(
            "file '{shown}' has an empty first line, expected a header"
        )));
    }
    let count = |delimiter: u8| cut(line, delimiter).len();
    let most = DELIMITERS.map(count).into_iter().max().unwrap_or(1);
    let delimiter = DELIMITERS.into_iter().find(|d| count(*d) == most).unwrap_or(b',');
    let mut names = cut(line, delimiter);
    if let Some(given) = given {
        if given.len() != names.len() {
            return Err(Error::data(format!(
                "file '{shown}': line 1 has {} fields, the schema has {}",
                names.len(),
                given.len()
            )));
        }
        return Ok(Header { delimiter, is_header: false, names: given.to_vec() });
    }
    let is_number = |name: &String| {
        name.parse::<f64>().is_ok() && name.bytes().any(|byte| byte.is_ascii_digit())
    };
    if names.iter().any(is_number) {
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
            rows: self.rows,
        }
    }
}

/// The kinds of value a column has shown.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a set of four kinds")]
struct Seen {
    integer: bool,
    /// An integer that a float may not hold exactly.
    wide: bool,
    float: bool,
    text: bool,
}

impl Seen {
    fn look_at(&mut self, value: &str) {
        if self.text || value.is_empty() {
            return;
        }
        let unsigned = value.strip_prefix('-').unwrap_or(value);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        let is_number = digits(whole)
            && fraction.is_none_or(digits)
            && whole.len() + fraction.map_or(0, str::len) > 0
            && !leading_zero
            && exponent.is_none_or(|exponent| {
                let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
                !exponent.is_empty() && digits(exponent)
            });
        let is_integer = is_number && fraction.is_none() && exponent.is_none();
        match (is_number, is_integer, whole.len()) {
            (true, true, ..=15) if value != "-0" => self.integer = true,
            (true, true, ..=15) | (true, false, _) => self.float = true,
            (true, true, ..=18) => (self.integer, self.wide) = (true, true),
            _ => self.text = true,
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self { text: true, .. } | Self { float: true, wide: true, .. } => DataType::Utf8,
            Self { float: true, .. } => DataType::Float64,
            Self { integer: true, .. } => DataType::Int64,
            _ => DataType::Utf8,
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
        inspect(&store, &store.head(&path).await.unwrap(), "x.csv", None).await
    }

    #[rstest]
    #[case("1,-2,0,", DataType::Int64)]
    #[case("1,2.5,1e3,.5,-0", DataType::Float64)]
    #[case("07,8", DataType::Utf8)]
    #[case("1,x", DataType::Utf8)]
    #[case("123456789012345678", DataType::Int64)]
    #[case("1234567890123456789", DataType::Utf8)]
    #[case("123456789012345678,0.5", DataType::Utf8)]
    #[case("NaN,1.0", DataType::Utf8)]
    #[case("+1", DataType::Utf8)]
    #[case("1e", DataType::Utf8)]
    #[case(".", DataType::Utf8)]
    #[case("", DataType::Utf8)]
    fn a_type_holds_every_value(#[case] values: &str, #[case] expected: DataType) {
        let mut seen = Seen::default();
        values.split(',').for_each(|value| seen.look_at(value));
        assert_eq!(seen.data_type(), expected, "{values}");
    }

    #[tokio::test]
    async fn delimiter_names_and_types_are_found() {
        let facts =
            inspected("\u{feff}id;\"a, b\";x\r\n1;\"one\r\ntwo\";0.5\r\n2;;7\r\n").await.unwrap();
        let expected =
            CsvFormat { delimiter: b';', newlines_in_values: true, header: true, gzip: false };
        assert_eq!(facts.format, expected);
        let columns: Vec<_> =
            facts.fields.iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
        let expected =
            [("id", DataType::Int64), ("a, b", DataType::Utf8), ("x", DataType::Float64)];
        assert_eq!(columns, expected);
        assert_eq!(facts.rows, 2);
    }

    #[tokio::test]
    async fn a_first_line_with_a_number_is_no_header() {
        let facts = inspected("1\tNULL\t-0.5\n").await.unwrap();
        let names: Vec<_> = facts.fields.iter().map(|field| field.name().as_str()).collect();
        assert_eq!((names, facts.rows), (vec!["column_1", "column_2", "column_3"], 1));
        assert!(!facts.format.header);
    }

    #[tokio::test]
    async fn only_a_header_is_no_rows() {
        let facts = inspected("a,b").await.unwrap();
        assert_eq!((facts.fields.len(), facts.rows), (2, 0));
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
}
