//! What lines become, format by format.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use pleiad_core::records::Dialect;
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::error::Kind;

fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn numbers() -> SchemaRef {
    schema(&[("a", DataType::Int64), ("b", DataType::Utf8View)])
}

/// The rows, values with `|` between, NULL as nothing.
fn shown(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default();
    let columns: Vec<_> =
        batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
    let row = |row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(row).collect()
}

fn decode(columns: &SchemaRef, format: Format, on_error: OnError, chunk: &[u8]) -> Decoded {
    let decoder = Decoder::new(Arc::clone(columns), format, on_error).unwrap();
    decoder.decode(chunk, 10).unwrap()
}

fn json(chunk: &str) -> Decoded {
    decode(&numbers(), Format::Json, OnError::Null, chunk.as_bytes())
}

/// The rows of one line and why it is bad.
fn one(line: &str) -> (String, Option<String>) {
    let decoded = json(line);
    let reason = decoded.bad.first().map(|bad| bad.reason.clone());
    (shown(&decoded.batch).join("\n"), reason)
}

#[rstest]
#[case(r#"{"a":1,"b":"x"}"#, "1|x")]
#[case(r#" { "b" : "\u0078\ty" , "a" : -7 } "#, "-7|x\ty")]
#[case(r#"{"A":1,"B":"x"}"#, "1|x")] // without case
#[case(r#"{"A":1,"a":2}"#, "2|")] // the exact one
#[case(r#"{"a":2,"A":1}"#, "2|")]
#[case(r#"{"\u0061":2}"#, "2|")]
#[case(r#"{"a":"12","b":5}"#, "12|")] // text is parsed, a number is no text
#[case(r#"{"a":"x","b":"y"}"#, "|y")] // NULL in its column only
#[case(r#"{"a":[1],"b":"y","c":{"a":1}}"#, "|y")]
#[case(r#"{"a":1.5e18}"#, "1500000000000000000|")]
#[case(r#"{"a":99999999999999999999}"#, "|")]
#[case(r#"{"a":null}"#, "|")]
#[case("{}", "|")]
fn an_object_is_a_row(#[case] line: &str, #[case] row: &str) {
    assert_eq!(one(line), (row.to_owned(), None));
}

#[rstest]
#[case(r#"{"a":1"#, "it has no end of an object at byte 7")]
#[case(r#"{"b":"x"#, "it has a quote that does not end at byte 6")]
#[case(r#"{"a":1}{"a":2}"#, "it has text behind the object at byte 8")]
#[case(r#"{"a":1,"a":2}"#, "it has two members named 'a'")]
#[case(r#"{"B":"x","b":"y","B":"z"}"#, "")] // the exact one again
#[case("[1]", "it has a list at byte 1")]
#[case("null", "it has no object at byte 1")]
#[case(r#"{"a":nan}"#, "it has no value at byte 6")]
#[case(r#"{"b":"\ud800"}"#, "it has an escape that is not known at byte 7")]
fn a_line_that_is_no_object_is_a_row_of_nulls(#[case] line: &str, #[case] reason: &str) {
    let expected = match reason {
        "" => ("|y".to_owned(), None),
        reason => ("|".to_owned(), Some(reason.to_owned())),
    };
    assert_eq!(one(line), expected);
}

#[test]
fn a_bad_line_is_bad_alone() {
    let good = r#"{"a":1,"b":"x"}"#;
    for broken in ["{\"b\":\"x", "{\"a\":1}{\"a\":2}", "{\"a\"", "\\", "[", "\"", "{\"a\":nul", "}"]
    {
        let chunk = format!("{good}\r\n{broken}\n\n \t\n{broken}\r\n{good}\n{good}");
        let decoded = json(&chunk);
        assert_eq!(shown(&decoded.batch), ["1|x", "|", "|", "1|x", "1|x"], "{broken}");
        let bad: Vec<_> = decoded.bad.iter().map(|bad| (bad.position, bad.line.as_str())).collect();
        assert_eq!(bad, [(11, broken), (14, broken)]);
        assert_eq!(decoded.lines, 7);
        let skipped = decode(&numbers(), Format::Json, OnError::Skip, chunk.as_bytes());
        assert_eq!(shown(&skipped.batch), ["1|x", "1|x", "1|x"]);
        assert_eq!(skipped.bad, decoded.bad);
    }
}

