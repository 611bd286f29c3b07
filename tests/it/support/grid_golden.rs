//! `grid` against tables that independent scripts computed: of a sample, or of whole catalogues.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::read_to_string;
use std::path::PathBuf;
use std::str::FromStr;

use pleiad::grid::legacy2017::{self, Options, Published, Version, Visit};
use pleiad::grid::{Assigner, Assignment, Frame, GridShape, Margin, Plan, Rule, Seam, Split};

use super::sky::{self, Positions};

/// A sample of the sky and its tables.
pub(crate) struct Golden {
    /// The folder of the tables.
    pub(crate) tables: PathBuf,
    /// Right ascension and declination of each row.
    pub(crate) sample: Positions,
    /// Blocks, and rows in all of them, of each version of 2017.
    pub(crate) of_2017: [(usize, u64); 4],
}

/// The lines of a golden table after its header, cut at commas.
pub(crate) fn lines_of(file: PathBuf) -> Vec<Vec<String>> {
    let text = read_to_string(file).unwrap();
    let lines = text.lines().skip(1);
    lines.map(|line| line.split(',').map(String::from).collect()).collect()
}

pub(crate) fn number<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// Two columns of a text: no quotes in them, in any of the inputs.
pub(crate) fn columns(text: &str, lon: usize, lat: usize) -> Positions {
    text.lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (number(fields[lon]), number(fields[lat]))
        })
        .collect()
}

pub(crate) fn in_frame(positions: &[(f64, f64)], frame: Frame) -> Positions {
    positions.iter().map(|(ra, dec)| frame.from_equatorial(*ra, *dec)).collect()
}

/// `id -> n` of a table `block,n`.
fn counts(rows: &[Vec<String>]) -> BTreeMap<u32, u64> {
    rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect()
}

fn counted(ids: impl IntoIterator<Item = u32>) -> BTreeMap<u32, u64> {
    let mut counts = BTreeMap::new();
    ids.into_iter().for_each(|id| *counts.entry(id).or_default() += 1);
    counts
}

pub(crate) fn ids_text(ids: impl IntoIterator<Item = u32>) -> String {
    ids.into_iter().map(|id| id.to_string()).collect::<Vec<_>>().join("|")
}

pub(crate) fn shape40() -> GridShape {
    GridShape::of_blocks(40).unwrap()
}

/// The 40 blocks of the sample in a frame, with the margin of V2.
fn blocks_of_sample(positions: &[(f64, f64)], frame: Frame) -> Assigner {
    let grid = sky::grid_over(positions, frame, shape40());
    Assigner::new(Plan::uncut(grid, Margin::percent(5.0).unwrap())).unwrap()
}

fn all_ids(places: &Assigner, positions: &[(f64, f64)]) -> Vec<Vec<u32>> {
    let ids = |places: Vec<Assignment>| {
        let mut ids: Vec<u32> = places.into_iter().map(Assignment::block).collect();
        ids.sort_unstable();
        ids
    };
    sky::places(places, positions).into_iter().map(ids).collect()
}

fn own_ids(places: &Assigner, positions: &[(f64, f64)]) -> Vec<u32> {
    positions.iter().map(|(lon, lat)| places.plan().block_of(*lon, *lat).unwrap()).collect()
}

fn split_of_sample(ecliptic: &[(f64, f64)]) -> Split {
    let grid = sky::grid_over(ecliptic, Frame::Ecliptic, shape40());
    sky::split(grid, ecliptic, Rule::Lon, 2, Margin::None)
}

fn legacy_counts(outcome: &Published) -> BTreeMap<u32, u64> {
    outcome
        .blocks
        .iter()
        .map(|block| block.id)
        .zip(outcome.rows())
        .filter(|(_, n)| *n > 0)
        .collect()
}

/// The C library of glibc made the golden numbers; others differ in the last bits.
#[track_caller]
fn check_legacy(found: f64, expected: f64) {
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        assert_eq!(found.to_bits(), expected.to_bits(), "{found} {expected}");
    } else {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}

