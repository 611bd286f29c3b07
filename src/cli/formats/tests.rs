//! The formats as bytes: one answer of every kind of value, in each format.

use std::io::Cursor;

use arrow::array::types::Float64Type;
use arrow::array::{BooleanArray, Float64Array, Int64Array, ListArray, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::StreamReader;
use proptest::prelude::*;

use super::*;

/// Numbers, text that needs quotes, NULLs.
fn people() -> Answer {
    Answer::build("people")
        .column("id", Int64Array::from(vec![1, -20, 9_007_199_254_740_993]))
        .column("weight", Float64Array::from(vec![Some(55.48), None, Some(1e21)]))
        .column("name", StringArray::from(vec![Some("a, \"b\""), Some("x|y\nz"), None]))
        .column("own", BooleanArray::from(vec![Some(true), Some(false), None]))
        .done()
}

fn partitions() -> Answer {
    Answer::build("partitions")
        .column("table", StringArray::from(vec!["table1"]))
        .column("rows", Int64Array::from(vec![4]))
        .done()
}

fn nothing() -> Answer {
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Utf8, true),
    ]);
    Answer::rows("nothing", Arc::new(schema), Vec::new())
}

fn bytes(format: OutputFormat, answers: &[Answer], max_rows: usize) -> (Vec<u8>, LeftOut) {
    let mut out = Vec::new();
    let several = answers.len() > 1;
    let left_out = write(format, answers, several, max_rows, &mut out).expect("it can be written");
    (out, left_out)
}

#[track_caller]
fn check(format: OutputFormat, answers: &[Answer], expected: &str) {
    let (out, left_out) = bytes(format, answers, 40);
    assert_eq!(String::from_utf8(out).expect("text"), expected);
    assert_eq!(left_out, LeftOut::default());
}

#[test]
fn a_table_has_its_numbers_to_the_right() {
    let expected = "\
+------------------+--------+--------+-------+
|               id | weight | name   | own   |
+------------------+--------+--------+-------+
|                1 |  55.48 | a, \"b\" | true  |
|              -20 |   NULL | x|y    | false |
|                  |        | z      |       |
| 9007199254740993 |   1e21 | NULL   | NULL  |
+------------------+--------+--------+-------+
";
    check(TABLE, &[people()], expected);
}

#[test]
fn a_table_stops_at_its_limit_and_counts_the_rest() {
    let rows: Vec<i64> = (0..1000).collect();
    let answer = Answer::build("n").column("n", Int64Array::from(rows)).done();
    let (out, left_out) = bytes(TABLE, std::slice::from_ref(&answer), 40);
    let text = String::from_utf8(out).expect("text");
    assert_eq!(text.lines().count(), 40 + 4);
    assert_eq!(left_out.rows, 960);
    let (_, left_out) = bytes(TABLE, &[answer], usize::MAX);
    assert_eq!(left_out.rows, 0);
}

#[test]
fn a_table_does_not_steer_the_terminal() {
    let answer = Answer::build("x").column("x", StringArray::from(vec!["\x1b[2Jgone\t"])).done();
    let (out, _) = bytes(TABLE, &[answer], 40);
    assert!(String::from_utf8(out).expect("text").contains("| \\u{1b}[2Jgone\\t |"));
}

#[test]
fn csv_is_quoted_as_in_rfc_4180_and_null_is_empty() {
    let expected = "\
id,weight,name,own
1,55.48,\"a, \"\"b\"\"\",true
-20,,\"x|y
z\",false
9007199254740993,1e21,,
";
    check(CSV, &[people()], expected);
    let expected = "table\trows\ntable1\t4\n";
    check(TSV, &[partitions()], expected);
}

