//! k-means does not depend on the unit of a column or on its distance from 0: sums against exact ones, the
//! tolerance relative to the rows, positions on the sphere.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, UInt64Array};
use arrow::datatypes::Float64Type;
use pleiad::kmeans::{Outcome, StopReason};
use proptest::prelude::*;
use rstest::rstest;

use crate::kmeans::close;
use crate::support::clustering::{Tables, floats};

/// `x·2^exponent`, without leaving the range of floats on the way.
fn times_power(x: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    x * 2.0_f64.powi(half) * 2.0_f64.powi(exponent - half)
}

async fn run(columns: Vec<(&str, ArrayRef)>, arguments: &str) -> Outcome {
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let names = names.join(",");
    let tables = Tables::new();
    tables.write("rows.parquet", columns);
    let arguments = format!("--columns {names} {arguments}");
    let outcome = tables.run("rows.parquet", &format!("{arguments} --recheck")).await.unwrap();
    let streamed = tables.run("rows.parquet", &format!("{arguments} --cache never")).await.unwrap();
    for (one, two) in outcome.models.iter().zip(&streamed.models) {
        assert_eq!(one.centroids, two.centroids);
        assert_eq!(one.figures, two.figures);
    }
    outcome
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

/// Two groups of four rows, far from each other.
const GROUPS: [i64; 8] = [0, 1, 3, 8, 1000, 1001, 1004, 1007];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Rows are (base + r)·2^exponent, each a double: the exact mean of them is (base + Σr/n)·2^exponent, and
    /// that of r is a fraction of small integers. 2^±996 is 1e±300.
    #[test]
    fn means_are_exact_to_the_range_of_the_rows(
        base in prop_oneof![Just(0_i64), 0..1_i64 << 51, Just(1_i64 << 51)],
        exponent in prop_oneof![-1040..-400_i32, -100..100_i32, 400..970_i32],
        rest in proptest::collection::vec(0..1_000_000_i64, 1..40),
        negative: bool,
    ) {
        let sign = if negative { -1.0 } else { 1.0 };
        let number = |r: &i64| times_power(sign * (base + r) as f64, exponent);
        let outcome = block_on(run(vec![("x", floats(rest.iter().map(number)))], "--k 1 --starts 1"));
        let found = outcome.models[0].centroids[[0, 0]];
        // Taking the exponent and the base away again is exact.
        let found = sign * times_power(found, -exponent) - base as f64;
        let mean = rest.iter().sum::<i64>() as f64 / rest.len() as f64;
        let range = (rest.iter().max().unwrap() - rest.iter().min().unwrap()) as f64;
        let last_place = f64::EPSILON * (base as f64 + mean);
        let subnormal = times_power(f64::from_bits(1), -exponent);
        // What the page of limits states: 2^-46 of the range, and the last place of the centroid.
        let bound = range * 2.0_f64.powi(-46) + last_place + subnormal;
        prop_assert!((found - mean).abs() <= bound, "{found} for {mean}, off by more than {bound}");
    }
}

/// The cost of two groups is known to the unit: of eight integers.
#[rstest]
#[case::signed((1 << 62) - 1000, false)]
#[case::below_zero(-(1 << 62) - 1000, false)]
#[case::at_the_end(i64::MAX - 1007, false)]
#[case::unsigned(i64::MAX, true)]
#[case::nanoseconds(1_700_000_000_000_000_000, false)]
#[tokio::test]
async fn integers_far_from_0_have_the_clusters_of_their_differences(
    #[case] base: i64,
    #[case] is_unsigned: bool,
) {
    let column: ArrayRef = match is_unsigned {
        false => Arc::new(GROUPS.map(|r| Some(base + r)).into_iter().collect::<Int64Array>()),
        true => {
            let base = base.cast_unsigned();
            let values = GROUPS.map(|r| Some(base + r.cast_unsigned()));
            Arc::new(values.into_iter().collect::<UInt64Array>())
        }
    };
    let far = run(vec![("x", column)], "--k 2").await;
    // Σ(r − mean)²: 38 around 3, and 30 around 1003.
    for model in &far.models {
        assert_eq!(model.figures.cost.to_bits(), 68.0_f64.to_bits());
        let mut rows: Vec<_> = model.clusters.iter().map(|cluster| cluster.rows).collect();
        rows.sort_unstable();
        assert_eq!(rows, [4, 4]);
        assert!((model.figures.explained.unwrap() - 1.0).abs() < 1e-4);
    }
}

