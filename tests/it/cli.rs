//! The binary as its user meets it: exit codes, streams, colour, help.

use std::path::Path;
use std::process::{Command as Process, Stdio};

use arrow::ipc::reader::StreamReader;
use assert_cmd::Command;
use clap::error::ErrorKind;
use pleiad::cli::{self, exit};

use crate::support::s3::TestS3;

/// The binary in an environment that says nothing about terminals or logs.
pub(crate) fn pleiad(arguments: &[&str]) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("pleiad");
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "CI", "PLEIAD_LOG", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm").env("XDG_CONFIG_HOME", "/nonexistent").args(arguments);
    command
}

/// Runs to the end: exit code, standard output, standard error.
pub(crate) fn outcome(command: &mut Command) -> (i32, String, String) {
    let output = command.output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

/// Nothing on standard output, this code, and this on standard error.
#[track_caller]
fn refused(arguments: &[&str], code: i32, message: &str) {
    let (found, stdout, stderr) = outcome(&mut pleiad(arguments));
    assert_eq!((found, stdout.as_str()), (code, ""), "{stderr}");
    assert!(stderr.contains(message), "{stderr}");
    assert!(stderr.starts_with("error: "), "{stderr}");
}

/// Every command that does something, as the words that call it.
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, words: &[String], found: &mut Vec<Vec<String>>) {
        let mut leaf = true;
        for inner in command.get_subcommands() {
            leaf = false;
            let words = [words, &[inner.get_name().to_owned()]].concat();
            walk(inner, &words, found);
        }
        if leaf {
            found.push(words.to_vec());
        }
    }
    let mut found = Vec::new();
    walk(&cli::command(), &[], &mut found);
    found
}

/// The words of a command line as a shell reads them: those in quotes are one.
pub(crate) fn words_of(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.trim().chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => words.push(String::new()),
            (_, c) => words.last_mut().expect("one at least").push(c),
        }
    }
    words
}

/// The examples in a text of help.
fn examples_of(help: &str) -> &str {
    let (_, rest) = help.split_once("\nExamples:\n").expect("examples");
    rest.split("\n\n").next().unwrap_or_default()
}

/// Lines of a screen, and of a help that is whole.
const SCREEN: usize = 30;
const WHOLE: usize = 100;

#[test]
fn help_of_every_command_has_two_examples_that_parse() {
    for words in commands() {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let (code, stdout, stderr) = outcome(&mut pleiad(&arguments));
        assert_eq!((code, stderr.as_str()), (0, ""), "{words:?}");
        let examples = examples_of(&stdout);
        assert_eq!(examples.lines().count(), 2, "{examples}");
        // They come before the options, in the short help too, which fits a screen.
        assert!(stdout.find(examples) < stdout.find("\nGlobal options:\n"), "{words:?}");
        let lines = stdout.lines().count();
        assert!(lines <= WHOLE, "{words:?} --help: {lines} lines\n{stdout}");
        let last = arguments.len() - 1;
        arguments[last] = if ["ls", "du"].contains(&words[0].as_str()) { "--help" } else { "-h" };
        let (_, short, _) = outcome(&mut pleiad(&arguments));
        assert_eq!(examples_of(&short), examples);
        let lines = short.lines().count();
        assert!(
            arguments[last] == "--help" || lines <= SCREEN,
            "{words:?}: {lines} lines\n{short}"
        );
        for example in examples.lines() {
            let example = words_of(example);
            cli::command().try_get_matches_from(example).expect("an example that parses");
        }
    }
}

