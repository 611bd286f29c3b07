//! Versions that stay readable: those who read a replaced version finish, old versions are read by their
//! numbers and published again, and what is kept is removed in its time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use pleiad::error::{Kind, Result};
use pleiad::event::Silent;
use pleiad::table::{
    Begin, Keep, Manifest, Mode, Run, RunOptions, Source, SourceOptions, SourceTable, TableSpec,
    commit, current_manifest,
};
use rstest::rstest;

use crate::cli::{outcome, pleiad};
use crate::commands::Lab;
use crate::support::scratch::{On, Scratch, session};
use crate::support::sql;

const HOUR: Keep = Keep::For(Duration::from_secs(3600));

/// Writes ids 1 to `rows` under two keys.
async fn write(place: &Scratch, mode: Mode, rows: u64, keep: Keep) -> Manifest {
    let options = RunOptions { mode, keep, ..RunOptions::default() };
    let Begin::Run(run) = Run::begin(&place.stores, &place.out, options).await.unwrap() else {
        panic!("mode ignore")
    };
    let session = place.session(1);
    let sql = format!("SELECT value AS id, value % 2 AS k FROM generate_series(1, {rows})");
    let plan = session.sql(&sql).await.unwrap().into_optimized_plan().unwrap();
    let spec = TableSpec { keys: vec!["k".to_owned()], ..TableSpec::default() };
    run.write(&session.state(), plan, spec, &Silent).await.unwrap();
    run.commit(BTreeMap::new()).await.unwrap()
}

async fn open(place: &Scratch, suffix: &str) -> Result<SourceTable> {
    let text = format!("{}{suffix}", place.out);
    let source = Source::open(&place.stores, &text, &SourceOptions::default()).await?;
    Ok(source.tables[0].clone())
}

/// The sum of the ids.
async fn sum(place: &Scratch, table: &SourceTable) -> Result<i64> {
    let session = session(&place.stores, 2, 8192);
    session.register_table("t", table.provider())?;
    let rows = session.sql("SELECT sum(id) FROM t").await?.collect().await?;
    Ok(rows[0].column(0).as_primitive::<Int64Type>().value(0))
}

async fn rollback(place: &Scratch, version: u64) -> Result<Manifest> {
    let options = RunOptions { keep: HOUR, ..RunOptions::default() };
    commit::rollback(&place.stores, &place.out, version, options).await
}

#[rstest]
#[tokio::test]
async fn a_reader_of_a_replaced_version_finishes(#[values(On::Memory, On::Files, On::S3)] on: On) {
    let place = Scratch::new(on);
    write(&place, Mode::Error, 10, HOUR).await;
    let old = open(&place, "").await.unwrap();
    let replaced = write(&place, Mode::Overwrite, 4, HOUR).await;
    assert_eq!(sum(&place, &old).await.unwrap(), 55);
    assert_eq!(old.changed().await.unwrap(), None);
    // Who lists sees the new version only.
    let visible = place.visible().await;
    let data: Vec<_> = visible.iter().filter(|path| path.ends_with(".parquet")).cloned().collect();
    assert_eq!(data.len(), replaced.files.len());
    assert!(data.iter().all(|path| replaced.files.iter().any(|file| file.path == *path)));
    let checkup = commit::check(&place.stores, &place.out, true, &Silent).await.unwrap();
    assert_eq!(checkup.damages(), 0);
    let kept = checkup.findings.iter().find(|finding| finding.what.contains("has replaced"));
    assert!(kept.is_some_and(|kept| kept.what.contains("2 files that version 2")), "{checkup:?}");
    commit::gc(&place.stores, &place.out, false, None).await.unwrap();
    assert_eq!(sum(&place, &old).await.unwrap(), 55, "its time is not over");
    let gone = commit::gc(&place.stores, &place.out, false, Some(Duration::ZERO)).await.unwrap();
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert_eq!(sum(&place, &old).await.unwrap_err().kind(), Kind::Retry);
    assert!(!place.objects().await.iter().any(|path| path.starts_with("_kept/")));
}

#[rstest]
#[tokio::test]
async fn a_version_is_read_by_its_number_and_published_again(
    #[values(On::Memory, On::Files, On::S3)] on: On,
) {
    let place = Scratch::new(on);
    write(&place, Mode::Error, 10, HOUR).await;
    write(&place, Mode::Append, 3, HOUR).await;
    write(&place, Mode::Overwrite, 4, HOUR).await;
    for (version, expected) in [(1, 55), (2, 61), (3, 10)] {
        let table = open(&place, &format!("@{version}")).await.unwrap();
        assert_eq!(sum(&place, &table).await.unwrap(), expected, "version {version}");
    }
    let part = open(&place, "/k=1@1").await.unwrap();
    assert_eq!(sum(&place, &part).await.unwrap(), 25);
    let error = open(&place, "@7").await.unwrap_err();
    assert_eq!(error.kind(), Kind::InputMissing);
    assert!(error.to_string().ends_with("which has 1 to 3"), "{error}");

    let back = rollback(&place, 2).await.unwrap();
    assert_eq!((back.version, back.restores, back.rows()), (4, Some(2), 13));
    assert_eq!(sum(&place, &open(&place, "").await.unwrap()).await.unwrap(), 61);
    assert_eq!(sum(&place, &open(&place, "@3").await.unwrap()).await.unwrap(), 10);
    assert_eq!(rollback(&place, 4).await.unwrap_err().kind(), Kind::Usage);
    assert_eq!(rollback(&place, 9).await.unwrap_err().kind(), Kind::InputMissing);
    let forth = rollback(&place, 3).await.unwrap();
    assert_eq!((forth.version, forth.rows()), (5, 4));
    assert_eq!(sum(&place, &open(&place, "@1").await.unwrap()).await.unwrap(), 55);
    let checkup = commit::check(&place.stores, &place.out, true, &Silent).await.unwrap();
    assert_eq!(checkup.damages(), 0, "{checkup:?}");
    commit::gc(&place.stores, &place.out, false, Some(Duration::ZERO)).await.unwrap();
    let error = rollback(&place, 1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains("can no longer be read"), "{error}");
    assert_eq!(sum(&place, &open(&place, "").await.unwrap()).await.unwrap(), 10);
}

