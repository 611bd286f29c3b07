//! Runs that read what they write to: each is a step from one version to the next, or is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStoreExt;
use pleiad::error::{Kind, Result};
use pleiad::event::Silent;
use pleiad::objects::copy::{CopyOptions, copy};
use pleiad::storage::{StorageOptions, Stores};
use pleiad::table::{
    Begin, Manifest, Mode, OwnInput, ReadFrom, Run, RunOptions, TableSpec, current_manifest,
};
use rstest::rstest;

use crate::commands::Lab;
use crate::support::faults::Fault;
use crate::support::s3::{ENDPOINT, KEY, SECRET, TestS3};
use crate::support::scratch::{On, Scratch, session};
use crate::support::sql;
use crate::table::stopped_after;

/// A run that has read `reads` of its output.
async fn begin(place: &Scratch, mode: Mode, reads: &[u64]) -> Result<Run> {
    let reads = reads.iter().map(|version| ReadFrom::Version(place.out.clone(), *version));
    let (reads, own_input) = (reads.collect(), OwnInput::Replaced);
    let options = RunOptions { mode, reads, own_input, ..RunOptions::default() };
    match Run::begin(&place.stores, &place.out, options).await? {
        Begin::Run(run) => Ok(*run),
        Begin::AlreadyThere(_) => panic!("mode ignore"),
    }
}

/// Writes ids 1 to `rows` and commits.
async fn commit(stores: &Arc<Stores>, run: Run, rows: u64) -> Result<Manifest> {
    let session = session(stores, 1, 8192);
    let query = format!("SELECT value AS id FROM generate_series(1, {rows})");
    let plan = session.sql(&query).await?.into_optimized_plan()?;
    run.write(&session.state(), plan, TableSpec::default(), &Silent).await?;
    run.commit(BTreeMap::new()).await
}

async fn write(place: &Scratch, mode: Mode, rows: u64) -> Result<Manifest> {
    commit(&place.stores, begin(place, mode, &[]).await?, rows).await
}

async fn version_and_rows(place: &Scratch) -> (u64, u64) {
    let manifest = current_manifest(&place.stores, &place.out).await.unwrap();
    (manifest.version, manifest.rows())
}

/// A run that read version 1 of its output is published right after it or not at all.
#[rstest]
#[case(Mode::Overwrite)]
#[case(Mode::Append)]
#[tokio::test]
async fn a_run_follows_the_version_that_it_has_read(
    #[case] mode: Mode,
    #[values(On::Memory, On::Files, On::S3)] on: On,
) {
    let place = Scratch::new(on);
    write(&place, Mode::Error, 10).await.unwrap();
    let early = begin(&place, mode, &[1]).await.unwrap();
    assert_eq!(write(&place, Mode::Append, 5).await.unwrap().version, 2);
    let late = begin(&place, mode, &[1]).await.unwrap_err();
    let expected = format!(
        "output '{}' is at version 2, but this run has read its version 1: run it again",
        place.out
    );
    assert_eq!((late.kind(), late.to_string()), (Kind::Retry, expected));
    let lost = commit(&place.stores, early, 100).await.unwrap_err();
    let expected = format!(
        "another run published version 2 of '{}' while this one wrote, which began from version 1: \
         nothing of it was published, run it again",
        place.out
    );
    assert_eq!((lost.kind(), lost.to_string()), (Kind::Retry, expected));
    assert_eq!(version_and_rows(&place).await, (2, 15));
    let right = begin(&place, mode, &[2, 2]).await.unwrap();
    let rows = if mode == Mode::Append { 115 } else { 100 };
    assert_eq!(commit(&place.stores, right, 100).await.unwrap().rows(), rows);
    assert_eq!(version_and_rows(&place).await, (3, rows));
}

/// What does not read the output has no version to be behind of.
#[tokio::test]
async fn a_run_that_reads_something_else_starts_from_what_is_there() {
    let place = Scratch::new(On::Memory);
    write(&place, Mode::Error, 10).await.unwrap();
    write(&place, Mode::Append, 10).await.unwrap();
    let append = begin(&place, Mode::Append, &[]).await.unwrap();
    write(&place, Mode::Append, 1).await.unwrap();
    assert_eq!(commit(&place.stores, append, 2).await.unwrap().rows(), 23);
    assert_eq!(write(&place, Mode::Overwrite, 3).await.unwrap().rows(), 3);
}

