//! Text files that are not plain UTF-8, decoded while they stream, one stream a file: compressed by
//! gzip (RFC 1952), several members in a row as one text, or in Latin-1.
//!
//! Latin-1 is what browsers take it for: Windows-1252, in which the bytes 0x80 to 0x9F are quotes, dashes
//! and the euro sign. No byte is wrong in it.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::{csv, json};
use bytes::{Buf, Bytes};
use datafusion::common::Result as EngineResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use encoding_rs::WINDOWS_1252;
use flate2::write::MultiGzDecoder;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};

use super::format::{CsvFormat, Encoding};
use crate::error::{Error, Result};

/// Whether the name of a file says that it is compressed.
pub(crate) fn is_gzip(path: &Path) -> bool {
    path.as_ref().to_ascii_lowercase().ends_with(".gz")
}

/// The bytes of a file, decoded if its name ends in `.gz` or it is in Latin-1; of a plain file the first
/// `max_bytes` only. `shown` names it in errors.
pub(crate) async fn bytes(
    store: &dyn ObjectStore,
    path: &Path,
    shown: &str,
    encoding: Encoding,
    max_bytes: Option<u64>,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let is_gzip = is_gzip(path);
    let range = max_bytes.filter(|_| !is_gzip).map(|max| GetRange::Bounded(0..max));
    let options = GetOptions { range, ..GetOptions::default() };
    let stream = store.get_opts(path, options).await?.into_stream().map_err(Error::from);
    let stream = match is_gzip {
        true => gunzipped(stream, shown.to_owned()).boxed(),
        false => stream.boxed(),
    };
    Ok(match encoding {
        Encoding::Latin1 => stream.map_ok(|bytes| from_latin1(&bytes)).boxed(),
        Encoding::Utf8 => stream,
    })
}

/// Every byte is one character, so a chunk may end anywhere.
fn from_latin1(bytes: &Bytes) -> Bytes {
    match WINDOWS_1252.decode_without_bom_handling(bytes).0 {
        Cow::Borrowed(_) => bytes.clone(), // ASCII
        Cow::Owned(text) => Bytes::from(text),
    }
}

/// Decodes chunk by chunk.
fn gunzipped(
    stream: impl Stream<Item = Result<Bytes>> + Send + 'static,
    shown: String,
) -> impl Stream<Item = Result<Bytes>> + Send {
    let decoder = Some(MultiGzDecoder::new(Vec::new()));
    stream::try_unfold((stream.boxed(), decoder), move |(mut stream, decoder)| {
        let broken = {
            let shown = shown.clone();
            move |cause: std::io::Error| {
                Error::data(format!("file '{shown}' is not complete gzip data: {cause}"))
                    .caused_by(cause)
            }
        };
        async move {
            let Some(mut decoder) = decoder else { return Ok(None) };
            match stream.try_next().await? {
                Some(chunk) => {
                    decoder.write_all(&chunk).map_err(broken)?;
                    let text = Bytes::from(std::mem::take(decoder.get_mut()));
                    Ok(Some((text, (stream, Some(decoder)))))
                }
                None => {
                    let rest = decoder.finish().map_err(broken)?;
                    Ok(Some((Bytes::from(rest), (stream, None))))
                }
            }
        }
    })
}

/// One file to decode, as a stream of rows.
#[derive(Debug)]
pub(crate) struct DecodedFile {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
    pub(crate) shown: String,
    /// The format of its lines; `None` for JSON.
    pub(crate) csv: Option<CsvFormat>,
    pub(crate) schema: SchemaRef,
}

impl PartitionStream for DecodedFile {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batch_rows = context.session_config().batch_size();
        let decoder = Lines::new(Arc::clone(&self.schema), self.csv, batch_rows);
        let (store, path, shown) = (Arc::clone(&self.store), self.path.clone(), self.shown.clone());
        let encoding = self.csv.map(|format| format.encoding).unwrap_or_default();
        let batches = async move {
            let text = bytes(store.as_ref(), &path, &shown, encoding, None).await?;
            Ok::<_, datafusion::common::DataFusionError>(rows(text, decoder?))
        };
        let batches = stream::once(batches).try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

/// Text into batches.
enum Lines {
    Csv(Box<csv::reader::Decoder>),
    Json(Box<json::reader::Decoder>),
}

impl Lines {
    fn new(schema: SchemaRef, csv: Option<CsvFormat>, rows: usize) -> Result<Self, ArrowError> {
        Ok(match csv {
            Some(format) => Self::Csv(Box::new(
                csv::ReaderBuilder::new(schema)
                    .with_header(format.header)
                    .with_delimiter(format.delimiter)
                    .with_batch_size(rows)
                    .build_decoder(),
            )),
            None => {
                let builder = json::ReaderBuilder::new(schema).with_batch_size(rows);
                Self::Json(Box::new(builder.build_decoder()?))
            }
        })
    }

    /// Takes from the begin of `chunk` what has room; whether a batch is full.
    fn decode(&mut self, chunk: &mut Bytes) -> Result<bool, ArrowError> {
        let read = match self {
            Self::Csv(decoder) => decoder.decode(chunk)?,
            Self::Json(decoder) => decoder.decode(chunk)?,
        };
        chunk.advance(read);
        Ok(match self {
            Self::Csv(decoder) => decoder.capacity() == 0,
            Self::Json(_) => !chunk.is_empty(),
        })
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        match self {
            Self::Csv(decoder) => decoder.flush(),
            Self::Json(decoder) => decoder.flush(),
        }
    }
}

/// The batches of a text.
fn rows(
    text: BoxStream<'static, Result<Bytes>>,
    decoder: Lines,
) -> impl Stream<Item = EngineResult<RecordBatch>> + Send {
    let start = (text, decoder, Bytes::new(), false);
    stream::try_unfold(start, |(mut text, mut decoder, mut chunk, mut ended)| async move {
        loop {
            if chunk.is_empty() && !ended {
                match text.try_next().await? {
                    Some(next) if next.is_empty() => continue,
                    Some(next) => chunk = next,
                    None => ended = true,
                }
            }
            let is_full = decoder.decode(&mut chunk)?;
            if is_full || (ended && chunk.is_empty()) {
                return match decoder.flush()? {
                    Some(batch) => Ok(Some((batch, (text, decoder, chunk, ended)))),
                    None => Ok(None),
                };
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the WHATWG's Encoding Standard, index-windows-1252.
    #[test]
    fn latin1_is_windows_1252_and_no_byte_is_wrong_in_it() {
        let high = "\u{20ac}\u{81}\u{201a}\u{192}\u{201e}\u{2026}\u{2020}\u{2021}\u{2c6}\u{2030}\
                    \u{160}\u{2039}\u{152}\u{8d}\u{17d}\u{8f}\u{90}\u{2018}\u{2019}\u{201c}\u{201d}\
                    \u{2022}\u{2013}\u{2014}\u{2dc}\u{2122}\u{161}\u{203a}\u{153}\u{9d}\u{17e}\u{178}";
        let expected: String = (0..=0x7f_u8)
            .map(char::from)
            .chain(high.chars())
            .chain((0xa0..=0xff_u8).map(char::from))
            .collect();
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_latin1(&Bytes::from(bytes)), expected.as_bytes());
    }
}
