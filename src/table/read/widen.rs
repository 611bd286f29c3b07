//! One type for a column whose files have several.
//!
//! Columns are the same by name. What both types hold without loss is their common type: the wider of two
//! integers, floats or decimals, a timestamp of the finer unit, text for any encoding of it. A column of NULLs
//! has any type, and one that a file lacks is NULL there. Integers become floats only where the bounds
//! of their files say that a float holds each of them. docs/storage.md has the list.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics};

use crate::error::{Error, Result};
use crate::table::types::type_name;

/// Up to here every integer is a double.
const EXACT_INTEGERS: i128 = 1 << 53;

/// The columns of several files.
#[derive(Default)]
pub(super) struct Widened {
    columns: Vec<Column>,
    files: usize,
}

/// A column, and what its files are like.
struct Column {
    field: Field,
    /// The file that had it first.
    first: String,
    /// The first file whose integers may be too large for a double.
    large: Option<String>,
    /// The first file that holds floats.
    floats: Option<String>,
}

impl Widened {
    /// Adds the columns of a file: one that a file lacks is NULL there.
    ///
    /// # Errors
    /// A column whose types have none in common; it names both files and types.
    pub(super) fn add(&mut self, file: &str, fields: &Fields, known: &Statistics) -> Result<()> {
        for Column { field, .. } in &mut self.columns {
            if fields.find(field.name()).is_none() {
                field.set_nullable(true);
            }
        }
        for (place, new) in fields.iter().enumerate() {
            let bounds = known.column_statistics.get(place);
            let is_large = is_long(new.data_type())
                && !bounds.is_some_and(|bounds| {
                    is_exact(&bounds.min_value) && is_exact(&bounds.max_value)
                })
                && known.num_rows != Precision::Exact(0);
            let large = is_large.then(|| file.to_owned());
            let floats = new.data_type().is_floating().then(|| file.to_owned());
            let found = self.columns.iter_mut().find(|column| column.field.name() == new.name());
            let Some(column) = found else {
                let field = new.as_ref().clone().with_nullable(new.is_nullable() || self.files > 0);
                self.columns.push(Column { field, first: file.to_owned(), large, floats });
                continue;
            };
            let Some(data_type) = common(column.field.data_type(), new.data_type()) else {
                return Err(unlike(new.name(), (file, new.data_type()), column));
            };
            column.field.set_data_type(data_type);
            column.field.set_nullable(column.field.is_nullable() || new.is_nullable());
            column.large = column.large.take().or(large);
            column.floats = column.floats.take().or(floats);
        }
        self.files += 1;
        Ok(())
    }

    /// The columns, in the order in which they came.
    ///
    /// # Errors
    /// Integers that a float may not hold.
    pub(super) fn fields(self) -> Result<Vec<Field>> {
        let field = |column: Column| match (column.field.data_type(), &column.large, &column.floats)
        {
            (found, Some(large), Some(floats)) if found.is_floating() => Err(Error::data(format!(
                "column '{}' holds floats in '{floats}', and integers in '{large}' that may be beyond 2^53, \
                 which no float holds: read them one by one, each with a CAST to the same type",
                column.field.name()
            ))),
            _ => Ok(column.field),
        };
        self.columns.into_iter().map(field).collect()
    }
}

fn unlike(name: &str, (file, found): (&str, &DataType), column: &Column) -> Error {
    let (known, first) = (type_name(column.field.data_type()), &column.first);
    Error::data(format!(
        "column '{name}' is {} in '{file}' and {known} in '{first}': read them one by one, each with a \
         CAST to the same type",
        type_name(found)
    ))
}

fn is_long(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::UInt64)
}

fn is_exact(bound: &Precision<ScalarValue>) -> bool {
    let number = match bound.get_value() {
        Some(ScalarValue::Int64(Some(number))) => i128::from(*number),
        Some(ScalarValue::UInt64(Some(number))) => i128::from(*number),
        _ => return false,
    };
    number.abs() <= EXACT_INTEGERS
}

/// The type that holds every value of both.
pub(super) fn common(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::{
        Binary, Date32, Decimal128, Dictionary, Float64, LargeBinary, LargeList, LargeUtf8, List,
        Null, Struct, Timestamp, Utf8,
    };
    Some(match (one, other) {
        (one, other) if one == other => one.clone(),
        (Null, known) | (known, Null) => known.clone(),
        (Dictionary(_, value), other) | (other, Dictionary(_, value)) => common(value, other)?,
        (Utf8 | LargeUtf8, Utf8 | LargeUtf8) => LargeUtf8,
        (Binary | LargeBinary, Binary | LargeBinary) => LargeBinary,
        (one, other) if one.is_integer() && other.is_integer() => integers(one, other)?,
        (one, other) if one.is_floating() && other.is_floating() => {
            if float_bits(one) >= float_bits(other) { one.clone() } else { other.clone() }
        }
        (number, float) | (float, number) if number.is_integer() && float.is_floating() => Float64,
        (known @ Decimal128(..), other) | (other, known @ Decimal128(..))
            if is_exact_number(other) =>
        {
            decimals(known, other)?
        }
        (Timestamp(unit, zone), Timestamp(other, same)) if zone == same => {
            Timestamp(finer(*unit, *other), zone.clone())
        }
        (Date32, Timestamp(unit, None)) | (Timestamp(unit, None), Date32) => Timestamp(*unit, None),
        (Struct(one), Struct(other)) => Struct(members(one, other)?),
        (List(one), List(other)) => List(item(one, other)?),
        (LargeList(one), LargeList(other)) => LargeList(item(one, other)?),
        _ => return None,
    })
}

