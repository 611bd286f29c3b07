//! k-means as a whole, against numbers from elsewhere.
//!
//! Table 3 of the people is small in its 55 distinct rows, each with how often it occurs in every
//! prefecture; runs over it were computed once in extended precision.

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use datafusion::common::ScalarValue;
use pleiad::generate::{People, PeopleTable};
use pleiad::kmeans::{ModelResult, Outcome, StopReason};
use rstest::rstest;

use crate::support::clustering::{Tables, Warnings, floats, integers};
use crate::support::golden::kept;

const COLUMNS: &str = "age,weight,shoulder_circumference";
const FOLDED: &str = "--columns age,weight,shoulder_circumference --weight n --tolerance 0";

/// The lines of a CSV file as numbers, without its header.
fn lines_of(name: &str) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(kept(&format!("people/{name}"))).unwrap();
    let numbers = |line: &str| line.split(',').map(|field| field.parse().unwrap()).collect();
    text.lines().skip(1).map(numbers).collect()
}

/// Table 3, one file a prefecture: age, weight, shoulder_circumference, and n.
struct Table3 {
    tables: Tables,
    /// age, weight, shoulder_circumference, n, and n in each prefecture.
    lines: Vec<Vec<f64>>,
}

impl Table3 {
    fn new() -> Self {
        let lines = lines_of("table3_histogram.csv");
        let tables = Tables::new();
        for pref in 0..3 {
            let here = || lines.iter().filter(|line| line[4 + pref] > 0.0);
            let column = |j: usize| floats(here().map(|line| line[j]));
            let columns = vec![
                ("age", integers(here().map(|line| whole(line[0])))),
                ("weight", column(1)),
                ("shoulder_circumference", column(2)),
                ("n", integers(here().map(|line| whole(line[4 + pref])))),
            ];
            tables.write(&format!("table3/id_pref={pref}/a.parquet"), columns);
        }
        Self { tables, lines }
    }

    fn rows_of_ages(&self, ages: &[f64]) -> Vec<&[f64]> {
        let row = |age: &f64| self.lines.iter().find(|line| line[0].total_cmp(age).is_eq());
        ages.iter().map(|age| &row(age).unwrap()[..3]).collect()
    }

    async fn run_from<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a [f64]>,
        more: &str,
        watch: &Warnings,
    ) -> Outcome {
        let centroids = self.tables.write_centroids(COLUMNS, rows);
        let arguments = format!("{FOLDED} --start given --centroids {centroids} {more}");
        self.tables.watched("table3", &arguments, watch).await.unwrap()
    }

    async fn run_from_ages(&self, ages: &[f64], more: &str) -> Outcome {
        self.run_from(self.rows_of_ages(ages), more, &Warnings::default()).await
    }
}

#[expect(clippy::cast_possible_truncation, reason = "small whole numbers of a file")]
pub(crate) fn whole(number: f64) -> i64 {
    number as i64
}

#[track_caller]
pub(crate) fn close(found: f64, golden: f64, relative: f64) {
    assert!((found / golden - 1.0).abs() <= relative, "found {found}, golden {golden}");
}

pub(crate) fn costs(model: &ModelResult) -> Vec<f64> {
    model.history.iter().map(|facts| facts.cost).collect()
}

fn weights(model: &ModelResult) -> Vec<i64> {
    model.clusters.iter().map(|cluster| whole(cluster.weight)).collect()
}

/// A golden run: costs of the first steps and of the last, steps, rows of the clusters at the end.
struct Golden {
    ages: &'static [f64],
    first: &'static [f64],
    steps: usize,
    last: f64,
    rows: &'static [i64],
}

const SEVEN_AGES: &[f64] = &[20.0, 25.0, 30.0, 35.0, 40.0, 50.0, 60.0];

