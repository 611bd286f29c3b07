//! DBSCAN from files to labels on data of others, with the labels of scikit-learn 1.9.1.

use pleiad::dbscan::LabelCounts;
use rstest::rstest;

use crate::support::labels::Points;
use crate::support::shared::{pairs, text};

#[rstest]
#[case("irvingc_labeled_data.csv", 0.3, 10)]
#[case("aggregation.data.gz", 1.503, 6)]
#[case("compound.data.gz", 1.503, 4)]
#[case("chameleon_t4_8k.data.gz", 8.0, 15)]
#[tokio::test(flavor = "multi_thread")]
async fn every_published_label_is_that_of_scikit_learn(
    #[case] name: &str,
    #[case] eps: f64,
    #[case] min_points: usize,
) {
    let stem = name.split('.').next().unwrap();
    let golden = format!("golden/dbscan_exact_{stem}.csv");
    let (Some(rows), Some(golden)) = (pairs(&format!("clustering/{name}")), text(&golden)) else {
        return;
    };
    // row (from 1), cluster (from 1, noise is 0), core
    let expected = golden.lines().skip(1).map(|line| {
        let line: Vec<i64> = line.split(',').map(|word| word.parse().unwrap()).collect();
        let kind = match (line[1], line[2]) {
            (0, _) => "noise",
            (_, 1) => "core",
            _ => "border",
        };
        (Some(line[1] - 1), kind.to_owned())
    });
    let expected: Vec<_> = expected.collect();
    for max_rows in ["", "--max-rows 100"] {
        let points = Points::new();
        points.write_points(&rows, 300);
        let line = format!("--x x --y y --eps {eps} --min-points {min_points} {max_rows}");
        points.run(&line).await.unwrap();
        let found = points.labels().await;
        let found: Vec<_> = found.clusters.into_iter().zip(found.kinds).collect();
        assert_eq!(found, expected);
    }
}

#[rstest]
#[case(0.25, 4, "", (849, 1834, 1881, 114_240))]
#[case(0.5, 10, "--max-rows 5000", (33, 97, 308, 117_550))]
#[case(1.0, 20, "--max-rows 20000", (162, 2104, 5884, 109_967))]
#[tokio::test(flavor = "multi_thread")]
async fn hipparcos_is_clustered_on_the_sphere(
    #[case] eps_deg: f64,
    #[case] min_points: usize,
    #[case] max_rows: &str,
    #[case] expected: (u64, u64, u64, u64),
) {
    let Some(stars) = pairs("stars/hipmain.csv") else { return };
    let points = Points::new();
    points.write_points(&stars, 50_000);
    let line = format!("--ra x --dec y --eps-deg {eps_deg} --min-points {min_points} {max_rows}");
    let outcome = points.run(&line).await.unwrap();
    let LabelCounts { core, border, noise, .. } = outcome.counts;
    assert_eq!((outcome.clusters(), core, border, noise), expected);
}