#[test]
fn a_bad_line_may_end_the_query() {
    let decoder = Decoder::new(numbers(), Format::Json, OnError::Fail).unwrap();
    let error = decoder.decode(b"{}\n{\"a\":\n", 10).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert_eq!(
        error.to_string(),
        "line 12 of the stream cannot be read: it has no value at byte 6: set 'on_error' to 'null' or \
         'skip' to go on after such lines"
    );
}

#[test]
fn bytes_that_are_no_text_are_bad_and_so_is_a_line_too_long() {
    let mut chunk = b"{\"a\":1}\n{\"b\":\"\xff\"}\n{\"b\":\"".to_vec();
    chunk.extend(std::iter::repeat_n(b'x', MAX_LINE));
    chunk.extend(b"\"}\n{\"a\":2}");
    let decoded = decode(&numbers(), Format::Json, OnError::Null, &chunk);
    assert_eq!(shown(&decoded.batch), ["1|", "|", "|", "2|"]);
    let reasons: Vec<_> = decoded.bad.iter().map(|bad| bad.reason.as_str()).collect();
    assert_eq!(reasons, ["byte 7 is not UTF-8", "it is longer than 16 MiB"]);
    assert_eq!(
        (decoded.bad[0].line.as_str(), decoded.bad[1].line.len()),
        ("{\"b\":\"\u{fffd}\"}", KEPT)
    );
}

#[test]
fn integers_written_as_floats_are_counted_where_they_may_be_others() {
    let decoded =
        json("{\"a\":1e3}\n{\"a\":1.5e18}\n{\"a\":9007199254740993}\n{\"b\":\"1e300\"}\n");
    assert_eq!((decoded.batch.num_rows(), decoded.inexact), (4, 1));
}

#[test]
fn times_are_numbers_of_their_unit_or_text() {
    let time = |unit| DataType::Timestamp(unit, None);
    let columns = schema(&[("n", time(TimeUnit::Nanosecond)), ("s", time(TimeUnit::Second))]);
    let chunk = br#"{"n":1424686735090638000,"s":1619562304}
{"n":"2015-02-23T10:18:55.090638Z","s":"2021-04-27T22:25:04"}
{"n":"2015-02-23T12:18:55.090638+02:00","s":"2021-04-27 22:25:04"}
{"n":"yesterday","s":true}"#;
    let decoded = decode(&columns, Format::Json, OnError::Null, chunk);
    let row = "2015-02-23T10:18:55.090638|2021-04-27T22:25:04";
    assert_eq!(shown(&decoded.batch), [row, row, row, "|"]);
    assert_eq!(decoded.bad, []);
}

#[test]
fn columns_that_differ_only_in_case_are_found_by_their_names_alone() {
    let columns = schema(&[("a", DataType::Int64), ("A", DataType::Int64), ("é", DataType::Int64)]);
    let decoded = decode(&columns, Format::Json, OnError::Null, "{\"A\":1,\"É\":3}".as_bytes());
    assert_eq!(shown(&decoded.batch), ["|1|3"]);
}

#[test]
fn an_empty_chunk_has_no_rows() {
    for (format, columns) in [
        (Format::Json, numbers()),
        (Format::Csv { options: CsvOptions::default() }, numbers()),
        (Format::Text, schema(&[("value", DataType::Utf8View)])),
    ] {
        for chunk in ["", "\n\r\n  \n"] {
            let decoded = decode(&columns, format.clone(), OnError::Null, chunk.as_bytes());
            assert_eq!(decoded.batch.num_rows(), 0);
            assert_eq!(decoded.batch.schema(), columns);
        }
    }
}

