//! The scripts in `sql/`, and SQL from the command line: what is printed, and how it fails.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rstest::rstest;

use crate::cli::{outcome, pleiad};
use crate::commands::Lab;
use crate::support::scratch::On;

/// Runs `pleiad` with these words in the folder of `lab`; code, standard output, standard error.
fn run(lab: &Lab, words: &[&str]) -> (i32, String, String) {
    outcome(pleiad(words).envs(lab.variables()))
}

/// Runs a script of the repository, which has to succeed.
#[track_caller]
fn script(lab: &Lab, file: &str, set: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let set: Vec<String> = set.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut words = vec!["run", path.to_str().unwrap()];
    set.iter().for_each(|set| words.extend(["--set", set.as_str()]));
    let (code, stdout, stderr) = run(lab, &words);
    assert_eq!(code, 0, "{file}: {stderr}");
    stdout
}

/// The rows of one statement as CSV.
#[track_caller]
fn sql(lab: &Lab, text: &str) -> String {
    let (code, stdout, stderr) = run(lab, &["sql", "-c", text, "--format", "csv"]);
    assert_eq!(code, 0, "{text}: {stderr}");
    stdout
}

/// Fails with `code`, prints `stdout`, and says `message` below the place.
#[track_caller]
fn refused(lab: &Lab, words: &[&str], code: i32, stdout: &str, message: &str) {
    let (found, printed, stderr) = run(lab, words);
    assert_eq!((found, printed.as_str()), (code, stdout), "{words:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains(message), "{words:?}: {stderr}");
}

// ---- scripts of users

#[rstest]
#[case(On::Files)]
#[case(On::S3)]
fn people_are_made_counted_clustered_and_predicted(#[case] on: On) {
    let lab = Lab::new(on);
    let out = lab.at("demo");
    let printed = script(&lab, "sql/people.sql", &[("out", &out), ("rows", "300")]);
    let counts = "id_pref,people,mean_age\n0,";
    assert!(printed.contains(counts), "{printed}");
    let (_, clusters) = printed.split_once("cluster,people,mean_age,mean_weight\n").unwrap();
    let people = clusters.lines().map(|line| line.split(',').nth(1).unwrap());
    assert_eq!(people.map(|people| people.parse::<u64>().unwrap()).sum::<u64>(), 300);
    // The labels of nearest_centroid are those that k-means published.
    let of_table = format!(
        "SELECT \"cluster\", sum(rows) FROM '{out}/clusters/partition_clusters' \
         WHERE \"table\" = 'table1' GROUP BY 1 ORDER BY 1"
    );
    let published = sql(&lab, &of_table);
    let rows = |text: &str| -> Vec<(String, String)> {
        let cells = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        cells.map(|cells| (cells[0].to_owned(), cells[1].to_owned())).collect()
    };
    let published: Vec<_> =
        rows(&published)[1..].iter().filter(|(_, n)| n != "0").cloned().collect();
    assert_eq!(rows(clusters), published);
}

#[test]
fn points_are_made_clustered_summed_up_and_joined_back() {
    let lab = Lab::new(On::Files);
    let out = lab.at("demo");
    let printed = script(&lab, "sql/dbscan.sql", &[("out", &out), ("rows", "2000")]);
    // Two moons, far enough apart to be found as they are.
    let (_, found) = printed.split_once("cluster,truth,points\n").unwrap();
    let clusters: Vec<Vec<&str>> = found.lines().map(|line| line.split(',').collect()).collect();
    let moons = clusters.iter().filter(|cells| cells[0] != "-1");
    let points: u64 = moons.clone().map(|cells| cells[2].parse::<u64>().unwrap()).sum();
    assert!(points > 1900, "{printed}");
    let all: u64 = clusters.iter().map(|cells| cells[2].parse::<u64>().unwrap()).sum();
    assert_eq!(all, 2000, "{printed}");
    let (_, kinds) = printed.split_once("kind,points\n").unwrap();
    let kinds = kinds.lines().map_while(|line| line.split_once(',')?.1.parse::<u64>().ok());
    assert_eq!(kinds.sum::<u64>(), 2000, "{printed}");
}

#[rstest]
#[case("sql/sky_v2.sql", "v2")]
#[case("sql/sky_v3.sql", "v3")]
#[case("sql/sky_v4.sql", "v4")]
fn neighbours_are_all_found_in_one_block_and_its_margin(#[case] file: &str, #[case] name: &str) {
    let lab = Lab::new(if name == "v4" { On::S3 } else { On::Files });
    let out = lab.at("demo");
    let set = [
        ("out", out.as_str()),
        ("rows", "1500"),
        ("source", "7"),
        ("arcsec", "7200"),
        ("max_rows", "100"),
    ];
    let printed = script(&lab, file, &set);
    assert!(printed.contains("complete\ntrue\n"), "{printed}");
    let (_, near) = printed.split_once("sourceId,row,arcsec\n").unwrap();
    let found: Vec<&str> = near.lines().map(|line| line.split(',').next().unwrap()).collect();
    // The same question to the whole sky.
    let all = sql(
        &lab,
        &format!(
            "SELECT a.\"sourceId\" FROM '{out}/sky' a JOIN '{out}/sky' b ON b.\"sourceId\" = 7 \
             WHERE angular_distance(a.ra, a.decl, b.ra, b.decl) <= 2 \
             ORDER BY angular_distance(a.ra, a.decl, b.ra, b.decl), 1"
        ),
    );
    let all: Vec<&str> = all.lines().skip(1).collect();
    assert_eq!(found, all);
    assert!(found.len() > 5 && found[0] == "7", "{found:?}");
    let largest = sql(&lab, &format!("SELECT max(own_rows) FROM '{out}/{name}/blocks.csv'"));
    let largest: u64 = largest.lines().nth(1).unwrap().parse().unwrap();
    assert!(name != "v4" || largest <= 100, "{largest}");
}

#[test]
fn a_plain_grid_shows_what_it_misses() {
    let lab = Lab::new(On::Files);
    let out = lab.at("demo");
    let set = [("out", out.as_str()), ("rows", "1500"), ("source", "7"), ("arcsec", "7200")];
    let printed = script(&lab, "sql/sky_v1.sql", &set);
    let (_, counts) = printed.split_once("in_the_block,in_the_sky\n").unwrap();
    let counts: Vec<u64> = counts.trim().split(',').map(|count| count.parse().unwrap()).collect();
    assert!(1 <= counts[0] && counts[0] < counts[1], "some are in other blocks: {counts:?}");
}

#[test]
fn a_table_is_looked_at_wherever_it_is() {
    let lab = Lab::new(On::Files);
    lab.done("generate people @people --rows 100");
    let table = lab.at("people/table1");
    let printed = script(&lab, "sql/inspect.sql", &[("table", &table)]);
    assert!(printed.contains("id_pref,Int32,NO\n") && printed.contains("rows\n100\n"), "{printed}");
}

// ---- how statements run

#[test]
fn the_first_error_stops_with_its_place_and_the_rows_before_it() {
    let lab = Lab::new(On::Files);
    let file = lab.location("x.sql");
    let file = file.local_path().unwrap();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(
        file,
        "SELECT 1 AS a;\n-- two\nSELECT\n  nope\nFROM (SELECT 2 AS b);\nSELECT 3;\n",
    )
    .unwrap();
    let shown = file.to_str().unwrap();
    let (code, stdout, stderr) = run(&lab, &["run", shown]);
    assert_eq!((code, stdout.as_str()), (65, "a\n1\n"));
    assert!(stderr.starts_with(&format!("error: {shown}:4:3: SELECT\n  caused by: ")), "{stderr}");
    assert!(stderr.contains("nope"), "{stderr}");
    let (code, stdout, _) = run(&lab, &["run", shown, "--keep-going"]);
    assert_eq!((code, stdout.as_str()), (65, "a\n1\nInt64(3)\n3\n"));
    // Errors are told in the order of their statements; the code is that of the first.
    std::fs::write(file, "SELECT first;\nSELECT * FROM './second.csv';\nSELECT third;\n").unwrap();
    let (code, stdout, stderr) = run(&lab, &["run", shown, "--keep-going"]);
    let told: Vec<_> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    let place = |line: usize, column: usize| format!("error: {shown}:{line}:{column}: ");
    assert!(told[0].starts_with(&place(1, 8)) && told[2].starts_with(&place(3, 8)), "{stderr}");
    assert_eq!((code, stdout.as_str(), told.len()), (65, "", 3), "{stderr}");
    let message = "script 'nope.sql' not found";
    refused(&lab, &["run", "nope.sql"], 66, "", message);
}

#[rstest]
#[case("SELEC 1", 2, "error: -c:1:1: SELEC 1\n")]
#[case("SELECT 'x", 2, "error: -c:1:8: unterminated string literal\n")]
#[case("SELECT * FROM peopel", 2, "table 'peopel' not found, no table has been created yet")]
#[case("SELECT ${x}", 2, "variable 'x' is not set, none is set: pass --set x=VALUE")]
#[case("SELECT * FROM './nowhere/x.parquet'", 66, "nowhere/x.parquet' not found")]
#[case(
    "CALL kmean(k => 1)",
    2,
    "procedure 'kmean' is not known, expected generate, kmeans, predict, dbscan, kdistance, partition"
)]
#[case("CALL kmeans('x', columns => 'a', kk => 1)", 2, "argument 'kk' of kmeans is not known")]
#[case("CALL kmeans('./nowhere', columns => 'a', k => 1)", 66, "nowhere' not found")]
#[case("SELECT 1/0", 65, "division by zero")]
#[case("EXPLAIN ANALYZE COPY (SELECT 1) TO 'x.csv'", 2, "EXPLAIN works on queries only")]
#[case("COPY (SELECT 1 AS a) TO 'x.xls'", 2, "the ending of 'x.xls' is not that of a format")]
#[case(
    "COPY (SELECT 1 AS a) TO 'x.csv' PARTITIONED BY (a)",
    2,
    "is one file and cannot be PARTITIONED BY"
)]
#[case(
    "COPY (SELECT 1 AS a) TO 'x' OPTIONS ('moed' 'overwrite')",
    2,
    "option 'moed' of COPY is not known"
)]
#[case("CREATE EXTERNAL TABLE t STORED AS AVRO LOCATION 'x'", 2, "format 'AVRO' is not known")]
#[case("DROP TABLE t", 1, "table 't' doesn't exist")]
fn a_mistake_is_told_with_its_place_and_code(
    #[case] text: &str,
    #[case] code: i32,
    #[case] message: &str,
) {
    let lab = Lab::new(On::Files);
    refused(&lab, &["sql", "-c", text], code, "", message);
}

