//! Tables: what is written is read back on every store; a dataset is published or absent.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, LogicalPlan, Volatility, create_udf};
use datafusion::prelude::SessionContext;
use object_store::ObjectStoreExt;
use parquet::file::reader::{FileReader, SerializedFileReader};
use pleiad::error::{Error, Kind, Result};
use pleiad::event::Silent;
use pleiad::storage::{Location, Stores};
use pleiad::table::{
    Begin, KeyLayout, Manifest, Mode, Run, RunOptions, Source, SourceOptions, SourceTable,
    TableSpec,
};
use rstest::rstest;

use crate::support::faults::Fault;
use crate::support::scratch::{On, Scratch, session, session_with_pool};

/// `n` people in 5 prefectures.
fn people(n: u64) -> String {
    format!(
        "SELECT value AS id, 'person ' || value AS name, value * 0.5 AS weight, \
         CAST(value % 5 AS INT) AS id_pref FROM generate_series(1, {n})"
    )
}

fn spec(name: &str) -> TableSpec {
    TableSpec { name: name.to_owned(), keys: vec!["id_pref".to_owned()], ..TableSpec::default() }
}

async fn plan(session: &SessionContext, sql: &str) -> LogicalPlan {
    session.sql(sql).await.unwrap().into_optimized_plan().unwrap()
}

async fn begin(stores: &Arc<Stores>, out: &Location, mode: Mode) -> Result<Run> {
    match Run::begin(stores, out, RunOptions { mode, ..RunOptions::default() }).await? {
        Begin::Run(run) => Ok(*run),
        Begin::AlreadyThere(manifest) => Err(Error::internal(format!("kept {}", manifest.version))),
    }
}

/// Writes one table and commits.
async fn write(place: &Scratch, sql: &str, spec: TableSpec, mode: Mode) -> Result<Manifest> {
    write_on(&place.stores, place, sql, spec, mode).await
}

/// The same by way of `stores`.
async fn write_on(
    stores: &Arc<Stores>,
    place: &Scratch,
    sql: &str,
    spec: TableSpec,
    mode: Mode,
) -> Result<Manifest> {
    let session = session(stores, 3, 8192);
    let run = begin(stores, &place.out, mode).await?;
    run.write(&session.state(), plan(&session, sql).await, spec, &Silent).await?;
    run.commit(BTreeMap::from([("made by".to_owned(), "a test".to_owned())])).await
}

pub(crate) async fn open(stores: &Arc<Stores>, text: &str) -> Result<Source> {
    Source::open(stores, text, &SourceOptions::default()).await
}

async fn table(place: &Scratch) -> SourceTable {
    open(&place.stores, &place.out.to_string()).await.unwrap().tables.remove(0)
}

/// Runs `sql` on `table`, known as `t`.
async fn query(stores: &Arc<Stores>, table: &SourceTable, sql: &str) -> Result<Vec<RecordBatch>> {
    let session = session(stores, 3, 8192);
    session.register_table("t", table.provider())?;
    Ok(session.sql(sql).await?.collect().await?)
}

/// The one integer that `sql` answers.
pub(crate) async fn number(stores: &Arc<Stores>, table: &SourceTable, sql: &str) -> Result<i64> {
    let batches = query(stores, table, sql).await?;
    let found: Vec<_> = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values())
        .collect();
    assert_eq!(found.len(), 1, "{sql}");
    Ok(*found[0])
}

#[rstest]
#[tokio::test]
async fn what_is_written_reads_back(
    #[values(On::Memory, On::Files, On::S3)] on: On,
    #[values(KeyLayout::Fanout, KeyLayout::Clustered)] layout: KeyLayout,
) {
    let place = Scratch::new(on);
    let spec = TableSpec { layout, order: vec!["id".to_owned()], ..spec("people") };
    let manifest = write(&place, &people(20_000), spec, Mode::Error).await.unwrap();
    assert_eq!((manifest.version, manifest.rows()), (1, 20_000));
    let table = table(&place).await;
    assert_eq!(table.partitions().len(), 5);
    let id_pref = table.schema.field(3);
    assert_eq!((id_pref.name().as_str(), id_pref.data_type()), ("id_pref", &DataType::Int32));
    // 1 + 2 + … + 20000 and each person in the prefecture it was put.
    let sql = "SELECT sum(id) FROM t WHERE id % 5 = id_pref AND name = 'person ' || id";
    assert_eq!(number(&place.stores, &table, sql).await.unwrap(), 200_010_000);
    let third = table.only(&[ScalarValue::Int32(Some(3))]);
    assert_eq!((third.rows(), third.partitions().len()), (Some(4000), 1));
    assert_eq!(table.changed().await.unwrap(), None);
    let listed = place.visible().await;
    assert_eq!(listed.len(), manifest.files.len() + 3, "{listed:?}");
    let head = &listed[..2];
    assert_eq!(head, ["_SUCCESS", "_manifest/00000001.json"]);
}