#[test]
fn values_of_csv_have_the_order_of_the_columns() {
    let columns = schema(&[
        ("a", DataType::Int64),
        ("b", DataType::Utf8View),
        ("c", DataType::Float64),
        ("d", DataType::Boolean),
    ]);
    let chunk = "1,\"x,\"\"y\",2.5,true\r\n,\"\",,\nx, y ,1e3,false\nNULL,NULL,-,no\n1,2,3\n1,\"2,3,4\n1,2\r3,4,5";
    let options = CsvOptions { nulls: vec!["NULL".to_owned()], ..CsvOptions::default() };
    let decoded = decode(&columns, Format::Csv { options }, OnError::Skip, chunk.as_bytes());
    assert_eq!(shown(&decoded.batch), ["1|x,\"y|2.5|true", "|||", "| y |1000.0|false", "|||false"]);
    assert!(decoded.batch.column(1).is_valid(1), "a quoted empty value is a value");
    let bad: Vec<_> = decoded.bad.iter().map(|bad| (bad.position, bad.reason.as_str())).collect();
    let expected = [
        (14, "it has 3 values, expected 4"),
        (15, "a quote does not end"),
        (16, "a CR is inside of it"),
    ];
    assert_eq!(bad, expected);
}

#[test]
fn a_header_is_the_first_line_of_the_stream() {
    let dialect = Dialect { delimiter: b';', ..Dialect::default() };
    let options = CsvOptions { dialect, has_header: true, ..CsvOptions::default() };
    let decoder = Decoder::new(numbers(), Format::Csv { options }, OnError::Fail).unwrap();
    for (first, rows) in [(0, &["1|x"][..]), (1, &["|b", "1|x"])] {
        let decoded = decoder.decode(b"a;b\n1;x\n", first).unwrap();
        assert_eq!(shown(&decoded.batch), rows);
    }
}

#[test]
fn lines_of_text_are_values_as_they_are() {
    let columns = schema(&[("value", DataType::Utf8View)]);
    let decoded = decode(&columns, Format::Text, OnError::Null, b" {\"a\"\r\n\n\xff\nb\r");
    assert_eq!(shown(&decoded.batch), [" {\"a\"", "", "b"]);
    assert_eq!((decoded.bad.len(), decoded.bad[0].position), (1, 12));
}

#[test]
fn columns_that_cannot_be_are_refused() {
    let refused = |columns: SchemaRef, format| {
        let error = Decoder::new(columns, format, OnError::Null).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        error.to_string()
    };
    let field = Field::new("a", DataType::Int64, false);
    let not_null = Arc::new(Schema::new(vec![field]));
    assert!(refused(not_null, Format::Json).starts_with("column 'a' of a stream is NOT NULL"));
    assert!(refused(numbers(), Format::Text).contains("one column of type VARCHAR"));
    let list = DataType::List(Arc::new(Field::new("item", DataType::Struct([].into()), true)));
    let binary = schema(&[("b", DataType::BinaryView)]);
    assert!(refused(binary, Format::Json).starts_with("column 'b' is binary"));
    let csv = Format::Csv { options: CsvOptions::default() };
    assert!(refused(schema(&[("l", list)]), csv).starts_with("column 'l' has the type"));
}

/// What Arrow's reader alone makes of the lines.
fn by_arrow(columns: &SchemaRef, lines: &[String]) -> (Vec<String>, Vec<String>, u64) {
    let mut rows = Box::new(json::JsonRows::new(columns, lines.len()).unwrap());
    let mut bad = Vec::new();
    for line in lines {
        if let Err(reason) = rows.add(line) {
            bad.push(reason);
            rows.add_nulls().unwrap();
        }
    }
    let (batch, inexact) = rows.finish().unwrap();
    (shown(&batch), bad, inexact)
}

