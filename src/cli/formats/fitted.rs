//! `table` on a terminal: no line is longer than the terminal is wide.
//!
//! Long values are cut with an ellipsis. Columns that still do not fit are folded in the middle, where a
//! column `…` stands for them and the last line says how many. Floats have 6 significant digits, bytes are
//! `<1234 bytes>`. What is cut or rounded here is whole in every other format.

use std::io::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use comfy_table::{Cell, CellAlignment, Table};

use super::text::texts;
use super::{Format, OutputFormat, RowWriter};
use crate::cli::terminal::columns;
use crate::cli::visible::visible;

pub(in crate::cli) const FITTED: OutputFormat = &FittedFormat;

/// Letters of a value at most; more only where there is room.
const LONGEST: usize = 40;
/// Letters that a column has at least.
const SHORTEST: usize = 6;
/// Letters between two columns, and on both sides of all.
const BETWEEN: usize = 3;

#[derive(Debug)]
struct FittedFormat;

impl Format for FittedFormat {
    fn name(&self) -> &'static str {
        "table"
    }

    fn help(&self) -> &'static str {
        "A table as wide as the terminal"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[]
    }

    fn is_for_people(&self) -> bool {
        true
    }

    fn holds_several(&self) -> bool {
        true
    }

    fn begin<'a>(
        &self,
        schema: SchemaRef,
        max_rows: usize,
        out: &'a mut dyn Write,
    ) -> Result<Box<dyn RowWriter + 'a>, ArrowError> {
        let width = columns();
        Ok(Box::new(Rows { schema, out, width, shown: Vec::new(), left: max_rows, left_out: 0 }))
    }
}

struct Rows<'a> {
    schema: SchemaRef,
    out: &'a mut dyn Write,
    width: usize,
    shown: Vec<Vec<String>>,
    left: usize,
    left_out: usize,
}

impl RowWriter for Rows<'_> {
    fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let rows = batch.num_rows().min(self.left);
        self.left -= rows;
        self.left_out += batch.num_rows() - rows;
        if rows > 0 {
            self.shown.extend(short_texts(&batch.slice(0, rows))?);
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<usize, ArrowError> {
        let text = drawn(&self.schema, &self.shown, self.width);
        self.out.write_all(text.as_bytes())?;
        Ok(self.left_out)
    }
}

/// The rows of a batch, floats and bytes shortened.
fn short_texts(batch: &RecordBatch) -> Result<Vec<Vec<String>>, ArrowError> {
    let mut rows: Vec<Vec<String>> = texts(batch)?.collect();
    for (place, column) in batch.columns().iter().enumerate() {
        let float = |row: usize| match column.data_type() {
            DataType::Float64 => Some(column.as_primitive::<Float64Type>().value(row)),
            DataType::Float32 => Some(f64::from(column.as_primitive::<Float32Type>().value(row))),
            _ => None,
        };
        let bytes = |row: usize| match column.data_type() {
            DataType::Binary => Some(column.as_binary::<i32>().value(row).len()),
            DataType::LargeBinary => Some(column.as_binary::<i64>().value(row).len()),
            DataType::BinaryView => Some(column.as_binary_view().value(row).len()),
            _ => None,
        };
        for (row, texts) in rows.iter_mut().enumerate().filter(|(row, _)| column.is_valid(*row)) {
            if let Some(value) = float(row) {
                texts[place] = six_digits(value, &texts[place]);
            } else if let Some(bytes) = bytes(row) {
                texts[place] = format!("<{bytes} bytes>");
            }
        }
    }
    Ok(rows)
}

/// A float with 6 significant digits; shorter ones stay as they are.
fn six_digits(value: f64, text: &str) -> String {
    if !value.is_finite() || text.chars().filter(char::is_ascii_digit).count() <= 6 {
        return text.to_owned();
    }
    let rounded: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    match rounded.abs() {
        size if size != 0.0 && !(1e-4..1e15).contains(&size) => format!("{rounded:e}"),
        _ => rounded.to_string(),
    }
}

fn drawn(schema: &Schema, rows: &[Vec<String>], width: usize) -> String {
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let letters = |text: &String| visible(text).chars().count();
    let widths: Vec<usize> = (0..names.len())
        .map(|place| {
            let longest = rows.iter().map(|row| letters(&row[place])).max().unwrap_or(0);
            longest.max(letters(&names[place]))
        })
        .collect();
    let layout = Layout::of(&widths, width);
    let mut table = Table::new();
    table.load_preset("||--+-++|    ++++++");
    let cells = |texts: &[String]| -> Vec<Cell> {
        let cell = |place: &Option<usize>| match place {
            None => Cell::new("…"),
            Some(place) => {
                let is_number = schema.field(*place).data_type().is_numeric();
                let side = if is_number { CellAlignment::Right } else { CellAlignment::Left };
                let text = visible(&texts[*place]);
                Cell::new(cut(&text, layout.widths[*place])).set_alignment(side)
            }
        };
        layout.places.iter().map(cell).collect()
    };
    table.set_header(cells(&names));
    for row in rows {
        table.add_row(cells(row));
    }
    let mut text = format!("{table}\n");
    let shown = layout.places.iter().flatten().count();
    if shown < names.len() {
        text += &format!(
            "{shown} of {} columns shown: name some, make the terminal wider, or use \\x at the prompt\n",
            names.len()
        );
    }
    text
}

