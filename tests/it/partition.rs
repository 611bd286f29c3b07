//! The sky partitioner, whole jobs with the binary: golden counts, law 4 on what is stored, bad rows,
//! mistakes, both stores, killed runs.

use std::fs;
use std::path::Path;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use pleiad::grid::{Frame, angular_distance, canonical};
use rstest::rstest;

use crate::cli::{outcome, pleiad};
use crate::support::golden::kept;
use crate::support::partition::{
    Lab, Stored, awkward, check_leaves, check_presets, golden, rows, sums,
};
use crate::support::s3::Served;
use crate::support::scratch::{On, Scratch};

/// Our sample, cut into 40 blocks.
fn sample() -> String {
    format!("{} --blocks 40", kept("sky/sample.csv").display())
}

#[test]
fn the_presets_give_the_golden_blocks_of_the_sample() {
    check_presets(&sample(), &kept("sky"));
}

#[test]
fn splitting_in_longitude_gives_the_golden_leaves_of_the_sample() {
    check_leaves(&sample(), &kept("sky"));
}

/// The blocks of every row, own and in margins, with its position in the frame.
async fn places(lab: &Lab, name: &str, table: &str) -> Vec<(i64, u32, (f64, f64))> {
    let mut places = Vec::new();
    for batch in lab.rows(&format!("{name}/{table}")).await {
        let number = |column: &str| {
            batch.column_by_name(column).unwrap().as_primitive::<Float64Type>().values().to_vec()
        };
        let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
        let blocks = batch.column_by_name("block").unwrap().as_primitive::<Int32Type>();
        let (ra, dec) = (number("ra"), number("dec"));
        for row in 0..batch.num_rows() {
            let (lon, lat) = canonical(ra[row], dec[row]).unwrap();
            places.push((ids.value(row), blocks.value(row).unsigned_abs(), (lon, lat)));
        }
    }
    places
}

// Law 4 on the stored tables, against brute force over all pairs.
#[rstest]
#[case("--preset v2 --grid 5x4", Frame::Equatorial)]
#[case("--frame galactic --grid 3x3 --max-rows 40", Frame::Galactic)]
#[case("--preset v3 --grid 4x3 --margin-arcsec 7200", Frame::Ecliptic)]
#[case(
    "--preset v3 --bounds sky --grid 7x5 --margin-percent 9 --max-rows 50 --split lon",
    Frame::Ecliptic
)]
#[tokio::test]
async fn a_row_has_one_owner_and_margins_hold_all_near_rows(
    #[case] options: &str,
    #[case] frame: Frame,
) {
    let lab = Lab::new();
    lab.file("in.csv", &awkward(600));
    lab.done(&format!("@in.csv @out {options}"));
    let own = places(&lab, "out", "blocks").await;
    let mut ids: Vec<_> = own.iter().map(|(id, ..)| *id).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..600).collect::<Vec<_>>());
    let margins = places(&lab, "out", "margins").await;
    let blocks = lab.blocks("out");
    let held: std::collections::BTreeSet<_> =
        margins.iter().map(|(id, block, _)| (*id, *block)).collect();
    assert_eq!(held.len(), margins.len(), "a margin holds a row once");
    for (id, block, position) in &own {
        let (lon, lat) = frame.from_equatorial(position.0, position.1);
        let [lon_min, lon_max, lat_min, lat_max] = blocks[*block as usize].bounds;
        let inside = [lon, lon - 360.0].iter().any(|lon| (lon_min..=lon_max).contains(lon));
        assert!(inside && (lat_min..=lat_max).contains(&lat), "row {id} in block {block}");
        assert!(!held.contains(&(*id, *block)), "row {id} is its own margin row");
        let radius = blocks[*block as usize].radius_deg;
        for (other, elsewhere, near) in &own {
            let apart = angular_distance(position.0, position.1, near.0, near.1);
            if elsewhere != block && apart < radius - 1e-9 {
                assert!(held.contains(&(*other, *block)), "row {other} is {apart} from row {id}");
            }
        }
    }
    let count =
        |of: fn(&Stored) -> u64| usize::try_from(blocks.iter().map(of).sum::<u64>()).unwrap();
    assert_eq!(count(|block| block.own_rows), own.len());
    assert_eq!(count(|block| block.margin_rows), margins.len());
}