/// Rows of a plane in three heaps, from a fixed sequence.
fn heaps() -> [Vec<f64>; 2] {
    let mut state = 42_u64;
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24)
    };
    let centers = [(0.0, 0.0), (3.0, 1.0), (1.5, 2.0)];
    let rows: Vec<_> = (0..600).map(|row| (centers[row % 3], next(), next())).collect();
    [
        rows.iter().map(|((x, _), dx, _)| x + 2.0 * dx).collect(),
        rows.iter().map(|((_, y), _, dy)| y + 2.0 * dy).collect(),
    ]
}

/// The heaps in another unit, from the same first rows: drawn ones depend on the bits of the values.
async fn in_unit(scale: impl Fn(f64) -> f64, arguments: &str) -> Outcome {
    let [x, y] = heaps().map(|column| column.into_iter().map(&scale).collect::<Vec<_>>());
    let first: Vec<[f64; 2]> = (0..5).map(|row| [x[row], y[row]]).collect();
    let tables = Tables::new();
    let centroids = tables.write_centroids("x,y", first.iter().map(|row| row.as_slice()));
    let columns = vec![("x", floats(x)), ("y", floats(y))];
    let arguments = format!("--start given --centroids {centroids} {arguments}");
    Box::pin(run(columns, &arguments)).await
}

#[rstest]
#[case(-1000)]
#[case(-420)]
#[case(-40)]
#[case(40)]
#[case(420)]
#[case(1000)]
#[tokio::test]
async fn a_power_of_two_is_a_unit_like_any_other(#[case] exponent: i32) {
    for arguments in ["", "--scale standard"] {
        let one = in_unit(|x| x, arguments).await;
        let other = in_unit(|x| times_power(x, exponent), arguments).await;
        for (one, other) in one.models.iter().zip(&other.models) {
            let scaled = one.centroids.mapv(|x| times_power(x, exponent));
            assert_eq!(scaled, other.centroids);
            assert_eq!(one.stopped, other.stopped);
            assert_eq!(one.figures.simplified_silhouette, other.figures.simplified_silhouette);
            let unit = if arguments.is_empty() { exponent } else { 0 };
            let distance = times_power(one.figures.mean_distance, unit);
            assert_eq!(distance.to_bits(), other.figures.mean_distance.to_bits());
            let cost = times_power(times_power(one.figures.cost, unit), unit);
            assert_eq!(cost.to_bits(), other.figures.cost.to_bits());
        }
    }
}

#[rstest]
#[case(1e-9)]
#[case(1e-3)]
#[case(1e6)]
#[tokio::test]
async fn the_unit_of_the_columns_changes_neither_steps_nor_clusters(#[case] scale: f64) {
    let (one, other) = (in_unit(|x| x, "").await, in_unit(|x| x * scale, "").await);
    for (one, other) in one.models.iter().zip(&other.models) {
        assert_eq!(one.history.len(), other.history.len());
        close(other.figures.cost / scale / scale, one.figures.cost, 1e-9);
    }
}

/// scikit-learn stops when Σ‖c − c'‖² is at most tol times the mean of the variances of the columns.
#[rstest]
#[case("", 1e-4)]
#[case("--tolerance 0.01", 0.01)]
#[tokio::test]
async fn the_tolerance_is_a_share_of_the_mean_variance(
    #[case] arguments: &str,
    #[case] share: f64,
) {
    let variance = heaps().map(|column| {
        let n = column.len() as f64;
        let mean = column.iter().sum::<f64>() / n;
        column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n
    });
    let limit = share * (variance[0] + variance[1]) / 2.0;
    let outcome = in_unit(|x| x, arguments).await;
    let mut stopped = 0;
    for model in &outcome.models {
        let (last, before) = model.history.split_last().unwrap();
        assert!(before.iter().all(|step| step.movement.powi(2) > limit));
        if model.stopped == StopReason::Tolerance {
            assert!(last.movement.powi(2) <= limit);
            stopped += 1;
        }
    }
    assert!(stopped > 0, "no model shows it");
}

