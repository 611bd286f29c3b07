//! DBSCAN from files to published labels: law 5 for any blocks, threads, batches, files and memory;
//! golden labels; bad rows; mistakes; killed runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{Float64Type, Int64Type};
use pleiad::dbscan::LabelCounts;
use pleiad::dbscan::local::Density;
use pleiad::dbscan::resume::killed;
use pleiad::event::{Event, Observer};
use pleiad::table::{Source, SourceOptions};
use proptest::prelude::*;
use rstest::rstest;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::cli::{outcome, pleiad};
use crate::commands::Lab;
use crate::dbscan_local::{densities, forty_rows, lattice, places};
use crate::support::dbscan::brute_force;
use crate::support::labels::{self, Engine, Points};
use crate::support::scratch::{On, session};

fn flat(density: &Density) -> String {
    format!("--x x --y y --eps {} --min-points {}", density.eps(), density.min_points())
}

// ---- law 5

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_blocks_streams_batches_and_files_give_the_labels_of_brute_force(
        rows in places::<2>(),
        deep in places::<3>(),
        density in densities(),
        max_rows in prop_oneof![Just(1u64), Just(4), Just(17), Just(1000)],
        streams in prop_oneof![Just(1usize), Just(2), Just(7)],
        batch_rows in prop_oneof![Just(1usize), Just(7), Just(8192)],
        file_rows in prop_oneof![Just(5usize), Just(64), Just(1000)],
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let engine = Engine { streams, batch_rows, ..Engine::default() };
        let found = runtime.block_on(async {
            let points = Points::with(engine);
            points.write_points(&rows, file_rows);
            let flat = points.numbers(&format!("{} --max-rows {max_rows}", flat(&density))).await;
            let points = Points::with(engine);
            points.write_points(&deep, file_rows);
            let line = format!("{} --z z --max-rows {max_rows}", self::flat(&density));
            (flat, points.numbers(&line).await)
        });
        prop_assert_eq!(found.0, brute_force(&rows, &density));
        prop_assert_eq!(found.1, brute_force(&deep, &density));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_core_rows_are_one_cluster_in_blocks_of_any_size() {
    for max_rows in [1, 2, 5, 11, 40] {
        let points = Points::new();
        points.write_points(&forty_rows(), 7);
        let line = format!("--x x --y y --eps 1 --min-points 10 --max-rows {max_rows}");
        assert_eq!(points.numbers(&line).await, [0; 40], "--max-rows {max_rows}");
    }
}

/// 100,000 rows: clumps, a lattice and noise.
pub(crate) fn many() -> Vec<[f64; 2]> {
    let mut state = 7_u64;
    let mut random = move || {
        // Knuth's MMIX generator; the upper bits are the good ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 40).unwrap()) / f64::from(1 << 24)
    };
    let row = |i: u32| match i % 3 {
        0 => [random() * 1000.0, random() * 1000.0],
        1 => [f64::from(i / 3 % 200), f64::from(i / 600)],
        _ => [500.0 + f64::from(i % 7) * 40.0 + random().powi(3) * 9.0, 700.0 + random() * 5.0],
    };
    (0..100_000).map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_spills_gives_the_same_labels() {
    let rows = many();
    let line = "--x x --y y --eps 1.5 --min-points 5";
    let mut found = Vec::new();
    // 10 MiB of memory: a store holds 1.6 MiB, and the rows of blocks are 2.4 MB and more.
    for (memory, max_rows) in
        [(1 << 30, ""), (10 << 20, "--max-rows 15000"), (1 << 30, "--max-rows 999")]
    {
        let points = Points::with(Engine { memory, ..Engine::default() });
        points.write_points(&rows, 70_000);
        let outcome = points.run(&format!("{line} {max_rows}")).await.unwrap();
        assert_eq!(outcome.blocks.len() > 1, !max_rows.is_empty());
        let own: u64 = outcome.blocks.iter().map(|block| block.own_rows).sum();
        assert_eq!(own, 100_000, "every row has one owner");
        found.push((points.labels().await, outcome.clusters, outcome.counts));
    }
    assert!(found[0].1.as_ref().unwrap().num_rows() > 1);
    assert_eq!(found[1], found[0]);
    assert_eq!(found[2], found[0]);
}

#[test]
fn files_and_s3_with_few_blocks_and_many_give_the_same_labels() {
    let run = |on: On, flags: &str| {
        let lab = Lab::new(on);
        lab.done("generate shapes @points --shape varden --rows 2000 --threads 1");
        lab.done(&format!("dbscan @points @out --x x --y y --eps 200 --min-points 6 {flags}"));
        lab.done("head @out/labels -n 2000 --format csv")
    };
    let labels = run(On::Files, "--threads 1");
    assert_eq!(labels.lines().count(), 2001);
    assert!(labels.contains(",-1,noise\n") && labels.contains(",1,core\n"), "{labels:.2000}");
    for (on, flags) in [(On::Files, "--max-rows 20"), (On::S3, "--max-rows 150 --threads 2")] {
        assert!(run(on, flags) == labels, "{on:?} {flags}");
    }
}

// ---- golden labels, of scikit-learn 1.9.1

/// `pleiad generate shapes points --shape varden --rows 100000 --threads 1`, clustered by
/// scikit-learn 1.9.1 with `DBSCAN(eps, min_samples=min_points, algorithm='kd_tree')`: its counts,
/// and the SHA-256 of its labels as 64-bit numbers, the lowest byte first, in the order of the rows.
const VARDEN: &str = include_str!("../golden/dbscan_varden.csv");

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_labels_are_those_of_scikit_learn() {
    let points = Points::new();
    done(points.dir.path(), "generate shapes points --shape varden --rows 100000 --threads 1");
    for (golden, max_rows) in VARDEN.lines().skip(1).zip(["", "--max-rows 30000"].iter().cycle()) {
        let cells: Vec<&str> = golden.split(',').collect();
        let (density, expected) = cells.split_at(2);
        let [eps, min_points] = [density[0], density[1]];
        let line = format!("--x x --y y --eps {eps} --min-points {min_points} {max_rows}");
        let outcome = points.run(&line).await.unwrap();
        let mut digest = Sha256::new();
        for cluster in points.labels().await.clusters {
            digest.update(cluster.unwrap().to_le_bytes());
        }
        let LabelCounts { core, noise, .. } = outcome.counts;
        let found = [outcome.clusters(), core, noise].map(|count| count.to_string());
        let found = [found.as_slice(), &[format!("{:x}", digest.finalize())]].concat();
        assert_eq!(found, expected, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_across_0_360_and_one_around_the_pole_are_whole() {
    // Twelve rows 0.0518 degrees apart around the pole, and five across right ascension 0.
    let pole = (0..12).map(|i| [f64::from(i) * 30.0, 89.9]);
    let seam = [359.9996, 359.9998, 0.0, 0.0002, 0.0004].map(|ra| [ra, 10.0]);
    let rows: Vec<[f64; 2]> = pole.chain(seam).collect();
    for (eps, max_rows, expected) in [
        ("--eps-deg 0.0518", 100, [0, 1]),
        ("--eps-deg 0.0518", 1, [0, 1]),
        ("--eps-arcsec 0.756", 2, [-1, 0]), // 0.00021 degrees: the seam only
    ] {
        let points = Points::new();
        points.write_points(&rows, 4);
        let line = format!("--ra x --dec y {eps} --min-points 3 --max-rows {max_rows}");
        let mut all = vec![expected[0]; 12];
        all.extend([expected[1]; 5]);
        assert_eq!(points.numbers(&line).await, all, "{line}");
    }
}

// ---- small and odd tables

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_place_are_skipped_and_counted() {
    let column =
        |values: [Option<f64>; 6]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let x = column([Some(0.0), None, Some(nan), Some(0.1), Some(inf), Some(9.0)]);
    let y = column([Some(0.0), Some(0.0), Some(0.0), Some(0.0), Some(0.0), Some(9.0)]);
    let points = Points::new();
    points.write(vec![("x", x), ("y", y)], 100);
    let outcome = points.run("--x x --y y --eps 1 --min-points 2").await.unwrap();
    let counts = LabelCounts { core: 2, border: 0, ambiguous: 0, noise: 1 };
    assert_eq!((outcome.rows, outcome.skipped, outcome.counts), (6, 3, counts));
    let found = points.labels().await;
    assert_eq!(found.clusters, [Some(0), None, None, Some(0), None, Some(-1)]);
    assert_eq!(found.kinds, ["core", "skipped", "skipped", "core", "skipped", "noise"]);
    // A declination beyond the pole is no place either.
    let sky = points.run("--ra x --dec y --eps-deg 1 --min-points 2").await.unwrap();
    assert_eq!(sky.skipped, 3);
}

#[rstest]
#[case(&[], "--eps 1 --min-points 2", &[])]
#[case(&[[7.0, 7.0]], "--eps 1 --min-points 2", &[-1])]
#[case(&[[7.0, 7.0]], "--eps 1 --min-points 1", &[0])]
#[case(&[[1e9, -1e9], [1e9, -1e9], [-1e9, 1e9]], "--eps 1 --min-points 2 --max-rows 1", &[0, 0, -1])]
#[case(&[[0.0, 0.0], [5.0, 0.0], [9.0, 0.0]], "--eps 1e6 --min-points 3 --max-rows 1", &[0, 0, 0])]
#[tokio::test(flavor = "multi_thread")]
async fn small_tables_have_clear_answers(
    #[case] rows: &[[f64; 2]],
    #[case] options: &str,
    #[case] expected: &[i64],
) {
    let points = Points::new();
    points.write_points(rows, 2);
    assert_eq!(points.numbers(&format!("--x x --y y {options}")).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_in_one_place_are_one_cluster_whatever_blocks_are_asked_for() {
    let rows = vec![[3.0, 4.0]; 20_000];
    for min_points in [1, 10_000, 20_000] {
        let points = Points::new();
        points.write_points(&rows, 9000);
        let line = format!("--x x --y y --eps 1e-9 --min-points {min_points} --max-rows 100");
        let outcome = points.run(&line).await.unwrap();
        assert_eq!((outcome.clusters(), outcome.counts.core), (1, 20_000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_does_not_fit_the_memory_says_where() {
    // 10 MiB of memory: a block may take 6.5 MiB, and rows in one place cannot be cut.
    let points = Points::with(Engine { memory: 10 << 20, ..Engine::default() });
    points.write_points(&vec![[3.0, 4.0]; 60_000], 30_000);
    let error = points.run("--x x --y y --eps 1 --min-points 5").await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 71, "{error}");
    let said = error.to_string();
    assert!(said.contains("has 60000 rows and 0 within eps of it, which need 8 MiB"), "{said}");
    assert!(!points.path("out/_manifest").exists(), "nothing is published");
}

#[tokio::test(flavor = "multi_thread")]
async fn border_rows_can_be_noise() {
    let points = Points::new();
    points.write_points(&lattice(5, 1.0), 10);
    let line = "--x x --y y --eps 1 --min-points 5 --max-rows 6";
    let first = points.run(line).await.unwrap();
    assert_eq!(first.counts, LabelCounts { core: 9, border: 12, ambiguous: 0, noise: 4 });
    let noise = points.run(&format!("{line} --border noise")).await.unwrap();
    assert_eq!(noise.counts, LabelCounts { core: 9, border: 0, ambiguous: 0, noise: 16 });
    let clusters = points.table("clusters").await;
    let rows = clusters.column_by_name("rows").unwrap().as_primitive::<Int64Type>();
    assert_eq!(rows.values(), &[9]);
}

// ---- ids, columns that are kept, clusters

#[tokio::test(flavor = "multi_thread")]
async fn an_id_puts_rows_in_order_and_columns_are_kept_beside_the_labels() {
    let points = Points::new();
    let xs: ArrayRef = Arc::new(Float64Array::from(vec![0.0, 0.5, 9.0, 9.5, 4.0]));
    let ys: ArrayRef = Arc::new(Int64Array::from(vec![0; 5]));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![5, 4, -3, 2, 1]));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e"]));
    points.write(vec![("x", xs), ("y", ys), ("k", ids), ("name", names)], 2);
    let line = "--x x --y y --eps 1 --min-points 2 --id k --keep name,x --max-rows 2";
    let outcome = points.run(line).await.unwrap();
    // The smallest id, -3, is in the second pair.
    let labels = points.table("labels").await;
    let schema = labels.schema();
    let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(columns, ["k", "cluster", "kind", "name", "x"]);
    let found = points.labels().await;
    assert_eq!(found.rows, [5, 4, -3, 2, 1]);
    assert_eq!(found.clusters, [1, 1, 0, 0, -1].map(Some));
    let names = labels.column_by_name("name").unwrap().as_string::<i32>();
    assert_eq!((0..5).map(|row| names.value(row)).collect::<String>(), "abcde");
    let clusters = outcome.clusters.unwrap();
    let first = clusters.column_by_name("first_row").unwrap().as_primitive::<Int64Type>();
    assert_eq!(first.values(), &[-3, 4]);
    let mean = clusters.column_by_name("x_mean").unwrap().as_primitive::<Float64Type>();
    assert_eq!(mean.values(), &[9.25, 0.25]);
    // All columns, and no id: the number of the row comes first.
    points.run("--x x --y y --eps 1 --keep *").await.unwrap();
    let schema = points.table("labels").await.schema();
    let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(columns, ["row", "cluster", "kind", "x", "y", "k", "name"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_far_wider_than_eps_is_split() {
    let clump = [[0.0, 0.0], [0.05, 0.0], [0.1, 0.0]];
    for far in [1e10, 1e18, 1e300] {
        let points = Points::new();
        points.write_points(&[&clump[..], &[[far, -far], [-far, 1.0]]].concat(), 3);
        let found = points.numbers("--x x --y y --eps 0.1 --min-points 3").await;
        assert_eq!(found, [0, 0, 0, -1, -1], "{far:e}");
    }
    // The whole sky, and an eps of a tenth of a milliarcsecond.
    let points = Points::new();
    let rows: Vec<[f64; 2]> = (0..90).map(|i| [f64::from(i) * 4.0, f64::from(i) - 45.0]).collect();
    points.write_points(&[rows.as_slice(), &rows[..3]].concat(), 50);
    let found = points.numbers("--ra x --dec y --eps-arcsec 0.0001 --min-points 2").await;
    let pairs: Vec<i64> = (0..3).chain([-1; 87]).chain(0..3).collect();
    assert_eq!(found, pairs);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_of_several_tables_are_in_the_order_of_the_rows() {
    let points = Points::new();
    done(points.dir.path(), "generate people points --rows 400");
    done(points.dir.path(), "dbscan points out --x age --y weight --eps 2 --min-points 5");
    let found = points.labels().await;
    assert_eq!(found.rows, (0..1200).collect::<Vec<_>>());
    // A picture puts labels and rows together by their position, or refuses.
    done(points.dir.path(), "plot scatter out -o out.svg");
    done(points.dir.path(), "generate people points --rows 300 --mode overwrite");
    let (code, _, stderr) =
        outcome(pleiad(&["plot", "scatter", "out"]).current_dir(points.dir.path()));
    assert_eq!(code, 65, "{stderr}");
}

#[test]
fn a_picture_needs_all_files_that_were_clustered() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("d")).unwrap();
    std::fs::write(folder.join("d/a.csv"), "x,y\n0,0\n0,1\n1,0\n").unwrap();
    std::fs::write(folder.join("d/b.csv"), "x,y\n50,50\n50,51\n51,50\n9,9\n").unwrap();
    done(folder, "dbscan d/*.csv out --x x --y y --eps 2 --min-points 3");
    let (picture, _) = done(folder, "plot scatter out");
    assert!(picture.contains("2 clusters, eps 2, min-points 3, 7 rows"), "{picture:.900}");
    std::fs::rename(folder.join("d/a.csv"), folder.join("a.csv")).unwrap();
    let (code, _, stderr) = outcome(pleiad(&["plot", "scatter", "out"]).current_dir(folder));
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("the input has 4 rows, and 7 were clustered"), "{stderr}");
}

#[test]
fn a_result_does_not_replace_its_own_input() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, "generate sky sky --rows 300");
    done(folder, "generate people people --rows 100");
    for line in [
        "dbscan sky sky --ra ra --dec decl --eps-deg 2 --mode overwrite",
        "partition sky sky --blocks 4 --mode overwrite",
        "kmeans people/table1 people --columns age --k 2 --mode overwrite",
    ] {
        let (code, _, stderr) = outcome(pleiad(&words(line)).current_dir(folder));
        assert_eq!(code, 2, "{line}: {stderr}");
        assert!(stderr.contains("is also the input"), "{line}: {stderr}");
    }
    assert!(done(folder, "count sky --json").0.contains(r#""rows":300"#));
    let (people, _) = done(folder, "count people --json");
    assert_eq!(people.matches(r#""rows":100"#).count(), 3, "{people}");
}

// ---- mistakes

#[rstest]
#[case(
    "--x x --y nope --eps 1",
    65,
    "column 'nope' not found in 'points', which has x, y, k, name, cluster"
)]
#[case("--x x --y name --eps 1", 65, "column 'name' of 'points' is Utf8, expected a number")]
#[case(
    "--x x --y y --eps 1 --id x",
    65,
    "column 'x' of 'points' is Float64, expected a whole number"
)]
#[case("--x x --y y --eps 1 --id k", 65, "id column 'k' is null in row 2")]
#[case("--x x --y y --eps 1 --keep kind", 65, "column 'kind' not found")]
#[case("--x x --y y --eps 1 --keep *", 2, "column 'cluster' cannot be kept")]
#[case("--x x --y y --eps 1 --id cluster", 2, "column 'cluster' cannot be kept")]
#[case("--x x --y y --eps 0", 2, "eps is 0, expected a distance above 0")]
#[case("--x x --y y --eps NaN", 2, "eps is NaN, expected a distance above 0")]
#[case("--x x --y y --eps 1 --min-points 0", 2, "min-points is 0, expected at least 1")]
#[case("--ra x --dec y --eps 1", 2, "eps has no unit, and rows are on the sphere")]
#[case("--ra x --dec y --eps-deg 181", 2, "eps is 181 degrees, expected an angle")]
#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_named(#[case] options: &str, #[case] code: u8, #[case] said: &str) {
    let points = Points::new();
    let xs: ArrayRef = Arc::new(Float64Array::from(vec![0.0, 0.5, 9.0]));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), Some(4), None]));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let columns = [("x", Arc::clone(&xs)), ("y", xs), ("k", ids), ("name", names)];
    points.write(columns.into_iter().chain([("cluster", whole)]).collect(), 100);
    let error = points.run(options).await.unwrap_err();
    assert_eq!(error.kind().exit_code(), code, "{error}");
    assert!(error.to_string().contains(said), "{error}");
    assert!(!points.path("out/_manifest").exists(), "nothing is published");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clusters_with_the_same_smallest_id_are_refused() {
    let points = Points::new();
    let xs: ArrayRef = Arc::new(Float64Array::from(vec![0.0, 0.5, 9.0, 9.5]));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![7, 8, 7, 8]));
    points.write(vec![("x", Arc::clone(&xs)), ("y", xs), ("k", ids)], 100);
    let error = points.run("--x x --y y --eps 1 --min-points 2 --id k").await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 65);
    let said =
        "id column 'k' is not unique: 7 appears twice; pass another column, or leave out --id";
    assert_eq!(error.to_string(), said);
}