#[test]
fn json_writes_nulls_and_large_integers_as_numbers() {
    let lines = "\
{\"id\":1,\"weight\":55.48,\"name\":\"a, \\\"b\\\"\",\"own\":true}
{\"id\":-20,\"weight\":null,\"name\":\"x|y\\nz\",\"own\":false}
{\"id\":9007199254740993,\"weight\":1.0e21,\"name\":null,\"own\":null}
";
    check(NDJSON, &[people()], lines);
    let array = format!("[{}]\n", lines.trim_end().replace('\n', ","));
    check(JSON, &[people()], &array);
}

#[test]
fn markdown_escapes_what_would_end_a_cell() {
    let expected = "\
| id | weight | name | own |
| ---: | ---: | --- | --- |
| 1 | 55.48 | a, \"b\" | true |
| -20 | NULL | x\\|y<br>z | false |
| 9007199254740993 | 1e21 | NULL | NULL |
";
    check(MARKDOWN, &[people()], expected);
}

#[test]
fn several_tables_carry_their_names() {
    let answers = [nothing(), partitions()];
    let table = "\
nothing
+---+---+
| a | b |
+---+---+
+---+---+

partitions
+--------+------+
| table  | rows |
+--------+------+
| table1 |    4 |
+--------+------+
";
    check(TABLE, &answers, table);
    let markdown = "\
## nothing

| a | b |
| ---: | --- |

## partitions

| table | rows |
| --- | ---: |
| table1 | 4 |
";
    check(MARKDOWN, &answers, markdown);
    let lines = "{\"table\":\"partitions\",\"table_\":\"table1\",\"rows\":4}\n";
    check(NDJSON, &answers, lines);
    let object = "{\"nothing\":[],\n\"partitions\":[{\"table\":\"table1\",\"rows\":4}]}\n";
    check(JSON, &answers, object);
    let (out, _) = bytes(JSON, &answers, 40);
    let parsed: serde_json::Value = serde_json::from_slice(&out).expect("one JSON document");
    assert_eq!(parsed["partitions"][0]["rows"], 4);
}

#[test]
fn an_empty_answer_still_has_its_header() {
    check(CSV, &[nothing()], "a,b\n");
    check(TABLE, &[nothing()], "+---+---+\n| a | b |\n+---+---+\n+---+---+\n");
    check(MARKDOWN, &[nothing()], "| a | b |\n| ---: | --- |\n");
    check(JSON, &[nothing()], "[]\n");
    check(NDJSON, &[nothing()], "");
    let (out, _) = bytes(ARROW, &[nothing()], 40);
    let reader = StreamReader::try_new(Cursor::new(out), None).expect("a stream");
    assert_eq!(reader.schema(), *nothing().schema());
}

#[test]
fn an_arrow_stream_reads_back_as_it_was() {
    let (out, _) = bytes(ARROW, &[people()], 1);
    let reader = StreamReader::try_new(Cursor::new(out), None).expect("a stream");
    let batches: Vec<_> = reader.map(|batch| batch.expect("a batch")).collect();
    assert_eq!(batches, people().batches());
}

#[test]
fn lists_are_text_in_csv_and_lists_in_json() {
    let rows = vec![Some(vec![Some(1.5), None]), None];
    let lists = ListArray::from_iter_primitive::<Float64Type, _, _>(rows);
    let answer = [Answer::build("lists").column("sums", lists).done()];
    check(CSV, &answer, "sums\n\"[1.5, NULL]\"\n\"\"\n");
    check(NDJSON, &answer, "{\"sums\":[1.5,null]}\n{\"sums\":null}\n");
}

#[test]
fn what_json_cannot_hold_is_null_and_reported() {
    let values = || Float64Array::from(vec![f64::NAN, f64::INFINITY, 0.5]);
    let answer = [Answer::build("x").column("x", values()).done()];
    let (out, left_out) = bytes(NDJSON, &answer, 40);
    assert_eq!(out, b"{\"x\":null}\n{\"x\":null}\n{\"x\":0.5}\n");
    assert!(left_out.not_finite);
    check(CSV, &answer, "x\nNaN\ninf\n0.5\n");

    let nested = ListArray::from_iter_primitive::<Float64Type, _, _>([Some([Some(f64::NAN)])]);
    let answer = [Answer::build("x").column("x", nested).done()];
    assert!(bytes(JSON, &answer, 40).1.not_finite);
}

proptest! {
    #[test]
    fn floats_read_back_as_the_same_bits(value: f64) {
        prop_assume!(value.is_finite());
        let answer = [Answer::build("x").column("x", Float64Array::from(vec![value])).done()];
        for (format, head, tail) in
            [(CSV, "x\n", "\n"), (NDJSON, "{\"x\":", "}\n")]
        {
            let text = String::from_utf8(bytes(format, &answer, 40).0).expect("text");
            let digits = text.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
            let read: f64 = digits.expect("one value").parse().expect("a float");
            prop_assert_eq!(read.to_bits(), value.to_bits(), "{}", text);
        }
    }
}
