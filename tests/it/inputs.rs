//! What drivers take for the rows of a dataset, and in which unit.

use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, collect};
use pleiad::error::{Error, Kind};
use pleiad::storage::{StorageOptions, Stores};
use pleiad::table::{Source, SourceOptions};
use rstest::rstest;

use crate::commands::{Lab, check_refused};
use crate::support::scratch::{On, session, session_with_pool};

/// The values of column `name` of a CSV answer.
fn column(csv: &str, name: &str) -> Vec<String> {
    let mut lines = csv.lines();
    let place = lines.next().unwrap().split(',').position(|column| column == name).unwrap();
    lines.map(|line| line.split(',').nth(place).unwrap().to_owned()).collect()
}

/// 3,000 sources in blocks with margins, and two rows without a position in the quarantine.
fn blocks(lab: &Lab) {
    lab.done("generate sky @sky --rows 3000");
    let sky = lab.at("sky/sky");
    let query = format!(
        "COPY (SELECT ra, decl, ra / 15 AS hours FROM '{sky}' \
         UNION ALL VALUES (40.0, 99.0, 4.0), (NULL, 1.0, NULL)) TO '{}'",
        lab.at("rows.parquet")
    );
    let (code, _, stderr) = crate::cli::outcome(&mut crate::cli::pleiad(&["sql", "-c", &query]));
    assert_eq!(code, 0, "{stderr}");
    lab.done("partition @rows.parquet @blocks --ra ra --dec decl --grid 4x2 --margin-percent 5");
}

#[test]
fn copies_and_refused_rows_are_not_clustered_by_kmeans() {
    let lab = Lab::new(On::Files);
    blocks(&lab);
    let rows = |line: &str| {
        let shown = lab.done(&format!("kmeans {line} --columns ra,decl --k 2 --show partitions"));
        column(&shown, "rows").iter().map(|rows| rows.parse::<u64>().unwrap()).sum::<u64>()
    };
    assert_eq!(rows("@blocks"), 3000);
    assert_eq!(rows("@blocks/blocks"), 3000);
    // What is named is clustered.
    let counted = lab.done("count @blocks/margins");
    let margins = column(&counted, "rows")[0].parse::<u64>().unwrap();
    assert!(margins > 0);
    assert_eq!(rows("@blocks/margins"), margins);
}

#[test]
fn a_result_of_kmeans_is_clustered_again_by_its_rows() {
    let lab = Lab::new(On::Files);
    lab.people(1000);
    lab.done("kmeans @people/table1 @found --columns age,weight --k 3 --assign");
    let again = lab.done("kmeans @found --columns age,weight --k 2 --show partitions");
    let rows = column(&again, "rows").iter().map(|rows| rows.parse::<u64>().unwrap()).sum::<u64>();
    assert_eq!(rows, 1000);
}

#[test]
fn the_unit_of_a_dataset_of_blocks_is_that_of_its_coordinates() {
    let lab = Lab::new(On::Files);
    blocks(&lab);
    let cut = "--dec decl --grid 4x2 --margin-arcsec 8000";
    lab.done(&format!("partition @rows.parquet @hours --ra hours --unit hour {cut}"));
    let found = |line: &str| {
        let line = format!(
            "dbscan {line} @labels --mode overwrite --dec decl --eps-deg 2 --min-points 4 --show dbscan"
        );
        let shown = lab.done(&line);
        ["clusters", "core", "border", "noise"].map(|name| column(&shown, name))
    };
    let degrees = found("@blocks --ra ra");
    assert_ne!(degrees[1], ["0"]);
    assert_eq!(found("@hours --ra hours"), degrees, "the unit of the dataset");
    assert_eq!(found("@hours --ra hours --max-rows 500"), degrees, "in other blocks");
    assert_eq!(found("@hours --ra ra --unit deg"), degrees, "another column of it");
    assert_eq!(found("@rows.parquet --ra hours --unit hour"), degrees, "a unit that is given");
    assert_ne!(found("@hours --ra hours --unit deg"), degrees, "a unit that is given wins");

    let knee = |line: &str| lab.done(&format!("kdistance {line} --dec decl --show shares"));
    assert_eq!(knee("@hours --ra hours"), knee("@rows.parquet --ra hours --unit hour"));
    assert_ne!(knee("@rows.parquet --ra hours --unit deg"), knee("@hours --ra hours"));
}

#[test]
fn hive_keys_that_are_numbers_are_columns_of_kmeans() {
    let lab = Lab::new(On::Files);
    lab.people(2000);
    for cache in ["auto", "never"] {
        let costs = |table: &str| {
            let line = format!("kmeans {table} --columns id_pref,age --k 2 --cache {cache}");
            column(&lab.done(&format!("{line} --show models")), "cost")
        };
        let copy = format!(
            "COPY (SELECT id_pref + 0 AS id_pref, age FROM '{}') TO '{}'",
            lab.at("people/table3"),
            lab.at(&format!("flat_{cache}.parquet"))
        );
        let (code, _, stderr) = crate::cli::outcome(&mut crate::cli::pleiad(&["sql", "-c", &copy]));
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(
            costs("@people/table3"),
            costs(&format!("@flat_{cache}.parquet")),
            "--cache {cache}"
        );
    }
}