// ---- checks of a result, and what is said about it

#[rstest]
#[case("--x x --y y --eps 1.5 --min-points 5 --verify", "4096")]
#[case("--x x --y y --eps 1.5 --min-points 5 --verify full --max-rows 3000", "full")]
#[case("--x x --y y --eps 1.5 --min-points 5 --verify 9 --border noise --max-rows 2000", "9")]
#[case("--ra x --dec y --eps-deg 1.5 --min-points 5 --verify full", "full")]
#[tokio::test(flavor = "multi_thread")]
async fn a_result_can_be_checked(#[case] line: &str, #[case] rows: &str) {
    let points = Points::new();
    let small = |[x, y]: &[f64; 2]| [x / 3.0, (y / 6.0).min(89.9)];
    let places: Vec<[f64; 2]> = many()[..8000].iter().map(small).collect();
    points.write_points(&places, 3000);
    let outcome = points.run(line).await.unwrap();
    assert!(outcome.clusters() > 0);
    let properties = std::fs::read_to_string(points.path("out/properties")).unwrap();
    assert!(properties.lines().any(|line| line == format!("verify={rows}")), "{properties}");
}

/// Keeps the warnings of a run.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn report(&self, event: Event) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text);
        }
    }
}

#[rstest]
#[case("--eps 1 --min-points 3", &[])]
#[case("--eps 30 --min-points 3", &["a row has about", "% of the rows are core: eps 30", "one cluster holds 98.6 %"])]
#[case("--eps 0.4 --min-points 3", &["0.0 % of the rows are core: eps 0.4"])]
#[case("--eps 30 --min-points 3 --dry-run", &["a row has about"])]
#[tokio::test(flavor = "multi_thread")]
async fn hopeless_parameters_are_warned_of(#[case] options: &str, #[case] said: &[&str]) {
    let points = Points::new();
    // A lattice with gaps: every seventh row is missing, and some rows are alone.
    let mut rows = lattice(40, 1.0);
    rows = rows.into_iter().enumerate().filter(|(i, _)| i % 7 > 0).map(|(_, row)| row).collect();
    rows.extend((0..20).map(|i| [100.0 + f64::from(i) * 9.0, 200.0]));
    points.write_points(&rows, 1000);
    let warnings = Warnings::default();
    points.watched(&format!("--x x --y y {options}"), &warnings).await.unwrap();
    let found = warnings.0.into_inner().unwrap();
    assert_eq!(found.len(), said.len(), "{found:?}");
    for (found, said) in found.iter().zip(said) {
        assert!(found.contains(said), "{found}");
    }
}

