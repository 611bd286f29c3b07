//! k-means on the point sets of others.

use std::io::Read;

use flate2::read::GzDecoder;
use pleiad::kmeans::{Outcome, StopReason};

use crate::kmeans::{close, costs, whole};
use crate::support::clustering::{Tables, floats};
use crate::support::shared::shared;

/// The lines of a CSV file as numbers, without its header.
fn numbers(file: std::path::PathBuf) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(file).unwrap();
    let numbers = |line: &str| line.split(',').map(|field| field.parse().unwrap()).collect();
    text.lines().skip(1).map(numbers).collect()
}

/// Points of the plane and the cluster each was drawn from, counted from 1.
fn labelled(name: &str) -> Option<(Vec<[f64; 2]>, Vec<usize>)> {
    let numbers = |kind: &str| -> Option<Vec<f64>> {
        let file = std::fs::File::open(shared(&format!("clustering/{name}.{kind}.gz"))?).unwrap();
        let mut text = String::new();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        Some(text.split_whitespace().map(|field| field.parse().unwrap()).collect())
    };
    let points = numbers("data")?.chunks_exact(2).map(|point| [point[0], point[1]]).collect();
    let labels = numbers("labels0")?.into_iter().map(whole).map(|l| usize::try_from(l).unwrap());
    Some((points, labels.collect()))
}

/// The means of the labels; the coordinates are whole, so their sums are exact.
fn means_of_labels(points: &[[f64; 2]], labels: &[usize], k: usize) -> Vec<[f64; 2]> {
    let mut sums = vec![[0.0; 3]; k];
    for ([x, y], label) in points.iter().zip(labels) {
        let sum = &mut sums[label - 1];
        *sum = [sum[0] + x, sum[1] + y, sum[2] + 1.0];
    }
    sums.iter().map(|[x, y, n]| [x / n, y / n]).collect()
}

async fn run_from_labels(name: &str, k: usize, more: &str) -> Option<Outcome> {
    let (points, labels) = labelled(name)?;
    let tables = Tables::new();
    let column = |j: usize| floats(points.iter().map(move |point| point[j]));
    tables.write("points.parquet", vec![("x", column(0)), ("y", column(1))]);
    let means = means_of_labels(&points, &labels, k);
    let centroids = tables.write_centroids("x,y", means.iter().map(|mean| mean.as_slice()));
    let given = format!("--columns x,y --start given --centroids {centroids} {more}");
    Some(tables.run("points.parquet", &given).await.unwrap())
}

#[tokio::test]
async fn the_fifteen_clusters_of_s1_are_found() {
    // Fränti & Virmajoki, Pattern Recognition 39 (2006).
    let golden = shared("golden/kmeans_s1_centroids.csv").map(numbers);
    let outcome = run_from_labels("s1", 15, "--tolerance 0").await;
    let (Some(golden), Some(outcome)) = (golden, outcome) else { return };
    let model = &outcome.models[0];
    let costs = costs(model);
    assert_eq!((costs.len(), model.stopped), (2, StopReason::Still));
    close(costs[0], 8_921_483_441_650.635, 1e-12);
    close(costs[1], 8_917_650_006_651.139, 1e-12);
    let rows = model.clusters.iter().map(|cluster| cluster.rows);
    let mut found: Vec<_> = model.centroids.rows().into_iter().zip(rows).collect();
    assert_eq!(found.len(), golden.len());
    for line in &golden {
        let near = |x: f64, y: f64| (x / y - 1.0).abs() < 1e-12;
        let place = found.iter().position(|(c, rows)| {
            near(c[0], line[0]) && near(c[1], line[1]) && i64::try_from(*rows) == Ok(whole(line[2]))
        });
        found.remove(place.unwrap_or_else(|| panic!("no cluster at {line:?}")));
    }
}

#[tokio::test]
async fn birch1_ends_below_the_cost_of_its_labels() {
    // Zhang, Ramakrishnan & Livny, SIGMOD 1996; the cost of the published labels' means.
    let Some(outcome) = run_from_labels("birch1", 100, "--max-steps 3").await else { return };
    assert!(outcome.models[0].figures.cost < 92_806_788_020_623.34);
}