/// A table `version,block,n` of a whole catalogue.
#[track_caller]
pub(crate) fn check_catalogue(equatorial: &[(f64, f64)], golden: &[Vec<String>], max_rows: u64) {
    let of = |version: &str| {
        let rows: Vec<_> =
            golden.iter().filter(|row| row[0] == version).map(|row| row[1..].to_vec()).collect();
        counts(&rows)
    };
    let own = |frame| {
        let positions = in_frame(equatorial, frame);
        let plan = Plan::uncut(sky::grid_over(&positions, frame, shape40()), Margin::None);
        counted(positions.iter().map(|(lon, lat)| plan.block_of(*lon, *lat).unwrap()))
    };
    assert_eq!(own(Frame::Equatorial), of("right_v1"));
    assert_eq!(own(Frame::Ecliptic), of("right_v3_core"));
    let versions = [Version::V1, Version::V2, Version::V3, Version::V4];
    for (n, version) in (1..).zip(versions) {
        let options = Options { max_rows, ..Options::of_test(version) };
        let outcome = legacy2017::run(&options, equatorial).unwrap();
        assert_eq!(legacy_counts(&outcome), of(&format!("legacy_v{n}")), "version {n}");
    }
}

impl Golden {
    fn table(&self, name: &str) -> Vec<Vec<String>> {
        lines_of(self.tables.join(name))
    }

    fn legacy(&self, version: Version, visit: Visit) -> Published {
        let options = Options { visit, ..Options::of_test(version) };
        legacy2017::run(&options, &self.sample).unwrap()
    }

    pub(crate) fn check_bounds(&self) {
        let (positions, golden) = (&self.sample, self.table("bounds.csv"));
        let legacy = legacy2017::run(&Options::of_test(Version::V3), positions).unwrap();
        for row in golden {
            let positions = match row[0].as_str() {
                "equatorial_deg" => positions.clone(),
                "right_ecliptic_deg" => in_frame(positions, Frame::Ecliptic),
                "legacy_ecliptic" => legacy.positions.clone(),
                other => panic!("{other}"),
            };
            let bounds = sky::extent_of(&positions, Seam::At(0.0)).bounds().unwrap();
            let found = [bounds.lon_min, bounds.lon_max, bounds.lat_min, bounds.lat_max];
            for (found, expected) in found.iter().zip(&row[1..]) {
                assert_eq!(found.to_bits(), number::<f64>(expected).to_bits(), "{}", row[0]);
            }
        }
    }

    pub(crate) fn check_counts(&self) {
        let equatorial = &self.sample;
        let ecliptic = in_frame(equatorial, Frame::Ecliptic);
        let golden = |name| counts(&self.table(name));
        let v2 = blocks_of_sample(equatorial, Frame::Equatorial);
        assert_eq!(counted(own_ids(&v2, equatorial)), golden("right_v1_counts.csv"));
        let with_margin = all_ids(&v2, equatorial).into_iter().flatten();
        assert_eq!(counted(with_margin), golden("right_v2_counts.csv"));
        let v3 = blocks_of_sample(&ecliptic, Frame::Ecliptic);
        assert_eq!(counted(own_ids(&v3, &ecliptic)), golden("right_v3_core_counts.csv"));
        let with_margin = all_ids(&v3, &ecliptic).into_iter().flatten();
        assert_eq!(counted(with_margin), golden("right_v3_margin_counts.csv"));
    }

    pub(crate) fn check_every_row(&self) {
        let (equatorial, golden) = (&self.sample, self.table("right_assignments.csv"));
        let ecliptic = in_frame(equatorial, Frame::Ecliptic);
        let v2 = blocks_of_sample(equatorial, Frame::Equatorial);
        let v3 = blocks_of_sample(&ecliptic, Frame::Ecliptic);
        let v4 = split_of_sample(&ecliptic).plan;
        let (with_margin_v2, with_margin_v3) = (all_ids(&v2, equatorial), all_ids(&v3, &ecliptic));
        assert_eq!(golden.len(), self.sample.len());
        for (line, row) in golden.iter().enumerate() {
            let ((ra, dec), (lon, lat)) = (equatorial[line], ecliptic[line]);
            assert!((lon - number::<f64>(&row[4])).abs() < 1e-12, "line {line}");
            assert!((lat - number::<f64>(&row[5])).abs() < 1e-12, "line {line}");
            let found = [
                v2.plan().block_of(ra, dec).unwrap().to_string(),
                ids_text(with_margin_v2[line].iter().copied()),
                v3.plan().block_of(lon, lat).unwrap().to_string(),
                ids_text(with_margin_v3[line].iter().copied()),
                v4.block_of(lon, lat).unwrap().to_string(),
            ];
            assert_eq!(found, row[6..], "line {line}");
        }
    }

