//! Parquet files of other programs: types that differ from file to file, keys in paths, names without an
//! ending, tables that list their own files.

use std::fs;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array,
    LargeStringArray, NullArray, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    UInt64Array,
};
use arrow::datatypes::Int32Type;
use parquet::data_type::{ByteArray, ByteArrayType, Int96, Int96Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use rstest::rstest;

use crate::cli::{outcome, pleiad};
use crate::support::clustering::Tables;

/// What SQL over `{}`, a path in the directory, prints: code, standard output and standard error.
fn sql(tables: &Tables, name: &str, query: &str) -> (i32, String, String) {
    let at = tables.path(name);
    let query = query.replace("{}", at.to_str().unwrap());
    outcome(&mut pleiad(&["sql", "-c", &query, "--format", "csv"]))
}

/// The rows that SQL over `{}` prints, without the header.
#[track_caller]
fn rows(tables: &Tables, name: &str, query: &str) -> String {
    let (code, stdout, stderr) = sql(tables, name, query);
    assert_eq!(code, 0, "{query}: {stderr}");
    stdout.split_once('\n').unwrap().1.trim_end().to_owned()
}

fn longs(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn doubles(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn decimals(values: &[i128], precision: u8, scale: i8) -> ArrayRef {
    let array = Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale);
    Arc::new(array.unwrap())
}

/// A directory of two files, whose column k is of two types.
fn two(one: ArrayRef, other: ArrayRef) -> Tables {
    let tables = Tables::new();
    tables.write("t/a.parquet", vec![("k", one)]);
    tables.write("t/b.parquet", vec![("k", other)]);
    tables
}

#[rstest]
#[case::widths(Arc::new(Int32Array::from(vec![1, 2])), longs(&[1 << 40]), "Int64", "1099511627779")]
#[case::unsigned(Arc::new(UInt64Array::from(vec![u64::MAX])), longs(&[-1]), "Decimal128(20, 0)", "18446744073709551614")]
#[case::floats(Arc::new(Float32Array::from(vec![0.5])), doubles(&[0.25]), "Float64", "0.75")]
#[case::integers_and_floats(longs(&[1, 2]), doubles(&[0.5]), "Float64", "3.5")]
#[case::decimals(decimals(&[150], 10, 2), decimals(&[12_345], 8, 4), "Decimal128(12, 4)", "2.7345")]
#[case::decimals_and_integers(decimals(&[150], 10, 2), longs(&[3]), "Decimal128(21, 2)", "4.50")]
fn numbers_of_several_types_have_the_type_that_holds_both(
    #[case] one: ArrayRef,
    #[case] other: ArrayRef,
    #[case] data_type: &str,
    #[case] sum: &str,
) {
    for (one, other) in [(&one, &other), (&other, &one)] {
        let tables = two(Arc::clone(one), Arc::clone(other));
        for name in ["t", "t/*.parquet"] {
            let found = rows(&tables, name, "SELECT DISTINCT arrow_typeof(k) FROM '{}'");
            assert_eq!(found.trim_matches('"'), data_type, "{name}");
            assert_eq!(rows(&tables, name, "SELECT sum(k) FROM '{}'"), sum, "{name}");
        }
    }
}

#[rstest]
#[case::nulls(Arc::new(NullArray::new(2)), texts(&["x"]))]
#[case::large(Arc::new(LargeStringArray::from(vec!["y", "z"])), texts(&["x"]))]
#[case::dictionary(Arc::new(vec!["y", "z"].into_iter().collect::<DictionaryArray<Int32Type>>()), texts(&["x"]))]
fn text_of_several_encodings_is_text(#[case] one: ArrayRef, #[case] other: ArrayRef) {
    let tables = two(one, other);
    assert_eq!(
        rows(&tables, "t", "SELECT count(*), max(k) = 'x' OR max(k) = 'z' FROM '{}'"),
        "3,true"
    );
    assert_eq!(rows(&tables, "t", "SELECT count(*) FROM '{}' WHERE k = 'x'"), "1");
}

#[test]
fn a_timestamp_has_the_finer_unit() {
    let micros = TimestampMicrosecondArray::from(vec![1_700_000_000_000_001]);
    let nanos = TimestampNanosecondArray::from(vec![1_700_000_000_000_000_999]);
    let tables = two(Arc::new(micros), Arc::new(nanos));
    let found = rows(&tables, "t", "SELECT k FROM '{}' ORDER BY k");
    assert_eq!(found, "2023-11-14T22:13:20.000000999\n2023-11-14T22:13:20.000001");
}

#[test]
fn columns_are_the_same_by_name_and_a_missing_one_is_null() {
    let tables = Tables::new();
    tables.write("t/a.parquet", vec![("a", longs(&[1])), ("b", texts(&["x"]))]);
    tables.write(
        "t/b.parquet",
        vec![("b", texts(&["y"])), ("c", doubles(&[0.5])), ("a", longs(&[2]))],
    );
    for name in ["t", "t/*.parquet"] {
        assert_eq!(rows(&tables, name, "SELECT a, b, c FROM '{}' ORDER BY a"), "1,x,\n2,y,0.5");
    }
}

#[rstest]
#[case::text_and_numbers(texts(&["x"]), longs(&[1]), "text", "int64")]
#[case::decimals_and_floats(decimals(&[150], 10, 2), doubles(&[0.5]), "Decimal128(10, 2)", "float64")]
fn types_without_a_common_one_are_refused_with_both_files(
    #[case] one: ArrayRef,
    #[case] other: ArrayRef,
    #[case] first: &str,
    #[case] second: &str,
) {
    let (code, _, stderr) = sql(&two(one, other), "t", "SELECT * FROM '{}'");
    assert_eq!(code, 65, "{stderr}");
    for word in ["a.parquet", "b.parquet", first, second, "CAST"] {
        assert!(stderr.contains(word), "{word}: {stderr}");
    }
}

/// 2^53 + 1 is no double.
#[test]
fn integers_that_no_float_holds_do_not_become_floats() {
    let tables = two(longs(&[(1 << 53) + 1]), doubles(&[0.5]));
    let (code, _, stderr) = sql(&tables, "t", "SELECT * FROM '{}'");
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("2^53") && stderr.contains("a.parquet"), "{stderr}");
}

/// The bounds of a filter are those of the common type.
#[test]
fn filters_on_widened_columns_leave_out_no_row() {
    let tables = two(longs(&[1, 2, 3]), doubles(&[2.5, 3.5]));
    assert_eq!(rows(&tables, "t", "SELECT count(*) FROM '{}' WHERE k > 2.4"), "3");
    assert_eq!(rows(&tables, "t", "SELECT min(k), max(k) FROM '{}' WHERE k < 3"), "1.0,2.5");
}

#[test]
fn the_columns_of_all_files_count_however_many_there_are() {
    let tables = Tables::new();
    tables.write("t/0000.parquet", vec![("k", longs(&[0]))]);
    for number in 1..=1000 {
        tables.write(
            &format!("t/{number:04}.parquet"),
            vec![("k", doubles(&[f64::from(number) + 0.5]))],
        );
    }
    assert_eq!(rows(&tables, "t", "SELECT sum(k), max(k) FROM '{}'"), "501000.0,1000.5");
}

#[test]
fn two_columns_of_one_name_are_not_read_as_one() {
    let tables = Tables::new();
    let schema = "message m { required int64 id; required int64 value; required int64 value; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = fs::File::create(tables.path("twice.parquet")).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        let values = column.typed::<parquet::data_type::Int64Type>();
        values.write_batch(&[1], None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let (code, _, stderr) = sql(&tables, "twice.parquet", "SELECT * FROM '{}'");
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("several columns named 'value'"), "{stderr}");
}

/// Julian day 5,373,484 is 9999-12-31; day 1,721,426 is 0001-01-01.
#[test]
fn timestamps_of_96_bits_keep_years_that_nanoseconds_do_not_reach() {
    let tables = Tables::new();
    let schema = Arc::new(
        parse_message_type("message m { required int96 ts; required binary k (UTF8); }").unwrap(),
    );
    let file = fs::File::create(tables.path("int96.parquet")).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let at = |day: u32, hours: u64| {
        let nanos = hours * 3_600_000_000_000;
        let mut stamp = Int96::new();
        #[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
        stamp.set_data(nanos as u32, (nanos >> 32) as u32, day);
        stamp
    };
    let mut column = group.next_column().unwrap().unwrap();
    let stamps = [at(5_373_484, 2), at(2_459_375, 3), at(1_721_426, 0)];
    column.typed::<Int96Type>().write_batch(&stamps, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let names = ["a", "b", "c"].map(ByteArray::from);
    column.typed::<ByteArrayType>().write_batch(&names, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let found = rows(&tables, "int96.parquet", "SELECT ts, k FROM '{}' ORDER BY k");
    assert_eq!(found, "9999-12-31T02:00:00,a\n2021-06-09T03:00:00,b\n0001-01-01T00:00:00,c");
    let count = |filter: &str| {
        rows(&tables, "int96.parquet", &format!("SELECT count(*) FROM '{{}}' WHERE {filter}"))
    };
    assert_eq!(count("ts > '2500-01-01'"), "1");
    assert_eq!(count("ts < '2000-01-01'"), "1");
    assert_eq!(count("'2021-06-09 03:00:00' = ts"), "1");
    assert_eq!(count("ts BETWEEN '2021-01-01' AND '9999-12-31 23:00:00'"), "2");
    assert_eq!(count("ts IN ('2021-06-09T03:00:00', '1500-01-01')"), "1");
    let day =
        rows(&tables, "int96.parquet", "SELECT date_trunc('day', ts) FROM '{}' WHERE k = 'a'");
    assert_eq!(day, "9999-12-31T00:00:00");
}

fn hive(values: &[&str]) -> Tables {
    let tables = Tables::new();
    for (number, value) in (1..).zip(values) {
        tables.write(&format!("t/month={value}/a.parquet"), vec![("v", longs(&[number]))]);
    }
    tables
}

#[rstest]
#[case::integers(&["9", "10", "11", "12"], "Int64", "12", "9 10 11 12")]
#[case::leading_zeros(&["09", "10"], "Int64", "10", "9 10")]
#[case::dates(&["2024-01-31", "2023-02-28"], "Date32", "2024-01-31", "2023-02-28 2024-01-31")]
#[case::text(&["9", "ten"], "Utf8", "ten", "9 ten")]
#[case::no_such_day(&["2024-01-31", "2023-02-30"], "Utf8", "2024-01-31", "2023-02-30 2024-01-31")]
#[case::too_large(&["9", "99999999999999999999"], "Utf8", "99999999999999999999", "9 99999999999999999999")]
#[case::null(&["9", "__HIVE_DEFAULT_PARTITION__", "10"], "Int64", "10", "9 10 \"\"")]
fn keys_are_what_all_their_values_are(
    #[case] values: &[&str],
    #[case] data_type: &str,
    #[case] max: &str,
    #[case] sorted: &str,
) {
    let tables = hive(values);
    for name in ["t", "t/*/*.parquet", "t/month=*"] {
        let of = |query: &str| rows(&tables, name, query).replace('\n', " ");
        assert_eq!(of("SELECT DISTINCT arrow_typeof(month) FROM '{}'"), data_type, "{name}");
        assert_eq!(of("SELECT max(month) FROM '{}'"), max, "{name}");
        let found = of("SELECT month FROM '{}' ORDER BY month NULLS LAST");
        assert_eq!(found, sorted, "{name}");
    }
}

#[test]
fn a_key_that_is_declared_as_text_is_what_the_path_says() {
    let tables = hive(&["09", "10"]);
    let at = tables.path("t");
    let query = format!(
        "CREATE EXTERNAL TABLE t (v BIGINT, month VARCHAR) STORED AS PARQUET PARTITIONED BY (month) \
         LOCATION '{}'; SELECT min(month) FROM t",
        at.display()
    );
    let (code, stdout, stderr) = outcome(&mut pleiad(&["sql", "-c", &query, "--format", "csv"]));
    assert_eq!((code, stdout.lines().last()), (0, Some("09")), "{stderr}");
}

#[test]
fn directories_that_are_no_keys_say_nothing_of_their_rows() {
    let tables = Tables::new();
    tables.write("t/2024/01/f.parquet", vec![("v", longs(&[1]))]);
    tables.write("t/2024/02/f.parquet", vec![("v", longs(&[2]))]);
    assert_eq!(rows(&tables, "t", "SELECT sum(v) FROM '{}'"), "3");
}

#[test]
fn text_beside_parquet_files_is_left_out_and_said() {
    let tables = Tables::new();
    tables.write("t/a.parquet", vec![("v", longs(&[1]))]);
    fs::write(tables.path("t/README.txt"), "what this is\n").unwrap();
    let (code, stdout, stderr) = sql(&tables, "t", "SELECT sum(v) FROM '{}'");
    assert_eq!((code, stdout.lines().last()), (0, Some("1")), "{stderr}");
    assert!(stderr.contains("README.txt"), "{stderr}");
}

#[test]
fn names_without_an_ending_are_read_by_the_first_bytes() {
    let tables = Tables::new();
    tables.write("t/part-00000", vec![("v", longs(&[1]))]);
    tables.write("t/part-00001", vec![("v", longs(&[2]))]);
    assert_eq!(rows(&tables, "t/", "SELECT sum(v) FROM '{}/'"), "3");
    assert_eq!(rows(&tables, "t/part-00000", "SELECT sum(v) FROM '{}'"), "1");
    fs::write(tables.path("text"), "a,b\n1,2\n").unwrap();
    let (code, _, stderr) = sql(&tables, "text", "SELECT * FROM '{}'");
    assert!(code == 65 && stderr.contains("STORED AS"), "{stderr}");
    let declared = format!(
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{}'; SELECT b FROM t",
        tables.path("text").display()
    );
    let (code, stdout, stderr) = outcome(&mut pleiad(&["sql", "-c", &declared, "--format", "csv"]));
    assert_eq!((code, stdout.lines().last()), (0, Some("2")), "{stderr}");
}

#[rstest]
#[case::delta("_delta_log/00000000000000000000.json", "Delta")]
#[case::hudi(".hoodie/hoodie.properties", "Hudi")]
#[case::iceberg("metadata/v1.metadata.json", "Iceberg")]
fn files_of_a_table_that_lists_its_own_are_refused(#[case] mark: &str, #[case] kind: &str) {
    let tables = Tables::new();
    tables.write("t/data/day=1/a.parquet", vec![("v", longs(&[1, 2]))]);
    tables.write("t/data/day=1/b.parquet", vec![("v", longs(&[2]))]);
    fs::write(tables.path(&format!("t/{mark}")), "{}").unwrap();
    for name in [
        "t",
        "t/data",
        "t/data/day=1",
        "t/data/day=1/*.parquet",
        "t/data/*/*.parquet",
        "t/data/day=1/a.parquet",
    ] {
        let at = tables.path(name);
        let count = |more: &[&str]| {
            let line = [&["count", at.to_str().unwrap()], more].concat();
            outcome(&mut pleiad(&line))
        };
        let (code, _, stderr) = count(&[]);
        assert_eq!(code, 65, "{name}: {stderr}");
        assert!(stderr.contains(kind), "{name}: {stderr}");
        let (code, _, stderr) = count(&["--as-files"]);
        assert_eq!(code, 0, "{name}: {stderr}");
    }
}