#[rstest]
#[case::seven_ages(Golden {
    ages: SEVEN_AGES,
    first: &[
        311_785.103_4,
        264_471.866_182_6,
        257_019.299_701_7,
        253_703.959_497_3,
        246_428.959_681_8,
    ],
    steps: 6,
    last: 243_991.153_084_7,
    rows: &[12_606, 19_738, 22_308, 19_738, 15_608, 7_721, 2_281],
})]
#[case::close_ages(Golden {
    ages: &[18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0],
    first: &[13_573_702.780_7, 3_239_983.297_793_6, 2_166_632.134_956_1],
    steps: 19,
    last: 439_998.373_656_4,
    rows: &[3_592, 5_741, 10_566, 16_862, 26_359, 24_941, 11_939],
})]
#[case::a_tie_goes_to_the_lower_cluster(Golden {
    ages: &[18.0, 24.0, 30.0, 36.0, 42.0, 48.0, 54.0],
    first: &[],
    steps: 3,
    last: 274_441.678_4,
    rows: &[],
})]
#[case::an_empty_cluster_moves_to_the_farthest_row(Golden {
    ages: &[30.0, 30.0, 40.0],
    first: &[],
    steps: 11,
    last: 1_158_500.236_081_4,
    rows: &[41_245, 16_596, 42_159],
})]
#[case::seven_times_the_same_row(Golden {
    ages: &[30.0; 7],
    first: &[7_458_233.668_1],
    steps: 29,
    last: 453_179.757_219_5,
    rows: &[],
})]
#[tokio::test]
async fn table_3_is_clustered_as_in_extended_precision(#[case] golden: Golden) {
    let table3 = Table3::new();
    let outcome = table3.run_from_ages(golden.ages, "").await;
    let model = &outcome.models[0];
    let costs = costs(model);
    assert_eq!((costs.len(), model.stopped), (golden.steps, StopReason::Still));
    for (&found, &golden) in costs.iter().zip(golden.first) {
        close(found, golden, 1e-9);
    }
    close(*costs.last().unwrap(), golden.last, 1e-9);
    // Nothing moved in the last step, so the cost entering it is that of the result.
    close(model.figures.cost, golden.last, 1e-9);
    if !golden.rows.is_empty() {
        assert_eq!(weights(model), golden.rows);
    }
    let rises = costs.windows(2).filter(|pair| pair[1] > pair[0] * (1.0 + 1e-12));
    assert_eq!(rises.count(), 0, "{costs:?}");
}

#[tokio::test]
async fn a_tie_in_the_first_step_goes_to_the_lower_cluster() {
    // Age 51 has d² 9.0585 to clusters 5 and 6.
    let table3 = Table3::new();
    let ages = [18.0, 24.0, 30.0, 36.0, 42.0, 48.0, 54.0];
    let rows = table3.rows_of_ages(&ages);
    assert_eq!(
        rows_of_step_1(&table3, &rows),
        [6_326, 21_710, 26_616, 23_011, 14_028, 6_526, 1_783]
    );
}

/// How many rows of table 3 are nearest to each of `centroids`; of equals, the first counts.
fn rows_of_step_1(table3: &Table3, centroids: &[&[f64]]) -> Vec<i64> {
    let mut rows = vec![0; centroids.len()];
    for line in &table3.lines {
        let d2 = |c: &&[f64]| (0..3).map(|j| (line[j] - c[j]).powi(2)).sum::<f64>();
        let nearest = centroids.iter().map(d2).enumerate();
        let nearest = nearest.reduce(|best, next| if next.1 < best.1 { next } else { best });
        rows[nearest.unwrap().0] += whole(line[3]);
    }
    rows
}

#[tokio::test]
async fn the_empty_clusters_of_a_first_step_take_the_farthest_rows_in_order() {
    let table3 = Table3::new();
    let outcome = table3.run_from_ages(&[30.0, 30.0, 40.0], "--max-steps 1").await;
    // Clusters 0 and 2 have 63120 and 36880 rows, cluster 1 none: it moves to age 72.
    let model = &outcome.models[0];
    assert_eq!((model.history[0].smallest, model.history[0].repaired), (0, 1));
    assert_eq!(model.centroids.row(1).to_vec(), [72.0, 58.49, 18.55]);
    assert_eq!(model.stopped, StopReason::MaxSteps);
    let outcome = table3.run_from_ages(&[30.0, 30.0, 40.0], "--max-steps 3").await;
    let costs = costs(&outcome.models[0]);
    close(costs[1], 2_246_929.515_6, 1e-9);
    close(costs[2], 1_982_649.873_9, 1e-9);

    let outcome = table3.run_from_ages(&[30.0; 7], "--max-steps 1").await;
    let model = &outcome.models[0];
    assert_eq!(model.history[0].repaired, 6);
    let ages: Vec<f64> = model.centroids.column(0).iter().skip(1).copied().collect();
    assert_eq!(ages, [72.0, 71.0, 70.0, 69.0, 68.0, 67.0]);
}