#[tokio::test]
async fn bad_rows_are_set_aside_by_reason() {
    let lab = Lab::new();
    let rows = [
        ("0,1.5,2", None),
        ("1,NULL,2", Some("null")),
        ("2,\\N,2", Some("null")),
        ("3,,2", Some("null")),
        ("4,x,2", Some("not_a_number")),
        ("5,NaN,2", Some("nan")),
        ("6,1,inf", Some("infinite")),
        ("7,1,90.0000001", Some("lat_out_of_range")),
        ("8,-999,0", Some("lon_out_of_range")),
        ("9,360,-90", None),
        ("10,-1e-20,90", None),
        ("11,720,+01.5", None),
        ("12,000.25,-0", None),
    ];
    let lines: Vec<_> = rows.iter().map(|(line, _)| format!("{line}\n")).collect();
    lab.file("in.csv", &format!("id,ra,dec\n{}", lines.concat()));
    let (code, _, stderr) = lab.run("@in.csv @out --preset v2 --blocks 4");
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("8 of 13 rows have no position (null 3, "), "{stderr}");
    let mut found = Vec::new();
    for batch in lab.rows("out/quarantine").await {
        let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().clone();
        let reasons = batch.column_by_name("reason").unwrap().as_string::<i32>().clone();
        found.extend((0..ids.len()).map(|i| (ids.value(i), reasons.value(i).to_owned())));
    }
    found.sort();
    let expected = (0..).zip(rows).filter_map(|(id, (_, why))| Some((id, why?.to_owned())));
    assert_eq!(found, expected.collect::<Vec<(i64, String)>>());
    let properties = lab.properties("out");
    let count = |name: &str| properties[name].parse::<u64>().unwrap();
    assert_eq!(count("rows.own") + count("rows.quarantined"), count("input.rows"));
    assert_eq!(count("rows.quarantined.null"), 3);
    let (code, _, stderr) = lab.run("@in.csv @other --bad-rows error");
    assert_eq!(code, 65);
    assert!(stderr.contains("filter them or pass --bad-rows quarantine"), "{stderr}");
    assert!(!Path::new(&lab.at("other")).exists());
}

#[test]
fn identical_positions_end_the_splitting() {
    let lab = Lab::new();
    let text: String = (0..500).map(|id| format!("{id},10.5,-3.25\n")).collect();
    lab.file("in.csv", &format!("id,ra,dec\n{text}499,11,-3\n"));
    let (code, _, stderr) = lab.run("@in.csv @out --max-rows 10 --blocks 4 --preset v4");
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("1 blocks hold more than 10 rows that cannot be separated"),
        "{stderr}"
    );
    let dense: Vec<_> = lab.blocks("out").into_iter().filter(|b| b.flag == "dense").collect();
    assert_eq!(dense.iter().map(|block| block.own_rows).collect::<Vec<_>>(), [500]);
}

#[test]
fn a_field_across_0_360_stays_in_one_piece() {
    let lab = Lab::new();
    lab.file("in.csv", "id,RA,Decl\n1,357.5,1\n2,359,2\n3,0,3\n4,1.5,4\n");
    lab.done("@in.csv @out --preset v1 --grid 2x1");
    let bounds: Vec<_> = lab.blocks("out").iter().map(|block| block.bounds[0]).collect();
    assert_eq!(bounds, [-2.5, -0.5]);
    assert_eq!(lab.properties("out")["seam_deg"], "180");
}

#[test]
fn a_dry_run_counts_what_a_run_writes() {
    let lab = Lab::new();
    lab.file("in.csv", &awkward(300));
    for options in ["--preset v2 --blocks 6", "--blocks 4 --max-rows 30", "--preset v1 --blocks 4"]
    {
        let dry = lab.done(&format!("@in.csv --dry-run --show blocks {options}"));
        let real = lab.done(&format!("@in.csv @out --mode overwrite --show blocks {options}"));
        assert_eq!(dry, real, "{options}");
    }
}

