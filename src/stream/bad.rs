//! The lines of a stream that could not be read, as a table beside it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as EngineResult;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::decode::BadLine;
use super::last_rows::KEPT;

/// A line, and where and when it was.
#[derive(Debug)]
struct Seen {
    file: Option<Arc<str>>,
    /// Microseconds since 1970.
    received: i64,
    line: BadLine,
}

#[derive(Debug, Default)]
struct Lines {
    last: VecDeque<Seen>,
    /// Those of files: another query reads them again.
    of_files: HashSet<(Arc<str>, u64)>,
}

/// The last [`KEPT`] of them.
#[derive(Debug)]
pub(super) struct BadLines {
    schema: SchemaRef,
    lines: Mutex<Lines>,
}

impl BadLines {
    /// None yet.
    pub(super) fn new() -> Self {
        let time = DataType::Timestamp(TimeUnit::Microsecond, None);
        let fields = vec![
            Field::new("file", DataType::Utf8, true),
            Field::new("position", DataType::UInt64, false),
            Field::new("received_at", time, false),
            Field::new("reason", DataType::Utf8, false),
            Field::new("line", DataType::Utf8, false),
        ];
        Self { schema: Arc::new(Schema::new(fields)), lines: Mutex::default() }
    }

    /// Adds lines of one file, or of none, that came at `received`.
    pub(super) fn push(&self, file: Option<&str>, received: i64, lines: Vec<BadLine>) {
        let mut kept = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let file: Option<Arc<str>> = file.map(Arc::from);
        for line in lines {
            if let Some(file) = &file
                && !kept.of_files.insert((Arc::clone(file), line.position))
            {
                continue;
            }
            kept.last.push_back(Seen { file: file.clone(), received, line });
            if kept.last.len() > KEPT
                && let Some(first) = kept.last.pop_front()
                && let Some(file) = first.file
            {
                kept.of_files.remove(&(file, first.line.position));
            }
        }
    }

    fn rows(&self) -> EngineResult<RecordBatch> {
        let kept = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let all = || kept.last.iter();
        let received = all().map(|seen| seen.received);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(all().map(|seen| seen.file.as_deref()).collect::<StringArray>()),
            Arc::new(UInt64Array::from_iter_values(all().map(|seen| seen.line.position + 1))),
            Arc::new(TimestampMicrosecondArray::from_iter_values(received)),
            Arc::new(StringArray::from_iter_values(all().map(|seen| &seen.line.reason))),
            Arc::new(StringArray::from_iter_values(all().map(|seen| &seen.line.line))),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

#[async_trait]
impl TableProvider for BadLines {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let (rows, schema) = ([vec![self.rows()?]], Arc::clone(&self.schema));
        Ok(MemorySourceConfig::try_new_exec(&rows, schema, projection.cloned())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(position: u64) -> BadLine {
        BadLine { position, reason: "no".to_owned(), line: "x".to_owned() }
    }

    #[test]
    fn a_line_of_a_file_is_kept_once_and_the_first_are_forgotten() {
        let bad = BadLines::new();
        bad.push(Some("a"), 1, vec![line(1), line(2)]);
        bad.push(Some("a"), 2, vec![line(2)]);
        bad.push(Some("b"), 2, vec![line(2)]);
        // Another connection begins to count again.
        bad.push(None, 3, vec![line(1)]);
        bad.push(None, 4, vec![line(1)]);
        assert_eq!(bad.rows().unwrap().num_rows(), 5);
        bad.push(None, 5, (0..KEPT as u64 - 1).map(line).collect());
        assert_eq!(bad.rows().unwrap().num_rows(), KEPT);
        bad.push(Some("a"), 6, vec![line(1)]);
        assert_eq!(bad.rows().unwrap().num_rows(), KEPT);
        let lines = bad.lines.lock().unwrap();
        assert_eq!(
            (lines.of_files.len(), lines.last.back().map(|seen| seen.received)),
            (1, Some(6))
        );
    }
}
