//! Hive paths: `key=value` directories, and the names of data files.
//!
//! Every byte but ASCII letters, digits, `_`, `-` and `.` is written as `%XX` of its UTF-8 form, so a
//! value never makes a second segment and every known reader decodes it. The empty text is
//! `key=`. The text `__HIVE_DEFAULT_PARTITION__`, which other readers take for NULL, is written
//! with its first underscore escaped; NULL itself has no path here, it is an error of the write.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::commit::names::{DATA_ENDING, RENDERINGS, data_of};
use crate::error::{Error, Result};

/// What other programs write for a NULL key.
pub const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The longest file or directory name common file systems take, in bytes.
const MAX_NAME_BYTES: usize = 255;

/// The longest path below the dataset; the longest S3 key is 1024 bytes, location included.
const MAX_PATH_BYTES: usize = 900;

/// The directory name `key=value`.
///
/// # Errors
/// If it is longer than 255 bytes.
pub fn encode(key: &str, value: &str) -> Result<String> {
    let mut name = String::with_capacity(key.len() + value.len() + 1);
    escape(key, &mut name);
    name.push('=');
    match value.strip_prefix('_') {
        Some(rest) if value == HIVE_NULL => name.extend(["%5F", rest]),
        _ => escape(value, &mut name),
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(Error::data(format!(
            "value '{:.40}…' of key '{key}' needs a directory name of {} bytes, expected at most \
             {MAX_NAME_BYTES}: choose a shorter key",
            value.escape_debug().to_string(),
            name.len()
        )));
    }
    Ok(name)
}

/// The key and value of a directory name, or `None` if it is not of the form `key=value`.
pub fn decode(name: &str) -> Option<(String, String)> {
    let (key, value) = name.split_once('=')?;
    if key.is_empty() {
        return None;
    }
    Some((unescape(key)?, unescape(value)?))
}

/// What text keys of a directory are, where nothing declares it: integers if all values are, or dates; else
/// text. NULL is any of these.
pub(crate) fn type_of<'a>(values: impl Iterator<Item = &'a ScalarValue> + Clone) -> DataType {
    let known = values.filter(|value| !value.is_null());
    let is_integer = |value: &ScalarValue| match value {
        ScalarValue::Utf8(Some(text)) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            digits.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_ok()
        }
        _ => false,
    };
    let is_date = |value: &ScalarValue| match value {
        ScalarValue::Utf8(Some(text)) => {
            let is_shaped = text.bytes().enumerate().all(|(place, byte)| match place {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
            let has_day = |value: ScalarValue| !value.is_null();
            text.len() == 10 && is_shaped && value.cast_to(&DataType::Date32).is_ok_and(has_day)
        }
        _ => false,
    };
    match known.clone().next() {
        None => DataType::Utf8,
        Some(_) if known.clone().all(is_integer) => DataType::Int64,
        Some(_) if known.clone().all(is_date) => DataType::Date32,
        Some(_) => DataType::Utf8,
    }
}

/// The value that the text of a path stands for.
pub(crate) fn key_value(text: String) -> ScalarValue {
    ScalarValue::Utf8((text != HIVE_NULL).then_some(text))
}

/// The value of a key as the path of a file writes it.
pub(crate) fn text_in(path: &str, key: &str) -> Option<String> {
    let pairs = path.split('/').rev().filter_map(decode);
    pairs.filter(|(name, _)| name == key).map(|(_, value)| value).next()
}

/// The path, below the dataset, of a new file of `table` with these key values. Files of one run with a
/// `part` sort by it.
pub(crate) fn file_path(
    table: &str,
    partition: &[(&str, String)],
    run: &str,
    part: Option<u32>,
) -> Result<String> {
    let mut path = String::new();
    if !table.is_empty() {
        path.extend([table, "/"]);
    }
    for (key, value) in partition {
        path.extend([encode(key, value)?.as_str(), "/"]);
    }
    let part = part.map(|part| format!("{part:08x}-")).unwrap_or_default();
    path.push_str(&format!("{}{part}{:08x}{DATA_ENDING}", data_of(run), next_number()));
    if path.len() > MAX_PATH_BYTES {
        return Err(Error::data(format!(
            "path '{path:.60}…' has {} bytes, expected at most {MAX_PATH_BYTES}: choose shorter keys",
            path.len()
        )));
    }
    Ok(path)
}

/// Refuses table names that cannot be directories of a dataset.
pub(crate) fn check_table_name(name: &str) -> Result<()> {
    let is_fine = |segment: &str| {
        !segment.starts_with(['_', '.', '-'])
            && !segment.is_empty()
            && segment.len() <= MAX_NAME_BYTES
            && segment.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    if name.is_empty() || (name.split('/').all(is_fine) && !RENDERINGS.contains(&name)) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "'{}' is not a table name: expected letters, digits, '_', '-' and '.', '/' between \
         segments, a letter or digit first, and none of the names {}",
        name.escape_debug(),
        RENDERINGS.join(", ")
    )))
}

/// Whether readers pass over files and directories of this name.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with(['_', '.']) && !name.contains('=')
}

/// A number no other file of this process has; processes start at random.
fn next_number() -> u32 {
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(rand::random()));
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn escape(text: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' => {
                into.push(char::from(byte))
            }
            _ => into.extend([
                '%',
                char::from(HEX[usize::from(byte >> 4)]),
                char::from(HEX[usize::from(byte & 15)]),
            ]),
        }
    }
}

/// Decodes every `%XX`; a `%` before anything else stands for itself, as in Spark.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let pair =
            others.get(..2).filter(|pair| *first == b'%' && pair.iter().all(u8::is_ascii_hexdigit));
        let decoded = pair.and_then(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
        match decoded {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn decoding_undoes_encoding(key in "\\PC{1,20}", value: String) {
            if let Ok(name) = encode(&key, &value) {
                prop_assert_eq!(decode(&name), Some((key, value)));
            }
        }

        #[test]
        fn a_value_makes_exactly_one_plain_segment(value: String) {
            if let Ok(name) = encode("k", &value) {
                prop_assert!(object_store::path::Path::parse(&name).unwrap().parts().count() == 1);
                prop_assert!(name.is_ascii() && !name.contains('/') && name != "." && name != "..");
            }
        }
    }

    #[test]
    fn awkward_values_stay_apart() {
        let values = ["", HIVE_NULL, "/", "=", "%", "%2F", "../x", "a\"b\n", "é\u{1f980}", " "];
        let names: std::collections::HashSet<_> = values.map(|v| encode("k=y", v).unwrap()).into();
        assert_eq!(names.len(), values.len());
        assert!(names.contains("k%3Dy=") && names.contains("k%3Dy=%2F"), "{names:?}");
        assert!(names.iter().all(|name| !name.ends_with(HIVE_NULL)));
        for value in values {
            assert_eq!(decode(&encode("k=y", value).unwrap()).unwrap().1, value);
        }
    }

    #[test]
    fn a_name_too_long_is_refused() {
        encode("k", &"x".repeat(253)).unwrap();
        let error = encode("k", &"x".repeat(1025)).unwrap_err();
        assert!(error.to_string().contains("1027 bytes, expected at most 255"), "{error}");
    }

    #[test]
    fn table_names_cannot_hide_or_leave_the_dataset() {
        for name in ["", "people", "blocks/hot", "données", "table1"] {
            check_table_name(name).unwrap();
        }
        for name in ["../x", "a//b", "_runs", ".x", "a=b", "properties", "a b", "/a", "a/"] {
            check_table_name(name).unwrap_err();
        }
    }
}