#[test]
fn nothing_depends_on_streams_batches_or_memory() {
    let lab = Lab::new();
    lab.file("in.csv", &awkward(900));
    let blocks = |flags: &str| {
        lab.done(&format!("@in.csv @out --mode overwrite --grid 6x4 --max-rows 60 {flags}"));
        let mut blocks = lab.blocks("out");
        blocks.iter_mut().for_each(|block| block.flag.clear());
        format!("{blocks:?}")
    };
    let expected = blocks("");
    for flags in [
        "--threads 1",
        "--threads 3 --conf datafusion.execution.batch_size=7",
        "--memory-limit 40MB",
    ] {
        assert_eq!(blocks(flags), expected, "{flags}");
    }
}

#[test]
fn observed_bounds_have_no_negative_zero() {
    let lab = Lab::new();
    lab.file("in.csv", "id,ra,dec\n1,0,-0.0\n2,10,5\n");
    lab.done("@in.csv @out --preset v1 --grid 1x1");
    let line = lab.text("out/blocks.csv").lines().last().unwrap().to_owned();
    assert!(line.ends_with(",0,10,0,5,"), "{line}");
}

#[rstest]
#[case("id,x,y\n1,2,3\n", "", 65, "coordinates such as 'ra' and 'decl'")]
#[case("id,ra,dec,block\n1,2,3,4\n", "", 65, "has a column 'block', which the output adds itself")]
#[case("ra,dec\n", "", 65, "has no rows, expected at least one")]
#[case("ra,dec\nNULL,1\n", "", 65, "none of the 1 rows of 'in' has a position")]
#[case("ra,dec\n1,2\n", "--ra x --dec dec", 65, "column 'x' not found in 'in', which has ra, dec")]
#[case("ra,dec\n1,2\n", "--grid 0x2", 2, "grid is 0x2, expected at least 1x1")]
#[case("ra,dec\n1,2\n", "--mode append", 2, "Partition all rows with --mode overwrite")]
#[case("ra,dec\n1,2\n", "--blocks 4 --grid 2x2", 2, "cannot be used with")]
fn mistakes_are_named(
    #[case] text: &str,
    #[case] options: &str,
    #[case] code: i32,
    #[case] says: &str,
) {
    let lab = Lab::new();
    lab.file("in.csv", text);
    let (found, _, stderr) = lab.run(&format!("@in.csv @out {options}"));
    assert_eq!(found, code, "{stderr}");
    assert!(stderr.contains(says), "{stderr}");
    assert!(!Path::new(&lab.at("out")).exists(), "nothing is left");
}

#[tokio::test]
async fn columns_named_like_sql_are_quoted() {
    let lab = Lab::new();
    lab.file("in.csv", "order,\"a\"\"b\",ra,dec\n1,2,3,4\n5,NULL,7,8\n");
    lab.done("@in.csv @out --blocks 1");
    let batch = lab.rows("out/blocks").await.remove(0);
    let order: &Int64Array = batch.column_by_name("order").unwrap().as_primitive();
    assert_eq!(order.values().to_vec(), [1, 5]);
    assert_eq!(batch.column_by_name("a\"b").unwrap().null_count(), 1);
}