#[rstest]
#[tokio::test]
async fn several_tables_are_published_by_one_commit(
    #[values(On::Memory, On::Files, On::S3)] on: On,
) {
    let place = Scratch::new(on);
    let session = place.session(2);
    let run = begin(&place.stores, &place.out, Mode::Error).await.unwrap();
    for name in ["table1", "table2", "table3"] {
        let plan = plan(&session, &people(100)).await;
        run.write(&session.state(), plan, spec(name), &Silent).await.unwrap();
        assert_eq!(place.visible().await, Vec::<String>::new());
    }
    run.commit(BTreeMap::new()).await.unwrap();
    let names = |source: Source| source.tables.into_iter().map(|t| t.name).collect::<Vec<_>>();
    let all = ["table1", "table2", "table3"];
    let out = place.out.to_string();
    assert_eq!(names(open(&place.stores, &out).await.unwrap()), all);
    assert_eq!(names(open(&place.stores, &format!("{out}/table*")).await.unwrap()), all);
    assert_eq!(names(open(&place.stores, &format!("{out}/table2")).await.unwrap()), ["table2"]);
    let part = open(&place.stores, &format!("{out}/table2/id_pref=3")).await.unwrap();
    assert_eq!(part.tables[0].rows(), Some(20));
    let error = open(&place.stores, &format!("{out}/table4")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InputMissing);
    assert!(error.to_string().ends_with("which has tables table1, table2, table3"), "{error}");
}

#[rstest]
#[tokio::test]
async fn one_plan_fills_several_tables_by_its_routes(
    #[values(KeyLayout::Fanout, KeyLayout::CountedFanout, KeyLayout::Clustered)] layout: KeyLayout,
) {
    let place = Scratch::new(On::Memory);
    let session = place.session(2);
    let run = begin(&place.stores, &place.out, Mode::Error).await.unwrap();
    // Row n goes to table n % 3, under the key n % 4 there.
    let sql = "SELECT value AS id, CAST(value % 4 * 3 + value % 3 AS INT) AS k \
               FROM generate_series(0, 1199)";
    let tables = ["a", "b", "c"];
    let beside = tables[1..].iter().map(|name| (*name).to_owned()).collect();
    let keys = vec!["k".to_owned()];
    let spec = TableSpec { name: "a".to_owned(), keys, beside, layout, ..TableSpec::default() };
    let plan = plan(&session, sql).await;
    let facts = run.write(&session.state(), plan, spec, &Silent).await.unwrap();
    assert_eq!(facts.rows, 1200);
    run.commit(BTreeMap::new()).await.unwrap();
    for (place_of, name) in tables.iter().enumerate() {
        let source = open(&place.stores, &format!("{}/{name}", place.out)).await.unwrap();
        assert_eq!(source.tables[0].partitions().len(), 4);
        let sql = format!("SELECT count(*) FROM t WHERE id % 3 = {place_of} AND id % 4 = k");
        assert_eq!(number(&place.stores, &source.tables[0], &sql).await.unwrap(), 400, "{name}");
    }
}

#[tokio::test]
async fn no_rows_are_added_to_what_a_driver_made() {
    let place = Scratch::new(On::Memory);
    let session = place.session(2);
    let run = begin(&place.stores, &place.out, Mode::Error).await.unwrap();
    let rows = plan(&session, &people(10)).await;
    run.write(&session.state(), rows, spec("people"), &Silent).await.unwrap();
    let manifest = run.made_by("dbscan").commit(BTreeMap::new()).await.unwrap();
    assert_eq!((manifest.made_by(), manifest.grows()), (Some("dbscan"), false));
    let error = write(&place, &people(1), spec("people"), Mode::Append).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("was made by pleiad dbscan"), "{error}");
    let replaced = write(&place, &people(2), spec("people"), Mode::Overwrite).await.unwrap();
    assert_eq!((replaced.made_by(), replaced.grows()), (None, true));
    let grown = write(&place, &people(1), spec("people"), Mode::Append).await.unwrap();
    assert_eq!((grown.rows(), grown.grows()), (3, true));
}

/// A function that fails on one value.
fn failing_at(bad: i64) -> datafusion::logical_expr::ScalarUDF {
    let fail = move |args: &[ColumnarValue]| {
        let ColumnarValue::Array(values) = &args[0] else { return Ok(args[0].clone()) };
        if values.as_primitive::<Int64Type>().values().contains(&bad) {
            return exec_err!("row {bad} is bad");
        }
        Ok(args[0].clone())
    };
    create_udf(
        "check",
        vec![DataType::Int64],
        DataType::Int64,
        Volatility::Volatile,
        Arc::new(fail),
    )
}

#[rstest]
#[tokio::test]
async fn a_failing_query_leaves_nothing_visible_and_the_next_run_works(
    #[values(On::Memory, On::Files, On::S3)] on: On,
) {
    let place = Scratch::new(on);
    let session = place.session(2);
    session.register_udf(failing_at(15_001));
    let sql = format!("SELECT check(id) AS id, name, id_pref FROM ({})", people(20_000));
    let run = begin(&place.stores, &place.out, Mode::Error).await.unwrap();
    let failing = plan(&session, &sql).await;
    let error = run.write(&session.state(), failing, spec("people"), &Silent).await.unwrap_err();
    assert!(error.to_string().contains("row 15001 is bad"), "{error}");
    assert_eq!(place.visible().await, Vec::<String>::new());
    run.abort().await.unwrap();
    assert_eq!(place.objects().await, Vec::<String>::new());
    let manifest = write(&place, &people(20_000), spec("people"), Mode::Error).await.unwrap();
    assert_eq!(manifest.rows(), 20_000);
}