#[test]
fn statements_come_from_a_pipe_a_file_and_the_line() {
    let lab = Lab::new(On::Files);
    let mut command = pleiad(&["sql", "--json"]);
    let piped = outcome(
        command.write_stdin("CREATE VIEW v AS SELECT 1 AS a;\nSELECT * FROM v; SELECT 2 AS b"),
    );
    assert_eq!(piped, (0, "{\"a\":1}\n{\"b\":2}\n".to_owned(), String::new()));
    let (_, json, _) =
        run(&lab, &["sql", "-c", "SELECT 1 AS a", "-c", "SELECT 2 AS a", "--format", "json"]);
    assert_eq!(json, "[{\"a\":1}]\n[{\"a\":2}]\n");
    let (_, table, _) =
        run(&lab, &["sql", "-c", "SELECT 1 AS a; SELECT 2 AS b", "--format", "table"]);
    assert_eq!(table, "+---+\n| a |\n+---+\n| 1 |\n+---+\n\n+---+\n| b |\n+---+\n| 2 |\n+---+\n");
    for nothing in ["SELECT 1 AS a WHERE false", "SELECT [1] AS a WHERE false"] {
        let (code, empty, _) = run(&lab, &["sql", "-e", nothing]);
        assert_eq!((code, empty.as_str()), (0, "a\n"), "{nothing}");
    }
    let arrow = ["sql", "-c", "SELECT 1 AS a; SELECT 2 AS b", "--format", "arrow"];
    let output = pleiad(&arrow).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let copy = format!("COPY (SELECT 1 AS a) TO '{}'", lab.at("x.csv"));
    let shown = ["sql", "-c", &copy, "--show", "models"];
    refused(&lab, &shown, 2, "", "--show is for commands that print several tables");
    assert!(!lab.location("x.csv").local_path().unwrap().exists(), "refused before any work");
}

