//! Text files as people have them, read by the real binary: each as it is written, or refused in a sentence
//! that names the line.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rstest::rstest;
use serde_json::Value;

use crate::cli::{outcome, pleiad};
use crate::commands::{Lab, check_refused};
use crate::support::scratch::On;

/// A lab with one file.
fn lab_with(name: &str, bytes: &[u8]) -> Lab {
    let lab = Lab::new(On::Files);
    put(&lab, name, bytes);
    lab
}

fn put(lab: &Lab, name: &str, bytes: &[u8]) {
    let path = lab.location(name).local_path().unwrap().to_owned();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// The rows of `head`, and what was said beside them.
#[track_caller]
fn head(lab: &Lab, line: &str) -> (Vec<Value>, String) {
    let (code, rows, said) = lab.run(&format!("head {line} --json"));
    assert_eq!(code, 0, "{said}");
    (rows.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), said)
}

/// Runs a statement.
fn sql_of(sql: &str) -> (i32, String, String) {
    outcome(&mut pleiad(&["sql", "-c", sql]))
}

/// The types of the columns of `@x.csv`.
#[track_caller]
fn types(text: &str) -> Vec<String> {
    let lab = lab_with("x.csv", text.as_bytes());
    let printed = lab.done("schema @x.csv --json");
    let of = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["type"].clone();
    printed.lines().map(|line| of(line).as_str().expect("a text").to_owned()).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

// ---- one reading of a file

/// A text of 4 MiB whose first rows say that `id` is an integer, `x` a double, `at` a time and `name` text; the
/// last rows are `tail`.
fn text_with(tail: &str) -> String {
    let mut text = "id,x,at,name\n".to_owned();
    for row in 0_u64.. {
        let (x, day) = (row * 7919 % 1000, row % 28 + 1);
        text += &format!("{row},{x}.5,2024-02-{day:02} 12:30:00,name {}\n", row % 10);
        if text.len() > 4 << 20 {
            break;
        }
    }
    text + tail
}

/// A query begins with what the first bytes of a file say; it answers what it would if all of the file had been
/// looked at before, as it is for a table that has a name.
#[rstest]
#[case("7,1.5,2024-02-01 12:30:00,name 1\n")]
#[case("7,NA,,\n\\N,nan,NULL,NA\n")]
#[case("seven,1.5,2024-02-01 12:30:00,name 1\n")]
#[case("007,1.5,2024-02-01 12:30:00,name 1\n")]
#[case("1.25,1.5,2024-02-01 12:30:00,name 1\n")]
#[case("7,1.5,2024-02-01,name 1\n")]
#[case("7,1.5,2024-02-01 12:30:00,\"name\n8,2.5,2024-02-02 12:30:00,x\n\"\n")]
#[case("7,1.5,2024-02-01 12:30:00,\"a \\\"b\\\", c\"\n")]
#[case("# said\n7,1.5,2024-02-01 12:30:00,name 1\n")]
#[case("7,1.5\n")]
#[case("7,1.5,2024-02-01 12:30:00,\"name 1\n")]
fn a_query_answers_what_a_look_at_the_whole_file_says(#[case] tail: &str) {
    let lab = lab_with("x.csv", text_with(tail).as_bytes());
    let file = lab.location("x.csv");
    let queries = "SELECT count(*) AS n, count(id) AS id, count(name) AS name FROM ${t};
        SELECT * FROM ${t} ORDER BY x DESC, name, id LIMIT 3;
        SELECT id, name FROM ${t} WHERE x > 999 AND at > '2024-02-27' ORDER BY 1, 2;
        SELECT a.name, count(*) AS n FROM ${t} AS a JOIN ${t} AS b ON a.id = b.id GROUP BY 1 ORDER BY 1;
        SELECT name, max(at) AS at, max(id) AS id FROM ${t} GROUP BY name ORDER BY name LIMIT 9;
        SELECT sum(x) AS x FROM ${t}";
    let (code, rows, said) = sql_of(&queries.replace("${t}", &format!("'{file}'")));
    let create = format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{file}';");
    let expected = sql_of(&(create + &queries.replace("${t}", "t")));
    assert_eq!((code, &rows), (expected.0, &expected.1), "{said} {}", expected.2);
    let has_note = |said: &str| said.contains("comments: 1 line");
    assert_eq!(has_note(&said), has_note(&expected.2), "{said} {}", expected.2);
}

/// The first rows have the types that the first bytes show, whatever follows.
#[test]
fn the_first_rows_need_no_others() {
    let lab = lab_with("x.csv", text_with("7,1.5\n").as_bytes());
    let file = lab.location("x.csv");
    let (code, rows, said) = sql_of(&format!("SELECT id, x FROM '{file}' LIMIT 2 OFFSET 3"));
    assert_eq!((code, rows.as_str()), (0, "id,x\n3,757.5\n4,676.5\n"), "{said}");
    let (code, _, said) = sql_of(&format!("SELECT id FROM '{file}' WHERE x < 0 LIMIT 2"));
    assert!(code == 65 && said.contains("has 2 fields, expected 4"), "{said}");
}

/// The same for a copy, and for a statement after it that finds known what the first has seen.
#[rstest]
#[case("7,1.5,2024-02-01 12:30:00,name 1\n", "int64 float64")]
#[case("007,NA,2024-02-01 12:30:00,name 1\n", "text float64")]
#[case("7,x,2024-02-01 12:30:00,name 1\n", "int64 text")]
fn a_copy_has_the_types_of_the_whole_file(#[case] tail: &str, #[case] expected: &str) {
    let text = text_with(tail);
    let lab = lab_with("x.csv", text.as_bytes());
    let (file, copy) = (lab.location("x.csv"), lab.location("x.parquet"));
    let copied = format!("COPY (SELECT * FROM '{file}') TO '{copy}'");
    let (code, _, said) = sql_of(&format!("{copied}; SELECT count(*) FROM '{file}'"));
    assert_eq!(code, 0, "{said}");
    let printed = lab.done("schema @x.parquet --json");
    let of = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["type"].clone();
    let types: Vec<_> =
        printed.lines().map(|line| of(line).as_str().expect("a text").to_owned()).collect();
    assert_eq!(types[..2].join(" "), expected);
    let rows = text.lines().count() - 1;
    assert!(lab.done("count @x.parquet").contains(&rows.to_string()));
}

// ---- lines

/// A line of 17 MiB: more than is read unless that is asked for.
fn long_line(before: &str, after: &str) -> String {
    format!("{before}{}{after}", "9".repeat(17 << 20))
}

#[rstest]
#[case("x.csv", long_line("id,x\n1,2\n2,", "\n3,4\n"), 3)]
#[case("x.csv", long_line("", ""), 1)]
#[case("x.jsonl", long_line("{\"id\":1,\"x\":2}\n{\"id\":2,\"x\":\"", "\"}\n"), 2)]
fn a_line_beyond_the_longest_is_refused_by_every_command(
    #[case] name: &str,
    #[case] text: String,
    #[case] line: u64,
) {
    for compressed in [false, true] {
        let (name, bytes) = match compressed {
            true => (format!("{name}.gz"), gzip(text.as_bytes())),
            false => (name.to_owned(), text.clone().into_bytes()),
        };
        let lab = lab_with(&name, &bytes);
        let commands = [
            format!("count @{name}"),
            format!("schema @{name}"),
            format!("summary @{name}"),
            format!("kmeans @{name} @out --columns id --k 2"),
            format!("dbscan @{name} @out --x id --y x --eps 1"),
            format!("kdistance @{name} --x id --y x"),
            format!("partition @{name} @out --ra id --dec x"),
        ];
        for command in commands.into_iter().take(if compressed { 1 } else { 7 }) {
            let said = format!("{name}': line {line} is longer than 16777216 bytes");
            check_refused(&command, lab.run(&command), 65, &said);
        }
        let sql = format!("SELECT count(*) FROM '{}'", lab.at(&name));
        let (code, _, said) = sql_of(&sql);
        assert_eq!(code, 65, "{said}");
    }
}

#[test]
fn a_longer_line_is_read_if_that_is_asked_for() {
    let lab = lab_with("x.csv", long_line("id,x\n1,a\n2,\"", "\"\n").as_bytes());
    assert_eq!(lab.done("count @x.csv --max-line 18MiB --json").lines().count(), 1);
    let (code, _, said) = lab.run("count @x.csv --max-line 2GiB");
    assert!(code == 2 && said.contains("at most 1GiB"), "{said}");
}

#[test]
fn a_quote_that_does_not_end_is_named_with_its_line() {
    let text = "id,ra,dec,name\n0,0.5,0,a\n1,1.5,0,\"5 arcmin W\n2,2.5,0,b\n3,3.5,0,c\n";
    let lab = lab_with("x.csv", text.as_bytes());
    for command in ["head @x.csv", "count @x.csv", "kmeans @x.csv @out --columns ra --k 2"] {
        check_refused(command, lab.run(command), 65, "the quote that opens in line 3 does not end");
    }
    let (rows, _) = head(&lab, "@x.csv --quote none");
    assert_eq!((rows.len(), &rows[1]["name"]), (4, &"\"5 arcmin W".into()));
}

// ---- headers

#[test]
fn years_are_a_header_and_that_is_said_once() {
    let text = "town,2019,2020,2021\nA,522250,522228,520774\nB,139602,139926,139619\n";
    let lab = lab_with("pop.csv", text.as_bytes());
    let (rows, said) = head(&lab, "@pop.csv");
    assert_eq!((rows.len(), &rows[0]["2019"]), (2, &522_250.into()));
    assert_eq!(said.matches("header: the first line, since").count(), 1, "{said}");
    let (rows, said) = head(&lab, "@pop.csv --header no");
    assert_eq!((rows.len(), said.as_str()), (3, ""));
}

#[test]
fn ten_columns_without_a_header_have_no_coordinates() {
    let row = |n: u32| format!("{n},1{n}.5,2{n}.5,16.{n},20.9,24.5,19.7,13.9,19.0,16.4\n");
    let lab = lab_with("m.csv", (1..5).map(row).collect::<String>().as_bytes());
    let (code, _, said) = lab.run("partition @m.csv @out --dry-run");
    assert!(code == 65 && said.contains("coordinates such as 'ra' and 'decl'"), "{said}");
    assert!(
        said.starts_with("'") && said.contains("header: none, since it holds only numbers"),
        "{said}"
    );
}

#[test]
fn sexagesimal_positions_are_read() {
    let text = "Name;RA;Dec\nX1;05:00:00.00;-00:12:30.0\nX2;12h00m00s;+41d16m30s\nX3;12:00:00;-58:38.58.4\n";
    let lab = lab_with("ngc.csv", text.as_bytes());
    lab.done("partition @ngc.csv @out --bounds sky --grid 2x1");
    let sql = format!("SELECT count(*) AS n FROM '{}'", lab.at("out/blocks"));
    assert_eq!(sql_of(&sql).1, "n\n2\n");
    let sql = "SELECT angle_deg('05:00:00', 'hour') AS ra, round(angle_deg('-00:12:30', 'deg'), 5) AS dec";
    assert_eq!(sql_of(sql).1, "ra,dec\n75.0,-0.20833\n");
}

#[test]
fn a_header_alone_is_no_rows() {
    let lab = lab_with("x.csv", b"id,ra,dec\n");
    for line in
        ["kmeans @x.csv @out --columns ra --k 1", "dbscan @x.csv @out --x ra --y dec --eps 1"]
    {
        check_refused(line, lab.run(line), 65, "'x' has no rows");
    }
}

// ---- values

#[rstest]
#[case("a\n1\nNULL\nNA\n\\N\n", "int64")]
#[case("a\n10.0\nnull\n", "float64")]
#[case("a\n10.0\nNaN\ninf\n", "float64")]
#[case("a\n+20.0\n-3\n", "float64")]
#[case("a\n020.0\n", "float64")]
#[case("a\n 10.5\n 11.5\n", "float64")]
#[case("a\n007\n", "text")]
#[case("a\n9223372036854775807\n", "int64")]
#[case("a\n9223372036854775808\n", "uint64")]
#[case("a\n123456789012345678901234567890\n", "Decimal128(30, 0)")]
#[case("a\n0.12345678901234567890123\n", "Decimal128(24, 23)")]
#[case("a\nTrue\nFALSE\n", "bool")]
#[case("a\n2024-02-29 12:30\n", "timestamp(us)")]
fn numbers_are_read_as_the_field_writes_them(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(types(text), [expected]);
}

#[test]
fn values_are_exact() {
    let text = "id,u,d,x\n9223372036854775807,18446744073709551615,0.12345678901234567890123, 1.5\n\
                1,1,1,\n";
    let lab = lab_with("x.csv", text.as_bytes());
    assert_eq!(
        lab.done("head @x.csv --format csv"),
        "id,u,d,x\n9223372036854775807,18446744073709551615,0.12345678901234567890123,1.5\n\
         1,1,1.00000000000000000000000,\n"
    );
}

#[test]
fn words_for_null_are_text_where_all_is_text_unless_that_is_said() {
    let lab = lab_with("x.csv", b"code,n\nNA,1\nFR,NA\n");
    let (rows, _) = head(&lab, "@x.csv");
    assert_eq!((&rows[0]["code"], &rows[1]["n"]), (&"NA".into(), &Value::Null));
    let (rows, _) = head(&lab, "@x.csv --null NA");
    assert_eq!(&rows[0]["code"], &Value::Null);
}

#[test]
fn decimal_commas_are_pointed_at_and_read_when_asked_for() {
    let text = "id;lat\n1;48,85\n2;-12,30\n";
    let lab = lab_with("x.csv", text.as_bytes());
    let (rows, said) = head(&lab, "@x.csv");
    assert_eq!(rows[0]["lat"], "48,85");
    assert!(said.contains("--decimal , reads them as numbers"), "{said}");
    let sql = format!("SELECT avg(lat) FROM '{}'", lab.at("x.csv"));
    let (code, _, said) = sql_of(&sql);
    assert!(code == 2 && said.contains("read the file with OPTIONS ('decimal' ',')"), "{said}");
    let (rows, said) = head(&lab, "@x.csv --decimal ,");
    assert_eq!((&rows[1]["lat"], said.as_str()), (&(-12.3).into(), ""));
}

// ---- several files

#[test]
fn several_files_are_one_table_by_name() {
    let lab = Lab::new(On::Files);
    put(&lab, "d/1.csv", b"id,x\n1,1\n");
    put(&lab, "d/2.csv", b"x;id;note\n2.5;2;a\n");
    put(&lab, "d/3.csv.gz", &gzip(b"id,x\n3,\n"));
    let directory = lab.done("head @d --format csv");
    assert_eq!(directory, "id,x,note\n1,1.0,\n2,2.5,a\n3,,\n");
    let (_, _, said) = lab.run("count @d");
    assert!(said.contains("'note' as NULL in 2 of 3 files"), "{said}");
    for place in [lab.at("d"), format!("{}/*", lab.at("d"))] {
        let sql = format!("SELECT id, x, note FROM '{place}' ORDER BY id");
        let (code, rows, said) = sql_of(&sql);
        assert_eq!((code, rows.as_str()), (0, directory.as_str()), "{said}");
    }
}

#[test]
fn text_under_keys_may_be_compressed() {
    let lab = Lab::new(On::Files);
    put(&lab, "d/day=1/x.csv.gz", &gzip(b"a\n1\n"));
    put(&lab, "d/day=2/x.csv", b"a\n2\n");
    assert_eq!(lab.done("head @d --format csv"), "a,day\n1,1\n2,2\n");
}

// ---- JSON lines

#[test]
fn kinds_that_mix_are_text_as_they_are_written() {
    let text = "\u{feff}{\"a\":1.50,\"t\":\"x\"}\n{\"a\":\"deux\",\"t\":{\"k\": 1}}\n{\"a\":true,\"t\":[1]}\n";
    let lab = lab_with("x.jsonl", text.as_bytes());
    assert_eq!(
        lab.done("head @x.jsonl --format csv"),
        "a,t\n1.50,x\ndeux,\"{\"\"k\"\": 1}\"\ntrue,[1]\n"
    );
}

#[test]
fn integers_beside_decimal_numbers_are_exact() {
    let lab = lab_with("x.jsonl", b"{\"a\":1}\n{\"a\":9007199254740993}\n{\"a\":0.5}\n");
    assert_eq!(lab.done("head @x.jsonl --format csv"), "a\n1.0\n9007199254740993.0\n0.5\n");
}

#[test]
fn what_is_no_json_is_named_with_its_line() {
    let lab = lab_with("x.jsonl", b"{\"a\":1}\n\n{\"a\":NaN}\n");
    let line = "count @x.jsonl";
    check_refused(line, lab.run(line), 65, "line 3 has no value at character 6");
}