#[tokio::test]
async fn a_run_that_is_dropped_or_failed_is_not_committed() {
    let place = Scratch::new(On::Files);
    let session = place.session(2);
    let run = begin(&place.stores, &place.out, Mode::Error).await.unwrap();
    let bad = TableSpec { keys: vec!["idpref".to_owned()], ..spec("people") };
    let query = plan(&session, &people(10)).await;
    let error = run.write(&session.state(), query, bad, &Silent).await.unwrap_err();
    let expected =
        "column 'idpref' not found in table 'people', which has id, name, weight, id_pref";
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Usage, expected));
    assert_eq!(run.commit(BTreeMap::new()).await.unwrap_err().kind(), Kind::Internal);
    write(&place, &people(10), spec("people"), Mode::Error).await.unwrap();
    assert!(!place.objects().await.iter().any(|path| path.ends_with(".part")));
}

#[rstest]
#[tokio::test]
async fn null_keys_are_an_error_with_their_exact_count(
    #[values(On::Memory, On::Files, On::S3)] on: On,
    #[values(KeyLayout::Fanout, KeyLayout::Clustered)] layout: KeyLayout,
) {
    let place = Scratch::new(on);
    let sql = "SELECT value AS id, CASE WHEN value % 100 = 0 THEN NULL ELSE value % 3 END AS id_pref, \
               value % 2 AS half FROM generate_series(1, 20000)";
    let keys = vec!["half".to_owned(), "id_pref".to_owned()];
    let error =
        write(&place, sql, TableSpec { keys, layout, ..spec("t") }, Mode::Error).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    // 20000 / 100
    assert_eq!(error.to_string(), "key 'id_pref' is null in 200 rows: filter them or use coalesce");
    assert_eq!(place.visible().await, Vec::<String>::new());
}

#[rstest]
#[tokio::test]
async fn each_mode_does_what_its_name_says(#[values(On::Memory, On::Files, On::S3)] on: On) {
    let place = Scratch::new(on);
    let out = place.out.clone();
    let first = write(&place, &people(1000), spec("people"), Mode::Error).await.unwrap();

    let error = write(&place, &people(1000), spec("people"), Mode::Error).await.unwrap_err();
    assert_eq!(error.kind(), Kind::OutputExists);
    let expected =
        format!("output '{out}' already holds version 1: pass --mode overwrite to replace it");
    assert_eq!(error.to_string(), expected);

    let appended = write(&place, &people(500), spec("people"), Mode::Append).await.unwrap();
    assert_eq!((appended.version, appended.base, appended.rows()), (2, 1, 1500));
    assert!(appended.files.starts_with(&first.files));
    assert_eq!(
        number(&place.stores, &table(&place).await, "SELECT count(id) FROM t").await.unwrap(),
        1500
    );

    let other = "SELECT 'x' AS id, CAST(1 AS INT) AS id_pref";
    let error = write(&place, other, spec("people"), Mode::Append).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert_eq!(
        error.to_string(),
        "cannot append to table 'people': found column 'id' of type Utf8, expected column 'id' of type Int64"
    );

    let ignore = RunOptions { mode: Mode::Ignore, ..RunOptions::default() };
    match Run::begin(&place.stores, &out, ignore).await.unwrap() {
        Begin::AlreadyThere(manifest) => assert_eq!(manifest.version, 2),
        Begin::Run(_) => panic!("mode ignore began a run"),
    }

    let replaced = write(&place, &people(10), spec("other"), Mode::Overwrite).await.unwrap();
    assert_eq!((replaced.version, replaced.rows(), replaced.tables.len()), (3, 10, 1));
    let data: BTreeSet<_> =
        place.visible().await.into_iter().filter(|path| path.ends_with(".parquet")).collect();
    assert_eq!(data, replaced.files.iter().map(|file| file.path.clone()).collect());
}

#[rstest]
#[tokio::test]
async fn of_two_writers_one_wins_and_the_other_may_try_again(
    #[values(On::Memory, On::Files, On::S3)] on: On,
    #[values(Mode::Error, Mode::Overwrite)] mode: Mode,
) {
    let place = Scratch::new(on);
    if mode == Mode::Overwrite {
        write(&place, &people(1), spec("people"), Mode::Error).await.unwrap();
    }
    let session = place.session(2);
    let mut runs = Vec::new();
    for rows in [100, 200] {
        let run = begin(&place.other_process(), &place.out, mode).await.unwrap();
        let query = plan(&session, &people(rows)).await;
        run.write(&session.state(), query, spec("people"), &Silent).await.unwrap();
        runs.push(run);
    }
    let (second, first) = (runs.pop().unwrap(), runs.pop().unwrap());
    let (a, b) = tokio::join!(first.commit(BTreeMap::new()), second.commit(BTreeMap::new()));
    let (won, lost) = match (a, b) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
        other => panic!("expected one winner, found {other:?}"),
    };
    assert_eq!(lost.kind(), Kind::Retry, "{lost}");
    let version = if mode == Mode::Error { 1 } else { 2 };
    assert_eq!(won.version, version);
    let rows = i64::try_from(won.rows()).unwrap();
    assert_eq!(
        number(&place.stores, &table(&place).await, "SELECT count(name) FROM t").await.unwrap(),
        rows
    );
    let data = place.visible().await.into_iter().filter(|path| path.ends_with(".parquet")).count();
    assert_eq!(data, won.files.len());
}