#[tokio::test]
async fn a_largest_movement_is_a_distance() {
    let outcome = in_unit(|x| x * 1e6, "--max-delta 10000").await;
    for model in &outcome.models {
        let (last, before) = model.history.split_last().unwrap();
        assert!(before.iter().all(|step| step.movement >= 10_000.0));
        if model.stopped == StopReason::MaxDelta {
            assert!(last.movement < 10_000.0);
        }
    }
    assert!(outcome.models.iter().any(|model| model.stopped == StopReason::MaxDelta));
}

/// A group on either side of longitude 0, one opposite, and one around the pole.
fn sky() -> [Vec<f64>; 2] {
    let [x, y] = heaps();
    let ra = x.iter().zip(0..).map(|(x, row)| match row % 3 {
        0 => (359.0 + x) % 360.0,
        1 => 180.0 + x,
        _ => (x - 1.5) * 180.0,
    });
    let dec = y.iter().zip(0..).map(|(y, row)| if row % 3 == 2 { 88.0 + y / 3.0 } else { *y });
    [ra.collect(), dec.collect()]
}

#[tokio::test]
async fn positions_are_clustered_across_0_360_and_around_the_pole() {
    let [ra, dec] = sky();
    let tables = Tables::new();
    let columns = vec![("ra", floats(ra)), ("dec", floats(dec))];
    tables.write("sky.parquet", columns);
    let line = "--ra ra --dec dec --k 3 --tolerance 0";
    let outcome = tables.run("sky.parquet", line).await.unwrap();
    let best = outcome.models.iter().find(|model| model.best).unwrap();
    assert_eq!(best.clusters.iter().map(|cluster| cluster.rows).collect::<Vec<_>>(), [200; 3]);
    let streamed =
        tables.run("sky.parquet", &format!("{line} --cache never --recheck")).await.unwrap();
    for (one, two) in outcome.models.iter().zip(&streamed.models) {
        assert_eq!(one.centroids, two.centroids);
    }
    let (name, model) = &outcome.tables().unwrap()[0];
    assert_eq!(*name, "model");
    let column =
        |name: &str| model.column_by_name(name).unwrap().as_primitive::<Float64Type>().clone();
    let directions = column("c_ra")
        .values()
        .iter()
        .zip(column("c_dec").values())
        .map(|(a, b)| [*a, *b])
        .collect::<Vec<_>>();
    let near = |ra: f64, dec: f64| {
        directions.iter().any(|at| {
            let turn = (at[0] - ra).rem_euclid(360.0);
            turn.min(360.0 - turn) * at[1].to_radians().cos() < 3.0 && (at[1] - dec).abs() < 3.0
        })
    };
    assert!(near(0.0, 1.0) && near(184.0, 2.0) && near(0.0, 90.0), "{directions:?}");
}

#[tokio::test]
async fn impossible_positions_are_named() {
    let tables = Tables::new();
    let ra = floats([1.0, 2.0, -999.0, 4.0]);
    let dec = floats([1.0, 91.0, 0.0, 4.0]);
    tables.write("sky.parquet", vec![("ra", ra), ("dec", dec)]);
    let line = "--ra ra --dec dec --k 2";
    let error = tables.run("sky.parquet", line).await.unwrap_err().to_string();
    assert!(error.contains("rows have no position") && error.contains("2 NULL"), "{error}");
    let outcome = tables.run("sky.parquet", &format!("{line} --nulls skip")).await.unwrap();
    assert_eq!(outcome.models[0].figures.rows, 2);
}
