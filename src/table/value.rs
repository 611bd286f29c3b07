//! Key values and bounds as text: as they appear in a path, a manifest and a message.
//!
//! Text is what the engine's cast to text gives, so reading it back by the declared type gives the
//! same value: integers in decimal, dates as `2024-02-29`, timestamps as RFC 3339.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use crate::error::{Error, Result};

/// The text of `value`.
pub(crate) fn to_text(value: &ScalarValue) -> Result<String> {
    if let Some(text) = value.try_as_str().flatten() {
        return Ok(text.to_owned());
    }
    match value.cast_to(&DataType::Utf8) {
        Ok(ScalarValue::Utf8(Some(text))) => Ok(text),
        _ => Err(Error::internal(format!("{value:?} has no text"))),
    }
}

/// The value of type `data_type` that `text` stands for.
pub(crate) fn from_text(text: &str, data_type: &DataType) -> Result<ScalarValue> {
    ScalarValue::try_from_string(text.to_owned(), data_type).map_err(|cause| {
        Error::data(format!("'{text}' is not a value of type {data_type}")).caused_by(cause)
    })
}

/// Refuses types that cannot be a Hive key: a key must have one text for one value.
pub(crate) fn check_key_type(name: &str, data_type: &DataType) -> Result<()> {
    match data_type {
        DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Date32
        | DataType::Timestamp(_, _)
        | DataType::Decimal128(_, _) => Ok(()),
        other if other.is_integer() => Ok(()),
        other => Err(Error::usage(format!(
            "column '{name}' has type {other} and cannot be a key: expected an integer, text, \
             a date, a timestamp, a decimal or a boolean"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(value: &ScalarValue) {
        let text = to_text(value).unwrap();
        assert_eq!(from_text(&text, &value.data_type()).unwrap(), *value, "by way of '{text}'");
    }

    proptest! {
        #[test]
        fn text_reads_back_as_the_same_value(
            int in any::<i64>(), unsigned in any::<u64>(), text in any::<String>(), days in -700_000..700_000,
            micros in -60_000_000_000_000_000_i64..250_000_000_000_000_000, yes in any::<bool>(),
            float in any::<f64>().prop_filter("NaN differs from itself", |f| !f.is_nan()),
        ) {
            check(&ScalarValue::Int64(Some(int)));
            check(&ScalarValue::UInt64(Some(unsigned)));
            check(&ScalarValue::Utf8(Some(text)));
            check(&ScalarValue::Date32(Some(days)));
            check(&ScalarValue::Boolean(Some(yes)));
            check(&ScalarValue::Float64(Some(float)));
            check(&ScalarValue::TimestampMicrosecond(Some(micros), None));
            check(&ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
            check(&ScalarValue::Decimal128(Some(i128::from(int)), 22, 3));
        }
    }

    #[test]
    fn a_float_cannot_be_a_key() {
        let error = check_key_type("ra", &DataType::Float64).unwrap_err();
        assert!(error.to_string().starts_with("column 'ra' has type Float64"), "{error}");
        check_key_type("at", &DataType::Timestamp(TimeUnit::Second, None)).unwrap();
    }
}