/// Files of text have the same names in every version: those of the winner stay when the loser's are removed.
#[rstest]
#[tokio::test]
async fn a_loser_does_not_remove_the_text_of_the_winner(
    #[values(On::Memory, On::Files, On::S3)] on: On,
) {
    let place = Scratch::new(on);
    let text = |text: &'static str| {
        futures::stream::iter([Ok((bytes::Bytes::from_static(text.as_bytes()), 1))])
    };
    let mut runs = Vec::new();
    for (rows, own) in [("a,1\n", "first.csv"), ("b,2\n", "second.csv")] {
        let run = begin(&place.other_process(), &place.out, Mode::Overwrite).await.unwrap();
        run.write_text("deep/part.csv", text(rows)).await.unwrap();
        run.write_text(own, text(rows)).await.unwrap();
        runs.push(run);
    }
    let (second, first) = (runs.pop().unwrap(), runs.pop().unwrap());
    first.commit(BTreeMap::new()).await.unwrap();
    let lost = second.commit(BTreeMap::new()).await.unwrap_err();
    assert_eq!(lost.kind(), Kind::Retry, "{lost}");
    let csv: Vec<_> =
        place.visible().await.into_iter().filter(|path| path.ends_with(".csv")).collect();
    assert_eq!(csv, ["deep/part.csv", "first.csv"]);
    let checkup =
        pleiad::table::commit::check(&place.stores, &place.out, true, &Silent).await.unwrap();
    assert_eq!(checkup.damages(), 0, "{checkup:?}");
}

#[rstest]
#[tokio::test]
async fn two_appends_both_stay(#[values(On::Memory, On::Files, On::S3)] on: On) {
    let place = Scratch::new(on);
    write(&place, &people(1), spec("people"), Mode::Error).await.unwrap();
    let session = place.session(2);
    let mut runs = Vec::new();
    for (name, rows) in [("people", 100), ("others", 200)] {
        let run = begin(&place.other_process(), &place.out, Mode::Append).await.unwrap();
        let query = plan(&session, &people(rows)).await;
        run.write(&session.state(), query, spec(name), &Silent).await.unwrap();
        runs.push(run);
    }
    let (second, first) = (runs.pop().unwrap(), runs.pop().unwrap());
    let (a, b) = tokio::join!(first.commit(BTreeMap::new()), second.commit(BTreeMap::new()));
    let versions = BTreeSet::from([a.unwrap().version, b.unwrap().version]);
    assert_eq!(versions, BTreeSet::from([2, 3]));
    let source = open(&place.stores, &place.out.to_string()).await.unwrap();
    let rows: Vec<_> =
        source.tables.iter().map(|table| (table.name.as_str(), table.rows())).collect();
    assert_eq!(rows, [("others", Some(200)), ("people", Some(101))]);
}

#[rstest]
#[tokio::test]
async fn a_location_with_what_is_not_ours_is_refused_in_every_mode(
    #[values(On::Memory, On::Files, On::S3)] on: On,
    #[values(Mode::Error, Mode::Overwrite, Mode::Append, Mode::Ignore)] mode: Mode,
) {
    let place = Scratch::new(on);
    let store = place.stores.open(&place.out).unwrap();
    store.objects().put(place.out.join("notes.txt").path(), "mine".into()).await.unwrap();
    let error = begin(&place.stores, &place.out, mode).await.unwrap_err();
    assert_eq!(error.kind(), Kind::OutputExists);
    assert!(error.to_string().contains("holds 'notes.txt' but no manifest"), "{error}");
    assert_eq!(place.objects().await, ["notes.txt"]);
}

#[rstest]
#[tokio::test]
async fn counts_and_bounds_need_no_file_and_a_key_reads_only_its_own(
    #[values(On::Memory, On::S3)] on: On,
) {
    let place = Scratch::new(on);
    let spec = TableSpec { layout: KeyLayout::Clustered, ..spec("people") };
    write(&place, &people(1000), spec, Mode::Error).await.unwrap();
    let table = table(&place).await;
    let calls = |sql: &'static str| {
        let (stores, table) = (&place.stores, &table);
        async move {
            let before = stores.calls();
            let answer = number(stores, table, sql).await.unwrap();
            (answer, stores.calls() - before)
        }
    };
    assert_eq!(calls("SELECT count(*) FROM t").await, (1000, 0));
    assert_eq!(calls("SELECT max(id) - min(id) FROM t").await, (999, 0));
    assert_eq!(calls("SELECT count(*) FROM t WHERE id_pref IN (1, 2)").await, (400, 0));
    assert_eq!(calls("SELECT sum(id) FROM t WHERE id_pref = 7").await.1, 0);
    // The sum of 3, 8, … 998; a small file is read in two requests: its end, and its columns.
    let (sum, one_file) = calls("SELECT sum(id) FROM t WHERE id_pref = 3").await;
    assert_eq!(sum, 100_100);
    assert!((1..=3).contains(&one_file), "{one_file} requests");
}

#[rstest]
#[tokio::test]
async fn a_commit_of_another_process_is_seen_by_the_next_query(
    #[values(On::Files, On::S3)] on: On,
) {
    let place = Scratch::new(on);
    write(&place, &people(10), spec("people"), Mode::Error).await.unwrap();
    let other = place.other_process();
    let count = async || {
        let source = open(&other, &place.out.to_string()).await.unwrap();
        number(&other, &source.tables[0], "SELECT count(*) FROM t").await.unwrap()
    };
    assert_eq!(count().await, 10);
    write(&place, &people(20), spec("people"), Mode::Append).await.unwrap();
    assert_eq!(count().await, 30);
}