/// An append that was decided when it was killed belongs to what the next statement reads.
#[rstest]
#[case(On::Files)]
#[case(On::S3)]
#[tokio::test]
async fn what_a_killed_run_decided_is_read_before_it_is_replaced(#[case] on: On) {
    let mut decided = 0;
    for stop in (0..).step_by(2) {
        let place = Scratch::new(on);
        write(&place, Mode::Error, 1000).await.unwrap();
        let append = async |stores: Arc<Stores>| {
            let options = RunOptions { mode: Mode::Append, ..RunOptions::default() };
            let Begin::Run(run) = Run::begin(&stores, &place.out, options).await? else { panic!() };
            commit(&stores, *run, 500).await
        };
        let ended = match on {
            On::S3 => append(place.under(Fault::DiesBefore(stop))).await.is_ok(),
            _ => stopped_after(stop, Box::pin(append(place.other_process()))).await.is_some(),
        };
        let names = place.objects().await;
        let has = |name: &str| names.iter().any(|path| path.ends_with(name));
        let decisions = names.iter().filter(|path| path.ends_with("/prepared.json")).count();
        decided += u64::from(decisions == 2 && !has("/00000002.json"));
        let out = &place.out;
        let copy = format!("COPY (SELECT * FROM '{out}') TO '{out}' OPTIONS ('mode' 'overwrite')");
        sql::run(&sql::script(&place.other_process(), "copy"), &copy).await.unwrap();
        // A call that was on its way may have been done after the append was stopped.
        let copied = current_manifest(&place.stores, out).await.unwrap();
        let before = out.join(&format!("_manifest/{:08}.json", copied.base));
        let store = place.stores.open(out).unwrap();
        let before = store.objects().get(before.path()).await.unwrap().bytes().await.unwrap();
        let before = Manifest::parse(&before, "before").unwrap();
        assert_eq!(copied.rows(), before.rows(), "stopped at {stop}: {names:?}");
        assert_eq!(copied.rows(), if copied.base == 2 { 1500 } else { 1000 });
        if ended {
            break;
        }
    }
    assert!(decided > 0);
}

/// The tables of a session are read as they are when a statement begins, in all of the statement.
#[tokio::test]
async fn a_named_table_is_pinned_for_the_statement() {
    let place = Scratch::new(On::Files);
    write(&place, Mode::Error, 10).await.unwrap();
    let out = &place.out;
    let script = sql::script(&place.stores, "copy");
    let create = format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{out}'");
    sql::run(&script, &create).await.unwrap();
    sql::run(&script, "CREATE VIEW v AS SELECT id + 10 AS id FROM t WHERE id > 5").await.unwrap();
    write(&place, Mode::Append, 10).await.unwrap();
    sql::run(&script, "INSERT INTO t SELECT a.id FROM t a WHERE a.id IN (SELECT id - 10 FROM v)")
        .await
        .unwrap();
    // 20 rows and the 10 with ids 6 to 10.
    assert_eq!(version_and_rows(&place).await, (3, 30));
    let half =
        format!("COPY (SELECT * FROM v WHERE id <= 18) TO '{out}' OPTIONS ('mode' 'overwrite')");
    sql::run(&script, &half).await.unwrap();
    // Ids 6, 7 and 8, each twice in version 2 and twice more in version 3.
    assert_eq!(version_and_rows(&place).await, (4, 12));
}

/// A view over a location stays at the version of its creation.
#[tokio::test]
async fn a_statement_over_an_older_version_is_refused() {
    let place = Scratch::new(On::Files);
    write(&place, Mode::Error, 10).await.unwrap();
    let out = &place.out;
    let script = sql::script(&place.stores, "copy");
    sql::run(&script, &format!("CREATE VIEW v AS SELECT * FROM '{out}'")).await.unwrap();
    write(&place, Mode::Append, 10).await.unwrap();
    for mode in ["overwrite", "append"] {
        let copy = format!("COPY (SELECT * FROM v) TO '{out}' OPTIONS ('mode' '{mode}')");
        let error = sql::run(&script, &copy).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Retry, "{error:?}");
        assert!(
            error_text(&error).contains("is at version 2, but this run has read its version 1")
        );
    }
    assert_eq!(version_and_rows(&place).await, (2, 20));
}

fn error_text(error: &pleiad::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text += &format!(": {next}");
        cause = next.source();
    }
    text
}

