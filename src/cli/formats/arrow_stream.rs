//! `arrow`: an Arrow IPC stream, as `pyarrow.ipc.open_stream` reads it.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;

use super::{Format, OutputFormat, RowWriter};

pub(in crate::cli) const ARROW: OutputFormat = &ArrowStream;

#[derive(Debug)]
struct ArrowStream;

impl Format for ArrowStream {
    fn name(&self) -> &'static str {
        "arrow"
    }

    fn help(&self) -> &'static str {
        "An Arrow IPC stream, as `pyarrow.ipc.open_stream` reads it"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["arrow", "arrows"]
    }

    fn is_binary(&self) -> bool {
        true
    }

    fn begin<'a>(
        &self,
        schema: SchemaRef,
        _max_rows: usize,
        out: &'a mut dyn Write,
    ) -> Result<Box<dyn RowWriter + 'a>, ArrowError> {
        Ok(Box::new(Rows(StreamWriter::try_new(out, &schema)?)))
    }
}

struct Rows<'a>(StreamWriter<&'a mut dyn Write>);

impl RowWriter for Rows<'_> {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        self.0.write(batch)
    }

    fn end(mut self: Box<Self>) -> Result<usize, ArrowError> {
        self.0.finish()?;
        Ok(0)
    }
}
