//! What a person meets at the prompt: commands that swallow no statement, rows and seconds, tables that fit,
//! names in any letters, and slips of the fingers.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use rstest::rstest;

use crate::cli::{outcome, pleiad};

/// What a terminal of 80 columns shows while `lines` are typed; nothing if no terminal can be opened.
fn screen(folder: &std::path::Path, lines: &str) -> Option<String> {
    let binary = assert_cmd::cargo::cargo_bin!("pleiad");
    // `script` of util-linux gives the process a terminal.
    let mut command = Command::new("script");
    let line = format!("stty rows 24 cols 80 -echo; exec {} sql", binary.display());
    command.args(["-qec", &line, "/dev/null"]).env("TERM", "dumb").env_remove("CI");
    command.env("XDG_STATE_HOME", folder).env("XDG_CONFIG_HOME", "/nonexistent");
    command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        println!("skipped: no program 'script' to open a terminal with");
        return None;
    };
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
