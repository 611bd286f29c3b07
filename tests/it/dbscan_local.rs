//! DBSCAN of one block and the merge of blocks, against slow answers and scikit-learn's.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use pleiad::dbscan::local::{Density, LabelKind, Local, Point, cluster};
use pleiad::dbscan::merge::{Merge, RowLabel};
use proptest::prelude::*;
use rstest::rstest;

use crate::support::dbscan::{
    Region, brute_force, by_blocks, by_wide_margins, counts, locals, numbers, split_at, whole,
};

pub(crate) fn density(eps: f64, min_points: usize) -> Density {
    Density::new(eps, min_points).unwrap()
}

fn flat(xs: &[f64]) -> Vec<[f64; 2]> {
    xs.iter().map(|x| [*x, 0.0]).collect()
}

/// Both sides of x = `at`.
fn left_and_right(at: f64) -> Vec<Region<2>> {
    Region::EVERYWHERE.cut(0, at).to_vec()
}

// ---- F1 to F8: small sets made by hand

/// Forty core rows in one cluster that only the touch lists of two rows hold together.
pub(crate) fn forty_rows() -> Vec<[f64; 2]> {
    let mut rows = vec![[-0.3, -0.3], [-0.2, 0.9], [0.3, 0.3], [0.2, -0.9]];
    for [cx, cy] in [[-1.2, -0.3], [-1.15, 0.9], [1.2, 0.3], [1.15, -0.9f64]] {
        for j in 0..9u8 {
            let (right, up) = (f64::from(j % 3), f64::from(j / 3) - 1.0);
            rows.push([cx + f64::signum(cx) * right * 0.001, cy + up * 0.001]);
        }
    }
    rows
}

#[test]
fn a_row_that_touches_two_clusters_joins_them_through_its_owner() {
    let (rows, density) = (forty_rows(), density(1.0, 10));
    let halves = locals(&rows, &left_and_right(0.0), &density);
    let clusters = |(local, ids): &(Local<2>, Vec<u64>)| -> BTreeSet<Vec<u64>> {
        let members = |cluster| {
            let labels = local.labels.iter().zip(ids);
            let core = labels.filter(|(label, _)| label.kind() == LabelKind::Core(cluster));
            core.map(|(_, id)| *id).collect()
        };
        (0..u32::try_from(local.clusters.len()).unwrap()).map(members).collect()
    };
    let touches = |(local, ids): &(Local<2>, Vec<u64>)| -> BTreeSet<(usize, u64)> {
        let first = local.first_rows(ids);
        let touches = local.contacts.touches.iter();
        let row_at = |place| rows.iter().position(|row| Point::at(*row) == place).unwrap();
        touches.map(|t| (row_at(t.point), first[t.cluster as usize])).collect()
    };
    let group = |one: u64, nine: std::ops::Range<u64>| [one].into_iter().chain(nine).collect();
    assert_eq!(clusters(&halves[0]), BTreeSet::from([group(0, 4..13), group(1, 13..22)]));
    assert_eq!(clusters(&halves[1]), BTreeSet::from([group(2, 22..31), group(3, 31..40)]));
    // Row 2 touches the clusters of rows 0 and 1, row 3 that of row 0; and the other way round.
    assert_eq!(touches(&halves[0]), BTreeSet::from([(2, 0), (2, 1), (3, 0)]));
    assert_eq!(touches(&halves[1]), BTreeSet::from([(0, 2), (0, 3), (1, 2)]));
}

#[test]
fn forty_core_rows_are_one_cluster_in_both_orders() {
    let (mut rows, density) = (forty_rows(), density(1.0, 10));
    for _ in 0..2 {
        assert_eq!(counts(&by_blocks(&rows, &left_and_right(0.0), &density)), (1, 40, 0, 0, 0));
        assert_eq!(numbers(&whole(&rows, &density)), [0; 40]);
        rows.reverse();
    }
}

#[test]
fn a_row_that_is_core_only_with_both_sides_is_core() {
    let mut rows = vec![[-0.5, 0.0]];
    rows.extend([[-1.4, 0.0]; 5].into_iter().chain([[0.4, 0.0]; 5]));
    for regions in [vec![Region::EVERYWHERE], left_and_right(0.0)] {
        let labels = by_blocks(&rows, &regions, &density(1.0, 8));
        assert_eq!((counts(&labels), numbers(&labels)), ((1, 1, 10, 0, 0), vec![0; 11]));
    }
}

