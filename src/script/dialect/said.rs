//! Sentences of the engine in our words: those that print its own structures, and those that ask the user to
//! report a bug where there is only a mistake in the statement.

use arrow::datatypes::DataType;

/// The end of an error that the engine did not expect.
const FILE_A_BUG: &str = "This issue was likely caused by a bug in DataFusion";

/// `sentence`, or a better one.
pub(in crate::script) fn in_our_words(sentence: &str) -> String {
    let text = sentence.split(FILE_A_BUG).next().unwrap_or_default().trim_end_matches([' ', '.']);
    if let Some(mismatch) = wrong_arguments(text) {
        return mismatch;
    }
    let small = text.to_ascii_lowercase();
    if let Some(at) = small.find("unsupported ast node") {
        let node = text[at..].split([' ', ':']).nth(3).unwrap_or_default();
        let node = node.split(['{', '(']).next().unwrap_or_default();
        return format!("this form of SQL is not supported ({node})");
    }
    if text.len() < sentence.trim_end_matches('.').len() {
        let what = text.strip_prefix("internal error: ").unwrap_or(text);
        return format!("the engine cannot run this statement: {what}");
    }
    sentence.to_owned()
}

/// `Function 'avg' failed to match any signature, errors: …requires Float64, but received String …`
fn wrong_arguments(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("unction '")?;
    let (function, rest) = rest.split_once("' failed to match any signature")?;
    let mut taken: Vec<_> =
        rest.split(" requires ").skip(1).filter_map(|part| part.split(',').next()).collect();
    taken.dedup();
    let (_, received) = rest.split_once("but received ")?;
    let received = received.split([' ', '.', ',']).next()?;
    let received = if received == "String" { "text" } else { received };
    let taken = match &taken[..] {
        [] => return None,
        [one] => (*one).to_owned(),
        [some @ .., last] => format!("{} or {last}", some.join(", ")),
    };
    Some(format!(
        "function '{function}' takes {taken}, found {received}: CAST the argument, as in \
         {function}(CAST(x AS DOUBLE))"
    ))
}

/// What SQL calls a type.
pub(super) fn type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INT",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "TINYINT UNSIGNED",
        DataType::UInt16 => "SMALLINT UNSIGNED",
        DataType::UInt32 => "INT UNSIGNED",
        DataType::UInt64 => "BIGINT UNSIGNED",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// A type for numbers that are too large for this one.
pub(super) fn wider_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 | DataType::UInt16 => "INT",
        DataType::Int32 | DataType::UInt32 => "BIGINT",
        _ => "DECIMAL(38, 0)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_said_to_be_mistakes() {
        let cases = [
            (
                "internal error: Function 'avg' failed to match any signature, errors: Error during \
                 planning: Function 'avg' requires Decimal, but received String (DataType: Utf8).,Error \
                 during planning: Function 'avg' requires Float64, but received String (DataType: \
                 Utf8).. This issue was likely caused by a bug in DataFusion's code. Please help",
                "function 'avg' takes Decimal or Float64, found text: CAST the argument, as in \
                 avg(CAST(x AS DOUBLE))",
            ),
            (
                "unsupported ast node JsonTable { json: Value } in create_relation",
                "this form of SQL is not supported (JsonTable)",
            ),
            (
                "internal error: odd. This issue was likely caused by a bug in DataFusion's code",
                "the engine cannot run this statement: odd",
            ),
            ("division by zero", "division by zero"),
        ];
        for (engines, ours) in cases {
            assert_eq!(in_our_words(engines), ours);
        }
    }
}