#[tokio::test]
async fn averaging_partition_means_costs_what_the_diagnosis_says() {
    let table3 = Table3::new();
    let outcome = table3.run_from_ages(SEVEN_AGES, "--diagnose").await;
    let model = &outcome.models[0];
    close(model.figures.mean_distance, 1.307_491_456_695_6, 1e-9);
    let diagnosis = model.diagnosis.unwrap();
    close(diagnosis.mean_distance, 1.307_491_456_695_6, 1e-9);
    close(diagnosis.local_mean_distance, 0.504_339, 1e-6);
    close(diagnosis.cost, 243_991.153_084_7, 1e-9);
    close(diagnosis.unweighted_cost, 264_280.153_804_8, 1e-9);
    close(diagnosis.excess().unwrap(), 0.083_154, 1e-4);
    let names: Vec<&str> = outcome.tables().unwrap().iter().map(|(name, _)| *name).collect();
    let all = ["model", "figures", "history", "partitions", "partition_clusters", "diagnosis"];
    assert_eq!(names, all);
}

/// The best possible centroids of table 3, and their cost.
fn optimum(k: f64) -> (Vec<Vec<f64>>, f64) {
    let lines = lines_of("kmeans_table3_optimum.csv");
    let lines: Vec<_> = lines.into_iter().filter(|line| line[0].total_cmp(&k).is_eq()).collect();
    let cost = lines.iter().map(|line| line[7]).sum();
    (lines.into_iter().map(|line| line[4..7].to_vec()).collect(), cost)
}

/// W, mean distance, Davies-Bouldin, Calinski-Harabasz, simplified silhouette, silhouette.
#[rstest]
#[case(3.0, [1_140_680.532_766_501_4, 2.754_337_294_474_5, 0.549_390_72, 255_702.909_492, 0.654_927_67, 0.707_687_26])]
#[case(7.0, [238_907.164_217_134_12, 1.282_003_084_329, 0.513_406_57, 469_846.627_093, 0.638_412_35, 0.700_973_80])]
#[tokio::test]
async fn a_run_from_the_optimum_of_table_3_stays_there(#[case] k: f64, #[case] golden: [f64; 6]) {
    let (table3, (centroids, cost)) = (Table3::new(), optimum(k));
    let start = centroids.iter().map(Vec::as_slice);
    let outcome = table3.run_from(start, "--silhouette", &Warnings::default()).await;
    let model = &outcome.models[0];
    for (found, golden) in model.centroids.iter().zip(centroids.iter().flatten()) {
        close(*found, *golden, 1e-12);
    }
    let figures = &model.figures;
    close(figures.cost, cost, 1e-12);
    close(figures.cost, golden[0], 1e-12);
    // T, the cost of one cluster at the mean.
    close(figures.cost / (1.0 - figures.explained.unwrap()), 6_974_362.163_808, 1e-9);
    close(figures.mean_distance, golden[1], 1e-12);
    close(figures.davies_bouldin.unwrap(), golden[2], 2e-8);
    close(figures.calinski_harabasz.unwrap(), golden[3], 1e-11);
    close(figures.simplified_silhouette.unwrap(), golden[4], 2e-8);
    close(figures.silhouette.unwrap(), golden[5], 2e-8);
}