#[rstest]
#[case(&[-1.5, -1.5, -1.5, -1.0, 0.0, 1.0, 1.5, 1.5, 1.5], [0, 0, 0, 0, 0, 1, 1, 1, 1])]
#[case(&[1.5, 1.5, 1.5, 1.0, 0.0, -1.0, -1.5, -1.5, -1.5], [0, 0, 0, 0, 0, 1, 1, 1, 1])]
#[case(&[1.5, -1.0, 0.0, 1.0, -1.5, -1.5, 1.5, 1.5, -1.5], [0, 1, 0, 0, 1, 1, 0, 0, 1])]
fn a_border_row_between_two_clusters_joins_the_first_and_never_joins_them(
    #[case] xs: &[f64],
    #[case] expected: [i64; 9],
) {
    let rows = flat(xs);
    for cut in [-1.5, -1.0, 0.0, 1.0, 1.5, 9.0] {
        let labels = by_blocks(&rows, &left_and_right(cut), &density(1.0, 4));
        assert_eq!(numbers(&labels), expected, "cut at {cut}");
        assert_eq!(counts(&labels), (2, 8, 1, 1, 0), "cut at {cut}");
    }
}

/// Points (i, j) of a lattice, i fastest.
pub(crate) fn lattice(side: u8, step: f64) -> Vec<[f64; 2]> {
    let lines = 0..side;
    lines.flat_map(|j| (0..side).map(move |i| [step * f64::from(i), step * f64::from(j)])).collect()
}

#[rstest]
#[case(3, (1, 25, 0, 0, 0))]
#[case(4, (1, 21, 4, 0, 0))]
#[case(5, (1, 9, 12, 0, 4))]
#[case(6, (0, 0, 0, 0, 25))]
fn rows_at_exactly_eps_are_near(
    #[case] min_points: usize,
    #[case] expected: (usize, usize, usize, usize, usize),
) {
    let (rows, density) = (lattice(5, 1.0), density(1.0, min_points));
    assert_eq!(counts(&whole(&rows, &density)), expected);
    let quarters = split_at(&[(0, [2.0, 2.0]), (1, [2.0, 2.0]), (1, [1.0, 2.0])]);
    assert_eq!(by_blocks(&rows, &quarters, &density), whole(&rows, &density));
}

/// Numbers of scikit-learn 1.9.1, `algorithm='kd_tree'`: 0.1·i is not always 0.1 from 0.1·(i+1).
#[test]
fn ties_on_a_lattice_of_tenths_are_those_of_the_squared_distance() {
    let rows = lattice(11, 0.1);
    let labels = whole(&rows, &density(0.1, 5));
    let size = |cluster| numbers(&labels).iter().filter(|label| **label == cluster).count();
    assert_eq!((0..9).map(size).collect::<Vec<_>>(), [5, 5, 11, 5, 5, 11, 11, 11, 21]);
    assert_eq!(counts(&labels).1, 25);
    assert_eq!(counts(&labels).4, 36);
    // A square root would find 9 core rows here.
    assert_eq!(counts(&whole(&rows, &density(0.5, 75))), (1, 4, 96, 0, 21));
}

pub(crate) fn unit_vector(ra_deg: f64, dec_deg: f64) -> [f64; 3] {
    let ((sin_ra, cos_ra), (sin_dec, cos_dec)) =
        (ra_deg.to_radians().sin_cos(), dec_deg.to_radians().sin_cos());
    [cos_dec * cos_ra, cos_dec * sin_ra, sin_dec]
}

