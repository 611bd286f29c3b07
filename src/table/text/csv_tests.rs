use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use rstest::rstest;

use super::*;
use crate::table::text::format::Encoding;
use crate::table::text::options::{Decimal, Header, Mark};

async fn read(text: &[u8], options: &TextOptions, sample: Option<u64>) -> Result<TextFacts> {
    let (store, path) = (InMemory::new(), Path::from("x.csv"));
    store.put(&path, text.to_vec().into()).await.unwrap();
    let look = Look { names: None, options, needed: None, sample };
    inspect(&store, (&path, text.len() as u64), "x.csv", look).await
}

async fn inspected(text: &str) -> Result<TextFacts> {
    read(text.as_bytes(), &TextOptions::default(), None).await
}

fn lines(facts: &TextFacts) -> &CsvLines {
    match &facts.file.lines {
        Lines::Csv(lines) => lines,
        Lines::Json(_) => panic!("a CSV file"),
    }
}

fn columns(facts: &TextFacts) -> Vec<(&str, DataType)> {
    lines(facts).columns.iter().map(|c| (c.name.as_str(), c.data_type())).collect()
}

fn names(facts: &TextFacts) -> Vec<&str> {
    lines(facts).columns.iter().map(|column| column.name.as_str()).collect()
}

#[tokio::test]
async fn delimiter_names_and_types_are_found() {
    let text = "\u{feff}id;\"a, b\";x\r\n1;\"one\r\ntwo\";0.5\r\n2;;7\r\n";
    let facts = inspected(text).await.unwrap();
    let found = lines(&facts);
    assert_eq!((found.dialect.delimiter, found.header), (b';', true));
    assert!(found.newlines_in_values && facts.file.decoding.is_plain());
    let expected = [("id", DataType::Int64), ("a, b", DataType::Utf8), ("x", DataType::Float64)];
    assert_eq!(columns(&facts), expected);
    assert_eq!(facts.rows, Some(2));
    assert_eq!((found.begin, found.begin_line), (16, 2));
}

#[tokio::test]
async fn a_first_line_with_a_number_is_no_header() {
    let facts = inspected("1\tNULL\t-0.5\n").await.unwrap();
    assert_eq!(names(&facts), ["column_1", "column_2", "column_3"]);
    assert_eq!((facts.rows, lines(&facts).header), (Some(1), false));
    let yes = TextOptions { header: Header::Yes, ..TextOptions::default() };
    let facts = read(b"1,2\n3,4\n", &yes, None).await.unwrap();
    assert_eq!((names(&facts), facts.rows), (vec!["1", "2"], Some(1)));
}

#[tokio::test]
async fn only_a_header_is_no_rows() {
    let facts = inspected("a,b").await.unwrap();
    assert_eq!((names(&facts), facts.rows), (vec!["a", "b"], Some(0)));
}

#[rstest]
#[case("", "file 'x.csv' is empty, expected a header")]
#[case("#a\n#b\n", "file 'x.csv' has comments only, expected a header")]
#[case(
    "<!DOCTYPE html>\n<html>",
    "file 'x.csv' is an HTML page, expected CSV: look at what it says"
)]
#[case(
    "a,b\n1,2\n3\n",
    "file 'x.csv': line 3 has 1 field, expected 2 separated by ',': '3': lines before the header are \
     left out with --skip N"
)]
#[case(
    "a,b\n\"1\n\",2\n3\n",
    "file 'x.csv': line 4 has 1 field, expected 2 separated by ',': '3': lines before the header are \
     left out with --skip N"
)]
#[case(
    "a,b,c\nx,y\n1,2\n",
    "file 'x.csv': line 2 has 2 fields, expected 3 separated by ',': 'x,y': lines before the header \
     are left out with --skip N"
)]
#[case(
    "a,b\n1,x\n2,\"y\n3,z\n",
    "file 'x.csv': the quote that opens in line 3 does not end: close it, or pass --quote none"
)]
#[case(
    "a,b\n1,\"x\"y\n",
    "file 'x.csv': line 2 has text behind a quote that ends: pass --quote none, or --escape with what \
     is written before a quote"
)]
#[tokio::test]
async fn what_cannot_be_read_is_named(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(inspected(text).await.unwrap_err().to_string(), expected);
}

