//! `pleiad predict`: rows of another table get the clusters of a stored model, the same to the bit that
//! k-means gives the rows it clusters. And what k-means prints of a model.

use rstest::rstest;

use crate::cli::{outcome, pleiad};
use crate::commands::{Lab, check_refused};
use crate::support::scratch::On;

/// Rows of SQL in which `'@` stands for the lab, as CSV.
#[track_caller]
fn sql(lab: &Lab, text: &str) -> String {
    let text = text.replace("'@", &format!("'{}/", lab.at("")));
    let (code, stdout, stderr) =
        outcome(pleiad(&["sql", "-c", &text, "--format", "csv"]).envs(lab.variables()));
    assert_eq!(code, 0, "{text}: {stderr}");
    stdout
}

/// Rows in an order of their own, with their clusters.
fn rows(lab: &Lab, dataset: &str) -> String {
    let rows = sql(lab, &format!("SELECT * FROM '@{dataset}/assignments'"));
    let mut lines: Vec<&str> = rows.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[rstest]
#[case(On::Files)]
#[case(On::S3)]
fn the_rows_of_a_run_get_the_same_clusters_again(#[case] on: On) {
    let lab = Lab::new(on);
    lab.people(600);
    for options in
        ["--seed 1", "--scale standard", "--scale range", "--weight shoulder_circumference"]
    {
        let line = format!("kmeans @people @made --columns age,weight --k 4 {options} --assign");
        lab.done(&format!("{line} --mode overwrite"));
        lab.done("predict @made @people @again --mode overwrite");
        assert_eq!(rows(&lab, "again"), rows(&lab, "made"), "{options}");
    }
}

/// Columns far from 0, integers of any width, values whose squares no double holds, positions.
#[rstest]
#[case("--columns t,x", "SELECT 1700000000000000000 + value * 7919 AS t, value % 13 AS x")]
#[case(
    "--columns u",
    "SELECT arrow_cast(18446744073709551000, 'UInt64') + arrow_cast(value % 500, 'UInt64') AS u"
)]
#[case("--columns a,b", "SELECT (value % 31) * 1e-300 AS a, (value % 7) * 1e300 AS b")]
#[case("--columns f,g --scale standard", "SELECT 5e9 + value / 7.0 AS f, value % 5 AS g")]
#[case("--ra ra --dec dec", "SELECT (value * 0.7) % 360 AS ra, (value % 170) - 85.0 AS dec")]
fn numbers_anywhere_get_the_same_clusters_again(#[case] by: &str, #[case] select: &str) {
    let lab = Lab::new(On::Files);
    sql(&lab, &format!("COPY ({select} FROM generate_series(1, 900)) TO '@in.parquet'"));
    lab.done(&format!("kmeans @in.parquet @made {by} --k 5 --assign"));
    let counted = lab.done("predict @made @in.parquet @again");
    assert_eq!(rows(&lab, "again"), rows(&lab, "made"));
    // Without OUT the same is counted.
    assert_eq!(lab.done("predict @made @in.parquet"), counted);
    let clusters = "SELECT \"cluster\", count(*) AS rows, max(distance) AS max_distance \
                    FROM '@again/assignments' GROUP BY 1 ORDER BY 1";
    assert_eq!(sql(&lab, clusters), counted);
    assert!(counted.starts_with("cluster,rows,max_distance\n0,"), "{counted}");
}

#[test]
fn other_rows_are_assigned_by_the_model_of_a_k() {
    let lab = Lab::new(On::Files);
    lab.people(300);
    lab.done("kmeans @people/table1 @made --columns age,weight --k 2..4 --starts 2");
    let (code, _, stderr) = lab.run("predict @made @people/table2");
    assert!(code == 2 && stderr.contains("several k (2, 3, 4): pass --k"), "{stderr}");
    for k in 2..=4 {
        let counted = lab.done(&format!("predict @made @people/table2 --k {k}"));
        assert_eq!(counted.lines().count(), k + 1, "{counted}");
    }
    // The number of a model wins over which is best.
    let by_number = lab.done("predict @made @people/table2 --number 0");
    assert_eq!(by_number.lines().count(), 3, "{by_number}");
    let called = sql(&lab, "CALL predict(model => '@made', input => '@people/table2', k => 3)");
    assert_eq!(called, lab.done("predict @made @people/table2 --k 3"));
}