#[rstest]
#[case(0.0517, 3, (0, 0, 0, 0, 12))]
#[case(0.0518, 3, (1, 12, 0, 0, 0))]
#[case(0.0518, 4, (0, 0, 0, 0, 12))]
fn twelve_stars_around_a_pole_are_a_ring(
    #[case] eps_deg: f64,
    #[case] min_points: usize,
    #[case] expected: (usize, usize, usize, usize, usize),
) {
    // At dec 89.9, 30 degrees of ra are 0.0517638 degrees.
    let density = Density::on_sphere(eps_deg, min_points).unwrap();
    for dec in [89.9, -89.9] {
        let rows: Vec<_> = (0..12u8).map(|i| unit_vector(f64::from(i) * 30.0, dec)).collect();
        assert_eq!(counts(&whole(&rows, &density)), expected);
        let cut = split_at(&[(0, [0.0, 0.0, dec.signum()]), (1, [0.0, 0.0, dec.signum()])]);
        assert_eq!(counts(&by_blocks(&rows, &cut, &density)), expected);
    }
}

#[test]
fn a_cluster_may_lie_across_ra_0() {
    let ras = [359.9996, 359.9998, 0.0, 0.0002, 0.0004];
    let rows: Vec<_> = ras.iter().map(|ra| unit_vector(*ra, 10.0)).collect();
    let density = Density::on_sphere(0.00021, 3).unwrap();
    assert_eq!(counts(&whole(&rows, &density)), (1, 3, 2, 0, 0));
    let at_ra_0 = Region::EVERYWHERE.cut(1, 0.0);
    assert_eq!(counts(&by_blocks(&rows, &at_ra_0, &density)), (1, 3, 2, 0, 0));
}

#[test]
fn an_empty_block_and_a_single_row_have_answers() {
    assert_eq!(whole::<2>(&[], &density(1.0, 1)), []);
    assert_eq!(whole::<3>(&[], &density(1.0, 1)), []);
    assert_eq!(whole(&[[7.0, 7.0]], &density(1.0, 1)), [RowLabel::Core(0)]);
    assert_eq!(whole(&[[7.0, 7.0]], &density(1.0, 2)), [RowLabel::Noise]);
    // A block that owns nothing has no labels, whatever its margin holds.
    let stop = AtomicBool::new(false);
    let local = cluster(vec![[7.0, 7.0]], 0, &density(1.0, 1), |_| true, &stop).unwrap().unwrap();
    assert_eq!((local.labels.len(), local.contacts.touches.len()), (0, 0));
}

#[rstest]
#[case(1, (1, 20_000, 0, 0, 0))]
#[case(10_000, (1, 20_000, 0, 0, 0))]
#[case(20_000, (1, 20_000, 0, 0, 0))]
#[case(20_001, (0, 0, 0, 0, 20_000))]
fn identical_rows_count_each(
    #[case] min_points: usize,
    #[case] expected: (usize, usize, usize, usize, usize),
) {
    // The third place cannot be distinguished from the first two at eps 1e-13, and needs no cells between.
    for place in [[0.0, -0.0], [-1e9, 1e9], [1e3, 1e3]] {
        let rows = vec![place; 20_000];
        assert_eq!(counts(&whole(&rows, &density(1e-13, min_points))), expected);
    }
}

#[test]
fn min_points_1_makes_every_row_core() {
    let rows = [[0.0, 0.0], [9.0, 0.0], [0.5, 0.0], [4.0, 4.0]];
    let labels = whole(&rows, &density(1.0, 1));
    assert_eq!(labels, [0, 1, 0, 2].map(RowLabel::Core));
}

#[test]
fn min_points_2_leaves_no_border_rows() {
    let labels = whole(&flat(&[0.0, 5.0, 1.0, 9.0, 2.0]), &density(1.0, 2));
    assert_eq!(numbers(&labels), [0, -1, 0, -1, 0]);
    assert_eq!(counts(&labels).2, 0);
}

#[test]
fn an_eps_beyond_the_table_makes_one_cluster() {
    assert_eq!(counts(&whole(&lattice(20, 1.0), &density(1e6, 400))), (1, 400, 0, 0, 0));
}

#[test]
fn a_block_that_is_told_to_stop_has_no_answer() {
    let stop = AtomicBool::new(true);
    let rows = lattice(20, 1.0);
    let answer = cluster(rows, 400, &density(1.0, 4), |_| false, &stop).unwrap();
    assert_eq!(answer, None);
}