#[test]
fn help_says_more_than_the_list_of_commands() {
    let (_, help, _) = outcome(&mut pleiad(&["cp", "--help"]));
    assert!(help.contains("is not replaced without --force"), "{help}");
    let (_, kmeans, _) = outcome(&mut pleiad(&["kmeans", "--help"]));
    let headings = ["Input:", "Method:", "Limits:", "Output:", "Options for text files:"];
    let found = headings.map(|heading| kmeans.find(&format!("\n{heading}\n")));
    assert!(found.iter().all(Option::is_some), "{kmeans}");
    let words = kmeans.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("(far: move it to the row farthest from all"), "{kmeans}");
    assert_eq!(outcome(&mut pleiad(&["help", "kmeans"])).1, kmeans);
    // What a command does not repeat, the program says.
    assert!(kmeans.contains("pleiad --help") && !kmeans.contains("--memory-limit"), "{kmeans}");
    let (_, list, _) = outcome(&mut pleiad(&["--help"]));
    assert!(list.contains("--memory-limit") && list.contains("--endpoint-url"), "{list}");
    assert!(list.find("--memory-limit") < list.find("Exit codes:"), "{list}");
    assert!(list.contains("  cp           Copy objects and files, from or to S3\n"), "{list}");
}

#[test]
fn help_lists_every_exit_code() {
    let (code, stdout, stderr) = outcome(&mut pleiad(&["--help"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    for (code, meaning) in exit::CODES {
        assert!(stdout.contains(&format!("\n  {code:>3}  {meaning}\n")), "{code}");
    }
}

#[test]
fn global_flags_stand_before_or_behind_the_command() {
    for line in ["pleiad -q generate people x", "pleiad generate people x -q --mode overwrite"] {
        cli::command().try_get_matches_from(line.split(' ')).expect("a valid line");
    }
    let line = "pleiad -q -v generate people x";
    let error = cli::command().try_get_matches_from(line.split(' ')).expect_err("contradiction");
    assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
}

/// Generates a little into `folder`.
fn people(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = pleiad(&["generate", "people", "people", "--rows", "1000"]);
    outcome(command.args(arguments).current_dir(folder))
}

#[test]
fn the_examples_of_help_run() {
    let server = TestS3::new(&[]);
    let served = server.serve();
    for words in commands() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        // What the examples read, and a demo that does not take a minute in a debug build.
        let fewer: &[&str] = if words == ["demo"] { &["--rows", "200"] } else { &[] };
        let prepared: &[&str] = match words[0].as_str() {
            "generate" | "demo" => &[],
            "check" => &[
                "generate people people --rows 200",
                "generate sky sky --rows 500",
                "partition sky blocks --blocks 6",
            ],
            "partition" => &["generate sky sky --rows 500"],
            "rollback" => &[
                "generate people people --rows 200",
                "generate people people --rows 100 --mode overwrite",
            ],
            "dbscan" | "kdistance" => {
                &["generate shapes points --shape moons --rows 500", "generate sky sky --rows 2000"]
            }
            "plot" => &[
                "generate sky sky --rows 500",
                "partition sky blocks --blocks 6",
                "generate shapes points --shape moons --rows 500",
                "dbscan points labels --x x --y y --eps 10 --min-points 8",
                "generate people people --rows 100",
                "kmeans people models --columns age,weight --k 2..4 --starts 2",
            ],
            "predict" => &[
                "generate people people --rows 200",
                "kmeans people clusters --columns age,weight --k 3..4",
                "sql -c COPY(SELECT*FROM'people/table3')TO'new_people.parquet'",
            ],
            _ => &["generate people people --rows 200"],
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/people.sql");
        std::fs::copy(script, folder.path().join("people.sql")).expect("a script");
        let batches = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/batches.jsonl");
        std::fs::copy(batches, folder.path().join("batches.jsonl")).expect("batches");
        if words == ["config", "trust"] {
            std::fs::write(folder.path().join("pleiad.toml"), "region = \"eu-west-3\"\n")
                .expect("a file");
        }
        for line in prepared {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(outcome(pleiad(&words).current_dir(folder.path())).0, 0);
        }
        arguments.push("--help");
        let (_, help, _) = outcome(&mut pleiad(&arguments));
        let examples = examples_of(&help);
        for example in examples.lines() {
            let words = words_of(example);
            let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
            let mut command = pleiad(&words);
            command.args(fewer).current_dir(folder.path()).env("XDG_STATE_HOME", folder.path());
            if ["mb", "presign"].contains(&words[0]) {
                command.envs(served.variables());
            }
            let (code, stdout, stderr) = outcome(&mut command);
            let answers = !stdout.is_empty() || example.contains(" -o ");
            assert!(code == 0 && answers, "{example}: {stderr}");
            assert!(!stderr.contains("error") && !stderr.contains("warning"), "{stderr}");
        }
    }
}

#[test]
fn the_demo_ends_with_a_picture_and_commands_that_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |words: &[&str]| outcome(pleiad(words).current_dir(folder.path()));
    let (code, _, stderr) = run(&["demo", "--rows", "200"]);
    let (before, next) = stderr.split_once("\nTry next:\n").expect("commands to try");
    let picture = before.trim_end().rsplit(' ').next().expect("a path");
    let svg = std::fs::read_to_string(folder.path().join(picture)).expect("a picture");
    assert!(code == 0 && svg.starts_with("<svg"), "{stderr}");
    assert_eq!(next.lines().count(), 3, "{stderr}");
    for line in next.lines() {
        let words = words_of(line);
        assert!(words[0].ends_with("pleiad"), "{line}");
        let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        let (code, stdout, stderr) = run(&words);
        assert!(code == 0 && !stdout.is_empty(), "{line}: {stderr}");
    }
}

#[test]
fn standard_output_is_data_in_every_format_however_much_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    for format in ["csv", "tsv", "json", "ndjson", "table", "markdown", "arrow"] {
        let arguments = ["-vv", "--mode", "overwrite", "--format", format];
        let mut command = pleiad(&["generate", "people", "people", "--rows", "1000"]);
        let output = command.args(arguments).current_dir(folder.path()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().count();
        match format {
            "csv" => assert!(text.starts_with("table,rows,bytes,files\ntable1,1000,"), "{text}"),
            "tsv" => assert!(text.starts_with("table\trows\tbytes\tfiles\n"), "{text}"),
            "json" => {
                let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(found[2]["rows"], 1000);
            }
            "ndjson" => {
                let parse = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
                assert!(text.lines().map(parse).all(|row| row["rows"] == 1000));
            }
            "arrow" => {
                let mut bytes = output.stdout.as_slice();
                let stream = StreamReader::try_new(&mut bytes, None).expect("a stream");
                assert_eq!(
                    stream.map(|batch| batch.expect("a batch").num_rows()).sum::<usize>(),
                    3
                );
            }
            _ => assert!(lines > 4, "{text}"),
        }
        if matches!(format, "csv" | "tsv") {
            assert_eq!(lines, 4);
        }
    }
}

#[test]
fn an_output_that_exists_is_73_and_the_modes_say_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, first, stderr) = people(folder.path(), &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let (code, stdout, stderr) = people(folder.path(), &[]);
    assert_eq!((code, stdout.as_str()), (73, ""));
    assert!(stderr.starts_with("error: output '"), "{stderr}");
    assert!(stderr.contains("pass --mode overwrite to replace it"), "{stderr}");
    let (code, kept, stderr) = people(folder.path(), &["--mode", "ignore"]);
    assert_eq!((code, kept), (0, first));
    assert!(stderr.contains("version 1 (--mode ignore)"), "{stderr}");
    let (code, twice, _) = people(folder.path(), &["--mode", "append"]);
    assert!(code == 0 && twice.contains("table1,2000,"), "{twice}");
    let (code, once, _) = people(folder.path(), &["--mode", "overwrite"]);
    assert!(code == 0 && once.contains("table1,1000,"), "{once}");
}

#[test]
fn a_log_shows_lines_and_quiet_shows_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, _, stderr) = people(folder.path(), &["-v"]);
    assert!(stderr.contains("writing table1: 1,000 rows in "), "{stderr}");
    let (_, _, stderr) = people(folder.path(), &["-q", "--mode", "ignore"]);
    assert_eq!(stderr, "");
}