#[tokio::test]
async fn partitions_have_the_figures_of_the_optimum() {
    let (table3, (centroids, _)) = (Table3::new(), optimum(7.0));
    let start = centroids.iter().map(Vec::as_slice);
    let outcome = table3.run_from(start, "", &Warnings::default()).await;
    let model = &outcome.models[0];
    let farthest = model.clusters.iter().map(|cluster| cluster.max_distance).fold(0.0, f64::max);
    close(farthest, 18.744_489, 1e-7);
    let golden = [(89_795.51, 1.293_084), (37_972.63, 0.956_634), (111_139.02, 1.592_597)];
    let names: Vec<String> = outcome.partitions.iter().map(|partition| partition.name()).collect();
    assert_eq!(names, ["table3/id_pref=0", "table3/id_pref=1", "table3/id_pref=2"]);
    for (figures, (cost, distance)) in model.partitions.values().zip(golden) {
        close(figures.cost, cost, 1e-6);
        close(figures.mean_distance.unwrap(), distance, 1e-6);
    }
    let sum: f64 = model.partitions.values().map(|figures| figures.cost).sum();
    close(sum, model.figures.cost, 1e-14);
}

#[tokio::test]
async fn rows_as_often_as_their_weight_give_the_same_bits_as_the_weight() {
    let table3 = Table3::new();
    let (optimum, tables) = (optimum(7.0), &table3.tables);
    for pref in 0..3 {
        let each = |j: usize| {
            let times = |line: &Vec<f64>| usize::try_from(whole(line[4 + pref])).unwrap();
            let lines = table3.lines.iter();
            lines.flat_map(move |line| std::iter::repeat_n(line[j], times(line)))
        };
        let columns = vec![
            ("age", integers(each(0).map(whole))),
            ("weight", floats(each(1))),
            ("shoulder_circumference", floats(each(2))),
        ];
        tables.write(&format!("unfolded/id_pref={pref}/a.parquet"), columns);
    }
    let centroids = tables.write_centroids(COLUMNS, optimum.0.iter().map(Vec::as_slice));
    let given = format!("--columns {COLUMNS} --tolerance 0 --start given --silhouette");
    let unfolded = format!("{given} --centroids {centroids}");
    let folded = tables.run("table3", &format!("{unfolded} --weight n")).await.unwrap();
    let unfolded = tables.run("unfolded", &unfolded).await.unwrap();
    let (folded, unfolded) = (&folded.models[0], &unfolded.models[0]);
    let bits = |model: &ModelResult| -> Vec<u64> {
        model.centroids.iter().map(|value| value.to_bits()).collect()
    };
    assert_eq!(bits(folded), bits(unfolded));
    assert_eq!(costs(folded), costs(unfolded));
    let figures = |model: &ModelResult| {
        let mut figures = model.figures;
        figures.rows = 0;
        figures
    };
    assert_eq!(figures(folded), figures(unfolded));
    assert_eq!(weights(folded), weights(unfolded));
    let counts: Vec<&[u64]> =
        unfolded.partitions.values().map(|figures| figures.clusters.as_slice()).collect();
    let golden: [&[u64]; 3] = [
        &[16_134, 20_627, 3_239, 0, 0, 0, 0],
        &[0, 0, 14_652, 15_348, 0, 0, 0],
        &[0, 0, 0, 4_390, 13_671, 9_047, 2_892],
    ];
    assert_eq!(counts, golden);
}

#[tokio::test]
async fn no_run_costs_less_than_the_optimum() {
    let table3 = Table3::new();
    let outcome = table3.tables.run("table3", &format!("{FOLDED} --k 3,7 --starts 3")).await;
    for model in outcome.unwrap().models {
        let (_, cost) = optimum(model.k() as f64);
        assert!(model.figures.cost >= cost * (1.0 - 1e-12), "{}", model.figures.cost);
    }
}

#[tokio::test]
async fn more_clusters_than_distinct_rows_leave_some_empty_and_warn() {
    let table3 = Table3::new();
    let real = table3.lines.iter().filter(|line| line[3] > 0.0);
    let rows = real.chain(std::iter::repeat_n(&table3.lines[0], 5));
    let warnings = Warnings::default();
    let outcome = table3.run_from(rows.map(|line| &line[..3]), "", &warnings).await;
    let model = &outcome.models[0];
    assert_eq!((model.k(), model.history.len(), model.stopped), (60, 1, StopReason::Still));
    assert_eq!((model.figures.cost, model.figures.clusters_used), (0.0, 55));
    assert_eq!(warnings.texts(), ["5 of 60 given centroids have no rows"]);

    let warnings = Warnings::default();
    let arguments = format!("{FOLDED} --k 60 --starts 1");
    let outcome = table3.tables.watched("table3", &arguments, &warnings).await.unwrap();
    assert_eq!(
        (outcome.models[0].figures.cost, outcome.models[0].figures.clusters_used),
        (0.0, 55)
    );
    let expected = "the input has 55 distinct rows: 5 of 60 clusters stay empty";
    assert_eq!(warnings.texts(), [expected]);
}