#[rstest]
#[case(20, "", true)]
#[case(19, "", false)]
#[case(20, "--unit rad", false)]
#[case(22, "", false)] // to 6.3
#[tokio::test(flavor = "multi_thread")]
async fn positions_that_look_like_radians_are_pointed_out(
    #[case] rows: i32,
    #[case] unit: &str,
    #[case] warns: bool,
) {
    let points = Points::new();
    let rows: Vec<_> = (0..rows).map(|i| [f64::from(i) * 0.3, f64::from(i % 3) / 2.0]).collect();
    points.write_points(&rows, 1000);
    let warnings = Warnings::default();
    let line = format!("--ra x --dec y --eps-deg 0.1 --min-points 1 {unit}");
    points.watched(&line, &warnings).await.unwrap();
    let found = warnings.0.into_inner().unwrap();
    assert_eq!(found.iter().any(|said| said.contains("pass --unit rad")), warns, "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_of_blocks_and_writes_nothing() {
    let points = Points::new();
    points.write_points(&many()[..9000], 3000);
    let line = "--x x --y y --eps 1.5 --min-points 5 --max-rows 1000 --dry-run";
    let outcome = points.run(line).await.unwrap();
    assert!(outcome.blocks.len() >= 9 && outcome.clusters.is_none());
    assert_eq!(outcome.blocks.iter().map(|block| block.own_rows).sum::<u64>(), 9000);
    assert!(outcome.blocks.iter().all(|block| block.own_rows <= 1000 && block.lo.len() == 2));
    let share: f64 = outcome.blocks.iter().map(|block| block.cost_share).sum();
    assert!((share - 1.0).abs() < 1e-9, "{share}");
    assert!(!points.path("out").exists());
}

// ---- the blocks of a dataset

/// A binary's run in `folder`, which has to succeed.
#[track_caller]
fn done(folder: &std::path::Path, line: &str) -> (String, String) {
    let (code, stdout, stderr) = outcome(pleiad(&words(line)).current_dir(folder));
    assert_eq!(code, 0, "{line}: {stderr}");
    (stdout, stderr)
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// Clusters of some labels, by an id.
async fn by_id(points: &Points, name: &str) -> BTreeMap<i64, i64> {
    let at = points.path(name).join("labels");
    let options = SourceOptions::default();
    let source = Source::open(&points.stores, at.to_str().unwrap(), &options).await.unwrap();
    let table = source.tables[0].provider();
    let session = session(&points.stores, 1, 8192);
    let labels = session.read_table(table).unwrap().collect().await.unwrap();
    let mut clusters = BTreeMap::new();
    for batch in labels {
        let column = |name: &str| Arc::clone(batch.column_by_name(name).unwrap());
        let (ids, found) = (column("sourceId"), column("cluster"));
        let (ids, found) = (ids.as_primitive::<Int64Type>(), found.as_primitive::<Int64Type>());
        clusters.extend(ids.values().iter().copied().zip(found.values().iter().copied()));
    }
    clusters
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_blocks_are_used_where_their_margins_are_wide_enough() {
    let points = Points::new();
    let folder = points.dir.path();
    done(folder, "generate sky sky --rows 3000");
    done(folder, "partition sky blocks --margin-arcsec 7300 --blocks 40 --max-rows 200");
    let line = "--ra ra --dec decl --min-points 4 --id sourceId --verify full --format csv";
    done(folder, &format!("dbscan sky plain {line} --eps-deg 2"));
    let expected = by_id(&points, "plain").await;
    assert!(expected.values().max() > Some(&20));
    let (stored, told) = done(folder, &format!("dbscan blocks stored {line} --eps-deg 2"));
    assert!(!told.contains("warning") && stored.contains(",location\n"), "{told}");
    assert_eq!(by_id(&points, "stored").await, expected);
    // As many blocks as were stored, and the copies in the margins.
    let dry = format!("dbscan blocks --dry-run {line} --eps-deg 2");
    let (dry, _) = done(folder, &dry);
    let margins = std::fs::read_to_string(points.path("blocks/properties")).unwrap();
    let margins = margins.lines().find_map(|line| line.strip_prefix("rows.margin=")).unwrap();
    assert!(dry.lines().nth(1).unwrap().contains(&format!(",{margins},")), "{dry}");
    // Too narrow: a warning, and the same labels.
    done(folder, "partition sky narrow --margin-arcsec 300 --blocks 40 --max-rows 200");
    let (_, told) = done(folder, &format!("dbscan narrow again {line} --eps-deg 2"));
    assert!(
        told.contains(
            "arcsec, below eps 7200 arcsec: using planned blocks instead of the stored ones"
        ),
        "{told}"
    );
    assert_eq!(by_id(&points, "again").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_filed_as_the_input_is() {
    let points = Points::new();
    let folder = points.dir.path();
    done(folder, "generate sky sky --rows 500");
    done(folder, "partition sky blocks --margin-arcsec 7300 --blocks 4");
    done(folder, "dbscan blocks out --ra ra --dec decl --min-points 4 --eps-deg 2");
    let labels = points.table("labels").await;
    let names: Vec<_> = labels.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["row", "cluster", "kind", "block"]);
    assert!(points.path("out/labels/block=0").is_dir());
    let rows = labels.column(0).as_primitive::<Int64Type>();
    assert_eq!(rows.values().to_vec(), (0..500).collect::<Vec<_>>());
}

// ---- pictures

#[test]
fn results_and_distances_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    done(folder, "generate shapes points --shape moons --rows 800");
    let (_, told) = done(folder, "plot kdist points --x x --y y --min-points 8 -o kdist.svg");
    assert!(told.contains("90 % of the rows are core") && told.contains("turns upwards at eps"));
    let (told, _) = done(folder, "kdistance points --x x --y y --min-points 8 --json");
    let shares = told.lines().filter(|line| line.contains("core_percent"));
    assert_eq!((shares.count(), told.contains("\"same_place_percent\":0.0")), (5, true), "{told}");
    done(folder, "dbscan points out --x x --y y --eps 10 --min-points 8");
    done(folder, "plot scatter out --rows 400 -o out.svg");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(read("kdist.svg").contains("points: distance to nearest row number 8, 800 rows"));
    let picture = read("out.svg");
    assert!(picture.contains("out: 2 clusters, eps 10, min-points 8, 800 rows"), "{picture:.900}");
    // About half of the rows, and two colours, in the picture and in its legend.
    assert_eq!(picture.matches("hsl(").count(), 4);
    done(folder, "generate shapes points --shape rings --rows 800 --mode overwrite");
    let (code, _, stderr) = outcome(pleiad(&["plot", "scatter", "out"]).current_dir(folder));
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("is not the one that was clustered"), "{stderr}");
    let (code, _, stderr) = outcome(pleiad(&["plot", "scatter", "points"]).current_dir(folder));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("Pass --x and --y"), "{stderr}");
}

// ---- killed runs

/// Notifies when this many blocks are done.
struct UntilBlocks {
    wanted: u64,
    seen: Mutex<(bool, u64)>,
    reached: Notify,
}

impl UntilBlocks {
    fn new(wanted: u64) -> Self {
        Self { wanted, seen: Mutex::default(), reached: Notify::new() }
    }
}

impl Observer for UntilBlocks {
    fn report(&self, event: Event) {
        let mut seen = self.seen.lock().unwrap();
        match event {
            Event::Stage { name, total, .. } => {
                seen.0 = name == "clustering";
                if seen.0 {
                    seen.1 = total.unwrap();
                }
            }
            Event::Progress { done } if seen.0 && done == self.wanted => self.reached.notify_one(),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_goes_on_with_the_blocks_that_are_missing() {
    let points = Points::new();
    points.write_points(&many()[..30_000], 4000);
    let line = "--x x --y y --eps 1.5 --min-points 5 --max-rows 900";
    points.run(line).await.unwrap();
    let expected = points.labels().await;
    std::fs::remove_dir_all(points.path("out")).unwrap();
    let watch = UntilBlocks::new(5);
    tokio::select! {
        done = points.watched(line, &watch) => panic!("it was too fast: {done:?}"),
        () = watch.reached.notified() => {}
    }
    let blocks = watch.seen.lock().unwrap().1;
    assert!(!points.path("out/_manifest").exists(), "nothing is published");
    // The run is undone behind its back.
    let session = labels::session(&points.stores, Engine::default());
    while killed(&session, &points.location("out")).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let other = points.run("--x x --y y --eps 2 --resume").await.unwrap_err();
    assert!(other.to_string().starts_with("cannot resume: 'eps' is '2', the killed run had '1.5'"));
    let watch = UntilBlocks::new(u64::MAX);
    points.watched(&format!("{line} --resume"), &watch).await.unwrap();
    assert_eq!(points.labels().await, expected);
    let left = watch.seen.lock().unwrap().1;
    assert!(left <= blocks - 5 && left > 0, "{left} of {blocks} blocks were left");
}

#[test]
fn ctrl_c_is_heard_inside_a_block() {
    let points = Points::new();
    // Each row has about 20,000 near it, which no cell decides: two blocks that take a while.
    let spread: Vec<[f64; 2]> = many().into_iter().step_by(3).collect();
    let rows: Vec<[f64; 2]> =
        (0..6).flat_map(|k| spread.iter().map(move |[x, y]| [x + f64::from(k), *y])).collect();
    points.write_points(&rows, 100_000);
    let line = "dbscan points out --x x --y y --eps 178 --min-points 20000 --max-rows 150000";
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("pleiad"));
    command.args(words(line)).current_dir(points.dir.path());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The plan is kept when blocks are about to be clustered.
    let is_planned = || {
        let runs = std::fs::read_dir(points.path("out/_runs")).into_iter().flatten().flatten();
        runs.map(|run| run.path().join("kept/plan.json")).any(|plan| plan.exists())
    };
    while !is_planned() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let begun = std::time::Instant::now();
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill").args(["-s", "INT", &pid]).status().unwrap();
    assert!(sent.success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    assert!(!points.path("out/_manifest").exists(), "nothing is published");
}