#[test]
fn an_answer_file_is_there_when_all_went_well() {
    let lab = Lab::new(On::Files);
    let file = lab.location("x.csv");
    let file = file.local_path().unwrap();
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let shown = file.to_str().unwrap();
    refused(&lab, &["sql", "-c", "SELECT 1 AS a; SELECT 1/0", "-o", shown], 65, "", "division");
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 0);
    let (code, ..) = run(&lab, &["sql", "-c", "SELECT 1 AS a", "-o", shown]);
    assert_eq!((code, std::fs::read_to_string(file).unwrap().as_str()), (0, "a\n1\n"));
}

// ---- writing

#[rstest]
#[case(On::Files)]
#[case(On::S3)]
fn a_copy_is_there_whole_or_not_at_all(#[case] on: On) {
    let lab = Lab::new(on);
    let out = lab.at("x.parquet");
    let rows = "SELECT value AS a, value % 3 AS k FROM generate_series(1, 20000)";
    // The last row cannot be cast: rows before it must not be seen.
    let broken = format!("COPY (SELECT a / (a - 15000) AS a FROM ({rows})) TO '{out}'");
    refused(&lab, &["sql", "-c", &broken], 65, "", "division by zero");
    refused(&lab, &["sql", "-c", &format!("SELECT * FROM '{out}'")], 66, "", "not found");
    let (code, printed, stderr) = run(&lab, &["sql", "-c", &format!("COPY ({rows}) TO '{out}'")]);
    assert!(code == 0 && printed.contains("x.parquet,20000,"), "{stderr}");
    assert_eq!(sql(&lab, &format!("SELECT count(*) AS n FROM '{out}'")), "n\n20000\n");
    let again = format!("COPY (SELECT 1 AS a) TO '{out}'");
    refused(&lab, &["sql", "-c", &again], 73, "", "exists: pass --mode overwrite");
    let (code, ..) = run(&lab, &["sql", "-c", &again, "--mode", "ignore"]);
    assert_eq!(
        (code, sql(&lab, &format!("SELECT count(*) AS n FROM '{out}'")).as_str()),
        (0, "n\n20000\n")
    );
    let (code, ..) = run(&lab, &["sql", "-c", &again, "--mode", "overwrite"]);
    assert_eq!(
        (code, sql(&lab, &format!("SELECT count(*) AS n FROM '{out}'")).as_str()),
        (0, "n\n1\n")
    );
}

