//! `pleiad partition` in a folder of its own, and what it stored.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use arrow::array::RecordBatch;
use pleiad::storage::{StorageOptions, Stores};
use pleiad::table::{Source, SourceOptions};

use crate::cli::{outcome, pleiad};
use crate::support::scratch::session;

/// A folder for some files and datasets.
pub(crate) struct Lab(tempfile::TempDir);

impl Lab {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn at(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    /// Runs `partition` with `line`, in which `@name` is a path here.
    pub(crate) fn run(&self, line: &str) -> (i32, String, String) {
        let word = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.at(name),
            None => word.to_owned(),
        };
        let mut command = pleiad(&["partition"]);
        outcome(command.args(line.split_whitespace().map(word)))
    }

    /// The same, which has to succeed.
    #[track_caller]
    pub(crate) fn done(&self, line: &str) -> String {
        let (code, stdout, stderr) = self.run(line);
        assert_eq!(code, 0, "{line}: {stderr}");
        stdout
    }

    pub(crate) fn blocks(&self, name: &str) -> Vec<Stored> {
        stored(&self.text(&format!("{name}/blocks.csv")))
    }

    pub(crate) fn properties(&self, name: &str) -> BTreeMap<String, String> {
        pleiad::table::properties::parse(&self.text(&format!("{name}/properties"))).unwrap()
    }

    pub(crate) async fn rows(&self, name: &str) -> Vec<RecordBatch> {
        rows(&Stores::new(StorageOptions::default()), &self.at(name)).await
    }
}

pub(crate) async fn rows(stores: &std::sync::Arc<Stores>, at: &str) -> Vec<RecordBatch> {
    let source = Source::open(stores, at, &SourceOptions::default()).await.unwrap();
    let mut rows = Vec::new();
    for table in &source.tables {
        let session = session(stores, 1, 8192);
        rows.extend(session.read_table(table.provider()).unwrap().collect().await.unwrap());
    }
    rows
}

/// A line of `blocks.csv`.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) block: u32,
    pub(crate) parent: u32,
    pub(crate) bounds: [f64; 4],
    pub(crate) own_rows: u64,
    pub(crate) margin_rows: u64,
    pub(crate) radius_deg: f64,
    pub(crate) flag: String,
}

pub(crate) fn stored(text: &str) -> Vec<Stored> {
    let lines = text.lines().skip(1).map(|line| {
        let values: Vec<&str> = line.split(',').collect();
        assert_eq!(values.len(), 16, "{line}");
        Stored {
            block: values[0].parse().unwrap(),
            parent: values[1].parse().unwrap(),
            bounds: [2, 3, 4, 5].map(|index| values[index].parse().unwrap()),
            own_rows: values[6].parse().unwrap(),
            margin_rows: values[7].parse().unwrap(),
            radius_deg: values[10].parse::<f64>().unwrap() / 3600.0,
            flag: values[15].to_owned(),
        }
    });
    lines.collect()
}

/// `block -> n` of the lines of a golden table that `keep` leaves, by two of its columns.
pub(crate) fn golden(file: &Path, keep: &str, columns: (usize, usize)) -> BTreeMap<u32, u64> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().skip(1).filter(|line| line.starts_with(keep));
    let pair = |line: &str| {
        let values: Vec<&str> = line.split(',').collect();
        (values[columns.0].parse().unwrap(), values[columns.1].parse().unwrap())
    };
    lines.map(pair).collect()
}

pub(crate) fn sums(blocks: &[Stored], of: fn(&Stored) -> u64) -> BTreeMap<u32, u64> {
    let counts = blocks.iter().map(|block| (block.block, of(block)));
    counts.filter(|(_, rows)| *rows > 0).collect()
}

/// Rows at the poles, across 0/360 and elsewhere, one a line: `id,ra,dec`.
pub(crate) fn awkward(rows: i64) -> String {
    let mut text = String::from("id,ra,dec\n");
    for id in 0..rows {
        let spread = (id * 7919 % 1000) as f64 / 1000.0;
        let (ra, dec) = match id % 5 {
            0 => (spread * 360.0, 90.0 - spread),
            1 => (spread * 360.0, -90.0 + spread * spread),
            2 => (359.0 + spread * 2.0, 10.0 * spread),
            3 => (spread * 360.0, 60.0 * spread - 30.0),
            _ => (120.0 + spread, -40.0 - spread),
        };
        text += &format!("{id},{ra},{dec}\n");
    }
    text
}

/// The presets on `sample`, the beginning of a line that asks for 40 blocks, give the golden counts.
pub(crate) fn check_presets(sample: &str, tables: &Path) {
    let lab = Lab::new();
    for preset in ["v1", "v2", "v3"] {
        lab.done(&format!("{sample} @{preset} --preset {preset}"));
    }
    let of = |preset: &str, of: fn(&Stored) -> u64| sums(&lab.blocks(preset), of);
    let golden = |name: &str| golden(&tables.join(name), "", (0, 1));
    assert_eq!(of("v1", |block| block.own_rows), golden("right_v1_counts.csv"));
    let all = |block: &Stored| block.own_rows + block.margin_rows;
    assert_eq!(of("v2", all), golden("right_v2_counts.csv"));
    assert_eq!(of("v3", |block| block.own_rows), golden("right_v3_core_counts.csv"));
    assert_eq!(of("v3", all), golden("right_v3_margin_counts.csv"));
}

/// Splitting `sample` in longitude gives the golden leaves.
pub(crate) fn check_leaves(sample: &str, tables: &Path) {
    let lab = Lab::new();
    lab.done(&format!("{sample} @v4 --max-rows 2 --split lon"));
    let found = lab.blocks("v4");
    let text = fs::read_to_string(tables.join("right_v4_leaves.csv")).unwrap();
    let full: Vec<_> = found.iter().filter(|block| block.own_rows > 0).collect();
    assert_eq!(full.len(), text.lines().count() - 1);
    for (block, line) in full.iter().zip(text.lines().skip(1)) {
        let golden: Vec<&str> = line.split(',').collect();
        let counts =
            [block.block.to_string(), block.parent.to_string(), block.own_rows.to_string()];
        assert_eq!(counts, [golden[0], golden[1], golden[6]], "{line}");
        for (found, expected) in block.bounds.iter().zip(&golden[2..6]) {
            assert!((found - expected.parse::<f64>().unwrap()).abs() < 1e-12, "{line}: {found}");
        }
    }
}
