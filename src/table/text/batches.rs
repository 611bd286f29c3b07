//! Rows of text as columns of Arrow.
//!
//! An empty value is NULL, and so are the words that the user names; in columns that are not text also
//! [`values::NULLS`], and blanks around a value do not count. A value that is not of its column's
//! type is an error with its place.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, RecordBatch,
    RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use pleiad_core::records::Record;

use super::format::CsvLines;
use super::values::{self, Seen};
use super::{numbers, times};
use crate::error::{Error, Result};
use crate::table::types::type_name;

/// Bytes of text that make a batch if its rows do not.
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// Rows on their way into a batch.
pub(super) struct Batches {
    schema: SchemaRef,
    columns: Vec<Column>,
    nulls: Arc<[String]>,
    decimal: u8,
    width: usize,
    batch_rows: usize,
    rows: usize,
    bytes: usize,
    places: Vec<u64>,
    /// What the columns have shown whose values are looked at, each with its place in a line.
    checks: Vec<(usize, Seen)>,
    /// Those of them that are no columns of the batch.
    aside: Vec<usize>,
    shown: String,
    /// Whether the numbers of lines are those of the file; else a record is named by its first byte.
    knows_lines: bool,
}

/// A column of the batch.
struct Column {
    /// Its place in a line; a column that the file lacks is NULL.
    place: Option<usize>,
    /// Which of the checks is for it.
    check: Option<usize>,
    values: Values,
}

enum Values {
    Text(StringBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Micros(TimestampMicrosecondBuilder),
    /// Any other type: text that is cast.
    Cast(StringBuilder, DataType),
}

impl Values {
    fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                Self::Micros(TimestampMicrosecondBuilder::new())
            }
            other => Self::Cast(StringBuilder::new(), other.clone()),
        }
    }

    fn is_text(&self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::Cast(_, data_type) => data_type.is_string(),
            _ => false,
        }
    }

    /// Adds NULL, which is of every type.
    fn push_null(&mut self) -> bool {
        match self {
            Self::Text(values) | Self::Cast(values, _) => values.append_null(),
            Self::Int64(values) => values.append_null(),
            Self::Float64(values) => values.append_null(),
            Self::Boolean(values) => values.append_null(),
            Self::Date(values) => values.append_null(),
            Self::Micros(values) => values.append_null(),
        }
        true
    }

    /// Adds a value; whether it is of the type, as far as that is known now.
    fn push(&mut self, value: &str, decimal: u8) -> bool {
        match self {
            Self::Text(values) => values.append_value(value),
            Self::Cast(values, _) if decimal != b'.' => {
                values.append_value(value.replace(char::from(decimal), "."));
            }
            Self::Cast(values, _) => values.append_value(value),
            Self::Int64(values) => {
                return numbers::int64(value).map(|v| values.append_value(v)).is_some();
            }
            Self::Float64(values) => {
                return numbers::float64(value, decimal).map(|v| values.append_value(v)).is_some();
            }
            Self::Boolean(values) => {
                return values::boolean(value).map(|v| values.append_value(v)).is_some();
            }
            Self::Date(values) => {
                return times::date(value).map(|v| values.append_value(v)).is_some();
            }
            Self::Micros(values) => {
                return times::micros(value).map(|v| values.append_value(v)).is_some();
            }
        }
        true
    }

    /// The same for a value of a column that is looked at.
    fn push_looked_at(&mut self, written: &str, value: &str, decimal: u8, seen: &mut Seen) -> bool {
        match self {
            Self::Int64(values) => {
                return seen.int64(value, decimal).map(|v| values.append_value(v)).is_some();
            }
            Self::Float64(values) => {
                return seen.float64(value, decimal).map(|v| values.append_value(v)).is_some();
            }
            Self::Micros(values) => {
                return seen.micros(value, decimal).map(|v| values.append_value(v)).is_some();
            }
            _ => seen.look_at(written, decimal),
        }
        self.push(value, decimal)
    }

    /// The column, and the row of a value that is not of its type.
    fn finish(&mut self) -> Result<ArrayRef, usize> {
        Ok(match self {
            Self::Text(values) => Arc::new(values.finish()),
            Self::Int64(values) => Arc::new(values.finish()),
            Self::Float64(values) => Arc::new(values.finish()),
            Self::Boolean(values) => Arc::new(values.finish()),
            Self::Date(values) => Arc::new(values.finish()),
            Self::Micros(values) => Arc::new(values.finish()),
            Self::Cast(values, data_type) => {
                let text = values.finish();
                let options = CastOptions { safe: true, ..CastOptions::default() };
                let Ok(cast) = cast_with_options(&text, data_type, &options) else { return Err(0) };
                let lost = (0..text.len()).find(|row| text.is_valid(*row) && cast.is_null(*row));
                match lost {
                    Some(row) => return Err(row),
                    None => cast,
                }
            }
        })
    }
}

impl Batches {
    /// Batches of `schema`, of which the file `shown` has some columns.
    pub(super) fn new(
        schema: SchemaRef,
        lines: &CsvLines,
        batch_rows: usize,
        (shown, knows_lines): (String, bool),
    ) -> Self {
        let place_of = |name: &str| lines.columns.iter().position(|column| column.name == name);
        let checks: Vec<_> = match &lines.guess {
            Some(guess) => guess.checked.clone(),
            None => Vec::new(),
        };
        let columns = schema.fields().iter().map(|field| {
            let place = place_of(field.name());
            let check = checks.iter().position(|(checked, _)| Some(*checked) == place);
            Column { place, check, values: Values::new(field.data_type()) }
        });
        let columns: Vec<_> = columns.collect();
        let is_aside = |check: &usize| columns.iter().all(|column| column.check != Some(*check));
        Self {
            aside: (0..checks.len()).filter(is_aside).collect(),
            checks,
            columns,
            schema,
            nulls: Arc::clone(&lines.nulls),
            decimal: lines.decimal,
            width: lines.columns.len(),
            batch_rows,
            rows: 0,
            bytes: 0,
            places: Vec::new(),
            shown,
            knows_lines,
        }
    }