#[rstest]
#[case(On::Files)]
#[case(On::S3)]
fn a_dataset_is_written_read_by_key_and_appended_to(#[case] on: On) {
    let lab = Lab::new(on);
    let out = lab.at("t");
    let text = format!(
        "COPY (SELECT value AS a, value % 3 AS k FROM generate_series(1, 10)) TO '{out}' \
         PARTITIONED BY (k);
         CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{out}';
         INSERT INTO t VALUES (100, 7), (200, 7);
         SELECT k, count(*) AS n, sum(a) AS a FROM t GROUP BY k ORDER BY k;"
    );
    let (code, printed, stderr) = run(&lab, &["sql", "-c", &text]);
    assert_eq!(code, 0, "{stderr}");
    assert!(printed.ends_with("k,n,a\n0,3,18\n1,4,22\n2,3,15\n7,2,300\n"), "{printed}");
    let null = format!("COPY (SELECT 1 AS a, NULL::INT AS k) TO '{out}-2' PARTITIONED BY (k)");
    refused(&lab, &["sql", "-c", &null], 65, "", "key 'k' is null in 1 rows");
    if on == On::Files {
        // The S3 server of the tests answers for an empty folder with an error of its own.
        refused(&lab, &["sql", "-c", &format!("SELECT * FROM '{out}-2'")], 66, "", "not found");
    }
    refused(&lab, &["sql", "-c", &format!("COPY (SELECT 1 AS a) TO '{out}'")], 73, "", "version 2");
}

#[rstest]
#[case(On::Files)]
#[case(On::S3)]
fn what_a_driver_counted_takes_no_more_rows(#[case] on: On) {
    let lab = Lab::new(on);
    lab.done("generate sky @sky --rows 300");
    lab.done("partition @sky @blocks --ra ra --dec decl --max-rows 100");
    lab.done("generate shapes @points --shape moons --rows 200");
    lab.done("kmeans @points @model --columns x,y --k 2 --starts 1");
    let (blocks, model) = (lab.at("blocks"), lab.at("model"));
    let before = sql(&lab, &format!("SELECT * FROM '{blocks}/blocks.csv'"));
    let insert = format!(
        "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{blocks}/blocks';
         INSERT INTO t SELECT * FROM '{blocks}/blocks'"
    );
    let message = "was made by pleiad partition, whose counts would be wrong with more rows";
    refused(&lab, &["sql", "-c", &insert], 2, "", message);
    assert_eq!(sql(&lab, &format!("SELECT * FROM '{blocks}/blocks.csv'")), before);
    let copy = format!("COPY (SELECT 1 AS a) TO '{model}' OPTIONS ('mode' 'append')");
    refused(&lab, &["sql", "-c", &copy], 2, "", "was made by pleiad kmeans");
    let generated = lab.run("generate people @model --rows 10 --mode append");
    assert!(generated.0 == 2 && generated.2.contains("was made by pleiad kmeans"), "{generated:?}");
}