#[test]
fn a_row_without_a_number_has_no_cluster() {
    let lab = Lab::new(On::Files);
    sql(&lab, "COPY (VALUES (1.0), (2.0), (8.0), (9.0)) TO '@in.parquet'");
    sql(&lab, "COPY (VALUES (1.5), (NULL), (arrow_cast('NaN', 'Float64'))) TO '@new.parquet'");
    lab.done("kmeans @in.parquet @made --columns column1 --k 2");
    let counted = lab.done("predict @made @new.parquet");
    assert!(counted.ends_with(",1,0.0\n,2,\n"), "{counted}");
}

#[rstest]
#[case("predict @people @people/table1", 65, "is not a result of kmeans")]
#[case("predict @nothing @people/table1", 66, "not found")]
#[case("predict @made @people/table1 --k 9", 2, "has no model of k 9, expected one of 3")]
#[case("predict @made @people/table1 --number 9", 2, "has no model 9, expected one of 0, 1, 2, 3")]
#[case("predict @made @made/history", 65, "column 'age'")]
#[case("predict @made @people/table1 @out --mode append", 2, "would mix the rows")]
#[case("predict @made @labelled/assignments @out", 65, "has a column 'cluster'")]
fn what_cannot_be_assigned_is_refused(#[case] line: &str, #[case] code: i32, #[case] says: &str) {
    let lab = Lab::new(On::Files);
    lab.people(100);
    lab.done("kmeans @people/table1 @made --columns age,weight --k 3");
    lab.done("kmeans @people/table1 @labelled --columns age,weight --k 3 --assign");
    check_refused(line, lab.run(line), code, says);
}

#[test]
fn a_model_of_an_earlier_release_assigns_rows() {
    let lab = Lab::new(On::Files);
    lab.people(100);
    let old = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/releases/0.1.0/clusters");
    let counted = lab.done(&format!("predict {old} @people/table1"));
    assert_eq!(counted.lines().count(), 4, "{counted}");
}

#[test]
fn the_centroids_of_the_best_models_are_printed() {
    let lab = Lab::new(On::Files);
    lab.people(300);
    let run = "kmeans @people/table1 --columns age,weight --k 2..3 --starts 2 --show";
    let best = lab.done(&format!("{run} best"));
    assert_eq!(best.lines().count(), 3, "{best}");
    assert!(best.lines().skip(1).all(|line| line.split(',').nth(3) == Some("true")), "{best}");
    let model = lab.done(&format!("{run} model"));
    assert!(model.starts_with("model,k,cluster,rows,weight,c_age,c_weight,cost,"), "{model}");
    assert_eq!(model.lines().count(), 1 + 2 + 3, "{model}");
    // They are those that are written.
    let (_, _, stderr) =
        lab.run("kmeans @people/table1 @made --columns age,weight --k 2..3 --starts 2");
    assert!(stderr.contains("has the tables model, figures, history, partitions"), "{stderr}");
    let written = "SELECT m.* FROM '@made/model' m JOIN '@made/figures' f ON m.model = f.model \
                   WHERE f.best ORDER BY m.model, m.\"cluster\"";
    assert_eq!(sql(&lab, written), model);
    for table in ["history", "partitions", "partition_clusters"] {
        let k = sql(&lab, &format!("SELECT DISTINCT k FROM '@made/{table}' ORDER BY k"));
        assert_eq!(k, "k\n2\n3\n", "{table}");
    }
}

#[test]
fn names_of_scikit_learn_are_understood() {
    let lab = Lab::new(On::Files);
    lab.people(200);
    let ours = "--k 3 --starts 2 --seed 7 --max-steps 20 --tolerance 0.001 --start random";
    let theirs =
        "--n-clusters 3 --n-init 2 --random-state 7 --max-iter 20 --tol 0.001 --init random";
    let run = |options: &str| lab.done(&format!("kmeans @people --columns age,weight {options}"));
    assert_eq!(run(ours), run(theirs));
    lab.done("generate shapes @points --shape moons --rows 300");
    let dbscan = "dbscan @points @labels --mode overwrite --x x --y y --eps 25";
    assert_eq!(
        lab.done(&format!("{dbscan} --min-points 4")),
        lab.done(&format!("{dbscan} --min-samples 4"))
    );
}