    pub(crate) fn check_leaves(&self) {
        let (equatorial, golden) = (&self.sample, self.table("right_v4_leaves.csv"));
        let split = split_of_sample(&in_frame(equatorial, Frame::Ecliptic));
        let own: Vec<u64> = split.own_rows.iter().copied().filter(|rows| *rows > 0).collect();
        assert_eq!(own, golden.iter().map(|row| number(&row[6])).collect::<Vec<u64>>());
        assert!(!split.dense.contains(&true));
        for (block, row) in split.plan.blocks().iter().zip(&golden) {
            assert_eq!(block.parent, number::<u32>(&row[1]));
            let bounds = block.bounds;
            let found = [bounds.lon_min, bounds.lon_max, bounds.lat_min, bounds.lat_max];
            for (found, expected) in found.iter().zip(&row[2..]) {
                assert!((found - number::<f64>(expected)).abs() < 1e-12, "leaf {}", row[0]);
            }
        }
    }

    pub(crate) fn check_blocks_of_2017(&self) {
        let versions = [Version::V1, Version::V2, Version::V3, Version::V4];
        for ((n, version), (blocks, rows)) in (1..).zip(versions).zip(self.of_2017) {
            let outcome = self.legacy(version, Visit::EvenThenOdd);
            assert_eq!(outcome.blocks.len(), blocks);
            assert_eq!(outcome.rows().iter().sum::<u64>(), rows);
            let golden = counts(&self.table(&format!("legacy_v{n}_counts.csv")));
            assert_eq!(legacy_counts(&outcome), golden);
            let golden = self.table(&format!("legacy_v{n}_blocks.csv"));
            for (block, row) in outcome.blocks.iter().zip(golden) {
                assert_eq!(block.id, number::<u32>(&row[0]));
                let bounds = block.bounds;
                let found = [bounds.lon_min, bounds.lon_max, bounds.lat_min, bounds.lat_max];
                for (found, expected) in found.iter().zip(&row[1..]) {
                    check_legacy(*found, number(expected));
                }
            }
        }
    }

    pub(crate) fn check_places_of_2017(&self) {
        let golden = self.table("legacy_assignments.csv");
        let of = |version| self.legacy(version, Visit::EvenThenOdd);
        let outcomes = [Version::V1, Version::V2, Version::V3, Version::V4].map(of);
        for (line, row) in golden.iter().enumerate() {
            let (lon, lat) = outcomes[2].positions[line];
            check_legacy(lon, number(&row[4]));
            check_legacy(lat, number(&row[5]));
            let found = outcomes.each_ref().map(|outcome| ids_text(outcome.ids(line)));
            assert_eq!(found, row[6..], "line {line}");
        }
    }

    pub(crate) fn check_cuts_of_2017(&self) {
        let golden = self.table("legacy_v4_splits.csv");
        let outcome = self.legacy(Version::V4, Visit::EvenThenOdd);
        let found: Vec<_> = outcome
            .cuts
            .iter()
            .map(|cut| {
                let ids = ids_text(cut.parts.iter().copied());
                vec![cut.id.to_string(), cut.rows.to_string(), cut.parts.len().to_string(), ids]
            })
            .collect();
        assert_eq!(found, golden);
        let one_partition = self.legacy(Version::V4, Visit::Ascending);
        let golden = counts(&self.table("legacy_v4_counts_one_partition.csv"));
        assert_eq!(legacy_counts(&one_partition), golden);
    }

    pub(crate) fn check_loop_of_2017(&self) {
        let (positions, golden) = (&self.sample, self.table("v4_rounds.csv"));
        for row in golden {
            let row: Vec<u64> = row.iter().map(|field| number(field)).collect();
            let rounds = u32::try_from(row[0]).unwrap();
            let options = Options { rounds, ..Options::of_test(Version::V4) };
            let outcome = legacy2017::run(&options, positions).unwrap();
            let rows = outcome.rows();
            let over = rows.iter().filter(|rows| **rows > 2).count() as u64;
            let found = [
                row[0],
                rows.len() as u64,
                rows.iter().copied().max().unwrap(),
                rows.iter().sum(),
                over,
            ];
            assert_eq!(found, *row);
        }
    }
}
