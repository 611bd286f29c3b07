//! Law 3: the same rows give the same bits, however they are cut into files, streams and batches,
//! held in memory or read at each step, and whether or not a run was killed on its way.

use std::sync::OnceLock;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::physical_plan::displayable;
use ndarray::array;
use pleiad::centroids::model::{BoundingBox, Model, ModelSet, Weight};
use pleiad::event::Silent;
use pleiad::functions::model_literal;
use pleiad::generate::{People, PeopleTable, Person};
use pleiad::kmeans::{self, Outcome};
use proptest::prelude::*;
use rstest::rstest;

use crate::support::clustering::{Tables, floats, params};

const ROWS: u64 = 700;
const OPTIONS: &str = "--columns age,weight,shoulder_circumference --k 2,5 --starts 2 \
                       --max-steps 6 --tolerance 0 --silhouette";

/// Every table of a result as text with all bits, without the clock and the count of scans.
fn bits(outcome: &Outcome) -> Vec<(&'static str, RecordBatch)> {
    let tables = outcome.tables().unwrap().into_iter();
    let timeless = |batch: RecordBatch| {
        let schema = batch.schema();
        let names = schema.fields().iter().map(|field| field.name().as_str()).enumerate();
        let kept = names.filter(|(_, name)| !["seconds", "scans"].contains(name));
        batch.project(&kept.map(|(place, _)| place).collect::<Vec<_>>()).unwrap()
    };
    tables.map(|(name, batch)| (name, timeless(batch))).collect()
}

/// Compares bytes of floats, as Arrow does.
#[track_caller]
fn same(found: &[(&str, RecordBatch)], expected: &[(&str, RecordBatch)]) {
    for ((name, found), (other, expected)) in found.iter().zip(expected) {
        assert_eq!((name, found.num_rows()), (other, expected.num_rows()));
        for (place, field) in expected.schema().fields().iter().enumerate() {
            assert_eq!(found.column(place), expected.column(place), "{name}.{}", field.name());
        }
    }
}

/// People in files laid out as `layout` says: 1, 3 or 11 files for each of nine partitions, with
/// shuffled rows if there are many; `alone` is one file without keys.
fn laid_out(layout: &str) -> (Tables, &'static str) {
    let tables = Tables::new();
    let people = People::new(ROWS, 42, None).unwrap();
    let rows = |table| (0..ROWS).map(|row| people.person(table, row)).collect::<Vec<_>>();
    if layout == "alone" {
        let all: Vec<Person> = PeopleTable::ALL.into_iter().rev().flat_map(rows).collect();
        tables.write_people("people.parquet", &all);
        return (tables, "people.parquet");
    }
    let files = match layout {
        "nine" => 1,
        "three each" => 3,
        _ => 11,
    };
    for table in PeopleTable::ALL {
        for pref in 0..3 {
            let mut own: Vec<Person> =
                rows(table).into_iter().filter(|person| person.id_pref == pref).collect();
            if files > 3 {
                own.sort_by_key(|person| person.id_company.wrapping_mul(0x9E37_79B9) % 1009);
            }
            for (number, part) in own.chunks(own.len().div_ceil(files)).enumerate() {
                tables.write_people(&format!("{table}/id_pref={pref}/{number}.parquet"), part);
            }
        }
    }
    (tables, "table*")
}