/// A value as somebody writes it, now and then wrongly.
fn written() -> impl Strategy<Value = String> {
    const ODD: &[&str] = &[
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.0",
        "1.5",
        "1e3",
        "1.5e18",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "1e400",
        "-1e-400",
        "9007199254740993",
        "0.1",
        "123456789012345678901234567890",
        "\"\"",
        "\"x\"",
        "\"12\"",
        "\"1.5\"",
        "\"true\"",
        "\"\\u0041\"",
        "\"\\ud800\"",
        "\"é😀\"",
        "\"a longer text than twelve bytes\"",
        "\"inf\"",
        "\"NaN\"",
        "\"2021-04-27T22:25:04\"",
        "[1]",
        "{\"a\": 1}",
        "[",
        "nan",
        "01",
        "1.",
        "+1",
        "\"",
        "",
    ];
    prop_oneof![
        6 => any::<i64>().prop_map(|value| value.to_string()),
        6 => any::<f64>().prop_filter("JSON", |v| v.is_finite()).prop_map(|value| format!("{value:?}")),
        6 => "[a-z é]{0,20}".prop_map(|text| format!("\"{text}\"")),
        4 => prop::sample::select(ODD).prop_map(str::to_owned),
    ]
}

proptest! {
    /// Rows, bad lines and counts are those of Arrow's reader, however lines are written.
    #[test]
    fn lines_read_in_place_are_as_arrow_reads_them(
        lines in prop::collection::vec((0..8usize, prop::collection::vec(written(), 6)), 1..12),
    ) {
        let columns = schema(&[
            ("i", DataType::Int64),
            ("f", DataType::Float64),
            ("t", DataType::Utf8View),
            ("s", DataType::Utf8),
            ("b", DataType::Boolean),
            ("n", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ]);
        let line = |(way, values): &(usize, Vec<String>)| {
            let names = match way {
                0..=4 => ["i", "f", "t", "s", "b", "n"],
                5 => ["n", "I", "x", "t", "s", "f"],
                6 => ["i", "f", "i", "s", "I", "n"],
                _ => ["s", "\\u0069", "b", "T", "n", "f"],
            };
            let colon = if *way == 4 { ":" } else { ": " };
            let members = names.iter().zip(values).map(|(n, v)| format!("\"{n}\"{colon}{v}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        };
        let lines: Vec<String> = lines.iter().map(line).collect();
        let decoded = decode(&columns, Format::Json, OnError::Null, lines.join("\n").as_bytes());
        let bad = decoded.bad.iter().map(|bad| bad.reason.clone()).collect::<Vec<_>>();
        let found = (shown(&decoded.batch), bad, decoded.inexact);
        prop_assert_eq!(found, by_arrow(&columns, &lines));
    }

    /// However a text is cut into chunks of whole lines, the rows are the same.
    #[test]
    fn chunks_change_nothing(lines in prop::collection::vec(0..6usize, 0..12), at in 0..12usize) {
        let kinds = ["{\"a\":1}", "{\"b\":\"x\"}\r", "", "{\"a\"", "{\"A\":2,\"b\":\"\\u0079\"}", "\"{"];
        let text: String = lines.iter().map(|kind| format!("{}\n", kinds[*kind])).collect();
        let (all, cut) = (json(&text), text.match_indices('\n').nth(at).map_or(0, |(lf, _)| lf + 1));
        let decoder = Decoder::new(numbers(), Format::Json, OnError::Null).unwrap();
        let first = decoder.decode(&text.as_bytes()[..cut], 10).unwrap();
        let second = decoder.decode(&text.as_bytes()[cut..], 10 + first.lines).unwrap();
        prop_assert_eq!([shown(&first.batch), shown(&second.batch)].concat(), shown(&all.batch));
        prop_assert_eq!([first.bad, second.bad].concat(), all.bad);
    }
}
