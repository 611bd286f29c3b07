//! What a person meets at the prompt: commands that swallow no statement, rows and seconds, tables that fit,
//! names in any letters, and slips of the fingers.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rstest::rstest;

use crate::cli::{outcome, pleiad};
use crate::commands::until;
use crate::support::soon::ends_within_a_second;

/// A prompt at a terminal of 80 columns; nothing if no terminal can be opened.
fn prompt(folder: &std::path::Path, pager: &str) -> Option<Child> {
    let binary = assert_cmd::cargo::cargo_bin!("pleiad");
    // `script` of util-linux gives the process a terminal.
    let mut command = Command::new("script");
    let line = format!("stty rows 24 cols 80 -echo; exec {} sql", binary.display());
    command.args(["-qec", &line, "/dev/null"]).env("TERM", "dumb").env_remove("CI");
    command.env("PAGER", pager).env("XDG_STATE_HOME", folder);
    command.env("XDG_CONFIG_HOME", "/nonexistent").current_dir(folder);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    if child.is_err() {
        println!("skipped: no program 'script' to open a terminal with");
    }
    child.ok()
}

/// What it shows while `lines` are typed.
fn screen(folder: &std::path::Path, lines: &str) -> Option<String> {
    screen_paged(folder, lines, "cat")
}

fn screen_paged(folder: &std::path::Path, lines: &str, pager: &str) -> Option<String> {
    let mut child = prompt(folder, pager)?;
    let (mut keys, mut screen) = (child.stdin.take()?, child.stdout.take()?);
    let typed = format!("{lines}\nexit\n");
    let typing = std::thread::spawn(move || {
        keys.write_all(typed.as_bytes()).ok();
        keys // the terminal is open until all is read
    });
    let mut seen = String::new();
    screen.read_to_string(&mut seen).expect("text");
    child.wait().expect("it ends");
    drop(typing.join());
    Some(seen.replace('\r', ""))
}

#[test]
fn commands_swallow_no_statement() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("more.sql"), "SELECT 'from a file' AS here;")
        .expect("written");
    let lines = "help\n\\?\n\\nonsense\nCREATE TABLE t AS VALUES (1), (2);\n\\dt\n\\d t\n\
                 SELECT column1 * 10\nAS ten FROM t;\n\\x\nSELECT 7 AS seven;\n\\x off\n\
                 .timer off\nDROP TABLE t;\n\\i more.sql\n\\i nothing.sql";
    let Some(seen) = screen(folder.path(), lines) else { return };
    for expected in [
        "\\dt, .tables",
        "'\\nonsense' is not a command: help lists them",
        "(created table t, ",
        "| t    | TABLE |",
        "| column1     | Int64     |",
        "|  10 |",
        "(2 rows, ",
        "-[ row 1 ]",
        "seven | 7",
        "(dropped table t)",
        "from a file",
        "script 'nothing.sql' not found",
    ] {
        assert!(seen.contains(expected), "{expected:?} is not in {seen}");
    }
    assert_eq!(seen.matches("Statements end with ';'").count(), 2, "{seen}");
}

#[test]
fn a_table_is_as_wide_as_its_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let columns: Vec<String> = (0..30).map(|n| format!("{n} AS column_{n}")).collect();
    let lines = format!(
        "SELECT {};\nSELECT 2.0 / 3 AS third, repeat('x', 300) AS long;",
        columns.join(", ")
    );
    let Some(seen) = screen(folder.path(), &lines) else { return };
    let table = seen.lines().filter(|line| line.starts_with(['|', '+']));
    let widths: Vec<usize> = table.map(|line| line.chars().count()).collect();
    assert!(widths.len() >= 9 && widths.iter().all(|width| *width <= 80), "{widths:?}: {seen}");
    assert!(seen.contains(" of 30 columns shown") && seen.contains("column_29"), "{seen}");
    assert!(seen.contains("0.666667") && seen.contains("xxx…"), "{seen}");
}

