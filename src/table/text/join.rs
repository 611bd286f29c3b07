//! One table of several text files: columns by name, of the types that hold the values of all.
//!
//! A column that a file lacks is NULL in its rows; where the files write their columns in different orders,
//! that of the first counts.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};

use super::format::{Lines, TextColumn, TextFile};
use super::shape::Shape;

/// The columns of the table; all files are of one format.
pub(crate) fn fields<'a>(files: impl Iterator<Item = &'a TextFile>) -> Vec<Field> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut columns: Vec<TextColumn> = Vec::new();
    let mut shape = Shape::default();
    for file in files {
        let lines = match &file.lines {
            Lines::Csv(lines) => lines,
            Lines::Json(lines) => {
                shape.merge(&lines.shape);
                continue;
            }
        };
        for column in lines.columns.iter() {
            match places.get(&column.name) {
                Some(place) => merge(&mut columns[*place], column),
                None => {
                    places.insert(column.name.clone(), columns.len());
                    columns.push(column.clone());
                }
            }
        }
    }
    let members = shape.members().iter();
    let members = members.map(|(name, shape)| Field::new(name, shape.data_type(), true));
    columns.iter().map(TextColumn::field).chain(members).collect()
}

/// A type that one file says of itself holds for all only if the values of all obey.
fn merge(column: &mut TextColumn, other: &TextColumn) {
    let fits = |data_type: &DataType, one: &TextColumn| {
        one.declared.as_ref() == Some(data_type)
            || (one.declared.is_none() && one.seen.fits(data_type))
    };
    let declared = column.declared.clone().filter(|data_type| fits(data_type, other));
    let declared =
        declared.or_else(|| other.declared.clone().filter(|data_type| fits(data_type, column)));
    column.declared = declared;
    column.seen = column.seen.and(other.seen);
}

/// The columns that some files lack: the name of each, and the number of files without it.
pub(crate) fn missing<'a>(
    fields: &[Field],
    files: impl Iterator<Item = &'a TextFile>,
) -> Vec<(String, usize)> {
    let (mut found, mut total) = (HashMap::<&str, usize>::new(), 0);
    for file in files {
        total += 1;
        if let Lines::Csv(lines) = &file.lines {
            for column in lines.columns.iter() {
                *found.entry(column.name.as_str()).or_default() += 1;
            }
        }
    }
    let lacking = fields.iter().filter_map(|field| {
        let has = found.get(field.name().as_str()).copied()?;
        (has < total).then(|| (field.name().clone(), total - has))
    });
    lacking.collect()
}
