//! Types in a word or two, as people say them.

use arrow::datatypes::{DataType, TimeUnit};

/// A type in a word or two: `text`, `bool`, `int64`, `float64`, `date`, `time(us)`, `timestamp(us)`,
/// `timestamp(us, UTC)`; of a dictionary that of its values; rarer ones as Arrow prints them.
pub fn type_name(data_type: &DataType) -> String {
    let unit_name = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("time({})", unit_name(unit)),
        DataType::Timestamp(unit, None) => format!("timestamp({})", unit_name(unit)),
        DataType::Timestamp(unit, Some(zone)) => format!("timestamp({}, {zone})", unit_name(unit)),
        DataType::Dictionary(_, value) => type_name(value),
        other if other.is_integer() || other.is_floating() => other.to_string().to_lowercase(),
        other => other.to_string(),
    }
}

/// The types of columns of text files that a user may name.
pub const TEXT_TYPES: [DataType; 7] = [
    DataType::Utf8,
    DataType::Int64,
    DataType::Float64,
    DataType::Boolean,
    DataType::Date32,
    DataType::Timestamp(TimeUnit::Microsecond, None),
    DataType::UInt64,
];

/// The type of this name, see [`type_name`], of those that columns of text files have.
pub fn type_named(name: &str) -> Option<DataType> {
    TEXT_TYPES.into_iter().find(|data_type| type_name(data_type) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_short_names() {
        let cases = [
            (DataType::Utf8, "text"),
            (DataType::Int64, "int64"),
            (DataType::Float32, "float32"),
            (DataType::Boolean, "bool"),
            (DataType::Timestamp(TimeUnit::Microsecond, None), "timestamp(us)"),
            (DataType::Timestamp(TimeUnit::Second, Some("UTC".into())), "timestamp(s, UTC)"),
            (DataType::Time64(TimeUnit::Nanosecond), "time(ns)"),
            (DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()), "text"),
            (DataType::Decimal128(10, 2), "Decimal128(10, 2)"),
        ];
        for (data_type, expected) in cases {
            assert_eq!(type_name(&data_type), expected);
        }
    }
}
