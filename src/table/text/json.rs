//! What a file of JSON lines, plain or compressed by gzip, is: one object a line, and the types of its
//! members.
//!
//! The whole file is read once, or its first bytes for a preview. Members that some lines lack are
//! NULL there; whole and decimal numbers together are decimal; kinds that do not mix are text. Texts
//! are not looked into: a time stays text. Blank lines count for nothing.

use std::io::{self, BufReader, Read};

use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::json::reader::infer_json_schema;
use bytes::{Buf, Bytes, BytesMut};
use datafusion::common::runtime::SpawnedTask;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::sync::mpsc::{Receiver, channel};

use super::decoded;
use super::format::Encoding;
use crate::error::{Error, Result};

/// What is known of a file after a look at it.
#[derive(Debug)]
pub(crate) struct JsonFacts {
    pub(crate) fields: Vec<Field>,
    /// Its lines, if it was read to the end.
    pub(crate) rows: Option<u64>,
}

/// Looks at the file, or at about its first `sample` bytes; `shown` names it in errors.
pub(crate) async fn inspect(
    store: &dyn ObjectStore,
    path: &Path,
    size: u64,
    shown: &str,
    sample: Option<u64>,
) -> Result<JsonFacts> {
    let sample = sample.filter(|sample| decoded::is_gzip(path) || *sample < size);
    let mut stream = decoded::bytes(store, path, shown, Encoding::Utf8, sample).await?;
    let sampled = match sample {
        Some(sample) => Some(first_lines(&mut stream, shown, sample).await?),
        None => None,
    };
    let is_whole = sampled.as_ref().is_none_or(|(_, is_whole)| *is_whole);
    let (send, receive) = channel(4);
    let refused = refused(shown);
    let inferring = SpawnedTask::spawn_blocking(move || {
        let mut reader = BufReader::new(Pieces { receive, current: Bytes::new() });
        let is_array = io::BufRead::fill_buf(&mut reader)
            .map(|start| start.trim_ascii_start().starts_with(b"["))
            .map_err(ArrowError::from);
        is_array
            .and_then(|is_array| match is_array {
                true => Err(ArrowError::JsonError(ONE_DOCUMENT.to_owned())),
                false => infer_json_schema(&mut reader, None),
            })
            .map_err(refused)
    });
    match sampled {
        Some((bytes, _)) => drop(send.send(bytes).await),
        None => {
            while let Some(bytes) = stream.try_next().await? {
                if send.send(bytes).await.is_err() {
                    break; // the reader says why
                }
            }
        }
    }
    drop(send);
    let inferred = inferring.await;
    let (schema, rows) =
        inferred.map_err(|cause| Error::internal("a file was not read").caused_by(cause))??;
    let typed = |field: &Field| match field.data_type() {
        DataType::Null => field.clone().with_data_type(DataType::Utf8),
        _ => field.clone(),
    };
    Ok(JsonFacts {
        fields: schema.fields().iter().map(|field| typed(field)).collect(),
        rows: is_whole.then_some(rows as u64),
    })
}

const ONE_DOCUMENT: &str =
    "it holds one array, expected an object on each line: convert it, as with jq -c '.[]'";

/// Arrow's sentence about the file `shown` as ours.
fn refused(shown: &str) -> impl FnOnce(ArrowError) -> Error + use<> {
    let shown = shown.to_owned();
    move |cause| {
        let text = cause.to_string();
        let text = text.trim_start_matches("Json error: ");
        Error::data(format!("file '{shown}' is not JSON lines: {text}"))
    }
}

/// The whole lines in the first bytes of a file, and whether these are all.
async fn first_lines(
    stream: &mut BoxStream<'static, Result<Bytes>>,
    shown: &str,
    most: u64,
) -> Result<(Bytes, bool)> {
    let mut bytes = BytesMut::new();
    while (bytes.len() as u64) < most {
        match stream.try_next().await? {
            Some(piece) => bytes.extend_from_slice(&piece),
            None => return Ok((bytes.freeze(), true)),
        }
    }
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
        return Err(Error::data(format!(
            "file '{shown}' has no line end in its first {most} bytes, expected JSON lines"
        )));
    };
    bytes.truncate(end + 1);
    Ok((bytes.freeze(), false))
}

/// Bytes that come from another task, for a reader that blocks.
struct Pieces {
    receive: Receiver<Bytes>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receive.blocking_recv() {
                Some(bytes) => self.current = bytes,
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.current.len());
        self.current.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    async fn inspected(text: &str, sample: Option<u64>) -> Result<JsonFacts> {
        let (store, path) = (InMemory::new(), Path::from("x.jsonl"));
        store.put(&path, text.to_owned().into()).await.unwrap();
        inspect(&store, &path, text.len() as u64, "x.jsonl", sample).await
    }

    #[tokio::test]
    async fn members_become_columns_and_kinds_that_mix_text() {
        let text = "{\"a\":1,\"b\":\"x\"}\n\n{\"a\":1.5,\"c\":null,\"d\":1}\n{\"d\":\"y\"}";
        let facts = inspected(text, None).await.unwrap();
        let columns: Vec<_> =
            facts.fields.iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
        let expected = [
            ("a", DataType::Float64),
            ("b", DataType::Utf8),
            ("c", DataType::Utf8),
            ("d", DataType::Utf8),
        ];
        assert_eq!(columns, expected);
        assert_eq!(facts.rows, Some(3));
    }

    #[tokio::test]
    async fn a_sample_is_cut_at_its_last_line() {
        let text = "{\"a\":1}\n{\"a\":2}\n{\"a\":\"x\"}\n";
        let facts = inspected(text, Some(20)).await.unwrap();
        assert_eq!((facts.fields[0].data_type(), facts.rows), (&DataType::Int64, None));
    }

    #[tokio::test]
    async fn what_is_not_json_lines_is_named() {
        for (text, said) in [
            ("[{\"a\":1}]", "convert it, as with jq -c '.[]'"),
            ("{\"a\":1}\n{\"a\":", "file 'x.jsonl' is not JSON lines: "),
            ("1\n2\n", "file 'x.jsonl' is not JSON lines: "),
        ] {
            let message = inspected(text, None).await.unwrap_err().to_string();
            assert!(message.contains(said), "{message}");
        }
    }
}