    /// Adds a row; whether the batch is full.
    pub(super) fn push(&mut self, record: &Record<'_>, offset: u64) -> Result<bool> {
        let place = if self.knows_lines { record.line } else { offset };
        if !record.fits(self.width) {
            return Err(Error::data(format!(
                "file '{}': {} has {} fields, expected {}",
                self.shown,
                self.place(place),
                record.width(),
                self.width
            )));
        }
        let mut wrong = None;
        for (index, column) in self.columns.iter_mut().enumerate() {
            let Some(field) = column.place else {
                column.values.push_null();
                continue;
            };
            let written = record.value(field);
            let is_text = column.values.is_text();
            let value = if is_text { &*written } else { values::trim(&written) };
            let is_named = self.nulls.iter().any(|null| *null == written);
            let is_null = value.is_empty() || is_named || (!is_text && values::is_null_word(value));
            let seen = column.check.filter(|_| !is_named).map(|check| &mut self.checks[check].1);
            let is_right = match seen {
                None if is_null => column.values.push_null(),
                Some(seen) if is_null => {
                    seen.look_at(&written, self.decimal);
                    column.values.push_null()
                }
                Some(seen) if !seen.is_settled() => {
                    column.values.push_looked_at(&written, value, self.decimal, seen)
                }
                _ => column.values.push(value, self.decimal),
            };
            if !is_right {
                wrong = Some((index, value.to_owned()));
                break;
            }
        }
        for check in &self.aside {
            let (place, seen) = &mut self.checks[*check];
            if seen.is_settled() {
                continue;
            }
            let written = record.value(*place);
            if !self.nulls.iter().any(|null| *null == written) {
                seen.look_at(&written, self.decimal);
            }
        }
        if let Some((index, value)) = wrong {
            return Err(self.wrong(index, place, Some(&value)));
        }
        self.places.push(place);
        self.rows += 1;
        self.bytes += record.text().len();
        Ok(self.rows >= self.batch_rows || self.bytes >= BATCH_BYTES)
    }

    /// The rows so far as a batch; `None` if there are none.
    pub(super) fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let mut arrays = Vec::with_capacity(self.columns.len());
        for index in 0..self.columns.len() {
            match self.columns[index].values.finish() {
                Ok(array) => arrays.push(array),
                Err(row) => return Err(self.wrong(index, self.places[row], None)),
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
        (self.rows, self.bytes) = (0, 0);
        self.places.clear();
        Ok(Some(batch))
    }

    /// What the columns have shown that are looked at.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.checks.iter().map(|(_, seen)| *seen).collect()
    }

    fn place(&self, place: u64) -> String {
        match self.knows_lines {
            true => format!("line {place}"),
            false => format!("the line at byte {place}"),
        }
    }

    fn wrong(&self, column: usize, place: u64, value: Option<&str>) -> Error {
        let field = self.schema.field(column);
        let value = value.map_or("another value".to_owned(), |value| format!("'{value}'"));
        Error::data(format!(
            "file '{}': column '{}' has {value} in {}, expected {}",
            self.shown,
            field.name(),
            self.place(place),
            type_name(field.data_type())
        ))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::csv::ReaderBuilder;
    use arrow::datatypes::{Field, Schema};
    use pleiad_core::records::{Dialect, Records, Step};
    use proptest::prelude::*;

    use super::*;

    /// The fields of a text that comes in pieces of `size`.
    fn ours(text: &str, size: usize) -> Vec<Vec<String>> {
        let mut records = Records::new(Dialect::default(), 1000, 0, 1);
        let mut pieces = text.as_bytes().chunks(size);
        let mut found = Vec::new();
        loop {
            match records.step().unwrap() {
                Step::Record => {
                    let record = records.record().unwrap();
                    found.push(record.values().map(|value| value.into_owned()).collect());
                }
                Step::More => match pieces.next() {
                    Some(piece) => records.push(piece),
                    None => records.end(),
                },
                Step::End => return found,
            }
        }
    }

    fn theirs(text: &str, width: usize) -> Vec<Vec<String>> {
        let fields = (0..width).map(|n| Field::new(n.to_string(), DataType::Utf8, true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let batches = ReaderBuilder::new(schema).build(text.as_bytes()).unwrap();
        let mut found = Vec::new();
        for batch in batches {
            let batch = batch.unwrap();
            let value = |column: &ArrayRef, row: usize| {
                let column = column.as_string::<i32>();
                if column.is_null(row) { String::new() } else { column.value(row).to_owned() }
            };
            let rows = 0..batch.num_rows();
            found.extend(rows.map(|row| batch.columns().iter().map(|c| value(c, row)).collect()));
        }
        found
    }

    proptest! {
        /// Where a text keeps to the RFC.
        #[test]
        fn arrow_cuts_a_text_alike(
            rows in prop::collection::vec(prop::collection::vec("[a,\"\n\r é]{0,6}", 3), 1..8),
            size in 1_usize..9,
        ) {
            let quoted = |value: &String| format!("\"{}\"", value.replace('"', "\"\""));
            let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
            let text: String = rows.iter().map(|row| line(row) + "\n").collect();
            prop_assert_eq!(ours(&text, size), theirs(&text, 3));
        }
    }
}