#[tokio::test]
async fn many_empty_clusters_are_repaired_without_a_cycle() {
    // scikit-learn#28055: six clusters, five distinct rows.
    let tables = Tables::new();
    let x = [100.0, 100.0, 106.0, 107.0, 107.0, 108.0];
    let y = [100.0, 102.0, 100.0, 101.0, 101.0, 100.0];
    tables.write("points.parquet", vec![("x", floats(x)), ("y", floats(y))]);
    let start: [&[f64]; 6] = [
        &[98.0, 104.0],
        &[103.0, 100.0],
        &[109.0, 102.0],
        &[110.0, 100.0],
        &[111.0, 100.0],
        &[112.0, 100.0],
    ];
    let centroids = tables.write_centroids("x,y", start);
    let given = format!("--columns x,y --tolerance 0 --start given --centroids {centroids}");
    let outcome = tables.run("points.parquet", &given).await.unwrap();
    let model = &outcome.models[0];
    assert_eq!((costs(model), model.stopped), (vec![40.0, 0.0], StopReason::Still));
    assert_eq!(model.figures.clusters_used, 5);
}

#[tokio::test]
async fn the_labels_are_those_of_the_returned_centroids() {
    // scikit-learn#34074: labels of the step before the last.
    let tables = Tables::new();
    tables.write("points.parquet", vec![("x", floats([1.0, 2.0, 3.0]))]);
    let start: [&[f64]; 3] = [&[4.0], &[0.0], &[1.0]];
    let centroids = tables.write_centroids("x", start);
    let given = format!("--columns x --tolerance 0 --start given --centroids {centroids}");
    let outcome = tables.run("points.parquet", &given).await.unwrap();
    let model = &outcome.models[0];
    assert_eq!((model.history.len(), model.stopped), (3, StopReason::Still));
    assert_eq!(model.figures.cost.to_bits(), 0.0_f64.to_bits());
    let session = tables.session(1, 8192);
    let text = "SELECT nearest_centroid($model, column1) FROM (VALUES (1.0), (2.0), (3.0))";
    let value = ScalarValue::BinaryView(model.bytes.clone());
    let plan = session.plan(text, &[], vec![("model", value)]).await.unwrap();
    let batches = session.collect(plan).await.unwrap();
    let labels = batches[0].column(0).as_primitive::<Int32Type>().values().iter();
    let nearest: Vec<f64> =
        labels.map(|&label| model.centroids[[usize::try_from(label).unwrap(), 0]]).collect();
    assert_eq!(nearest, [1.0, 2.0, 3.0]);
}

#[tokio::test]
async fn the_cost_after_six_steps_is_that_of_scikit_learn() {
    let tables = Tables::new();
    let people = People::new(1_000, 42, None).unwrap();
    for table in PeopleTable::ALL {
        let rows: Vec<_> = (0..1_000).map(|row| people.person(table, row)).collect();
        tables.write_people(&format!("{table}.parquet"), &rows);
    }
    let start: [&[f64]; 5] = [
        &[20.0, 60.0, 16.0],
        &[30.0, 60.0, 17.0],
        &[30.0, 80.0, 17.0],
        &[45.0, 60.0, 18.0],
        &[45.0, 90.0, 18.0],
    ];
    let centroids = tables.write_centroids(COLUMNS, start);
    let given = format!("--columns {COLUMNS} --start given --centroids {centroids}");
    let outcome = tables.run("table*", &format!("{given} --tolerance 0 --max-steps 6")).await;
    // scikit-learn 1.9.1: KMeans(5, init=start, n_init=1, max_iter=6, tol=0, algorithm="lloyd")
    // on the three tables one after the other; inertia_.
    close(outcome.unwrap().models[0].figures.cost, 423_326.275_799_531_8, 1e-12);
}
