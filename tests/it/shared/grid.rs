//! `grid` on the sample of 2017 and on whole catalogues, against tables that independent scripts
//! computed, checked against the results published in 2017.

use std::fs::{File, read_to_string};
use std::io::Read;

use pleiad::grid::{Cells, Frame, Grid, Margin, Rule};

use crate::support::grid_golden::{Golden, check_catalogue, columns, in_frame, lines_of, shape40};
use crate::support::shared::shared;
use crate::support::sky::{self, Positions};

/// The 56 rows of the sample of 2017.
fn sample() -> Option<Golden> {
    let text = read_to_string(shared("petasky/source-sample.csv")?).unwrap();
    Some(Golden {
        tables: shared("golden")?,
        sample: columns(&text, 6, 9),
        of_2017: [(40, 56), (40, 66), (40, 63), (33, 71)],
    })
}

fn golden(name: &str) -> Option<Vec<Vec<String>>> {
    Some(lines_of(shared(&format!("golden/{name}"))?))
}

fn hipparcos() -> Option<Positions> {
    let text = read_to_string(shared("stars/hipmain.csv")?).unwrap();
    Some(columns(text.split_once('\n').unwrap().1, 0, 1))
}

fn case02() -> Option<Positions> {
    let mut text = String::new();
    let file = File::open(shared("stars/qserv_case02_Source.csv.gz")?).unwrap();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    Some(columns(&text, 6, 9))
}

#[test]
fn the_sample_has_the_golden_bounds() {
    let Some(sample) = sample() else { return };
    sample.check_bounds();
}

#[test]
fn the_blocks_of_the_sample_hold_the_golden_counts() {
    let Some(sample) = sample() else { return };
    sample.check_counts();
}

#[test]
fn every_row_of_the_sample_is_where_the_golden_table_says() {
    let Some(sample) = sample() else { return };
    sample.check_every_row();
}

#[test]
fn slices_in_longitude_are_the_golden_leaves() {
    let Some(sample) = sample() else { return };
    sample.check_leaves();
}

#[test]
fn the_blocks_of_2017_come_again_to_the_bit() {
    let Some(sample) = sample() else { return };
    sample.check_blocks_of_2017();
}

#[test]
fn the_places_of_2017_come_again() {
    let Some(sample) = sample() else { return };
    sample.check_places_of_2017();
}

#[test]
fn the_cuts_of_2017_come_again() {
    let Some(sample) = sample() else { return };
    sample.check_cuts_of_2017();
}

#[test]
fn the_loop_of_2017_never_ends() {
    let Some(sample) = sample() else { return };
    sample.check_loop_of_2017();
}

#[test]
fn hipparcos_falls_into_the_golden_blocks() {
    let (Some(positions), Some(golden)) = (hipparcos(), golden("hipparcos_counts.csv")) else {
        return;
    };
    assert_eq!(positions.len(), 117_955);
    check_catalogue(&positions, &golden, 3000);
}

#[test]
fn case02_falls_into_the_golden_blocks() {
    let (Some(positions), Some(golden)) = (case02(), golden("qserv_case02_source_counts.csv"))
    else {
        return;
    };
    assert_eq!(positions.len(), 4_583);
    check_catalogue(&positions, &golden, 200);
}

#[test]
fn hipparcos_splits_until_no_block_is_too_full() {
    let Some(equatorial) = hipparcos() else { return };
    let positions = in_frame(&equatorial, Frame::Ecliptic);
    for rule in [Rule::Balanced, Rule::Lon] {
        let grid = Grid::clone(&sky::grid_over(&positions, Frame::Ecliptic, shape40()));
        let split = sky::split(grid, &positions, rule, 3000, Margin::None);
        assert_eq!(split.own_rows.iter().sum::<u64>(), 117_955);
        assert!(split.own_rows.iter().all(|rows| *rows <= 3000));
        assert_eq!(split.rounds, 1);
        let cells = Cells::of_blocks(split.plan);
        assert_eq!(sky::count(&cells, &positions), split.own_rows);
    }
}