/// A long result goes through the pager, a short one does not; nothing does once it is off.
#[test]
fn long_results_are_paged() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = "SELECT 'short' AS word;\nSELECT 'long' AS word, value FROM generate_series(1, 30);\n\
                 .pager off\nSELECT 'plain' AS word, value FROM generate_series(1, 30);\n\
                 .maxrows 3\nSELECT 'few' AS word, value FROM generate_series(1, 30);";
    let Some(seen) = screen_paged(folder.path(), lines, "sed s/^/P/") else { return };
    let paged = |word: &str| seen.lines().any(|line| line.starts_with("P|") && line.contains(word));
    let shown = |word: &str| {
        let rows = seen.lines().filter(|line| line.starts_with('|'));
        rows.filter(|line| line.contains(word)).count()
    };
    assert!(paged("long") && !paged("short") && !paged("plain") && !paged("few"), "{seen}");
    assert_eq!(["short", "long", "plain", "few"].map(shown), [1, 0, 30, 3], "{seen}");
    assert!(seen.contains("(30 rows, ") && seen.contains("… 27 more rows"), "{seen}");
    let Some(seen) = screen_paged(folder.path(), lines, "no-such-program") else { return };
    assert!(seen.contains("cannot show this by the pager 'no-such-program'"), "{seen}");
    assert!(seen.lines().any(|line| line.starts_with('|') && line.contains("long")), "{seen}");
}

#[test]
fn results_go_to_a_file_and_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = "\\o x.csv\nSELECT 1 AS a, 'in a file' AS b;\n.output 'y.json'\nSELECT 2 AS a;\n\\o\n\
                 SELECT 'on the screen' AS c;\n\\o z.parquet\n\\o w.tsv\nSELECT 3 AS a;";
    let Some(seen) = screen(folder.path(), lines) else { return };
    assert!(seen.contains("results go to 'x.csv' until \\o"), "{seen}");
    assert!(!seen.contains("| in a file") && seen.contains("| on the screen"), "{seen}");
    assert!(seen.contains("cannot write results to 'z.parquet': expected a name that"), "{seen}");
    let file = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect(name);
    assert_eq!(file("x.csv"), "a,b\n1,in a file\n");
    assert_eq!(file("y.json").replace([' ', '\n'], ""), "[{\"a\":2}]");
    // What is open when the user leaves is complete, too.
    assert_eq!(file("w.tsv"), "a\n3\n");
}

/// Runs SQL in `folder`: code, standard output, standard error.
fn sql(folder: &std::path::Path, text: &str) -> (i32, String, String) {
    outcome(pleiad(&["sql", "-c", text]).current_dir(folder))
}

const PEOPLE: &str = "Num_Acc,Grav,grav2,Date\n1,3,30,2020-01-01\n2,4,40,2021-01-01\n";

#[rstest]
#[case("SELECT Num_Acc FROM 'people.csv'", "Num_Acc\n1\n2\n")]
#[case("SELECT num_acc AS n, GRAV FROM 'people.csv' WHERE NUM_ACC = 2", "n,Grav\n2,4\n")]
#[case("SELECT p.num_acc FROM 'people.csv' p ORDER BY P.NUM_ACC DESC", "Num_Acc\n2\n1\n")]
#[case(
    "SELECT grav, count(*) AS n FROM 'people.csv' GROUP BY grav ORDER BY grav",
    "Grav,n\n3,1\n4,1\n"
)]
#[case("SELECT date FROM 'people.csv' WHERE date > DATE '2020-06-01'", "Date\n2021-01-01\n")]
#[case("WITH q AS (SELECT Num_Acc FROM 'people.csv') SELECT sum(num_acc) AS s FROM q", "s\n3\n")]
fn a_column_is_found_in_any_letters(#[case] text: &str, #[case] rows: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("people.csv"), PEOPLE).expect("written");
    let (code, stdout, stderr) = sql(folder.path(), text);
    assert_eq!((code, stdout.as_str()), (0, rows), "{text}: {stderr}");
}

