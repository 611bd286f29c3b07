//! What a file of JSON lines is: an object a line, and the types of its members ([`super::shape`]).
//!
//! The whole file is read once, or its first bytes for a preview. Texts are not looked into: a time stays
//! text. Blank lines count for nothing.

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path;
use pleiad_core::records::{Dialect, Records, Step};
use tokio::sync::mpsc::Receiver;

use super::bytes as text_bytes;
use super::csv::{Look, TextFacts, refused};
use super::format::{Compression, JsonLines, Lines, TextFile};
use super::shape::{Broken, Shape};
use crate::cancel::CancelFlag;
use crate::error::{Error, Result};

/// A record is a line: no JSON holds a NUL.
pub(super) const A_LINE: Dialect =
    Dialect { delimiter: 0, quote: None, escape: None, comment: None };

/// The mark of byte order in UTF-8.
pub(super) const MARK: char = '\u{feff}';

/// Looks at the file, or at about its first bytes for a sample; `shown` names it in errors.
pub(crate) async fn inspect(
    store: &dyn ObjectStore,
    (path, size): (&Path, u64),
    shown: &str,
    look: Look<'_>,
) -> Result<TextFacts> {
    let given = (look.options.compression, look.options.encoding);
    let (decoding, text) = text_bytes::open(store, path, shown, given, look.sample).await?;
    let reading = Reading {
        shown: shown.to_owned(),
        max_line: look.options.max_line_bytes(),
        is_cut: decoding.compression == Compression::None
            && look.sample.is_some_and(|sample| sample < size),
        sample: look.sample,
    };
    let max_line = reading.max_line;
    let read = text_bytes::read_through(text, move |text, stop| reading.run(text, stop));
    let (shape, rows) = read.await?;
    let lines = Lines::Json(JsonLines { shape });
    let file = TextFile { decoding, lines, max_line };
    Ok(TextFacts { file, rows, findings: Vec::new() })
}

/// One reading of a file.
struct Reading {
    shown: String,
    max_line: usize,
    /// Whether the bytes are the first of a longer file.
    is_cut: bool,
    sample: Option<u64>,
}

impl Reading {
    fn run(self, mut text: Receiver<Bytes>, stop: &CancelFlag) -> Result<(Shape, Option<u64>)> {
        let mut records = Records::new(A_LINE, self.max_line, 0, 1);
        let (mut shape, mut rows, mut bytes, mut has_ended) = (Shape::default(), 0, 0, false);
        loop {
            match records.step().map_err(|fault| refused(&fault, &self.shown))? {
                Step::Record => {
                    let record = records.record().map_err(|fault| refused(&fault, &self.shown))?;
                    let line = record.text();
                    let line = line.strip_prefix(MARK).filter(|_| rows == 0).unwrap_or(line);
                    if !line.trim().is_empty() {
                        let looked = shape.look_at(line);
                        looked.map_err(|broken| self.no_json(broken, record.line))?;
                        rows += 1;
                    }
                }
                Step::End => return Ok((shape, Some(rows))),
                Step::More if has_ended && self.is_cut && rows == 0 => {
                    return Err(Error::data(format!(
                        "file '{}' has no line end in its first {bytes} bytes, expected JSON lines",
                        self.shown
                    )));
                }
                Step::More if has_ended && self.is_cut => return Ok((shape, None)),
                Step::More if has_ended => records.end(),
                Step::More if self.sample.is_some_and(|sample| bytes >= sample) && rows > 0 => {
                    return Ok((shape, None));
                }
                Step::More => match text.blocking_recv() {
                    Some(piece) => {
                        bytes += piece.len() as u64;
                        records.push(&piece);
                    }
                    None => has_ended = true,
                },
            }
            if stop.is_set() {
                return Err(Error::internal("no one waits for the answer"));
            }
        }
    }

    fn no_json(&self, Broken { what, at }: Broken, line: u64) -> Error {
        let shown = &self.shown;
        if what == "a list" {
            return Error::data(format!(
                "file '{shown}' is not JSON lines: line {line} holds a list, expected an object on each \
                 line: convert it, as with jq -c '.[]'"
            ));
        }
        Error::data(format!(
            "file '{shown}' is not JSON lines: line {line} has {what} at character {}",
            at + 1
        ))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;
    use crate::table::text::join;
    use crate::table::text::options::TextOptions;

    async fn inspected(text: &str, sample: Option<u64>) -> Result<TextFacts> {
        let (store, path) = (InMemory::new(), Path::from("x.jsonl"));
        store.put(&path, text.to_owned().into()).await.unwrap();
        let options = TextOptions::default();
        let look = Look { names: None, options: &options, needed: None, sample };
        inspect(&store, (&path, text.len() as u64), "x.jsonl", look).await
    }

    fn columns(facts: &TextFacts) -> Vec<(String, DataType)> {
        let fields = join::fields(std::iter::once(&facts.file));
        fields.into_iter().map(|f| (f.name().clone(), f.data_type().clone())).collect()
    }

    #[tokio::test]
    async fn members_become_columns_and_kinds_that_mix_text() {
        let text = "\u{feff}{\"a\":1,\"b\":\"x\"}\n\n{\"a\":1.5,\"c\":null,\"d\":1}\n{\"d\":\"y\"}";
        let facts = inspected(text, None).await.unwrap();
        let expected = [
            ("a", DataType::Float64),
            ("b", DataType::Utf8),
            ("c", DataType::Utf8),
            ("d", DataType::Utf8),
        ];
        assert_eq!(columns(&facts), expected.map(|(name, t)| (name.to_owned(), t)));
        assert_eq!(facts.rows, Some(3));
    }

    #[tokio::test]
    async fn a_sample_is_cut_at_its_last_line() {
        let text = "{\"a\":1}\n{\"a\":2}\n{\"a\":\"x\"}\n";
        let facts = inspected(text, Some(20)).await.unwrap();
        assert_eq!((columns(&facts)[0].1.clone(), facts.rows), (DataType::Int64, None));
    }

    #[tokio::test]
    async fn what_is_not_json_lines_is_named() {
        for (text, said) in [
            ("[{\"a\":1}]", "convert it, as with jq -c '.[]'"),
            ("{\"a\":1}\n\n{\"a\":", "line 3 has no value at character 6"),
            ("1\n2\n", "file 'x.jsonl' is not JSON lines: line 1 has no object at character 1"),
        ] {
            let message = inspected(text, None).await.unwrap_err().to_string();
            assert!(message.contains(said), "{message}");
        }
    }
}