/// What a plain run over a file a partition finds.
async fn expected() -> &'static [(&'static str, RecordBatch)] {
    static EXPECTED: OnceLock<Vec<(&'static str, RecordBatch)>> = OnceLock::new();
    if let Some(known) = EXPECTED.get() {
        return known;
    }
    let (tables, input) = laid_out("nine");
    let outcome = tables.run(input, &format!("{OPTIONS} --diagnose")).await.unwrap();
    EXPECTED.get_or_init(|| bits(&outcome))
}

#[rstest]
#[case(1, 1, "nine")]
#[case(2, 7, "nine")]
#[case(7, 8192, "nine")]
#[case(2, 1, "three each")]
#[case(7, 7, "three each")]
#[case(1, 7, "a hundred, shuffled")]
#[case(2, 8192, "a hundred, shuffled")]
#[case(7, 1, "a hundred, shuffled")]
#[tokio::test]
async fn streams_batches_files_and_memory_change_no_bit(
    #[case] streams: usize,
    #[case] batch_rows: usize,
    #[case] layout: &str,
    #[values("auto", "never")] cache: &str,
) {
    let (tables, input) = laid_out(layout);
    let arguments = params(&format!("{OPTIONS} --diagnose --recheck --cache {cache}"));
    let (session, source) = (tables.session(streams, batch_rows), tables.source(input).await);
    let outcome = kmeans::run(&session, source, &arguments, None, None, &Silent).await.unwrap();
    assert_eq!(outcome.in_memory, cache == "auto");
    same(&bits(&outcome), expected().await);
}

/// An idle stream may read files of another, or not.
#[rstest]
#[tokio::test]
async fn work_stealing_changes_no_bit(#[values("true", "false")] steals: &str) {
    let (tables, input) = laid_out("three each");
    let arguments = params(&format!("{OPTIONS} --diagnose --cache never"));
    let settings = [("batch_size", "7"), ("enable_file_stream_work_stealing", steals)];
    let (session, source) = (tables.session_with(3, &settings), tables.source(input).await);
    let outcome = kmeans::run(&session, source, &arguments, None, None, &Silent).await.unwrap();
    same(&bits(&outcome), expected().await);
}

#[rstest]
#[tokio::test]
async fn partitions_change_no_bit_of_the_models(#[values("auto", "never")] cache: &str) {
    let (tables, input) = laid_out("alone");
    let outcome = tables.run(input, &format!("{OPTIONS} --cache {cache}")).await.unwrap();
    // model, figures and history; the others are by partition.
    same(&bits(&outcome)[..3], &expected().await[..3]);
}

#[rstest]
#[tokio::test]
async fn a_run_killed_after_any_step_ends_with_the_same_bits(
    #[values("auto", "never")] cache: &str,
) {
    let (tables, input) = laid_out("three each");
    let params = params(&format!("{OPTIONS} --diagnose --cache {cache}"));
    for number in 1..=6 {
        let step = tables.dropped_after(number, input, &params).await;
        assert_eq!(step.step, number);
        let (session, source) = (tables.session(2, 100), tables.source(input).await);
        let outcome = kmeans::run(&session, source, &params, None, Some(step), &Silent).await;
        same(&bits(&outcome.unwrap()), expected().await);
    }
}

#[tokio::test]
async fn all_models_share_the_scans() {
    let (tables, input) = laid_out("nine");
    let scans = async |arguments: &str| {
        let outcome = tables.run(input, arguments).await.unwrap();
        let repairs: usize = outcome
            .models
            .iter()
            .flat_map(|model| &model.history)
            .filter(|facts| facts.repaired > 0)
            .count();
        assert_eq!(repairs, 0);
        let steps = outcome.models.iter().map(|model| model.history.len() as u64).max();
        (outcome.scans, steps.unwrap())
    };
    // Range, sample, steps, figures; silhouettes one more; memory reads the files once before.
    let base = "--columns age,weight --tolerance 0 --max-steps 5";
    assert_eq!(scans(&format!("{base} --k 2..6 --starts 3 --cache never")).await, (8, 5));
    assert_eq!(scans(&format!("{base} --k 4 --starts 1 --cache never")).await, (8, 5));
    assert_eq!(scans(&format!("{base} --k 4 --silhouette --cache never")).await, (9, 5));
    assert_eq!(scans(&format!("{base} --k 4")).await, (9, 5));
    assert_eq!(scans(&format!("{base} --k 4 --scale standard --cache never")).await, (9, 5));
}

#[tokio::test]
async fn the_plan_of_a_step_shows_a_short_name_of_the_model() {
    let (tables, input) = laid_out("alone");
    let session = tables.session(2, 8192);
    session.register("points", tables.source(input).await.tables[0].provider()).unwrap();
    let text = include_str!("../../sql/steps/kmeans_step.sql");
    let parts = [("keys", ""), ("columns", "age, weight"), ("group_by", "")];
    let shown = async |x: f64| {
        let bounds =
            BoundingBox { lows: vec![0.0; 2], highs: vec![200.0; 2], weight: Weight::None };
        let model = Model::new(array![[x, 70.0], [50.0, 70.0], [30.0, 60.0]]);
        let models = ModelSet::new(bounds, vec![model]).unwrap();
        let expected = format!("centroid_sums({}, ", ModelSet::short_name(&models.encode()));
        let value = model_literal(&models);
        let plan = session.plan(text, &parts, vec![("model", value)]).await.unwrap();
        let logical = plan.display_indent().to_string();
        let plan = session.state().create_physical_plan(&plan).await.unwrap();
        let physical = displayable(plan.as_ref()).indent(false).to_string();
        for shown in [&logical, &physical] {
            assert!(shown.contains(&expected), "{expected} not in:\n{shown}");
            assert!(shown.lines().all(|line| line.len() < 200), "{shown}");
        }
        [logical, physical]
    };
    let (one, other) = (shown(1.0).await, shown(2.0).await);
    assert_ne!(one[0], other[0]);
    assert_ne!(one[1], other[1]);
}

/// All floats of all tables.
fn numbers(outcome: &Outcome) -> Vec<f64> {
    let tables = outcome.tables().unwrap();
    let columns = tables.iter().flat_map(|(_, batch)| batch.columns());
    let floats = columns.filter(|column| column.data_type() == &DataType::Float64);
    floats.flat_map(|column| column.as_primitive::<Float64Type>().iter().flatten()).collect()
}

#[derive(Debug, Clone)]
struct Trial {
    rows: Vec<(f64, f64, f64)>,
    /// First centroids; drawn if there are none.
    given: Vec<(f64, f64)>,
    options: String,
}

fn trials() -> impl Strategy<Value = Trial> {
    let value = || {
        prop_oneof![
            6 => (-3_i32..3).prop_map(f64::from),
            1 => Just(-0.0),
            1 => Just(f64::MIN_POSITIVE),
            2 => -1e3..1e3_f64,
            1 => Just(1e15),
        ]
    };
    let weight = prop_oneof![Just(1.0), Just(0.0), Just(0.25), Just(1e6), 0.0..5.0_f64];
    let far = prop_oneof![value(), Just(1e100), Just(-1e100)];
    let rows = proptest::collection::vec((value(), value(), weight), 1..25);
    let given = prop_oneof![
        2 => Just(Vec::new()),
        1 => proptest::collection::vec((far, value()), 1..9)
    ];
    let switches = (
        prop_oneof![Just("none"), Just("standard"), Just("range")],
        prop_oneof![Just("k-means++"), Just("random")],
        prop_oneof![Just("far"), Just("keep")],
        (1_u32..9, any::<bool>(), any::<bool>(), any::<bool>()),
    );
    (rows, given, switches).prop_map(|(mut rows, given, (scale, start, empty, more))| {
        let (k, weighted, constant, diagnose) = more;
        if constant {
            rows.iter_mut().for_each(|row| row.1 = 5.0);
        }
        // A table in which nothing counts is refused.
        rows[0].2 = 1.0;
        let mut options =
            format!("--columns x,y --scale {scale} --empty {empty} --silhouette --max-steps 20");
        if given.is_empty() {
            options += &format!(" --start {start} --k {k} --starts 2");
        }
        if weighted {
            options += " --weight w";
        }
        if diagnose {
            options += " --diagnose";
        }
        Trial { rows, given, options }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_nan_leaves_the_driver(trial in trials()) {
        let tables = Tables::new();
        let halves = trial.rows.split_at(trial.rows.len().div_ceil(2));
        for (number, rows) in [halves.0, halves.1].into_iter().enumerate() {
            let columns = vec![
                ("x", floats(rows.iter().map(|row| row.0))),
                ("y", floats(rows.iter().map(|row| row.1))),
                ("w", floats(rows.iter().map(|row| row.2))),
            ];
            tables.write(&format!("points/part={number}/a.parquet"), columns);
        }
        let mut options = trial.options.clone();
        if !trial.given.is_empty() {
            let rows: Vec<[f64; 2]> = trial.given.iter().map(|&(x, y)| [x, y]).collect();
            let path = tables.write_centroids("x,y", rows.iter().map(<[f64; 2]>::as_slice));
            options += &format!(" --start given --centroids {path}");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = match runtime.block_on(tables.run("points", &options)) {
            Ok(outcome) => outcome,
            // Nothing leaves the driver: a centroid at 1, and rows at 1e-308.
            Err(error) if error.to_string().contains("2^500 times as far") => return Ok(()),
            Err(error) => panic!("{error}"),
        };
        let found = numbers(&outcome);
        prop_assert!(found.iter().all(|number| number.is_finite()), "{found:?}");
        let rows: u64 = outcome.models[0].partitions.values().map(|f| f.rows + f.skipped).sum();
        prop_assert_eq!(rows, trial.rows.len() as u64);
    }
}