fn item(one: &FieldRef, other: &FieldRef) -> Option<FieldRef> {
    let nullable = one.is_nullable() || other.is_nullable();
    Some(Arc::new(Field::new(one.name(), common(one.data_type(), other.data_type())?, nullable)))
}

/// The members of both, by name.
fn members(one: &Fields, other: &Fields) -> Option<Fields> {
    let mut members: Vec<FieldRef> = Vec::new();
    for field in one {
        members.push(match other.find(field.name()) {
            Some((_, same)) => item(field, same)?,
            None => Arc::new(field.as_ref().clone().with_nullable(true)),
        });
    }
    let new = other.iter().filter(|field| one.find(field.name()).is_none());
    members.extend(new.map(|field| Arc::new(field.as_ref().clone().with_nullable(true))));
    Some(members.into())
}

fn integers(one: &DataType, other: &DataType) -> Option<DataType> {
    let [bits, other_bits] = [one, other].map(|found| found.primitive_width().unwrap_or(0) * 8);
    if one.is_signed_integer() == other.is_signed_integer() {
        return Some(if bits >= other_bits { one.clone() } else { other.clone() });
    }
    let (signed, unsigned) =
        if one.is_signed_integer() { (bits, other_bits) } else { (other_bits, bits) };
    Some(match signed.max(2 * unsigned) {
        0..=8 => DataType::Int8,
        16 => DataType::Int16,
        32 => DataType::Int32,
        64 => DataType::Int64,
        _ => DataType::Decimal128(20, 0),
    })
}

fn float_bits(data_type: &DataType) -> usize {
    data_type.primitive_width().unwrap_or(0)
}

fn is_exact_number(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Decimal128(..))
}

/// The decimal with the digits of both before and after the point.
fn decimals(one: &DataType, other: &DataType) -> Option<DataType> {
    let digits = |found: &DataType| match found {
        DataType::Decimal128(precision, scale) => {
            Some((i16::from(*precision) - i16::from(*scale), i16::from(*scale)))
        }
        DataType::Int8 | DataType::UInt8 => Some((3, 0)),
        DataType::Int16 | DataType::UInt16 => Some((5, 0)),
        DataType::Int32 | DataType::UInt32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        _ => None,
    };
    let ((before, after), (other_before, other_after)) = (digits(one)?, digits(other)?);
    let (before, after) = (before.max(other_before), after.max(other_after));
    let precision = u8::try_from(before + after).ok()?;
    let scale = i8::try_from(after).ok()?;
    match precision {
        0..=38 => Some(DataType::Decimal128(precision, scale)),
        39..=76 => Some(DataType::Decimal256(precision, scale)),
        _ => None,
    }
}

fn finer(one: TimeUnit, other: TimeUnit) -> TimeUnit {
    let rank = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    };
    if rank(&one) >= rank(&other) { one } else { other }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(DataType::Int32, DataType::Int64, Some(DataType::Int64))]
    #[case(DataType::UInt8, DataType::Int8, Some(DataType::Int16))]
    #[case(DataType::UInt32, DataType::Int16, Some(DataType::Int64))]
    #[case(DataType::UInt64, DataType::Int64, Some(DataType::Decimal128(20, 0)))]
    #[case(DataType::Float32, DataType::Float64, Some(DataType::Float64))]
    #[case(DataType::Int16, DataType::Float32, Some(DataType::Float64))]
    #[case(DataType::Null, DataType::Utf8, Some(DataType::Utf8))]
    #[case(DataType::Utf8, DataType::LargeUtf8, Some(DataType::LargeUtf8))]
    #[case(
        DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()),
        DataType::Utf8,
        Some(DataType::Utf8)
    )]
    #[case(
        DataType::Decimal128(10, 2),
        DataType::Decimal128(8, 4),
        Some(DataType::Decimal128(12, 4))
    )]
    #[case(DataType::Decimal128(10, 2), DataType::Int64, Some(DataType::Decimal128(21, 2)))]
    #[case(DataType::Decimal128(38, 30), DataType::Int64, Some(DataType::Decimal256(49, 30)))]
    #[case(DataType::Decimal128(10, 2), DataType::Float64, None)]
    #[case(DataType::Boolean, DataType::Int64, None)]
    #[case(DataType::Utf8, DataType::Int64, None)]
    #[case(
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Nanosecond, None),
        Some(DataType::Timestamp(TimeUnit::Nanosecond, None))
    )]
    #[case(
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        None
    )]
    fn the_common_type_holds_both(
        #[case] one: DataType,
        #[case] other: DataType,
        #[case] expected: Option<DataType>,
    ) {
        assert_eq!(common(&one, &other), expected);
        assert_eq!(common(&other, &one), expected);
    }
}
