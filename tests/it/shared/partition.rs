//! The sky partitioner on the sample of 2017 and on whole catalogues.

use std::fs;

use rstest::rstest;

use crate::support::partition::{Lab, check_leaves, check_presets, golden, sums};
use crate::support::shared::shared;

fn catalogue(file: &str) -> Option<String> {
    Some(shared(file)?.to_str().unwrap().to_owned())
}

/// The sample of 2017 with its schema.
fn sample() -> Option<String> {
    let (file, schema) =
        (catalogue("petasky/source-sample.csv")?, catalogue("petasky/Source.sql")?);
    Some(format!("{file} --schema {schema} --blocks 40"))
}

#[test]
fn the_presets_give_the_golden_blocks_of_the_sample() {
    let (Some(sample), Some(tables)) = (sample(), shared("golden")) else { return };
    check_presets(&sample, &tables);
}

#[test]
fn splitting_in_longitude_gives_the_golden_leaves_of_the_sample() {
    let (Some(sample), Some(tables)) = (sample(), shared("golden")) else { return };
    check_leaves(&sample, &tables);
}

#[rstest]
#[case("stars/hipmain.csv", "", "hipparcos_counts.csv", 3000)]
#[case(
    "stars/qserv_case02_Source.csv.gz",
    "--ra column_7 --dec column_10",
    "qserv_case02_source_counts.csv",
    200
)]
fn catalogues_have_the_golden_counts(
    #[case] file: &str,
    #[case] columns: &str,
    #[case] table: &str,
    #[case] max_rows: u64,
) {
    let Some(file) = catalogue(file) else { return };
    let table = shared(&format!("golden/{table}")).unwrap();
    let lab = Lab::new();
    for (preset, name) in [("v1", "right_v1"), ("v3", "right_v3_core")] {
        lab.done(&format!("{file} @{preset} --preset {preset} --blocks 40"));
        let golden = golden(&table, &format!("{name},"), (1, 2));
        assert_eq!(sums(&lab.blocks(preset), |block| block.own_rows), golden, "{name}");
    }
    let own = |name: &str| lab.blocks(name).iter().map(|block| block.own_rows).sum::<u64>();
    for rule in ["lon", "balanced"] {
        let limit = format!("--blocks 40 --max-rows {max_rows} --split {rule}");
        lab.done(&format!("{file} @{rule} {columns} {limit}"));
        let most = lab.blocks(rule).iter().map(|block| block.own_rows).max();
        assert!(most.is_some_and(|most| most <= max_rows), "{rule}: {most:?}");
        assert_eq!(own(rule), own("v1"));
    }
}

// The published results are in `petasky/result_sample_V*.csv`; their numbers are compared as numbers.
#[rstest]
#[case("v1", 56)]
#[case("v2", 66)]
#[case("v3", 63)]
#[case("v4", 71)]
fn the_formulas_of_2017_give_what_was_published(#[case] preset: &str, #[case] lines: usize) {
    let Some(sample) = sample() else { return };
    let lab = Lab::new();
    lab.done(&format!(
        "{sample} @out --frame legacy2017 --layout parts --preset {preset} --max-rows 2"
    ));
    let found = lab.text("out/properties/part-00000");
    let golden = format!("petasky/result_sample_{}.csv", preset.to_uppercase());
    let golden = fs::read_to_string(shared(&golden).unwrap()).unwrap();
    let numbers = |text: &str| -> Vec<Vec<f64>> {
        // The order of blocks in a text of 2017 is that of Spark's hash partitions.
        let line = |line: &str| line.split(',').map(|v| v.trim().parse::<f64>().ok()).collect();
        let mut lines: Vec<Vec<f64>> = text.lines().filter_map(line).collect();
        lines.sort_by(|a, b| a.len().cmp(&b.len()).then(a[0].total_cmp(&b[0])));
        lines
    };
    let (found, golden) = (numbers(&found), numbers(&golden));
    assert_eq!(found.len(), golden.len());
    for (found, golden) in found.iter().zip(&golden) {
        let close = found.iter().zip(golden).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs().max(1.0));
        assert!(close && found.len() == golden.len(), "{found:?}, expected {golden:?}");
    }
    let parts = fs::read_dir(lab.at("out")).unwrap().map(|entry| entry.unwrap().path());
    let parts =
        parts.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("part-"));
    let count = |path: std::path::PathBuf| fs::read_to_string(path).unwrap().lines().count();
    assert_eq!(parts.map(count).sum::<usize>(), lines);
}
