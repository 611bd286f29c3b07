//! DBSCAN of one block and by blocks on data of others, with the labels of scikit-learn 1.9.1.

use pleiad::dbscan::local::Density;
use pleiad::dbscan::merge::RowLabel;
use rstest::rstest;

use crate::dbscan_local::{density, unit_vector};
use crate::support::dbscan::{Region, by_blocks, counts, flood, numbers, split_at, whole};
use crate::support::shared::{pairs, text};

/// About this many blocks, with cuts on rows.
fn blocks_of<const D: usize>(rows: &[[f64; D]], blocks: usize) -> Vec<Region<D>> {
    let cuts: Vec<_> = (1..blocks).map(|i| (i, rows[rows.len() * i / blocks])).collect();
    split_at(&cuts)
}

#[rstest]
#[case("irvingc_labeled_data.csv", 0.3, 10)]
#[case("aggregation.data.gz", 1.503, 6)]
#[case("compound.data.gz", 1.503, 4)]
#[case("chameleon_t4_8k.data.gz", 8.0, 15)]
fn every_label_is_that_of_scikit_learn(
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
    let expected: Vec<(i64, bool)> = golden
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|word| word.parse().unwrap()).collect::<Vec<i64>>())
        .map(|line| (line[1] - 1, line[2] == 1))
        .collect();
    let density = density(eps, min_points);
    for regions in [vec![Region::EVERYWHERE], blocks_of(&rows, 16)] {
        let labels = by_blocks(&rows, &regions, &density);
        let is_core = |label: &RowLabel| matches!(label, RowLabel::Core(_));
        let found: Vec<_> = labels.iter().map(|label| (label.cluster(), is_core(label))).collect();
        assert_eq!(found, expected);
    }
}

#[rstest]
#[case("s1.data.gz", 20_000.0, 10, 16, (16, 4291, 403, 306))]
#[case("birch1.data.gz", 5000.0, 20, 4, (303, 21374, 21712, 56914))]
#[case("mopsi-finland.arff", 100.0, 5, 16, (191, 11768, 172, 1527))]
#[case("mopsi-finland.arff", 500.0, 10, 9, (65, 12358, 186, 923))]
#[case("mopsi-finland.arff", 1000.0, 20, 1, (35, 12341, 209, 917))]
fn the_counts_are_those_of_scikit_learn(
    #[case] name: &str,
    #[case] eps: f64,
    #[case] min_points: usize,
    #[case] blocks: usize,
    #[case] expected: (usize, usize, usize, usize),
) {
    let Some(rows) = pairs(&format!("clustering/{name}")) else { return };
    let labels = by_blocks(&rows, &blocks_of(&rows, blocks), &density(eps, min_points));
    let (clusters, core, border, _, noise) = counts(&labels);
    assert_eq!((clusters, core, border, noise), expected);
}

/// The paper of 2016 calls every row of the 3 x 3 cells of side eps around a row near, which is 2.86
/// times the area of the disc: clusters run together. `dbscan_golden.csv`, mode `paper_9cells`.
#[rstest]
#[case("irvingc_labeled_data.csv", 0.3, 10, (1, 744, 0), 3)]
#[case("aggregation.data.gz", 1.503, 6, (4, 786, 0), 5)]
#[case("compound.data.gz", 1.503, 4, (5, 379, 8), 5)]
fn the_counting_rule_of_2016_finds_other_clusters(
    #[case] name: &str,
    #[case] eps: f64,
    #[case] min_points: usize,
    #[case] of_2016: (i64, usize, usize),
    #[case] clusters: usize,
) {
    let Some(rows) = pairs(&format!("clustering/{name}")) else { return };
    let lowest = |k: usize| rows.iter().map(|row| row[k]).fold(f64::INFINITY, f64::min);
    let lowest = [lowest(0), lowest(1)];
    let cell = |row: &[f64; 2]| [0, 1].map(|k| ((row[k] - lowest[k]) / eps).floor());
    let cells: Vec<[f64; 2]> = rows.iter().map(cell).collect();
    let in_reach = |a: &[f64; 2], b: &[f64; 2]| (0..2).all(|k| (a[k] - b[k]).abs() <= 1.0);
    let near = |cell| (0..rows.len()).filter(|other| in_reach(cell, &cells[*other])).collect();
    let near: Vec<Vec<usize>> = cells.iter().map(near).collect();
    let labels = flood(&near, min_points);
    let core = near.iter().filter(|near| near.len() >= min_points).count();
    let noise = labels.iter().filter(|label| **label == -1).count();
    assert_eq!((labels.iter().max().unwrap() + 1, core, noise), of_2016);
    let ours = whole(&rows, &density(eps, min_points));
    assert_eq!(counts(&ours).0, clusters);
    assert_ne!(numbers(&ours), labels);
}

/// scikit-learn with `metric='haversine'`; no two stars are within 3e-6 of eps.
#[rstest]
#[case(0.25, 4, 1, (849, 1834, 1881, 114_240))]
#[case(0.5, 10, 2, (33, 97, 308, 117_550))]
#[case(1.0, 20, 8, (162, 2104, 5884, 109_967))]
fn hipparcos_is_clustered_on_the_sphere(
    #[case] eps_deg: f64,
    #[case] min_points: usize,
    #[case] blocks: usize,
    #[case] expected: (usize, usize, usize, usize),
) {
    let Some(stars) = pairs("stars/hipmain.csv") else { return };
    let rows: Vec<_> = stars.iter().map(|[ra, dec]| unit_vector(*ra, *dec)).collect();
    assert_eq!(rows.len(), 117_955);
    let density = Density::on_sphere(eps_deg, min_points).unwrap();
    let labels = by_blocks(&rows, &blocks_of(&rows, blocks), &density);
    let (clusters, core, border, _, noise) = counts(&labels);
    assert_eq!((clusters, core, border, noise), expected);
}