#[tokio::test]
async fn the_longest_line_is_what_the_user_says() {
    let options = TextOptions { max_line: Some(1000), ..TextOptions::default() };
    for text in [
        format!("a,b\n1,{}\n", "x".repeat(999)),
        format!("a,{}", "b".repeat(200_000)),
        format!("a,b\n1,\"{}", "x\n".repeat(100_000)),
        format!("#{}", "x".repeat(200_000)),
    ] {
        let error = read(text.as_bytes(), &options, None).await.unwrap_err().to_string();
        let said = ["longer than 1000 bytes", "does not end"];
        assert!(said.iter().any(|said| error.contains(said)), "{error}");
    }
    let text = format!("a,b\n1,{}\n", "x".repeat(998));
    assert_eq!(read(text.as_bytes(), &options, None).await.unwrap().rows, Some(1));
}

#[tokio::test]
async fn the_delimiter_is_the_one_that_all_lines_agree_on() {
    let facts = inspected("a;b, c, d\n1,5;x\n2,5;y, z\n").await.unwrap();
    assert_eq!((lines(&facts).dialect.delimiter, columns(&facts).len()), (b';', 2));
    let facts = inspected("a|b,c\n1|2,3\n").await.unwrap();
    assert_eq!(lines(&facts).dialect.delimiter, b',', "of two that all agree on the first");
    let facts = inspected("id ra\n1 2.5\n2 3.5\n").await.unwrap();
    assert_eq!(names(&facts), ["id", "ra"], "blanks between numbers");
    let facts = inspected("full name\nJean Dupont\n").await.unwrap();
    assert_eq!(names(&facts), ["full name"]);
}

#[tokio::test]
async fn what_comes_before_the_header_is_passed_over() {
    for text in ["\n\na,b\n1,2\n", "sep=;\na;b\n1;2\n", "# x\n#y, z\n\na,b\n1,2\n"] {
        let facts = inspected(text).await.unwrap();
        assert_eq!((names(&facts), facts.rows), (vec!["a", "b"], Some(1)), "{text}");
    }
    let skip = TextOptions { skip: 2, ..TextOptions::default() };
    let facts = read(b"made by x;y;z\n2024\na;b\n1;2\n", &skip, None).await.unwrap();
    assert_eq!((names(&facts), facts.rows), (vec!["a", "b"], Some(1)));
    // As Topcat writes it.
    let facts = inspected("# made by x\n# ra dec\n1.5 2.5\n3.5 4.5\n").await.unwrap();
    assert_eq!((names(&facts), facts.rows), (vec!["ra", "dec"], Some(2)));
}

#[tokio::test]
async fn comments_between_rows_are_passed_over_and_counted() {
    let facts = inspected("a,b\n1,2\n# second\n3,4\n").await.unwrap();
    assert_eq!((facts.rows, columns(&facts)[0].1.clone()), (Some(2), DataType::Int64));
    let said = facts.findings.iter().find(|found| found.what == "comments").unwrap();
    assert_eq!((said.value.as_str(), said.is_guess), ("1 line", true));
    let none = TextOptions { comment: Some(Mark(None)), ..TextOptions::default() };
    let error = read(b"a,b\n1,2\n# second\n", &none, None).await.unwrap_err();
    assert!(error.to_string().contains("line 3 has 1 field"), "{error}");
    let facts = inspected("a,b\n#1,2\n#3,4\n").await.unwrap();
    assert_eq!(facts.rows, Some(2), "values may begin with #");
}

#[tokio::test]
async fn units_and_dashes_below_the_header_are_passed_over() {
    let text = "#\n# VizieR\n#\nRA\tGmag\ndeg\tmag\n---\t----\n1.5\t  \n2.5\t7.25\n";
    let facts = inspected(text).await.unwrap();
    let expected = [("RA", DataType::Float64), ("Gmag", DataType::Float64)];
    assert_eq!((columns(&facts), facts.rows), (expected.to_vec(), Some(2)));
}