/// By another name, as files of a pattern, or as the only matches of one.
#[tokio::test]
async fn an_output_is_recognised_by_any_name() {
    let place = Scratch::new(On::Files);
    write(&place, Mode::Error, 10).await.unwrap();
    let out = &place.out;
    let beside = place.beside("link");
    std::os::unix::fs::symlink(out.local_path().unwrap(), beside.local_path().unwrap()).unwrap();
    let script = sql::script(&place.stores, "copy");
    let view = format!("CREATE VIEW v AS SELECT * FROM '{beside}'");
    sql::run(&script, &view).await.unwrap();
    write(&place, Mode::Append, 10).await.unwrap();
    let copy = format!("COPY (SELECT * FROM v) TO '{out}' OPTIONS ('mode' 'overwrite')");
    assert_eq!(sql::run(&script, &copy).await.unwrap_err().kind(), Kind::Retry);
    let pattern = format!("{}/*/*.parquet", out.to_string().strip_suffix("/out").unwrap());
    let copy = format!("COPY (SELECT * FROM '{pattern}') TO '{out}' OPTIONS ('mode' 'overwrite')");
    let error = sql::run(&script, &copy).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error:?}");
    assert!(error_text(&error).contains("read without its version"), "{error:?}");
    assert_eq!(version_and_rows(&place).await, (2, 20));
}

/// A driver does not replace what it reads, whatever has become of it meanwhile.
#[rstest]
#[case("kmeans @in/table1 @in --columns age,weight --k 2 --assign")]
#[case("kmeans @in @in --columns age,weight --k 2")]
#[case("dbscan @in/table1 @in --x age --y weight --eps 4 --min-points 5")]
#[case("partition @in/table1/id_pref=0 @in --ra age --dec weight --blocks 4")]
#[case("partition @* @in --ra age --dec weight --blocks 4")]
fn a_driver_does_not_replace_its_input(#[case] line: &str) {
    let lab = Lab::new(On::Files);
    lab.done("generate people @in --rows 90");
    let (code, _, said) = lab.run(&format!("{line} --mode overwrite"));
    assert_eq!(code, 2, "{line}: {said}");
    assert!(said.contains("is also the input"), "{line}: {said}");
    let (code, _, said) = lab.run(line);
    assert_eq!(code, 73, "{line}: {said}");
}

/// Text is read with the version that it belongs to.
#[test]
fn text_of_a_dataset_is_read_with_its_version() {
    let lab = Lab::new(On::Files);
    lab.done("generate sky @sky --rows 900 --files csv");
    let sky = lab.at("sky");
    let copy = format!("COPY (SELECT * FROM '{sky}') TO '{sky}'");
    let words = ["sql", "-c", &copy, "--mode", "overwrite"];
    let (code, _, said) = crate::cli::outcome(&mut crate::cli::pleiad(&words));
    assert_eq!(code, 0, "{said}");
    assert!(lab.done("count @sky").contains("900"));
}

/// Two aliases of `mc` may stand for one server.
#[tokio::test]
async fn another_alias_of_the_output_is_the_output() {
    let server = TestS3::new(&["bucket"]);
    let mut variables = TestS3::variables();
    for (alias, end) in [("one", ""), ("two", "/")] {
        let host = ENDPOINT.replace("://", &format!("://{KEY}:{SECRET}@"));
        variables.push((format!("MC_HOST_{alias}"), format!("{host}{end}")));
    }
    let stores = server.stores_with(StorageOptions::default(), variables);
    for version in 1..=2 {
        let copy = "COPY (SELECT 1 AS id) TO 'one/bucket/out' OPTIONS ('mode' 'append')";
        sql::run(&sql::script(&stores, &version.to_string()), copy).await.unwrap();
    }
    let out = stores.parse("one/bucket/out").unwrap();
    for other in ["two/bucket/out", "s3://bucket/out", "one/bucket/out"] {
        let at = stores.parse(other).unwrap();
        let file = vec![format!("{other}/id=1/a.parquet")];
        let cases = [
            (Mode::Overwrite, ReadFrom::Version(at.clone(), 2), "is also the input"),
            (Mode::Append, ReadFrom::Version(at, 1), "but this run has read its version 1"),
            (Mode::Append, ReadFrom::Files(file), "is a file of the output"),
        ];
        for (mode, read, expected) in cases {
            let options = RunOptions { mode, reads: vec![read], ..RunOptions::default() };
            let Err(refused) = Run::begin(&stores, &out, options).await else { panic!("{other}") };
            assert!(refused.to_string().contains(expected), "{other}: {refused}");
        }
        let (from, to) = (stores.parse(&format!("{other}/_SUCCESS")), out.join("_SUCCESS"));
        let options = CopyOptions { force: true, ..CopyOptions::default() };
        let copied = copy(&stores, &from.unwrap(), &to, options, &Silent).await;
        let refused = copied.unwrap_err().to_string();
        assert!(refused.contains("onto itself"), "{other}: {refused}");
    }
    let elsewhere = stores.parse("two/bucket/other").unwrap();
    let reads = vec![ReadFrom::Version(elsewhere, 1)];
    let options = RunOptions { mode: Mode::Overwrite, reads, ..RunOptions::default() };
    assert!(matches!(Run::begin(&stores, &out, options).await, Ok(Begin::Run(_))));
}