#[test]
fn a_column_that_may_be_two_is_not_guessed() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("x.csv"), "Ab,aB\n1,2\n").expect("written");
    let (code, _, stderr) = sql(folder.path(), "SELECT ab FROM 'x.csv'");
    assert!(code == 65 && stderr.contains("no field named ab"), "{code}: {stderr}");
    let (code, ..) = sql(folder.path(), "SELECT \"AB\" FROM 'x.csv'");
    assert_ne!(code, 0, "a name in quotes is meant as it is");
    let copied = "COPY (SELECT \"Ab\" AS Cd FROM 'x.csv') TO 'y.csv'";
    assert_eq!(sql(folder.path(), copied).0, 0);
}

#[test]
fn a_folder_is_a_table_and_a_slip_is_mended() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |words: &[&str]| outcome(pleiad(words).current_dir(folder.path()));
    assert_eq!(run(&["generate", "sky", "hip", "--rows", "20"]).0, 0);
    let (code, stdout, stderr) = sql(folder.path(), "SELECT count(*) AS n FROM 'hip'");
    assert_eq!((code, stdout.as_str()), (0, "n\n20\n"), "{stderr}");
    let text =
        "CREATE VIEW people AS SELECT 1; CREATE VIEW other AS SELECT 2; SELECT * FROM poeple";
    let (code, _, stderr) = sql(folder.path(), text);
    assert!(code == 2 && stderr.contains("did you mean 'people'?"), "{stderr}");
    let (_, _, stderr) =
        sql(folder.path(), "CREATE VIEW people AS SELECT 1; SELECT * FROM quasars");
    assert!(!stderr.contains("did you mean"), "{stderr}");
    // What has been created comes before a folder of its name.
    let text = "CREATE TABLE hip AS SELECT 7 AS x; SELECT * FROM hip; SHOW TABLES";
    let (_, stdout, _) = sql(folder.path(), text);
    assert_eq!(stdout, "x\n7\nname,kind\nhip,TABLE\n");
}

#[test]
fn a_function_that_is_misspelt_is_named_with_the_one_that_is_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases = [
        (
            "SELECT cuont(*) FROM (VALUES (1)) t",
            "function 'cuont' not found: did you mean 'count'?",
        ),
        ("SELECT angular_distanse(1, 2, 3, 4)", "did you mean 'angular_distance'?"),
        ("SELECT row_numbr() OVER () FROM (VALUES (1)) t", "did you mean 'row_number'?"),
        ("SELECT nothing_like_it(1)", "'nothing_like_it' not found: SHOW FUNCTIONS lists"),
        ("SELECT * FROM generate_serie(1, 2)", "did you mean 'generate_series'?"),
    ];
    for (text, message) in cases {
        let (code, _, stderr) = sql(folder.path(), text);
        assert!(code == 2 && stderr.contains(message), "{text}: {code}: {stderr}");
        assert!(stderr.contains("-c:1:"), "it has its place: {stderr}");
    }
}

