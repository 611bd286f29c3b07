//! Lines with a JSON object each, columns by the names of its members.
//!
//! A member goes to the column of its name, or to the one whose name differs only in case, if no other
//! member or column claims it. The line is checked here as a whole; the values of the wanted members are
//! then read by Arrow's JSON reader, which so sees one right object a line.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::reader::{Decoder as ArrowDecoder, ReaderBuilder};
use pleiad_core::json_led::Led;
use pleiad_core::json_line::{self, Broken, Kind, Member, Value};

use super::rows::Rows;
use crate::error::{Error, Result};

/// Above it integers and the floats that they may be written as are not one to one.
const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53

/// Rows that Arrow's reader holds at most: it takes memory for so many.
const HELD_ROWS: usize = 8192;

/// Rows that Arrow's reader makes of right objects.
pub(super) struct JsonRows {
    schema: SchemaRef,
    columns: Columns,
    decoder: ArrowDecoder,
    /// Objects that the decoder holds, for one that takes over from it.
    held: Vec<u8>,
    rows: usize,
    /// Rows that the decoder has room for.
    capacity: usize,
    /// What decoders before this one have read.
    done: Vec<RecordBatch>,
    inexact: u64,
}

impl JsonRows {
    /// For about so many lines.
    pub(super) fn new(schema: &SchemaRef, lines: usize) -> Result<Self> {
        let fields = schema.flattened_fields();
        if let Some(field) = fields.into_iter().find(|field| is_binary(field.data_type())) {
            return Err(Error::usage(format!(
                "column '{}' is binary, which no value of JSON is: declare it as VARCHAR",
                field.name()
            )));
        }
        let capacity = lines.clamp(1, HELD_ROWS);
        Ok(Self {
            schema: Arc::clone(schema),
            columns: Columns::of(schema),
            decoder: decoder(schema, capacity)?,
            capacity,
            held: Vec::new(),
            rows: 0,
            done: Vec::new(),
            inexact: 0,
        })
    }

    /// How `line` is written, unless it is bad.
    pub(super) fn learn(&self, line: &str) -> Option<Led> {
        let found = self.columns.find(line).ok()?;
        let goes_to = |begin| {
            found.iter().position(|value| value.is_some_and(|(value, _)| value.begin == begin))
        };
        Led::learn(line, |member| goes_to(member.value.begin))
    }