#[test]
fn a_row_that_is_not_finite_is_refused_by_name() {
    let rows = vec![[0.0, 0.0], [f64::NAN, 0.0]];
    let error = cluster(rows, 2, &density(1.0, 1), |_| false, &AtomicBool::new(false)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row 1 of a block has coordinate NaN, expected a finite number: leave such rows out and \
         count them as skipped"
    );
}

// ---- merging

#[test]
fn row_numbers_that_repeat_are_refused() {
    let rows = flat(&[0.0, 10.0]);
    let halves = locals(&rows, &left_and_right(5.0), &density(1.0, 1));
    let mut merge = Merge::new();
    for (local, _) in &halves {
        merge.add(&local.first_rows(&[7]), &local.contacts);
    }
    assert_eq!(merge.number(&AtomicBool::new(false)), Err(7));
}

#[test]
fn a_margin_row_that_its_owner_does_not_know_is_a_broken_promise() {
    let rows = flat(&[0.0, 1.0]);
    let halves = locals(&rows, &left_and_right(0.5), &density(1.0, 1));
    let mut merge = Merge::new();
    for (local, ids) in &halves {
        merge.add(&local.first_rows(ids), &local.contacts);
    }
    // The touches of the right half are about rows of the left half.
    let error = merge.meet(1, &halves[1].0.contacts, 0, &halves[1].0.contacts.touches);
    let message = error.unwrap_err().to_string();
    assert!(
        message.starts_with("block 0 has a margin row at [0.0, 0.0], which block 1"),
        "{message}"
    );
}

// ---- any set, any blocks

/// Coordinates: a lattice of multiples of 0.1, clumps, or anything; some near 1e6; some repeated.
pub(crate) fn places<const D: usize>() -> impl Strategy<Value = Vec<[f64; D]>> {
    let lattice = prop::array::uniform::<_, D>((0i8..12).prop_map(|i| 0.1 * f64::from(i)));
    let clump = (prop::array::uniform::<_, D>(0i8..3), prop::array::uniform::<_, D>(0.0..0.3))
        .prop_map(|(center, offset)| std::array::from_fn(|k| f64::from(center[k]) + offset[k]));
    let anything = prop::array::uniform::<_, D>(0.0..2.0);
    let sets = prop_oneof![
        prop::collection::vec(lattice, 0..150),
        prop::collection::vec(clump, 0..150),
        prop::collection::vec(anything, 0..100),
    ];
    let repeats = prop::collection::vec(any::<prop::sample::Index>(), 0..45);
    (sets, repeats, prop_oneof![Just(0.0), Just(1e6), Just(-3.7)]).prop_map(
        |(mut rows, repeats, offset)| {
            for index in repeats {
                if !rows.is_empty() {
                    rows.push(*index.get(&rows));
                }
            }
            rows.iter_mut().flatten().for_each(|x| *x += offset);
            rows
        },
    )
}

pub(crate) fn densities() -> impl Strategy<Value = Density> {
    let eps = prop_oneof![
        Just(0.1),
        Just(0.2),
        Just(0.1 * 3.0),
        Just(0.5),
        Just(0.1 * std::f64::consts::SQRT_2),
        0.05..0.8f64,
    ];
    (eps, prop_oneof![Just(1usize), Just(2), 3..8usize, 8..40usize])
        .prop_map(|(eps, min_points)| density(eps, min_points))
}

/// One block, any blocks cut on rows, wide margins and brute force are the same.
fn check<const D: usize>(
    rows: &[[f64; D]],
    density: &Density,
    cuts: &[(usize, prop::sample::Index)],
) -> Result<(), TestCaseError> {
    let expected = brute_force(rows, density);
    let one = whole(rows, density);
    prop_assert_eq!(&numbers(&one), &expected);
    if !rows.is_empty() {
        let cuts: Vec<_> = cuts.iter().map(|(axis, row)| (*axis, *row.get(rows))).collect();
        let regions = split_at(&cuts);
        prop_assert_eq!(by_blocks(rows, &regions, density), one);
        prop_assert_eq!(by_wide_margins(rows, &regions, density), expected);
    }
    Ok(())
}