#[tokio::test]
async fn the_types_of_ecsv_are_used_where_the_values_obey() {
    let text = "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n# - {name: id, datatype: int64}\n\
                # - {name: c, datatype: string}\n# - {name: x, datatype: float64}\n\
                # - {name: y, datatype: int64}\nid,c,x,y\n1,7,2,z\nnull,8,null,3\n";
    let facts = inspected(text).await.unwrap();
    let expected = [
        ("id", DataType::Int64),
        ("c", DataType::Utf8),
        ("x", DataType::Float64),
        ("y", DataType::Utf8),
    ];
    assert_eq!((columns(&facts), facts.rows), (expected.to_vec(), Some(2)));
}

#[tokio::test]
async fn backslashes_before_quotes_are_recognised() {
    let facts = inspected("id,t\n1,\"say \\\"yes\\\", then\nstop\"\n2,b\\c\n").await.unwrap();
    assert_eq!((lines(&facts).dialect.escape, facts.rows), (Some(b'\\'), Some(2)));
    let facts = inspected("id,t\n1,\"C:\\dir\\\"\n").await.unwrap();
    assert_eq!(lines(&facts).dialect.escape, None, "a backslash may end a value");
}

#[tokio::test]
async fn names_that_are_there_twice_get_numbers() {
    let facts = inspected("ra,,ra,ra_1, ra ,x\n1,2,3,4,5,6\n").await.unwrap();
    assert_eq!(names(&facts), ["ra", "column_2", "ra_2", "ra_1", "ra_3", "x"]);
    assert!(facts.findings.iter().any(|found| found.what == "names" && found.is_guess));
}

#[tokio::test]
async fn a_last_delimiter_is_no_column() {
    for text in ["a,b,\n1,2\n3,4\n", "a,b\n1,2,\n3,4,\n"] {
        let facts = inspected(text).await.unwrap();
        assert_eq!((names(&facts), facts.rows), (vec!["a", "b"], Some(2)), "{text}");
    }
}

#[tokio::test]
async fn decimal_commas_are_pointed_at() {
    let text = b"id;lat\n1;48,85\n2;45,76\n";
    let facts = read(text, &TextOptions::default(), None).await.unwrap();
    assert!(facts.findings.iter().any(|f| f.what == "decimal" && f.value == "lat as text"));
    let comma = TextOptions { decimal: Decimal(b','), ..TextOptions::default() };
    let facts = read(text, &comma, None).await.unwrap();
    assert_eq!(columns(&facts)[1], ("lat", DataType::Float64));
}

#[tokio::test]
async fn a_sample_ends_with_a_whole_line_and_does_not_count() {
    let text = "a,b\n1,\"x\ny\"\n2,é\n3,z\n";
    let options = TextOptions::default();
    for sample in 4..text.len() as u64 {
        let facts = read(text.as_bytes(), &options, Some(sample)).await.unwrap();
        assert_eq!((facts.rows, names(&facts).len()), (None, 2), "{sample}");
    }
    let facts = read(text.as_bytes(), &options, Some(text.len() as u64)).await.unwrap();
    assert_eq!(facts.rows, Some(3));
}

#[rstest]
#[case(b"a,b\n1,\xE9\n", 6)]
#[case(b"\xEF\xBB\xBFa,b\n1,\xFF\xFE\n", 9)]
#[case(b"a,b\n1,\xC3", 6)]
#[tokio::test]
async fn what_is_not_utf8_is_named_with_its_place(#[case] text: &'static [u8], #[case] at: u64) {
    let error = read(text, &TextOptions::default(), None).await.unwrap_err();
    let expected = format!("file 'x.csv' is not UTF-8 at byte {at}: convert it");
    assert!(error.to_string().starts_with(&expected), "{error}");
    let latin = TextOptions { encoding: Some(Encoding::Latin1), ..TextOptions::default() };
    if text[0] == b'a' {
        assert_eq!(read(text, &latin, None).await.unwrap().rows, Some(1));
    }
}
