//! The scripts in `sql/`, and SQL from the command line: what is printed, and how it fails.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use object_store::ObjectStoreExt;
use rstest::rstest;

use crate::cli::{outcome, pleiad};
use crate::commands::Lab;
use crate::support::scratch::On;
use crate::support::shared::shared;

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
    assert!(printed.contains("kind,points\nborder,") || printed.contains("kind,points\ncore,"));
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
    assert!(1 <= counts[0] && counts[0] <= counts[1], "{counts:?}");
}

/// The counts are those of `../shared/data/golden/sql_golden.csv`.
#[tokio::test(flavor = "multi_thread")]
async fn the_exercise_of_the_data_lab_gives_its_counts() {
    let (Some(usagers), Some(vehicules)) =
        (shared("csv/usagers-2022_nokey.csv"), shared("csv/vehicules-2018.csv"))
    else {
        return;
    };
    let lab = Lab::new(On::S3);
    for (file, name) in [(usagers, "usagers-2022.csv"), (vehicules, "vehicules.csv")] {
        let location = lab.location(name);
        let store = lab.place.stores.open(&location).unwrap();
        store.objects().put(location.path(), std::fs::read(file).unwrap().into()).await.unwrap();
    }
    let bucket = lab.at("").trim_start_matches("s3://").to_owned();
    let printed = script(&lab, "sql/data_lab.sql", &[("bucket", &bucket)]);
    for expected in [
        "actp,Utf8,YES\n",
        "catv,Utf8,YES\n",
        "people\n126662\n",
        "grav,people\n1,53630\n4,49981\n3,19260\n2,3550\n-1,241\n",
        ",126662,",
        "people\n300\n",
    ] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    let (_, counts) = printed.split_once("vehicles,accidents\n").unwrap();
    let of = |vehicles: &str| -> u64 {
        let line = counts.lines().find(|line| line.starts_with(&format!("{vehicles},"))).unwrap();
        line.split(',').nth(1).unwrap().parse().unwrap()
    };
    assert_eq!(of("3") + of("4"), 4131);
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
    let message = "script 'nope.sql' not found";
    refused(&lab, &["run", "nope.sql"], 66, "", message);
}

#[rstest]
#[case("SELEC 1", 2, "error: -c:1:1: SELEC 1\n")]
#[case("SELECT 'x", 2, "error: -c:1:8: unterminated string literal\n")]
#[case("SELECT * FROM peopel", 2, "table 'peopel' not found, there are none yet")]
#[case("SELECT ${x}", 2, "variable 'x' is not set, none is set: pass --set x=VALUE")]
#[case("SELECT * FROM './nowhere/x.parquet'", 66, "nowhere/x.parquet' not found")]
#[case(
    "CALL kmean(k => 1)",
    2,
    "procedure 'kmean' is not known, expected generate, kmeans, dbscan, kdistance, partition"
)]
#[case("CALL kmeans('x', columns => 'a', kk => 1)", 2, "argument 'kk' of kmeans is not known")]
#[case("CALL kmeans('./nowhere', columns => 'a', k => 1)", 66, "nowhere' not found")]
#[case("SELECT 1/0", 65, "division by zero")]
#[case("EXPLAIN ANALYZE COPY (SELECT 1) TO 'x.csv'", 2, "only queries are explained")]
#[case("COPY (SELECT 1 AS a) TO 'x.xls'", 2, "the ending of 'x.xls' names no format")]
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
    let (_, empty, _) = run(&lab, &["sql", "-e", "SELECT 1 AS a WHERE false"]);
    assert_eq!(empty, "a\n");
    let arrow = ["sql", "-c", "SELECT 1 AS a; SELECT 2 AS b", "--format", "arrow"];
    let output = pleiad(&arrow).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
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

// ---- the prompt

#[test]
fn a_terminal_gets_a_prompt_that_outlives_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let binary = assert_cmd::cargo::cargo_bin!("pleiad");
    // `script` of util-linux gives the process a terminal.
    let mut command = std::process::Command::new("script");
    let line = format!("{} sql --format csv", binary.display());
    command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm");
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
    // The next statement is typed when the answer before it is there, and the prompt again.
    for (typed, expected) in [
        ("", ""),
        ("SELECT 40 +\n2 AS answer;\n", "answer\r\n42\r\n"),
        ("SELECT nope;\n", "no field named nope"),
        ("SELECT 7 AS after;\n", "after\r\n7\r\n"),
    ] {
        keys.write_all(typed.as_bytes()).unwrap();
        let from = seen.len();
        let is_there =
            |text: &str| text.find(expected).is_some_and(|at| text[at..].contains("pleiad> "));
        while !is_there(&seen[from..]) {
            match drawn.recv_timeout(Duration::from_secs(60)) {
                Ok(more) => seen.push_str(&more),
                Err(_) => {
                    child.kill().ok();
                    panic!("waited in vain for {expected:?}: {seen:?}");
                }
            }
        }
    }
    keys.write_all(b"exit\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{seen}");
    let history = std::fs::read_to_string(folder.path().join("pleiad/history")).unwrap();
    assert!(history.contains("SELECT 7 AS after;"), "{history}");
}