#[rstest]
#[tokio::test]
async fn a_reader_of_a_replaced_version_gets_a_clear_error(
    #[values(On::Memory, On::Files, On::S3)] on: On,
) {
    let place = Scratch::new(on);
    write(&place, &people(1000), spec("people"), Mode::Error).await.unwrap();
    let old = table(&place).await;
    let sum = "SELECT sum(id) FROM t";
    assert_eq!(number(&place.stores, &old, sum).await.unwrap(), 500_500);
    write(&place, &people(10), spec("people"), Mode::Overwrite).await.unwrap();
    let error = number(&place.stores, &old, sum).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
    assert!(
        error.to_string().contains("was replaced while it was read: version 1 is gone"),
        "{error}"
    );
    assert!(old.changed().await.unwrap().unwrap().ends_with("is gone"));
    assert_eq!(number(&place.stores, &table(&place).await, sum).await.unwrap(), 55);
}

#[rstest]
#[tokio::test]
async fn a_file_that_is_gone_or_another_is_named(#[values(On::Files, On::S3)] on: On) {
    let place = Scratch::new(on);
    let manifest = write(&place, &people(1000), spec("people"), Mode::Error).await.unwrap();
    let path = manifest.files[0].path.clone();
    let object = place.out.join(&path);
    let store = place.stores.open(&object).unwrap();
    store.objects().put(object.path(), "PAR1 something else".into()).await.unwrap();
    let error =
        number(&place.stores, &table(&place).await, "SELECT sum(id) FROM t").await.unwrap_err();
    let expected =
        format!("file '{object}' is not the file it was, though version 1 of its dataset lists it");
    assert_eq!((error.kind(), error.to_string()), (Kind::Data, expected));
    store.objects().delete(object.path()).await.unwrap();
    let error =
        number(&place.stores, &table(&place).await, "SELECT sum(id) FROM t").await.unwrap_err();
    let expected = format!("file '{object}' is missing, though version 1 of its dataset lists it");
    assert_eq!((error.kind(), error.to_string()), (Kind::Data, expected));
}

#[tokio::test]
async fn a_copy_of_a_dataset_reads_like_the_original() {
    let place = Scratch::new(On::S3);
    write(&place, &people(100), spec("people"), Mode::Error).await.unwrap();
    let store = place.stores.open(&place.out).unwrap();
    let copy = Location::parse("s3://bucket/copy").unwrap();
    for path in place.visible().await {
        let bytes = store.objects().get(place.out.join(&path).path()).await.unwrap();
        let bytes = bytes.bytes().await.unwrap();
        store.objects().put(copy.join(&path).path(), bytes.into()).await.unwrap();
    }
    let source = open(&place.stores, "s3://bucket/copy/people").await.unwrap();
    assert_eq!(
        number(&place.stores, &source.tables[0], "SELECT sum(id) FROM t").await.unwrap(),
        5050
    );
}

#[rstest]
#[tokio::test]
async fn an_empty_result_is_a_table_with_its_schema(
    #[values(On::Memory, On::Files, On::S3)] on: On,
    #[values(true, false)] keyed: bool,
) {
    let place = Scratch::new(on);
    let keys = if keyed { spec("people").keys } else { Vec::new() };
    let sql = format!("{} WHERE value < 0", people(10));
    let manifest =
        write(&place, &sql, TableSpec { keys, ..spec("people") }, Mode::Error).await.unwrap();
    assert_eq!((manifest.files.len(), manifest.rows()), (1, 0));
    let table = table(&place).await;
    assert_eq!(table.schema.fields().len(), 4);
    assert_eq!(number(&place.stores, &table, "SELECT count(id) FROM t").await.unwrap(), 0);
    let keys = table.keys.iter().map(|key| key.name().clone()).collect();
    let spec = TableSpec { keys, ..spec("people") };
    let appended = write(&place, &people(10), spec, Mode::Append).await.unwrap();
    assert_eq!(appended.rows(), 10);
}