/// A version that was asked for by its number does not change: to replace the output by it is no conflict.
#[tokio::test]
async fn an_old_version_is_copied_over_the_current_one() {
    let place = Scratch::new(On::Files);
    write(&place, Mode::Error, 10, HOUR).await;
    write(&place, Mode::Overwrite, 4, HOUR).await;
    let out = &place.out;
    let script = sql::script(&place.stores, "copy");
    let create = format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{out}@1'");
    sql::run(&script, &create).await.unwrap();
    write(&place, Mode::Append, 1, HOUR).await;
    let insert = sql::run(&script, "INSERT INTO t SELECT 1, 1").await.unwrap_err();
    assert_eq!(insert.kind(), Kind::Usage, "{insert:?}");
    let copy = format!("COPY (SELECT * FROM t) TO '{out}' OPTIONS ('mode' 'overwrite')");
    sql::run(&script, &copy).await.unwrap();
    assert_eq!(current_manifest(&place.stores, out).await.unwrap().rows(), 10);
}

/// Of two who go back to the same version one wins, and its files stay.
#[rstest]
#[tokio::test]
async fn of_two_rollbacks_one_wins(#[values(On::Files, On::S3)] on: On) {
    let place = Scratch::new(on);
    write(&place, Mode::Error, 10, HOUR).await;
    write(&place, Mode::Overwrite, 4, HOUR).await;
    let other = place.other_process();
    let options = || RunOptions { keep: HOUR, ..RunOptions::default() };
    let (a, b) = tokio::join!(
        commit::rollback(&place.stores, &place.out, 1, options()),
        commit::rollback(&other, &place.out, 1, options()),
    );
    let won = [a, b].into_iter().filter(Result::is_ok).count();
    assert!(won >= 1);
    let manifest = current_manifest(&place.stores, &place.out).await.unwrap();
    assert_eq!(manifest.rows(), 10);
    assert_eq!(sum(&place, &open(&place, "").await.unwrap()).await.unwrap(), 55);
    let checkup = commit::check(&Arc::clone(&place.stores), &place.out, true, &Silent).await;
    assert_eq!(checkup.unwrap().damages(), 0);
}

/// What a user types.
#[test]
fn versions_are_shown_read_and_published_again() {
    let lab = Lab::new(On::Files);
    lab.done("generate sky @sky --rows 300");
    lab.done("generate sky @sky --rows 200 --mode overwrite");
    lab.done("generate sky @sky --rows 100 --mode overwrite --keep-old 0");
    let rows = |line: &str| {
        let counted = lab.done(&format!("{line} --format csv"));
        counted.lines().nth(1).unwrap().to_owned()
    };
    assert!(rows("count @sky@1").contains("300"));
    let history = lab.done("show @sky --history --format csv");
    let readable: Vec<_> = history.lines().skip(1).map(|line| line.contains(",true,")).collect();
    assert_eq!(readable, [true, false, true], "{history}");
    assert!(rows("rollback @sky 1").starts_with("4,"));
    assert!(rows("count @sky").contains("300"));
    let (code, _, said) = lab.run("rollback @sky 2");
    assert_eq!(code, 65, "{said}");
    assert!(lab.done("du @sky --depth 1").contains("_kept"));
    let (code, _, said) = lab.run("gc @sky --keep soon");
    assert!(code == 2 && said.contains("write it like 30m, 1h or 7d, or 0"), "{said}");
    assert!(lab.done("gc @sky --keep 0").contains("kept of an old version"));
    assert!(!lab.done("du @sky --depth 1").contains("_kept"));
}

/// A name with a version can only be a location, so SQL takes it without a slash.
#[test]
fn sql_reads_a_version_of_a_dataset_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let run = |sql: &str| {
        let mut command = pleiad(&["sql", "-c", sql]);
        outcome(command.current_dir(folder.path()))
    };
    let copy =
        |rows: u64| format!("COPY (SELECT value AS a FROM generate_series(1, {rows})) TO 'x'");
    assert_eq!(run(&copy(10)).0, 0);
    assert_eq!(run(&format!("{} OPTIONS ('mode' 'overwrite')", copy(3))).0, 0);
    assert_eq!(run("SELECT count(*) AS n FROM 'x@1'"), (0, "n\n10\n".into(), String::new()));
    assert_eq!(run("SELECT count(*) AS n FROM 'x@2'"), (0, "n\n3\n".into(), String::new()));
    let (code, _, stderr) = run("SELECT count(*) AS n FROM 'x@9'");
    assert!(code == 66 && stderr.contains("version 9"), "{code} {stderr}");
}