#[rstest]
#[case("@people/table1 age", "is the name of a column of")]
#[case("@people/table1 weight", "--columns age,weight")]
fn an_output_named_as_a_column_is_a_forgotten_comma(#[case] places: &str, #[case] says: &str) {
    let lab = Lab::new(On::Files);
    lab.people(100);
    let line = format!("kmeans {places} --columns age --k 2");
    check_refused(&line, lab.run(&line), 2, says);
}

#[test]
fn the_diagnosis_is_that_of_the_best_model() {
    let lab = Lab::new(On::Files);
    lab.people(3000);
    let run = "kmeans @people --columns age,weight --k 2..4 --starts 4 --diagnose --show";
    let models = lab.done(&format!("{run} models"));
    let diagnosis = lab.done(&format!("{run} diagnosis"));
    let best: Vec<_> = column(&models, "best")
        .into_iter()
        .zip(column(&models, "cost"))
        .filter_map(|(best, cost)| (best == "true").then_some(cost))
        .collect();
    assert_eq!(column(&diagnosis, "cost"), best);
    for excess in column(&diagnosis, "unweighted_excess") {
        assert!(excess.parse::<f64>().unwrap() > -1e-12, "{diagnosis}");
    }
}

/// A declination beyond ±90 and a right ascension of -999 are no positions, and a swapped pair is named.
#[rstest]
#[case("ra", "dec", "2 of 6 rows have no position (lat_out_of_range 1, lon_out_of_range 1)")]
#[case("dec", "ra", "lat_out_of_range")]
fn impossible_positions_are_counted_by_their_reasons(
    #[case] ra: &str,
    #[case] dec: &str,
    #[case] says: &str,
) {
    let lab = Lab::new(On::Files);
    let path = |name: &str| lab.location(name).local_path().unwrap().to_owned();
    std::fs::create_dir_all(path("")).unwrap();
    let rows = "ra,dec\n100.0,10\n100.1,10\n100.2,10\n100.3,10\n-999,10\n100,95\n";
    std::fs::write(path("rows.csv"), rows).unwrap();
    let file = lab.at("rows.csv");
    let line = ["dbscan", &file, &lab.at("labels"), "--ra", ra, "--dec", dec, "--eps-deg", "0.5"];
    let (code, _, stderr) =
        crate::cli::outcome(&mut crate::cli::pleiad(&[&line[..], &["--min-points", "2"]].concat()));
    assert!(code == 0 && stderr.contains(says), "{code} {stderr}");
    let line = ["kdistance", &file, "--ra", ra, "--dec", dec, "--min-points", "2"];
    let (_, _, stderr) = crate::cli::outcome(&mut crate::cli::pleiad(&line));
    assert!(stderr.contains(says), "{stderr}");
}

/// 05:00:00 is 75 degrees, -00:12:30 is -0.20833.
#[test]
fn dbscan_reads_sexagesimal_positions() {
    let lab = Lab::new(On::Files);
    let path = |name: &str| lab.location(name).local_path().unwrap().to_owned();
    std::fs::create_dir_all(path("")).unwrap();
    let text =
        "ra,dec\n05:00:00,-00:12:30\n05:00:01,-00:12:30\n05:00:02,-00:12:31\n17:00:00,+10:00:00\n";
    let plain = "ra,dec\n75,-0.20833333\n75.0041667,-0.20833333\n75.0083333,-0.2086111\n255,10\n";
    let found = ["text.csv", "plain.csv"].map(|name| {
        std::fs::write(path(name), if name == "text.csv" { text } else { plain }).unwrap();
        let shown = lab.done(&format!(
            "dbscan @{name} @labels --mode overwrite --ra ra --dec dec --eps-arcsec 30 --min-points 2 --show dbscan"
        ));
        ["clusters", "core", "border", "noise"].map(|count| column(&shown, count))
    });
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0][0], ["1"]);
}