#[test]
fn what_is_inserted_leaves_no_wrong_count_behind() {
    let lab = Lab::new(On::Files);
    let out = lab.at("t");
    let text = format!(
        "COPY (SELECT 1 AS a) TO '{out}';
         CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{out}';
         INSERT INTO t VALUES (2), (3)"
    );
    assert_eq!(run(&lab, &["sql", "-c", &text]).0, 0);
    let (_, properties, _) = lab.run("show @t --properties");
    assert!(!properties.contains("rows"), "{properties}");
    let count = lab.run("count @t");
    assert!(count.1.contains(",3"), "{count:?}");
}

#[test]
fn a_single_file_is_staged_beside_itself_and_leaves_nothing() {
    let lab = Lab::new(On::Files);
    let file = lab.location("x.csv");
    let (file, folder) =
        (file.local_path().unwrap(), lab.location("").local_path().unwrap().to_owned());
    let copy = format!("COPY (SELECT 1 AS a) TO '{}'", file.display());
    assert_eq!(run(&lab, &["sql", "-c", &copy]).0, 0);
    // What a killed writer leaves, and what only looks like it.
    let number = "2106261057491587803699005158807013803"; // a UUIDv7
    let left = folder.join(format!("x.csv#{number}"));
    let foreign = folder.join("x.csv#1");
    std::fs::write(&left, "a").unwrap();
    std::fs::write(&foreign, "a").unwrap();
    let (code, _, stderr) = run(&lab, &["sql", "-c", &copy, "--mode", "overwrite"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(!left.exists() && foreign.exists());
    let failing = format!(
        "COPY (SELECT 1 / (value - 5000) AS a FROM generate_series(1, 9000)) TO '{}'",
        file.display()
    );
    refused(&lab, &["sql", "-c", &failing, "--mode", "overwrite"], 65, "", "division");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "a\n1\n");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "x.csv and x.csv#1");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_is_told_at_once() {
    let lab = Lab::new(On::Files);
    let copy = "COPY (SELECT 1 AS a) TO '/proc/x.csv'";
    refused(&lab, &["sql", "-c", copy], 74, "", "/proc/x.csv");
}

#[test]
fn json_lines_are_read_through_gzip() {
    let lab = Lab::new(On::Files);
    let folder = lab.location("in").local_path().unwrap().to_owned();
    std::fs::create_dir_all(&folder).unwrap();
    let zipped = |name: &str, text: &str| {
        let file = std::fs::File::create(folder.join(name)).unwrap();
        let mut file = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        file.write_all(text.as_bytes()).unwrap();
        file.finish().unwrap();
    };
    let lines: String = (0..20_000).map(|n| format!("{{\"a\":{n},\"b\":[{n}]}}\n")).collect();
    zipped("1.ndjson.gz", &lines);
    zipped("2.jsonl.gz", "{\"a\":7}"); // without a line end
    let folder = folder.to_str().unwrap();
    let counted = format!("SELECT count(*) AS n, sum(a) AS a, sum(b[1]) AS b FROM '{folder}'");
    assert_eq!(sql(&lab, &counted), "n,a,b\n20001,199990007,199990000\n");
    let (code, head, stderr) = run(&lab, &["head", &format!("{folder}/2.jsonl.gz"), "--json"]);
    assert_eq!((code, head.as_str()), (0, "{\"a\":7}\n"), "{stderr}");
    // Each file says by its bytes whether it is compressed.
    std::fs::write(format!("{folder}/3.jsonl"), "{\"a\":1}\n").unwrap();
    assert_eq!(sql(&lab, &counted), "n,a,b\n20002,199990008,199990000\n");
    let whole = std::fs::read(format!("{folder}/1.ndjson.gz")).unwrap();
    std::fs::write(format!("{folder}/4.jsonl.gz"), &whole[..whole.len() / 2]).unwrap();
    let broken = format!("SELECT * FROM '{folder}/4.jsonl.gz'");
    refused(&lab, &["sql", "-c", &broken], 65, "", "is not complete gzip data");
}

#[test]
fn a_table_shows_what_another_process_has_published() {
    let lab = Lab::new(On::Files);
    let out = lab.at("t");
    let first = format!("COPY (SELECT 1 AS a) TO '{out}'");
    assert_eq!(run(&lab, &["sql", "-c", &first]).0, 0);
    let text = format!(
        "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{out}';
         COPY (SELECT 2 AS a UNION ALL SELECT 3) TO '{out}' OPTIONS ('mode' 'overwrite');
         SELECT count(*) AS n FROM t;"
    );
    let (code, printed, stderr) = run(&lab, &["sql", "-c", &text]);
    assert!(code == 0 && printed.ends_with("n\n2\n"), "{printed}{stderr}");
}

/// The files and directories in a folder, all levels.
fn entries(folder: &Path) -> Vec<String> {
    let Ok(found) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = found.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| [vec![path.display().to_string()], entries(&path)].concat()).collect()
}