/// Law 1 of the design: equal rows in a total order give equal bytes.
#[tokio::test]
async fn bytes_do_not_depend_on_streams_or_batches() {
    let sql = "SELECT value AS id, 'person ' || (value * 7919 % 20011) AS name, value % 3 AS id_pref \
               FROM generate_series(1, 30000)";
    let mut seen = BTreeSet::new();
    for (streams, batch_rows) in [(1, 8192), (3, 1000), (7, 8192), (7, 333)] {
        let place = Scratch::new(On::Memory);
        let session = session(&place.stores, streams, batch_rows);
        let run = begin(&place.stores, &place.out, Mode::Error).await.unwrap();
        let order = vec!["id".to_owned()];
        let spec = TableSpec { layout: KeyLayout::Clustered, order, ..spec("people") };
        run.write(&session.state(), plan(&session, sql).await, spec, &Silent).await.unwrap();
        let manifest = run.commit(BTreeMap::new()).await.unwrap();
        let sums: BTreeSet<_> =
            manifest.files.into_iter().map(|file| (file.partition, file.sha256)).collect();
        assert_eq!(sums.len(), 3);
        seen.insert(sums);
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[tokio::test]
async fn many_keys_are_written_by_key_after_all() {
    let place = Scratch::new(On::Files);
    let sql = "SELECT value AS id, value % 200 AS id_pref FROM generate_series(1, 20000)";
    let manifest = write(&place, sql, spec("people"), Mode::Error).await.unwrap();
    assert_eq!((manifest.files.len(), manifest.rows()), (200, 20_000));
    assert!(!place.objects().await.iter().any(|path| path.contains("/stage/")));
}

/// A pool too small for a full row group makes it smaller.
#[tokio::test]
async fn a_small_memory_pool_ends_row_groups_early() {
    let place = Scratch::new(On::Files);
    let session = session_with_pool(&place.stores, 2_000_000);
    let run = begin(&place.stores, &place.out, Mode::Error).await.unwrap();
    // 90,000 × 4 × 8 bytes that zstd cannot shrink.
    let sql = "SELECT random() AS a, random() AS b, random() AS c, random() AS d \
               FROM generate_series(1, 90000)";
    let query = plan(&session, sql).await;
    let spec = TableSpec { layout: KeyLayout::Clustered, ..TableSpec::default() };
    run.write(&session.state(), query, spec, &Silent).await.unwrap();
    let manifest = run.commit(BTreeMap::new()).await.unwrap();
    let path = place.out.join(&manifest.files[0].path);
    let file = std::fs::File::open(path.local_path().unwrap()).unwrap();
    let footer = SerializedFileReader::new(file).unwrap().metadata().clone();
    assert_eq!(footer.file_metadata().num_rows(), 90_000);
    assert!(footer.num_row_groups() > 1);
}

#[tokio::test]
async fn text_dates_and_awkward_values_are_keys() {
    let place = Scratch::new(On::Files);
    let sql = "SELECT * FROM (VALUES (1, '', DATE '2024-02-29'), (2, '__HIVE_DEFAULT_PARTITION__', DATE '1969-12-31'), \
               (3, 'a/b=%2F é', DATE '2024-02-29')) AS v(id, word, day)";
    let keys = vec!["day".to_owned(), "word".to_owned()];
    write(&place, sql, TableSpec { keys, ..TableSpec::default() }, Mode::Error).await.unwrap();
    let table = table(&place).await;
    assert_eq!(table.name, "out");
    assert_eq!(table.keys[0].data_type(), &DataType::Date32);
    for (word, id) in [("", 1), ("__HIVE_DEFAULT_PARTITION__", 2), ("a/b=%2F é", 3)] {
        let sql = format!("SELECT id FROM t WHERE word = '{word}'");
        assert_eq!(number(&place.stores, &table, &sql).await.unwrap(), id, "{word}");
    }
    assert_eq!(
        number(&place.stores, &table, "SELECT count(*) FROM t WHERE day > DATE '2000-01-01'")
            .await
            .unwrap(),
        2
    );
}

#[tokio::test]
async fn views_are_written_as_plain_text_also_when_nested() {
    let place = Scratch::new(On::Memory);
    let sql =
        "SELECT arrow_cast('x', 'Utf8View') AS a, make_array(arrow_cast('y', 'Utf8View')) AS b";
    write(&place, sql, TableSpec::default(), Mode::Error).await.unwrap();
    let table = table(&place).await;
    let types: Vec<_> = table.schema.fields().iter().map(|f| f.data_type().to_string()).collect();
    assert!(types.iter().all(|t| !t.contains("View")), "{types:?}");
    let rows = query(&place.stores, &table, "SELECT a, b[1] FROM t").await.unwrap();
    assert_eq!(rows[0].column(1).as_string::<i32>().value(0), "y");
}

/// NaN is the greatest float to the engine and no bound of a file, so MAX must read the rows.
#[tokio::test]
async fn the_greatest_float_may_be_nan() {
    let place = Scratch::new(On::Memory);
    let sql = "SELECT * FROM (VALUES (1.5e0), (arrow_cast('NaN', 'Float64'))) AS v(x)";
    write(&place, sql, TableSpec::default(), Mode::Error).await.unwrap();
    let rows =
        query(&place.stores, &table(&place).await, "SELECT max(x), min(x) FROM t").await.unwrap();
    let bits = |column: usize| rows[0].column(column).as_primitive::<Float64Type>().value(0);
    assert!(bits(0).is_nan());
    assert_eq!(bits(1).to_bits(), 1.5_f64.to_bits());
}

/// Polls `work` until it is done or was polled `polls` times; then drops it.
pub(crate) async fn stopped_after<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    std::future::poll_fn(move |context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// What a reader finds: all rows of one version, or nothing that it may take for one.
async fn rows_found(place: &Scratch) -> Option<u64> {
    match open(&place.stores, &place.out.to_string()).await {
        Ok(source) => {
            let rows = source.tables[0].rows().unwrap();
            let counted = number(&place.stores, &source.tables[0], "SELECT count(name) FROM t");
            assert_eq!(counted.await.unwrap(), i64::try_from(rows).unwrap());
            Some(rows)
        }
        Err(error) => {
            assert!(matches!(error.kind(), Kind::InputMissing | Kind::Data), "{error}");
            None
        }
    }
}

/// Law 7: a dataset is published or absent, never between, wherever a run stops; and the next run
/// finds its way.
#[rstest]
#[case(On::Memory, Mode::Append)]
#[case(On::Files, Mode::Overwrite)]
#[case(On::Files, Mode::Append)]
#[tokio::test]
async fn a_run_stopped_anywhere_is_published_or_absent(#[case] on: On, #[case] mode: Mode) {
    for polls in (0..).step_by(3) {
        let place = Scratch::new(on);
        write(&place, &people(100), spec("people"), Mode::Error).await.unwrap();
        let done =
            stopped_after(polls, Box::pin(write(&place, &people(10), spec("people"), mode))).await;
        let after = if mode == Mode::Append { 110 } else { 10 };
        let found = rows_found(&place).await.unwrap();
        assert!(found == 100 || found == after, "stopped after {polls} polls: {found} rows");
        let last = write(&place, &people(1), spec("people"), Mode::Append).await.unwrap();
        assert!(last.rows() == 101 || last.rows() == after + 1, "{polls}: {} rows", last.rows());
        let data = place.visible().await.into_iter().filter(|path| path.ends_with(".parquet"));
        assert_eq!(data.count(), last.files.len(), "stopped after {polls} polls");
        if done.is_some() {
            return;
        }
    }
}

/// The same on S3, where the process dies before or after a request: the two cases together leave
/// the server in every state between.
#[rstest]
#[case(Fault::DiesBefore, Mode::Overwrite)]
#[case(Fault::DiesAfter, Mode::Append)]
#[tokio::test]
async fn a_run_that_dies_at_any_request_is_published_or_absent(
    #[case] dies_at: fn(usize) -> Fault,
    #[case] mode: Mode,
) {
    for at in (0..).step_by(2) {
        let place = Scratch::new(On::S3);
        let spec = TableSpec::default;
        write(&place, &people(100), spec(), Mode::Error).await.unwrap();
        let stores = place.under(dies_at(at));
        let done = write_on(&stores, &place, &people(10), spec(), mode).await;
        let after = if mode == Mode::Append { 110 } else { 10 };
        let found = rows_found(&place).await.unwrap();
        assert!(found == 100 || found == after, "died at request {at}: {found} rows");
        let last = write(&place, &people(1), spec(), Mode::Append).await.unwrap();
        assert!(last.rows() == 101 || last.rows() == after + 1, "{at}: {} rows", last.rows());
        let data = place.visible().await.into_iter().filter(|path| path.ends_with(".parquet"));
        assert_eq!(data.count(), last.files.len(), "died at request {at}");
        if stores.calls() <= at as u64 {
            assert!(done.is_ok(), "nothing went wrong");
            return;
        }
    }
}

/// A request that was done and answered with an error is repeated by the client and then refused:
/// only what is read back tells.
#[tokio::test]
async fn a_request_that_was_done_and_answered_with_an_error_counts_as_done() {
    let check = async |at| {
        let place = Scratch::new(On::S3);
        let stores = place.under(Fault::DoneAndAnswered500(at));
        let manifest =
            write_on(&stores, &place, &people(10), TableSpec::default(), Mode::Error).await;
        let manifest = manifest.unwrap_or_else(|error| panic!("request {at}: {error}"));
        assert_eq!((manifest.version, manifest.rows()), (1, 10), "request {at}");
        assert_eq!(rows_found(&place).await, Some(10), "request {at}");
    };
    futures::future::join_all((0..40).map(check)).await;
}

#[tokio::test]
async fn what_a_dead_run_kept_is_found_and_gone_after_the_next_publication() {
    let place = Scratch::new(On::Files);
    let arguments = vec![("k".to_owned(), "7".to_owned())];
    let options = RunOptions { arguments: arguments.clone(), ..RunOptions::default() };
    let Begin::Run(run) = Run::begin(&place.stores, &place.out, options).await.unwrap() else {
        panic!()
    };
    run.checkpoint("step-1.json", "{}".into()).await.unwrap();
    run.checkpoint("step-2.json", "[]".into()).await.unwrap();
    // It lives.
    assert!(Run::resumable(&place.stores, &place.out).await.unwrap().is_empty());
    let id = run.id().to_owned();
    run.abort().await.unwrap();
    let dead = Run::resumable(&place.stores, &place.out).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((&dead[0].id, &dead[0].arguments), (&id, &arguments));
    assert_eq!(dead[0].files, ["step-1.json", "step-2.json"]);
    assert_eq!(dead[0].read("step-2.json").await.unwrap(), "[]");
    write(&place, &people(1), spec("people"), Mode::Error).await.unwrap();
    assert!(Run::resumable(&place.stores, &place.out).await.unwrap().is_empty());
}

#[rstest]
#[tokio::test]
async fn what_a_run_kept_is_gone_once_it_is_published(#[values(On::Files, On::S3)] on: On) {
    let place = Scratch::new(on);
    let options = RunOptions::default();
    let Begin::Run(run) = Run::begin(&place.stores, &place.out, options).await.unwrap() else {
        panic!()
    };
    run.checkpoint("blocks/00001", "{}".into()).await.unwrap();
    run.commit(BTreeMap::new()).await.unwrap();
    let kept = |name: &String| name.contains("/kept/");
    assert!(!place.objects().await.iter().any(kept));
    // As it was left by a version that did not do so.
    let record = place.objects().await.into_iter().find(|name| name.ends_with("/report.json"));
    let kept = record.unwrap().replace("report.json", "kept/blocks/00001");
    let store = place.stores.open(&place.out).unwrap();
    store.objects().put(place.out.join(&kept).path(), "{}".into()).await.unwrap();
    let found = pleiad::table::commit::gc(&place.stores, &place.out, false, None).await.unwrap();
    assert!(found[0].contains("staged bytes and checkpoints of run"), "{found:?}");
    assert!(!place.objects().await.contains(&kept));
}

#[rstest]
#[case("_temporary/0/part-0.parquet", "left by a Spark or Hadoop job")]
#[case("_delta_log/0.json", "part of a Delta table")]
#[case("_runs/x/intent.json", "the record of a run that has not published")]
#[case("k=1/empty.parquet", "an empty file")]
#[tokio::test]
async fn a_directory_that_looks_unfinished_is_refused(#[case] path: &str, #[case] why: &str) {
    let place = Scratch::new(On::Files);
    write(&place, &people(10), spec("people"), Mode::Error).await.unwrap();
    let store = place.stores.open(&place.out).unwrap();
    for file in place.objects().await.iter().filter(|path| path.starts_with('_')) {
        store.objects().delete(place.out.join(file).path()).await.unwrap();
    }
    store.objects().delete(place.out.join("properties").path()).await.unwrap();
    // Names as other programs give them.
    for file in place.objects().await {
        let renamed = place.out.join(&file.replace("part-", "x-"));
        store.objects().rename(place.out.join(&file).path(), renamed.path()).await.unwrap();
    }
    let people = place.out.join("people");
    let count = async |options: &SourceOptions| {
        let source = Source::open(&place.stores, &people.to_string(), options).await?;
        number(&place.stores, &source.tables[0], "SELECT count(*) FROM t WHERE id_pref = '3'").await
    };
    assert_eq!(count(&SourceOptions::default()).await.unwrap(), 2);
    store.objects().put(people.join(path).path(), "".into()).await.unwrap();
    let error = count(&SourceOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains(&format!("'{path}' is {why}")), "{error}");
    if !path.starts_with('k') {
        assert_eq!(
            count(&SourceOptions { allow_incomplete: true, ..SourceOptions::default() })
                .await
                .unwrap(),
            2
        );
    }
}

#[tokio::test]
async fn a_csv_file_is_a_table() {
    let place = Scratch::new(On::Files);
    let file = place.beside("cars.csv");
    let store = place.stores.open(&file).unwrap();
    let text = "\u{feff}num;catv;km\r\n1;07;1.5\r\n2;33;\r\n3;07;3\r\n";
    store.objects().put(file.path(), text.into()).await.unwrap();
    let source = open(&place.stores, &file.to_string()).await.unwrap();
    let table = &source.tables[0];
    assert_eq!((table.name.as_str(), table.rows()), ("cars", Some(3)));
    let sum = "SELECT CAST(sum(num * km * 10) AS BIGINT) FROM t WHERE catv = '07'";
    assert_eq!(number(&place.stores, table, sum).await.unwrap(), 105);
    store.objects().put(file.path(), "num;catv;km\r\n1;08;1\r\n".into()).await.unwrap();
    let error = number(&place.stores, table, sum).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
}

/// What Spark writes for NULL is NULL, and not a value of the engine's bounds.
#[tokio::test]
async fn keys_of_a_directory_are_text_and_may_be_null() {
    let place = Scratch::new(On::Files);
    let manifest = write(&place, &people(10), TableSpec::default(), Mode::Error).await.unwrap();
    let store = place.stores.open(&place.out).unwrap();
    let from = place.out.join(&manifest.files[0].path);
    let bytes = store.objects().get(from.path()).await.unwrap().bytes().await.unwrap();
    let dir = place.beside("hive");
    for key in ["k=07", "k=a%2Fb", "k=__HIVE_DEFAULT_PARTITION__"] {
        let file = dir.join(key).join("x.parquet");
        store.objects().put(file.path(), bytes.clone().into()).await.unwrap();
    }
    let source = open(&place.stores, &dir.to_string()).await.unwrap();
    let table = &source.tables[0];
    assert_eq!(table.keys[0].data_type(), &DataType::Utf8);
    for (sql, expected) in [
        ("SELECT count(*) FROM t", 30),
        ("SELECT count(k) FROM t", 20),
        ("SELECT count(DISTINCT k) FROM t WHERE k IN ('07', 'a/b')", 2),
        ("SELECT sum(id) FROM t WHERE k IS NULL", 55),
    ] {
        assert_eq!(number(&place.stores, table, sql).await.unwrap(), expected, "{sql}");
    }
}

#[tokio::test]
async fn one_parquet_file_is_a_table_and_a_broken_one_is_named() {
    let place = Scratch::new(On::Files);
    let manifest = write(&place, &people(50), TableSpec::default(), Mode::Error).await.unwrap();
    let store = place.stores.open(&place.out).unwrap();
    let from = place.out.join(&manifest.files[0].path);
    let bytes = store.objects().get(from.path()).await.unwrap().bytes().await.unwrap();
    let dir = place.beside("files");
    let whole = dir.join("whole.parquet");
    store.objects().put(whole.path(), bytes.clone().into()).await.unwrap();
    let source = open(&place.stores, &whole.to_string()).await.unwrap();
    assert_eq!(source.tables[0].name, "whole");
    let cut = dir.join("cut.parquet");
    store.objects().put(cut.path(), bytes.slice(..bytes.len() - 3).into()).await.unwrap();
    let error = open(&place.stores, &cut.to_string()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(
        error.to_string().starts_with(&format!("file '{cut}' is not a complete Parquet file")),
        "{error}"
    );
}

#[tokio::test]
async fn nothing_there_says_so() {
    let place = Scratch::new(On::Files);
    for text in [place.out.to_string(), format!("{}/*", place.out)] {
        let error = open(&place.stores, &text).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InputMissing, "{error}");
    }
}