#[test]
fn version_is_data() {
    let (code, stdout, stderr) = outcome(&mut pleiad(&["--version"]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(stdout, format!("pleiad {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_2() {
    refused(&["generate", "people", "x", "--rowz", "7"], 2, "--rows");
    refused(&["generat"], 2, "generate");
    refused(&["generate", "people"], 2, "<OUT>");
    refused(&["generate", "people", "x", "--slice", "5/4"], 2, "expected '1/4' to '4/4'");
    refused(&["generate", "people", "x", "-m", "lots"], 2, "512MiB, 10g or 256MB");
    refused(&["generate", "people", "x", "--master", "yarn"], 2, "--threads N");
    refused(&["generate", "people", "x", "--rows", "0"], 2, "rows is 0, expected 1 to");
    refused(&["generate", "people", "x", "-o", "x.parquet"], 2, "pass --format");
    refused(&["generate", "people", "hdfs://host/x"], 2, "distcp");
}

#[test]
fn a_setting_that_nobody_knows_is_78() {
    let conf = |setting| ["generate", "people", "x", "--conf", setting];
    let (code, stdout, stderr) = outcome(&mut pleiad(&conf("spark.executor.memory=4g")));
    assert_eq!((code, stdout.as_str()), (78, ""));
    assert_eq!(stderr, "error: setting 'spark.executor.memory' is Spark's: use --memory-limit\n");
    refused(&conf("datafusion.execution.batchsize=1"), 78, "datafusion.execution.batch_size");
    let mut command = pleiad(&["generate", "people", "x"]);
    let (code, _, stderr) = outcome(command.env("PLEIAD_LOG", "pleiad=loud"));
    assert_eq!(code, 78);
    assert!(stderr.starts_with("error: PLEIAD_LOG is 'pleiad=loud', expected"), "{stderr}");
}

#[test]
fn a_file_and_a_variable_set_what_no_flag_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pleiad.toml");
    std::fs::write(&file, "memory-limit = \"1kB\"\n").expect("a file");
    let (code, _, stderr) = people(folder.path(), &[]);
    assert_eq!(code, 71, "{stderr}");
    assert_eq!(people(folder.path(), &["-m", "1g"]).0, 0);
    let mut command = pleiad(&["generate", "people", "more", "--rows", "10"]);
    command.current_dir(folder.path()).env("PLEIAD_MEMORY_LIMIT", "1g");
    assert_eq!(outcome(&mut command).0, 0);
    std::fs::write(&file, "memory_limit = \"1g\"\n").expect("a file");
    let (code, stdout, stderr) = people(folder.path(), &[]);
    assert_eq!((code, stdout.as_str()), (78, ""));
    let expected = "error: setting 'memory_limit' of './pleiad.toml' is not known: \
                    did you mean 'memory-limit'?\n";
    assert_eq!(stderr, expected);
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let ours = ["generate", "people", "x", "--conf", "a=b"];
    let claps = ["generate", "people", "x", "--rowz"];
    for arguments in [ours.as_slice(), claps.as_slice()] {
        let colored = |flag: &[&str], variables: &[(&str, &str)]| {
            let mut command = pleiad(arguments);
            let (_, _, stderr) = outcome(command.args(flag).envs(variables.iter().copied()));
            stderr.contains('\x1b')
        };
        assert!(!colored(&[], &[]));
        assert!(colored(&["--color", "always"], &[]));
        assert!(colored(&["--color=always"], &[("NO_COLOR", "1")]));
        assert!(colored(&[], &[("CLICOLOR_FORCE", "1")]));
        assert!(!colored(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(colored(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")]));
        assert!(!colored(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
    }
}

#[test]
fn help_for_a_reader_who_left_is_a_quiet_success() {
    let mut child = Process::new(assert_cmd::cargo::cargo_bin!("pleiad"))
        .arg("--help")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn names_and_values_of_others_steer_no_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let evil = "\x1b]0;owned\x07\u{9b}2J\u{202e}";
    let run = |arguments: &[&str]| outcome(pleiad(arguments).current_dir(folder.path()));
    let table = format!("k{evil}.csv");
    std::fs::write(folder.path().join(&table), format!("a{evil},b\n1,{evil}\n")).expect("written");
    let missing = format!("no{evil}\nerror: forged");
    let bad_sql = format!("SELECT \"{evil}\"");
    let lines: &[&[&str]] = &[
        &["head", &table, "--format", "markdown"],
        &["head", &table, "--format", "table"],
        &["schema", &table, "--format", "table"],
        &["ls", ".", "--format", "table"],
        &["tree", ".", "--format", "markdown"],
        &["cat", &missing],
        &["sql", "-c", &bad_sql],
    ];
    // The parser of arguments leaves sequences out of what it repeats.
    let parsed: &[&[&str]] = &[&["head", &table, evil], &["head", &table, "--column", evil]];
    for line in lines.iter().chain(parsed) {
        let (_, stdout, stderr) = run(line);
        let shown = format!("{stdout}{stderr}");
        assert!(!shown.contains(['\x1b', '\x07', '\u{9b}', '\u{202e}']), "{line:?}: {shown:?}");
        assert!(!shown.contains("\nerror: forged"), "{line:?}: {shown:?}");
        let written_out = shown.contains("\\u{1b}]0;owned\\u{7}\\u{9b}2J\\u{202e}");
        assert!(written_out || parsed.contains(line), "{line:?}: {shown}");
    }
    // What a program reads is what is stored.
    std::fs::write(folder.path().join("k.csv"), format!("a{evil},b\n1,{evil}\n")).expect("written");
    let (code, stdout, _) = run(&["head", "k.csv"]);
    assert_eq!((code, stdout), (0, format!("a{evil},b\n1,{evil}\n")));
}

#[test]
fn a_project_file_says_where_requests_go_only_if_it_is_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("home");
    let file = folder.path().join("pleiad.toml");
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = pleiad(arguments);
        command.current_dir(folder.path()).env("HOME", &home).env("XDG_STATE_HOME", &home);
        command.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "secret");
        outcome(command.envs(variables.iter().copied()))
    };
    let text = "endpoint-url = \"http://127.0.0.1:1\"\nthreads = 1\n";
    std::fs::write(&file, text).expect("a file");
    let refused = |arguments: &[&str]| {
        let (code, _, stderr) = run(arguments, &[]);
        assert_eq!(code, 78, "{stderr}");
        assert!(stderr.starts_with("error: setting 'endpoint-url' of './pleiad.toml'"), "{stderr}");
        assert!(stderr.ends_with("then run pleiad config trust\n"), "{stderr}");
    };
    refused(&["cat", "s3://bucket/key"]);
    // What does not use it is not held up, nor is a flag or a variable that wins over it.
    assert_eq!(run(&["ls", "."], &[]).0, 0);
    assert_eq!(run(&["config", "show"], &[]).0, 0);
    let own = [("AWS_ENDPOINT_URL", "http://127.0.0.1:2")];
    assert_eq!(run(&["cat", "s3://bucket/key", "--endpoint-url", "http://127.0.0.1:2"], &[]).0, 69);
    assert_eq!(run(&["cat", "s3://bucket/key"], &own).0, 69);

    let (code, stdout, stderr) = run(&["config", "trust"], &[]);
    let expected = "setting,value\nendpoint-url,http://127.0.0.1:1\nthreads,1\n";
    assert_eq!((code, stdout.as_str()), (0, expected), "{stderr}");
    assert!(stderr.ends_with("/pleiad.toml' is trusted as it is now\n"), "{stderr}");
    let (code, _, stderr) = run(&["cat", "s3://bucket/key"], &[]);
    assert_eq!(code, 69, "{stderr}");
    assert!(stderr.contains("127.0.0.1:1"), "{stderr}");
    // Another content, or another place, is another file.
    std::fs::write(&file, text.replace(":1\"", ":3\"")).expect("a file");
    refused(&["cat", "s3://bucket/key"]);
    std::fs::remove_file(&file).expect("removed");
    assert_eq!(run(&["config", "trust"], &[]).0, 66);
}

#[test]
fn settings_are_read_from_files_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pleiad.toml");
    let made = Process::new("mkfifo").arg(&pipe).status().expect("a program of every system");
    assert!(made.success());
    let (code, _, stderr) = outcome(pleiad(&["ls", "."]).current_dir(folder.path()));
    assert_eq!((code, stderr.as_str()), (78, "error: './pleiad.toml' is not a file\n"));
}