#[rstest]
#[case("x.csv")]
#[case("x")]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_script_ends_with_130_and_has_published_nothing(#[case] out: &str) {
    let lab = Lab::new(On::Files);
    let folder = lab.location("out").local_path().unwrap().to_owned();
    let scripts = tempfile::tempdir().unwrap();
    let file = scripts.path().join("x.sql");
    let rows = "SELECT value AS a FROM generate_series(1, 1000000000000)";
    let text = format!("COPY ({rows}) TO '{}/{out}'; SELECT 1", folder.display());
    std::fs::write(&file, text).unwrap();
    let child = lab.spawn(&format!("run {}", file.display()), std::process::Stdio::piped());
    let begun = Instant::now();
    while !entries(&folder).iter().any(|name| name.contains('#') || name.contains("/stage/")) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not begin");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let words = ["-s", "INT", &child.id().to_string()];
    assert!(std::process::Command::new("kill").args(words).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stdout.as_slice()), (Some(130), &b""[..]));
    let said = String::from_utf8(ended.stderr).unwrap();
    let left: Vec<_> =
        entries(&folder).into_iter().filter(|path| Path::new(path).is_file()).collect();
    assert_eq!(left, Vec::<String>::new(), "{said}");
}

// ---- the prompt

#[test]
fn a_terminal_gets_a_prompt_that_outlives_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let binary = assert_cmd::cargo::cargo_bin!("pleiad");
    // `script` of util-linux gives the process a terminal.
    let mut command = std::process::Command::new("script");
    let line = format!("stty rows 24 cols 120; exec {} sql --format csv", binary.display());
    command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env_remove("CI");
    command.env("XDG_STATE_HOME", folder.path()).env("XDG_CONFIG_HOME", "/nonexistent");
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        println!("skipped: no program 'script' to open a terminal with");
        return;
    };
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (sender, drawn) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = screen.read(&mut bytes) {
            sender.send(String::from_utf8_lossy(&bytes[..read]).into_owned()).ok();
        }
    });
    let mut seen = String::new();
    let endless = "SELECT value AS a FROM generate_series(1, 1000000000000)";
    let copy = format!("COPY ({endless}) TO '{}/x.csv';\n", folder.path().display());
    let prompt = "pleiad> ";
    // The next statement is typed when the answer before it is there, and the prompt again.
    for (typed, expected, then) in [
        ("", "", prompt),
        ("SELECT 40 +\n2 AS answer;\n", "answer\r\n42\r\n", prompt),
        ("SELECT nope;\n", "no field named nope", prompt),
        (&copy, "writing ", "rows"),
        ("\u{3}", "stopped", prompt), // Ctrl-C
        ("SELECT 7 AS after;\n", "after\r\n7\r\n", prompt),
    ] {
        keys.write_all(typed.as_bytes()).unwrap();
        let from = seen.len();
        let is_there = |text: &str| text.find(expected).is_some_and(|at| text[at..].contains(then));
        let begun = Instant::now();
        while !is_there(&seen[from..]) {
            match drawn.recv_timeout(Duration::from_secs(60)) {
                Ok(more) if begun.elapsed() < Duration::from_secs(60) => seen.push_str(&more),
                _ => {
                    child.kill().ok();
                    panic!("waited in vain for {expected:?}: {seen:?}");
                }
            }
        }
    }
    // The bar of what was stopped would be drawn again in this time.
    while let Ok(more) = drawn.recv_timeout(Duration::from_millis(500)) {
        seen.push_str(&more);
    }
    let (_, after) = seen.rsplit_once("stopped").unwrap();
    assert!(!after.contains("writing"), "{after:?}");
    keys.write_all(b"exit\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{seen}");
    let history = std::fs::read_to_string(folder.path().join("pleiad/history")).unwrap();
    assert!(history.contains("SELECT 7 AS after;"), "{history}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing of x.csv is left");
}