fn cuts() -> impl Strategy<Value = Vec<(usize, prop::sample::Index)>> {
    prop::collection::vec((0usize..3, any::<prop::sample::Index>()), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_blocks_of_the_plane_give_the_labels_of_brute_force(
        rows in places::<2>(), density in densities(), cuts in cuts(),
    ) {
        check(&rows, &density, &cuts)?;
    }

    #[test]
    fn any_blocks_of_space_give_the_labels_of_brute_force(
        rows in places::<3>(), density in densities(), cuts in cuts(),
    ) {
        check(&rows, &density, &cuts)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn crowded_cells_give_the_labels_of_brute_force(
        seed in any::<u32>(), min_points in 20usize..900, cut in any::<prop::sample::Index>(),
    ) {
        let rows = crowd(seed);
        check_crowd(&rows, &density(1.0, min_points), &left_and_right(cut.get(&rows)[0]))?;
    }

    #[test]
    fn crowded_cells_about_eps_apart_are_joined_only_if_two_rows_are_near(
        seed in any::<u32>(), apart in 1.05..1.25f64, cut in any::<prop::sample::Index>(),
    ) {
        // Two arcs: their hulls are nearer than eps, their rows may not be.
        let mut rows = crowd(seed);
        for (number, [x, y]) in rows.iter_mut().enumerate() {
            *y *= 0.4;
            *x = 0.5 * *y * *y + if number % 2 == 0 { apart } else { 0.0 };
        }
        check_crowd(&rows, &density(1.0, 5), &Region::EVERYWHERE.cut(1, cut.get(&rows)[1]))?;
    }
}

#[test]
fn crowded_cells_are_joined_by_the_only_two_rows_that_are_near() {
    // 300 rows and one at the other end of the cell, twice: 0.65 and 1.48 are near, no others.
    let mut xs = vec![0.05; 300];
    xs.extend([1.7; 300]);
    xs.extend([0.65, 1.48]);
    assert_eq!(counts(&whole(&flat(&xs), &density(1.0, 100))), (1, 602, 0, 0, 0));
    *xs.last_mut().unwrap() = 1.66;
    assert_eq!(counts(&whole(&flat(&xs), &density(1.0, 100))), (2, 602, 0, 0, 0));
}

#[rstest]
#[case(100)]
#[case(300)]
fn a_border_row_may_be_near_the_last_row_of_a_cell_only(#[case] others: usize) {
    let mut xs = vec![0.05; others];
    xs.extend([0.65, 1.6]);
    assert_eq!(counts(&whole(&flat(&xs), &density(1.0, 50))), (1, others + 1, 1, 0, 0));
    *xs.last_mut().unwrap() = 1.7;
    assert_eq!(counts(&whole(&flat(&xs), &density(1.0, 50))), (1, others + 1, 0, 0, 1));
}

#[test]
fn exactly_min_points_rows_are_enough_where_hulls_do_not_decide() {
    // An arc about the first row: every row is near, corners of hulls are not.
    let angles = (0..300u16).map(|i| (30.0 + f64::from(i) / 10.0).to_radians());
    let mut rows = vec![[0.0, 0.0]];
    rows.extend(angles.map(|angle| [0.99 * angle.cos(), 0.99 * angle.sin()]));
    assert_eq!(counts(&whole(&rows, &density(1.0, 301))), (1, 301, 0, 0, 0));
    assert_eq!(counts(&whole(&rows, &density(1.0, 302))), (0, 0, 0, 0, 301));
}

/// One block, two blocks and brute force are the same.
fn check_crowd(
    rows: &[[f64; 2]],
    density: &Density,
    halves: &[Region<2>],
) -> Result<(), TestCaseError> {
    let one = whole(rows, density);
    prop_assert_eq!(numbers(&one), brute_force(rows, density));
    prop_assert_eq!(by_blocks(rows, halves, density), one);
    Ok(())
}

/// 1,400 rows in a few cells of eps 1, many of them in the leftmost: trees, and pairs of trees.
fn crowd(seed: u32) -> Vec<[f64; 2]> {
    let mut state = u64::from(seed);
    let mut random = move || {
        // Knuth's MMIX generator; the upper bits are the good ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 40).unwrap()) / f64::from(1 << 24)
    };
    (0..1400).map(|_| [random().powi(3) * 3.0, random() * 1.5]).collect()
}