#[tokio::test]
async fn a_job_on_s3_is_the_same() {
    let place = Scratch::new(On::S3);
    let served = place.server().serve();
    let lab = Lab::new();
    lab.file("in.csv", &awkward(200));
    lab.done("@in.csv @here --blocks 4 --max-rows 30");
    let out = place.out.to_string();
    let mut command = pleiad(&["partition", &lab.at("in.csv"), &out]);
    command.args(["--blocks", "4", "--max-rows", "30"]).envs(Served::variables(&served));
    let (code, _, stderr) = outcome(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let count = |rows: &[RecordBatch]| rows.iter().map(RecordBatch::num_rows).sum::<usize>();
    for table in ["blocks", "margins"] {
        let there = rows(&place.stores, &format!("{out}/{table}")).await;
        let here = lab.rows(&format!("here/{table}")).await;
        assert_eq!(count(&there), count(&here), "{table}");
    }
    assert!(place.objects().await.contains(&"blocks.csv".to_owned()));
}

#[rstest]
#[case("v1", 56)]
#[case("v2", 65)]
#[case("v3", 62)]
#[case("v4", 83)]
fn the_formulas_of_2017_give_the_golden_blocks(#[case] preset: &str, #[case] lines: u64) {
    let (sample, lab) = (sample(), Lab::new());
    let more = "--frame legacy2017 --layout parts --max-rows 2";
    lab.done(&format!("{sample} @out {more} --preset {preset}"));
    let found = lab.blocks("out");
    let table = |name: &str| kept(&format!("sky/legacy_{preset}_{name}.csv"));
    assert_eq!(sums(&found, |block| block.own_rows), golden(&table("counts"), "", (0, 1)));
    assert_eq!(found.iter().map(|block| block.own_rows).sum::<u64>(), lines);
    let bounds = fs::read_to_string(table("blocks")).unwrap();
    assert_eq!(found.len(), bounds.lines().count() - 1);
    for (block, line) in found.iter().zip(bounds.lines().skip(1)) {
        let golden: Vec<f64> = line.split(',').map(|value| value.parse().unwrap()).collect();
        assert!((f64::from(block.block) - golden[0]).abs() < 0.5, "{line}");
        let close = |(found, golden): (&f64, &f64)| (found - golden).abs() < 1e-12;
        assert!(block.bounds.iter().zip(&golden[1..]).all(close), "{line}: {block:?}");
    }
}

#[test]
fn parts_give_back_every_line_once_as_an_own_line() {
    let lab = Lab::new();
    let mut text = awkward(200).replace(',', ";");
    text += "200;NULL;1\n201;010.50;+2\n";
    lab.file("in.csv", &text);
    lab.done("@in.csv @out --layout parts --preset v2 --blocks 6");
    let (mut own, mut margins) = (Vec::new(), 0);
    for block in lab.blocks("out") {
        let part = lab.text(&format!("out/part-{:05}", block.block));
        let lines: Vec<_> = part.lines().map(str::to_owned).collect();
        assert_eq!(lines.len() as u64, block.own_rows + block.margin_rows);
        let owned = usize::try_from(block.own_rows).unwrap();
        margins += lines.len() - owned;
        own.extend(lines.into_iter().take(owned));
    }
    let mut expected: Vec<_> = text.lines().skip(1).map(str::to_owned).collect();
    expected.retain(|line| !line.contains("NULL"));
    own.sort();
    expected.sort();
    assert_eq!(own, expected);
    assert!(margins > 0);
    assert!(Path::new(&lab.at("out/quarantine")).is_dir());
}

#[test]
fn pictures_show_every_block() {
    let lab = Lab::new();
    lab.file("in.csv", &awkward(300));
    lab.done("@in.csv @out --bounds sky --grid 6x4 --frame galactic --max-rows 50");
    for kind in ["blocks", "sky"] {
        let (code, svg, stderr) = outcome(&mut pleiad(&["plot", kind, &lab.at("out")]));
        assert_eq!(code, 0, "{stderr}");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        let blocks = lab.blocks("out").len();
        let elements = svg.matches(if kind == "sky" { "<path" } else { "<rect" }).count();
        assert!(elements >= blocks, "{kind}: {elements} of {blocks}");
    }
    let (code, _, stderr) = outcome(&mut pleiad(&["plot", "sky", &lab.at("out"), "--json"]));
    assert_eq!((code, stderr.contains("prints a picture as SVG")), (2, true));
    let (code, ..) = outcome(&mut pleiad(&["plot", "sky", &lab.at("nothing")]));
    assert_eq!(code, 66);
}