/// By hand: 0, 1 and 2 are a chain, 10 and 11 too, 50 is alone.
#[test]
fn one_column_is_clustered_alone() {
    let lab = Lab::new(On::Files);
    let path = |name: &str| lab.location(name).local_path().unwrap().to_owned();
    std::fs::create_dir_all(path("")).unwrap();
    std::fs::write(path("line.csv"), "v\n10\n0\n50\n1\n11\n2\n").unwrap();
    lab.done("dbscan @line.csv @labels --x v --eps 1 --min-points 2 --verify full");
    let labels = lab.at("labels/labels");
    let query = format!("SELECT cluster, kind FROM '{labels}' ORDER BY \"row\"");
    let mut command = crate::cli::pleiad(&["sql", "-c", &query, "--format", "csv"]);
    let (code, stdout, stderr) = crate::cli::outcome(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let expected = ["0,core", "1,core", "-1,noise", "1,core", "0,core", "1,core"];
    assert_eq!(stdout.lines().skip(1).collect::<Vec<_>>(), expected);
    let clusters = lab.at("labels/clusters");
    let query = format!("SELECT v_min, v_max, v_mean FROM '{clusters}' ORDER BY cluster");
    let mut command = crate::cli::pleiad(&["sql", "-c", &query, "--format", "csv"]);
    let (_, stdout, stderr) = crate::cli::outcome(&mut command);
    assert_eq!(stdout, "v_min,v_max,v_mean\n10.0,11.0,10.5\n0.0,2.0,1.0\n", "{stderr}");
    lab.done("kdistance @line.csv --x v --min-points 2");
}

#[test]
fn a_swapped_pair_is_named() {
    let lab = Lab::new(On::Files);
    let path = |name: &str| lab.location(name).local_path().unwrap().to_owned();
    std::fs::create_dir_all(path("")).unwrap();
    std::fs::write(path("gps.csv"), "lat,lon\n48.0,121.0\n48.1,121.0\n10.0,20.0\n").unwrap();
    let (file, labels) = (lab.at("gps.csv"), lab.at("labels"));
    let line = ["dbscan", &file, &labels, "--ra", "lat", "--dec", "lon", "--eps-deg", "1"];
    let (code, _, stderr) = crate::cli::outcome(&mut crate::cli::pleiad(&line));
    assert!(code == 0 && stderr.contains("are 'lat' and 'lon' swapped?"), "{code} {stderr}");
}

/// How many metrics a plan has, and what those of its scans with this name add up to.
fn metrics(plan: &dyn ExecutionPlan, name: &str) -> (usize, usize) {
    let own = plan.metrics();
    let count = own.as_ref().map_or(0, |own| own.iter().count());
    let sum = own.and_then(|own| own.sum_by_name(name)).map_or(0, |sum| sum.as_usize());
    let below = plan.children().into_iter().map(|child| metrics(child.as_ref(), name));
    below.fold((count, sum), |(count, sum), below| (count + below.0, sum + below.1))
}

/// What the engine notes of each file would fill memory, and so would a list of files that is not accounted.
#[rstest]
#[case::parquet("parquet")]
#[case::text("csv")]
#[tokio::test]
async fn many_files_are_accounted_and_take_little_memory(#[case] ending: &str) {
    const FILES: usize = 1200;
    let dir = tempfile::tempdir().unwrap();
    let path = |number: usize| dir.path().join(format!("k={}/{number}.{ending}", number % 2));
    let first = path(0);
    let copy = format!(
        "COPY (SELECT 2 AS id, 1.5 AS x, uuid() || uuid() AS name) TO '{}'",
        first.display()
    );
    let (code, _, stderr) = crate::cli::outcome(&mut crate::cli::pleiad(&["sql", "-c", &copy]));
    assert_eq!(code, 0, "{stderr}");
    std::fs::create_dir(dir.path().join("k=1")).unwrap();
    for number in 1..FILES {
        std::fs::copy(&first, path(number)).unwrap();
    }
    let stores = Stores::new(StorageOptions::default());
    let text = dir.path().to_str().unwrap();
    let source = Source::open(&stores, text, &SourceOptions::default()).await.unwrap();
    let query = "SELECT sum(id + CAST(k AS BIGINT)), max(length(name)) FROM t WHERE x > 1";

    let context = session(&stores, 2, 8192);
    context.register_table("t", source.tables[0].provider()).unwrap();
    let plan = context.sql(query).await.unwrap().create_physical_plan().await.unwrap();
    let batches = collect(Arc::clone(&plan), context.task_ctx()).await.unwrap();
    let sum = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    assert!(sum.contains(&format!("| {} ", 2 * FILES + FILES / 2)), "{sum}");
    let (count, bytes) = metrics(plan.as_ref(), "bytes_scanned");
    assert!(count < FILES / 4, "{count} metrics");
    assert!(ending == "csv" || bytes > 100 * FILES, "{bytes} bytes");

    let context = session_with_pool(&stores, 1 << 20);
    context.register_table("t", source.tables[0].provider()).unwrap();
    let refused = context.sql(query).await.unwrap().collect().await.unwrap_err();
    let refused = Error::from(refused);
    assert_eq!(refused.kind(), Kind::Limit, "{refused}");
    assert!(refused.to_string().contains("a list of 1200 files"), "{refused}");
}
