//! Right ascension and declination: which columns they are, and their values as SQL.

use std::f64::consts::TAU;

use arrow::datatypes::{DataType, SchemaRef};

use super::options::{AngleUnit, Params};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::session::quote_identifier;
use crate::table::SourceTable;

/// Names of coordinates, the first that a table has; case does not matter.
const KNOWN: [[&str; 2]; 7] = [
    ["ra", "decl"],
    ["ra", "dec"],
    ["_ra.icrs", "_de.icrs"],
    ["ra_icrs", "de_icrs"],
    ["raj2000", "dej2000"],
    ["ra_ps", "decl_ps"],
    ["lon", "lat"],
];
/// Where the LSST tables of 2017 have them, without header and schema; only a preset of 2017 asks for them.
const UNNAMED: [&str; 2] = ["column_7", "column_10"];

/// Fewer rows than this say nothing about their unit.
pub(crate) const MANY_ROWS: u64 = 20;
/// A turn in radians, and what rotations round.
pub(crate) const A_TURN: f64 = TAU * (1.0 + 1e-9);

/// What is said of degrees that are all within a turn in radians of 0.
pub(crate) fn may_be_radians() -> Event {
    Event::Warning(
        "all positions are within 6.2832 of 0: if they are radians, pass --unit rad".to_owned(),
    )
}

/// The names of right ascension and declination.
pub(super) fn named(table: &SourceTable, params: &Params) -> Result<[String; 2]> {
    let fields = || table.schema.fields().iter();
    let names = match (&params.options().ra, &params.options().dec) {
        (Some(ra), Some(dec)) => {
            table.column(ra)?;
            table.column(dec)?;
            [ra.clone(), dec.clone()]
        }
        _ => {
            let find = |known: &str| {
                let same = fields().find(|field| field.name().eq_ignore_ascii_case(known));
                same.map(|field| field.name().clone())
            };
            let of = |[ra, dec]: &[&str; 2]| Some([find(ra)?, find(dec)?]);
            let is_of_2017 = params.options().preset.is_some();
            let known = KNOWN.iter().chain(is_of_2017.then_some(&UNNAMED));
            let mut found: Vec<_> = known.filter_map(of).collect();
            // Numbers before text: a catalogue may have 10:45:03 in one pair and 161.26 in another.
            found.sort_by_key(|names| names.iter().any(|name| is_string(&table.schema, name)));
            found.into_iter().next().ok_or_else(|| {
                table.missing("coordinates such as 'ra' and 'decl' (name them with --ra and --dec)")
            })?
        }
    };
    for name in &names {
        let found = table.schema.field_with_name(name)?.data_type();
        if !found.is_numeric() && !is_string(&table.schema, name) {
            return Err(Error::data(format!(
                "column '{name}' of '{}' is {found}, expected a number",
                table.name
            )));
        }
    }
    Ok(names)
}

pub(super) fn is_string(schema: &SchemaRef, name: &str) -> bool {
    schema.field_with_name(name).is_ok_and(|field| {
        matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
    })
}

/// A column as SQL; the words for NULL in text files are NULL.
pub(super) fn as_written(schema: &SchemaRef, name: &str, is_text: bool) -> String {
    let quoted = quote_identifier(name);
    if is_text && is_string(schema, name) {
        return format!("CASE WHEN {quoted} IN ('NULL', '\\N', '') THEN NULL ELSE {quoted} END");
    }
    quoted
}

/// Both coordinates as SQL that are numbers: of text, NULL where it is none. Sexagesimal right ascensions are
/// in hours and become degrees, if degrees are expected.
pub(super) fn numbers(values: [&str; 2], are_text: [bool; 2], unit: AngleUnit) -> [String; 2] {
    [0, 1].map(|axis| {
        let value = values[axis];
        match (are_text[axis], unit) {
            (false, _) => format!("CAST({value} AS DOUBLE)"),
            (true, AngleUnit::Rad) => format!("TRY_CAST({value} AS DOUBLE)"),
            (true, AngleUnit::Deg) if axis == 0 => format!("angle_deg({value}, 'hour')"),
            (true, AngleUnit::Deg | AngleUnit::Hour) => format!("angle_deg({value}, 'deg')"),
        }
    })
}

/// Right ascension and declination of a stored table as SQL, in degrees.
pub(crate) fn stored_position(
    schema: &SchemaRef,
    names: [&str; 2],
    unit: AngleUnit,
) -> [String; 2] {
    let values = names.map(quote_identifier);
    let are_text = names.map(|name| is_string(schema, name));
    in_degrees(numbers([&values[0], &values[1]], are_text, unit), unit)
}

/// Why a row has no position: what is written, then what it is as a number.
pub(super) fn fault(written: &[String; 2], numbers: &[String; 2]) -> String {
    format!(
        "CASE WHEN {} IS NULL OR {} IS NULL THEN 'null' \
         WHEN {} IS NULL OR {} IS NULL THEN 'not_a_number' \
         ELSE position_fault(${{ra}}, ${{dec}}) END",
        written[0], written[1], numbers[0], numbers[1]
    )
}

/// Right ascension and declination as SQL, in degrees.
pub(crate) fn in_degrees([ra, dec]: [String; 2], unit: AngleUnit) -> [String; 2] {
    match unit {
        AngleUnit::Deg => [ra, dec],
        AngleUnit::Rad => [format!("degrees({ra})"), format!("degrees({dec})")],
        AngleUnit::Hour => [format!("({ra} * 15)"), dec],
    }
}