    /// Gives an object to the decoder.
    fn give(&mut self, object: &str) -> Result<(), String> {
        if self.rows == self.capacity {
            self.flush().map_err(|error| error.to_string())?;
        }
        let read = self.decoder.decode(object.as_bytes());
        let is_one = self.decoder.len() == self.rows + 1 && !self.decoder.has_partial_record();
        match read {
            Ok(length) if length == object.len() && is_one => {
                self.held.extend_from_slice(object.as_bytes());
                self.rows += 1;
                Ok(())
            }
            Ok(_) => Err("it is not one object".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Puts a new decoder in the place of one that a line has spoilt.
    fn replace_decoder(&mut self) -> Result<()> {
        self.decoder = decoder(&self.schema, self.capacity)?;
        self.decoder.decode(&self.held).map_err(no_reader)?;
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.done.extend(self.decoder.flush().map_err(no_reader)?);
        self.held.clear();
        self.rows = 0;
        Ok(())
    }
}

impl Rows for JsonRows {
    fn add(&mut self, line: &str) -> Result<(), String> {
        let found = self.columns.find(line)?;
        let object = self.columns.object(&found);
        if let Err(reason) = self.give(&object) {
            self.replace_decoder().map_err(|error| error.to_string())?;
            return Err(reason);
        }
        self.inexact += self.columns.inexact(&found);
        Ok(())
    }

    fn add_nulls(&mut self) -> Result<()> {
        self.give("{}\n").map_err(Error::internal)
    }

    fn finish(mut self: Box<Self>) -> Result<(RecordBatch, u64)> {
        self.flush()?;
        let batch = match self.done.len() {
            1 => self.done.remove(0),
            _ => concat_batches(&self.schema, &self.done).map_err(no_reader)?,
        };
        Ok((batch, self.inexact))
    }
}

fn decoder(schema: &SchemaRef, rows: usize) -> Result<ArrowDecoder> {
    let builder = ReaderBuilder::new(Arc::clone(schema));
    let builder = builder.with_batch_size(rows).with_ignore_type_conflicts(true);
    builder.build_decoder().map_err(|error| {
        Error::usage(format!("the columns cannot be read from JSON: {error}: use other types"))
    })
}

fn no_reader(error: ArrowError) -> Error {
    Error::internal("right objects cannot be read").caused_by(error)
}

/// The columns by the names of members.
struct Columns {
    /// Each name as an object holds it, in quotes.
    quoted: Vec<String>,
    exact: HashMap<String, usize>,
    /// By lower case; nothing where several columns differ only in case.
    folded: HashMap<String, Option<usize>>,
    is_integer: Vec<bool>,
}

/// The values of the columns that a line has.
type Found<'a> = Vec<Option<(Value<'a>, bool)>>;

impl Columns {
    fn of(schema: &SchemaRef) -> Self {
        let names = || schema.fields().iter().map(|field| field.name()).enumerate();
        let mut folded = HashMap::new();
        for (column, name) in names() {
            let one = folded.entry(name.to_lowercase()).or_insert(Some(column));
            *one = one.filter(|first| *first == column);
        }
        let is_integer = |data_type: &DataType| data_type.is_integer() || is_timestamp(data_type);
        Self {
            quoted: names()
                .map(|(_, name)| serde_json::Value::from(name.as_str()).to_string())
                .collect(),
            exact: names().map(|(column, name)| (name.clone(), column)).collect(),
            folded,
            is_integer: schema.fields().iter().map(|f| is_integer(f.data_type())).collect(),
        }
    }

    /// Checks the line and takes the values of the columns from it.
    fn find<'a>(&self, line: &'a str) -> Result<Found<'a>, String> {
        let mut found: Found<'a> = vec![None; self.quoted.len()];
        let mut twice = None;
        json_line::members(line, |Member { key, value }| {
            let name = json_line::unescaped(&key);
            let exact = self.exact.get(name.as_ref()).copied();
            let column = exact.or_else(|| self.folded.get(&name.to_lowercase()).copied().flatten());
            let Some(column) = column else { return };
            match found[column] {
                Some((_, is_exact)) if is_exact == exact.is_some() => {
                    twice = Some(name.into_owned())
                }
                Some((_, true)) => {}
                _ => found[column] = Some((value, exact.is_some())),
            }
        })
        .map_err(|Broken { what, at }| format!("it has {what} at byte {}", at + 1))?;
        match twice {
            Some(name) => Err(format!("it has two members named '{name}'")),
            None => Ok(found),
        }
    }

    /// An object of the values found, under the names of the columns.
    fn object(&self, found: &Found<'_>) -> String {
        let mut object = String::from("{");
        for (name, value) in self.quoted.iter().zip(found) {
            let Some((value, _)) = value else { continue };
            let quote = if value.kind == Kind::Text { "\"" } else { "" };
            let comma = if object.len() > 1 { "," } else { "" };
            let written = value.written;
            write!(object, "{comma}{name}:{quote}{written}{quote}").expect("a String takes all");
        }
        object.push_str("}\n");
        object
    }

    fn inexact(&self, found: &Found<'_>) -> u64 {
        let values = self.is_integer.iter().zip(found).filter(|(is_integer, _)| **is_integer);
        let numbers = values.filter_map(|(_, value)| value.filter(|(v, _)| v.kind == Kind::Number));
        numbers.map(|(value, _)| u64::from(is_inexact(value.written))).sum()
    }
}

fn is_timestamp(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..))
}

fn is_binary(data_type: &DataType) -> bool {
    data_type.is_binary() || matches!(data_type, DataType::FixedSizeBinary(_))
}

/// Whether an integer is written so that it is read as a float that other integers share.
fn is_inexact(written: &str) -> bool {
    written.contains(['.', 'e', 'E'])
        && written.parse::<f64>().is_ok_and(|value| value.abs() > EXACT)
}
