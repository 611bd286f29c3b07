//! Input and options that k-means refuses: the kind of the error, and the words that help.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use arrow::array::{Float64Array, StringArray};
use pleiad::error::{Error, Kind};
use pleiad::event::{Event, Observer};
use pleiad::kmeans::{self, ClusterCounts};
use rstest::rstest;

use crate::support::clustering::{Tables, floats, integers, params};

/// Two partitions: x with a NULL in the one and a NaN and two infinities in the other; y fine; a
/// text; weights, one of them negative; only zeros.
fn spoilt() -> Tables {
    let tables = Tables::new();
    let inf = f64::INFINITY;
    let parts = [
        [Some(1.0), None, Some(3.0), Some(4.0)],
        [Some(inf), Some(f64::NAN), Some(-inf), Some(8.0)],
    ];
    for (number, x) in parts.into_iter().enumerate() {
        let columns = vec![
            ("x", Arc::new(Float64Array::from(x.to_vec())) as _),
            ("y", floats([1.0, 2.0, 3.0, 4.0])),
            ("name", Arc::new(StringArray::from(vec!["a"; 4])) as _),
            ("w", floats([1.0, 2.0, -0.5, 1.0])),
            ("zero", integers([0; 4])),
            ("gone", Arc::new(Float64Array::from(vec![None; 4])) as _),
        ];
        tables.write(&format!("points/part={number}/a.parquet"), columns);
    }
    tables.write("nobody.parquet", vec![("x", floats([]))]);
    tables
}

#[track_caller]
fn check(error: &Error, kind: Kind, message: &str) {
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
}

#[rstest]
#[case(
    "--columns z",
    "column 'z' not found in 'points', which has x, y, name, w, zero, gone, part"
)]
#[case("--columns y,name", "column 'name' of 'points' is Utf8, expected a number")]
#[case("--columns y --weight name", "column 'name' of 'points' is Utf8, expected a number")]
#[case(
    "--columns x,y",
    "columns hold values that are not numbers ('x' in 'points/part=0': 1 NULL; 'x' in \
     'points/part=1': 1 NaN, 2 infinite): pass --nulls skip to leave these rows out, or filter them"
)]
#[case(
    "--columns y --weight x",
    "columns hold values that are not numbers ('x' in 'points/part=0': 1 NULL; 'x' in \
     'points/part=1': 1 NaN, 2 infinite): pass --nulls skip to leave these rows out, or filter them"
)]
#[case("--columns y --weight w", "weight 'w' is -0.5 in a row, expected 0 or more")]
#[case("--columns y --weight zero", "weight 'zero' is 0 in all rows: nothing counts")]
#[case(
    "--columns y,gone --nulls skip",
    "the input has no row that can be used: there is nothing to cluster"
)]
#[tokio::test]
async fn what_has_no_place_is_refused(#[case] arguments: &str, #[case] message: &str) {
    let tables = spoilt();
    for cache in ["auto", "never"] {
        let arguments = format!("{arguments} --k 2 --cache {cache}");
        let error = tables.run("points", &arguments).await.unwrap_err();
        check(&error, Kind::Data, message);
    }
}

#[tokio::test]
async fn a_table_without_rows_is_refused() {
    let error = spoilt().run("nobody.parquet", "--columns x").await.unwrap_err();
    check(&error, Kind::Data, "the input has no rows: there is nothing to cluster");
}

#[tokio::test]
async fn skipped_rows_are_counted_where_they_are() {
    for cache in ["auto", "never"] {
        let arguments = format!("--columns x,y --nulls skip --k 2 --starts 1 --cache {cache}");
        let outcome = spoilt().run("points", &arguments).await.unwrap();
        let figures = outcome.models[0].partitions.values();
        let counts: Vec<(u64, u64)> = figures.map(|part| (part.rows, part.skipped)).collect();
        assert_eq!(counts, [(3, 1), (1, 3)]);
        assert_eq!(outcome.models[0].figures.rows, 4);
    }
}

#[test]
fn no_clusters_and_too_many_are_refused() {
    for k in ["0", "65536"] {
        let error = k.parse::<ClusterCounts>().unwrap_err();
        check(&error, Kind::Usage, &format!("k is '{k}', expected 1 to 65535"));
    }
}

#[tokio::test]
async fn centroids_that_do_not_fit_are_refused() {
    let tables = spoilt();
    let path = tables.write_centroids("y", [[1.0].as_slice(), &[2.0]]);
    let given = format!("--start given --centroids {path}");
    let error = tables.run("points", &format!("--columns y {given} --k 3")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().ends_with("has no model with k = 3"), "{error}");
    let error = tables.run("points", &format!("--columns zero {given}")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains("numeric column 'zero' not found in"), "{error}");
}

#[tokio::test]
async fn a_cluster_that_loses_its_rows_is_an_error_where_it_was_asked_to_be() {
    let tables = spoilt();
    let path = tables.write_centroids("y", [[1.0].as_slice(), &[1.0]]);
    let given = format!("--columns y --start given --centroids {path} --empty error");
    let error = tables.run("points", &given).await.unwrap_err();
    let message =
        "cluster 1 of the model with k = 2 lost all its rows: pass --empty far to move it";
    check(&error, Kind::Data, message);
}

/// Writes other rows over a file after the first step.
struct Meddler {
    file: Mutex<Option<(PathBuf, PathBuf)>>,
}

impl Observer for Meddler {
    fn report(&self, event: Event) {
        if let Event::Step { .. } = event
            && let Some((other, file)) = self.file.lock().unwrap().take()
        {
            fs::copy(other, file).unwrap();
        }
    }
}

#[rstest]
#[tokio::test]
async fn an_input_that_changes_during_a_run_is_told(#[values("auto", "never")] cache: &str) {
    let tables = Tables::new();
    let rows = |n: u32| vec![("x", floats((0..n).map(f64::from)))];
    tables.write("points/a.parquet", rows(500));
    tables.write("other/a.parquet", rows(400));
    let file = Some((tables.path("other/a.parquet"), tables.path("points/a.parquet")));
    let meddler = Meddler { file: Mutex::new(file) };
    let arguments = format!("--columns x --k 3 --starts 1 --tolerance 0 --cache {cache}");
    let error = tables.watched("points", &arguments, &meddler).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
}

#[tokio::test]
async fn a_step_of_other_options_or_files_is_not_resumed() {
    let tables = spoilt();
    let resume = async |then: &str, now: &str| {
        let step = tables.dropped_after(1, then, &params("--columns y --k 2")).await;
        let (session, source) = (tables.session(1, 8192), tables.source("points").await);
        kmeans::run(&session, source, &params(now), None, Some(step), &pleiad::event::Silent)
            .await
            .unwrap_err()
    };
    let error = resume("points", "--columns y --k 2 --seed 7").await;
    check(&error, Kind::Usage, "cannot resume: 'seed' is '7', the killed run had '42'");
    let error = resume("points/part=0/*.parquet", "--columns y --k 2").await;
    let message = "cannot resume: the input has 2 files, the killed run read 1";
    check(&error, Kind::Usage, message);
}
