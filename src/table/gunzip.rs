//! Text files compressed by gzip (RFC 1952): decoded while they stream, one stream a file, several
//! members in a row as one text.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::csv::ReaderBuilder;
use arrow::datatypes::SchemaRef;
use bytes::{Buf, Bytes};
use datafusion::common::Result as EngineResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use flate2::write::MultiGzDecoder;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::csv::CsvFormat;
use crate::error::{Error, Result};

/// Whether the name of a file says that it is compressed.
pub(super) fn is_gzip(path: &Path) -> bool {
    path.as_ref().to_ascii_lowercase().ends_with(".gz")
}

/// The bytes of a file, decoded if its name ends in `.gz`; `shown` names it in errors.
pub(super) async fn bytes(
    store: &dyn ObjectStore,
    path: &Path,
    shown: &str,
) -> Result<BoxStream<'static, Result<Bytes>>> {
    let stream = store.get(path).await?.into_stream().map_err(Error::from);
    if is_gzip(path) { Ok(decoded(stream, shown.to_owned()).boxed()) } else { Ok(stream.boxed()) }
}

/// Decodes chunk by chunk.
fn decoded(
    stream: impl Stream<Item = Result<Bytes>> + Send + 'static,
    shown: String,
) -> impl Stream<Item = Result<Bytes>> + Send {
    let decoder = Some(MultiGzDecoder::new(Vec::new()));
    stream::try_unfold((stream.boxed(), decoder), move |(mut stream, decoder)| {
        let broken = {
            let shown = shown.clone();
            move |cause: std::io::Error| {
                Error::data(format!("file '{shown}' is not whole gzip data: {cause}"))
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

/// One compressed file as a stream of rows.
#[derive(Debug)]
pub(super) struct GzipFile {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    pub(super) shown: String,
    pub(super) format: CsvFormat,
    pub(super) schema: SchemaRef,
}

impl PartitionStream for GzipFile {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batch_rows = context.session_config().batch_size();
        let decoder = ReaderBuilder::new(Arc::clone(&self.schema))
            .with_header(self.format.header)
            .with_delimiter(self.format.delimiter)
            .with_batch_size(batch_rows)
            .build_decoder();
        let (store, path, shown) = (Arc::clone(&self.store), self.path.clone(), self.shown.clone());
        let batches = async move {
            let text = bytes(store.as_ref(), &path, &shown).await?;
            Ok::<_, datafusion::common::DataFusionError>(rows(text, decoder))
        };
        let batches = stream::once(batches).try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

/// The batches of a text.
fn rows(
    text: BoxStream<'static, Result<Bytes>>,
    decoder: arrow::csv::reader::Decoder,
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
            let read = decoder.decode(&chunk)?;
            chunk.advance(read);
            let is_full = decoder.capacity() == 0;
            if is_full || (ended && chunk.is_empty()) {
                return match decoder.flush()? {
                    Some(batch) => Ok(Some((batch, (text, decoder, chunk, ended)))),
                    None => Ok(None),
                };
            }
        }
    })
}
