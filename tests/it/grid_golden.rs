//! `grid` on a sample of our own making, against tables that `tests/golden/sky/make.py` computed
//! without our code. The same script gives the results published in 2017 from the sample of 2017.

use pleiad::grid::legacy2017::{self, Options, Version};
use pleiad::grid::{Frame, Margin, Plan};

use crate::support::golden::kept;
use crate::support::grid_golden::{Golden, columns, ids_text, lines_of, number, shape40};
use crate::support::sky::{self, Positions};

/// The 56 rows of `sample.csv`.
fn sample() -> Golden {
    let text = std::fs::read_to_string(kept("sky/sample.csv")).unwrap();
    let sample = columns(text.split_once('\n').unwrap().1, 1, 2);
    Golden { tables: kept("sky"), sample, of_2017: [(40, 56), (40, 65), (40, 62), (30, 83)] }
}

#[test]
fn the_sample_has_the_golden_bounds() {
    sample().check_bounds();
}

#[test]
fn the_blocks_of_the_sample_hold_the_golden_counts() {
    sample().check_counts();
}

#[test]
fn every_row_of_the_sample_is_where_the_golden_table_says() {
    sample().check_every_row();
}

#[test]
fn slices_in_longitude_are_the_golden_leaves() {
    sample().check_leaves();
}

#[test]
fn the_blocks_of_2017_come_again_to_the_bit() {
    sample().check_blocks_of_2017();
}

#[test]
fn the_places_of_2017_come_again() {
    sample().check_places_of_2017();
}

#[test]
fn the_cuts_of_2017_come_again() {
    sample().check_cuts_of_2017();
}

#[test]
fn the_loop_of_2017_never_ends() {
    sample().check_loop_of_2017();
}

#[test]
fn rows_on_edges_and_on_the_maximum_have_one_owner() {
    let golden = lines_of(kept("sky/edge_max_lost.csv"));
    let positions: Positions =
        golden.iter().map(|row| (number(&row[1]), number(&row[2]))).collect();
    let plan = Plan::uncut(sky::grid_over(&positions, Frame::Equatorial, shape40()), Margin::None);
    let legacy = legacy2017::run(&Options::of_test(Version::V1), &positions).unwrap();
    for (line, row) in golden.iter().enumerate() {
        let (lon, lat) = positions[line];
        assert_eq!(plan.block_of(lon, lat), row[5].parse().ok(), "row {line}");
        assert_eq!(ids_text(legacy.ids(line)), row[3], "row {line}");
    }
}