/// Which columns are shown, and how wide.
struct Layout {
    /// Columns by their number; `None` stands for those that are folded.
    places: Vec<Option<usize>>,
    /// Letters of each column.
    widths: Vec<usize>,
}

impl Layout {
    fn of(widths: &[usize], width: usize) -> Self {
        let whole = |widths: &mut dyn Iterator<Item = usize>| -> usize {
            widths.map(|width| width + BETWEEN).sum::<usize>() + 1
        };
        let all = || (0..widths.len()).map(Some).collect();
        if whole(&mut widths.iter().copied()) <= width {
            return Self { places: all(), widths: widths.to_vec() };
        }
        // The longest values give way first.
        let mut limit = LONGEST;
        let cut = |limit: usize| widths.iter().map(move |width| (*width).min(limit));
        while limit > SHORTEST * 2 && whole(&mut cut(limit)) > width {
            limit -= 1;
        }
        let narrow: Vec<usize> = cut(limit).collect();
        if whole(&mut narrow.iter().copied()) <= width {
            return Self { places: all(), widths: narrow };
        }
        // From both ends inwards, as long as there is room for the sign of the others.
        let mut room = width.saturating_sub(1 + 1 + BETWEEN);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let (mut first, mut last) = (0, narrow.len());
        while first < last {
            let from_left = left.len() <= right.len();
            let place = if from_left { first } else { last - 1 };
            let needed = narrow[place] + BETWEEN;
            if needed > room && !(left.is_empty() && right.is_empty()) {
                break;
            }
            room = room.saturating_sub(needed);
            if from_left {
                left.push(Some(place));
                first += 1;
            } else {
                right.push(Some(place));
                last -= 1;
            }
        }
        right.reverse();
        let places = left.into_iter().chain([None]).chain(right).collect();
        Self { places, widths: narrow }
    }
}

/// The first letters of a text, with an ellipsis if there are more.
fn cut(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(letters.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryArray, Float64Array, Int32Array, StringArray};

    use super::*;

    fn batch(columns: usize) -> RecordBatch {
        let values = (0..columns).map(|number| {
            let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 20]));
            (format!("column_{number}"), values)
        });
        RecordBatch::try_from_iter(values).expect("a batch")
    }

    fn text(batch: &RecordBatch, width: usize) -> String {
        drawn(&batch.schema(), &short_texts(batch).expect("texts"), width)
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in [1, 4, 7, 40] {
            for width in [40, 80, 200] {
                let text = text(&batch(columns), width);
                let table = text.lines().filter(|line| line.starts_with(['|', '+']));
                let widest = table.map(|line| line.chars().count()).max().unwrap_or(0);
                assert!(widest <= width, "{columns} columns in {width}:\n{text}");
            }
        }
    }

    #[test]
    fn columns_in_the_middle_are_folded_and_counted() {
        let text = text(&batch(40), 80);
        assert!(text.contains("column_0") && text.contains("column_39"), "{text}");
        assert!(text.contains('…') && !text.contains("column_20"), "{text}");
        assert!(text.contains(" of 40 columns shown"), "{text}");
    }

    #[test]
    fn long_values_floats_and_bytes_are_shortened() {
        let columns: [(&str, ArrayRef); 3] = [
            ("text", Arc::new(StringArray::from(vec!["word ".repeat(30), "short".into()]))),
            ("float", Arc::new(Float64Array::from(vec![911_775.534_340_665_7, 1.5]))),
            ("bytes", Arc::new(BinaryArray::from(vec![&[7_u8; 1234][..], &[]]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("a batch");
        let text = text(&batch, 80);
        assert!(text.contains("word w…") || text.contains("…"), "{text}");
        assert!(text.contains(" 911776 ") && text.contains(" 1.5 "), "{text}");
        assert!(text.contains("<1234 bytes>") && text.contains("<0 bytes>"), "{text}");
        assert!(text.contains(" short "), "{text}");
    }

    #[test]
    fn digits_are_significant() {
        let found = [0.000_012_345_678, 123_456_789.0, -0.5, f64::NAN, 1e300 / 3.0];
        let found = found.map(|value: f64| six_digits(value, &format!("{value:?}")));
        assert_eq!(found, ["1.23457e-5", "123457000", "-0.5", "NaN", "3.33333e299"]);
    }
}