/// The columns are those of DuckDB's `SUMMARIZE`.
#[test]
fn columns_are_summed_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = "n,f,t\n1,0.5,b\n2,-1.5,\n,,a\n4,1.0,b\n7,NaN,c\n";
    std::fs::write(folder.path().join("x.csv"), rows).expect("written");
    let (code, stdout, stderr) = sql(folder.path(), "SUMMARIZE 'x.csv'");
    let header =
        "column_name,column_type,min,max,approx_unique,avg,std,q25,q50,q75,count,null_percentage";
    assert_eq!((code, stdout.lines().next()), (0, Some(header)), "{stderr}");
    let row = |name: &str| {
        let line = stdout.lines().find(|line| line.starts_with(name)).expect("a line");
        line.split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("n")[1..6], ["int64", "1", "7", "4", "3.5"]);
    let deviation: f64 = row("n")[6].parse().expect("a number");
    assert!((deviation - 7_f64.sqrt()).abs() < 1e-12, "{deviation}");
    let quartiles = row("n")[7..10].iter().map(|text| text.parse().expect("a number")).collect();
    let quartiles: Vec<f64> = quartiles;
    for (quartile, (least, most)) in quartiles.iter().zip([(1., 2.), (2., 4.), (4., 7.)]) {
        assert!((least..=most).contains(quartile), "{quartiles:?}");
    }
    assert_eq!(row("n")[10..], ["5", "20.0"]);
    assert_eq!(row("f")[1..6], ["float64", "-1.5", "1.0", "3", "0.0"]);
    assert_eq!(row("t")[1..], ["text", "a", "c", "3", "", "", "", "", "", "5", "20.0"]);

    // A query, columns of one name, a view, and what is no query.
    let same = "CREATE VIEW v AS SELECT * FROM 'x.csv'; SUMMARIZE v";
    assert_eq!(sql(folder.path(), same).1, stdout);
    let joined = "SUMMARIZE SELECT * FROM 'x.csv' a JOIN 'x.csv' b ON a.n = b.n WHERE a.n > 1";
    let (code, joined, stderr) = sql(folder.path(), joined);
    assert_eq!((code, joined.lines().count()), (0, 7), "{stderr}");
    for (text, message) in [
        ("SUMMARIZE", "xpected"),
        ("SUMMARIZE nothing", "table 'nothing' not found"),
        ("SUMMARIZE WITH q AS (SELECT 1) INSERT INTO t SELECT * FROM q", "t"),
    ] {
        let (code, _, stderr) = sql(folder.path(), text);
        assert!(code != 0 && code != 70 && stderr.contains(message), "{text}: {code}: {stderr}");
    }
}

/// A statement that takes hours ends, and the prompt answers the next one.
#[test]
fn ctrl_c_stops_a_statement_and_the_prompt_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    if screen(folder.path(), "").is_some() {
        ends_within_a_second("a statement at the prompt", || stopped(folder.path()));
    }
}

/// The time from Ctrl-C to the answer of the next statement.
fn stopped(folder: &std::path::Path) -> Duration {
    const CTRL_C: &[u8] = &[3];
    let mut child = prompt(folder, "cat").expect("a terminal");
    let (mut keys, mut screen) =
        (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let reading = std::thread::spawn({
        let seen = Arc::clone(&seen);
        move || {
            let mut piece = [0; 4096];
            while let Ok(bytes @ 1..) = screen.read(&mut piece) {
                seen.lock().expect("a reader").extend_from_slice(&piece[..bytes]);
            }
        }
    });
    let shows = |text: &str| {
        let seen = seen.lock().expect("a reader");
        String::from_utf8_lossy(&seen).contains(text)
    };
    let long = "SELECT 'begun' AS word; SELECT count(*) FROM generate_series(1, 3000000) a, \
                generate_series(1, 3000000) b WHERE a.value + b.value = -1;\n";
    keys.write_all(long.as_bytes()).expect("typed");
    until("the first row", || shows("| begun"));
    // One that comes between the two statements stops neither.
    let mut at = Instant::now();
    keys.write_all(CTRL_C).expect("typed");
    until("the end of the statement", || {
        if at.elapsed() > Duration::from_secs(2) {
            at = Instant::now();
            keys.write_all(CTRL_C).expect("typed");
        }
        shows("stopped")
    });
    keys.write_all(b"SELECT 'after' AS word;\n").expect("typed");
    until("the next answer", || shows("| after"));
    let took = at.elapsed();
    keys.write_all(b"exit\n").expect("typed");
    child.wait().expect("it ends");
    reading.join().expect("it reads to the end");
    took
}
