//! Pages made from the code, and the commands of the README.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use clap::error::ErrorKind;
use datafusion::logical_expr::Documentation;
use pleiad::cli::terminal::variable;
use pleiad::functions::{FunctionContext, aggregates, scalars};

use crate::cli::{outcome, pleiad, words_of};
use crate::support::golden;
use crate::support::s3::TestS3;

/// One function as a section of the page.
fn section(name: &str, kind: &str, page: &Documentation) -> String {
    let mut text = format!("### `{name}`\n\n{} {kind}\n\n", page.description.trim());
    text += &format!("```sql\n{}\n```\n", page.syntax_example.trim());
    for (argument, meaning) in page.arguments.iter().flatten() {
        text += &format!("\n- `{argument}`: {meaning}");
    }
    if page.arguments.is_some() {
        text.push('\n');
    }
    if let Some(example) = &page.sql_example {
        text += &format!("\nExample:\n\n```sql\n{}\n```\n", example.trim());
    }
    let related: Vec<_> =
        page.related_udfs.iter().flatten().map(|name| format!("`{name}`")).collect();
    if !related.is_empty() {
        text += &format!("\nSee also {}.\n", related.join(", "));
    }
    text
}

#[test]
fn the_page_of_functions_is_that_of_the_code() {
    let mut sections: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    let mut add = |name: &str, kind: &str, page: Option<&Documentation>| {
        let page = page.unwrap_or_else(|| panic!("'{name}' has no documentation"));
        let section = section(name, kind, page);
        sections.entry(page.doc_section.label).or_default().insert(name.to_owned(), section);
    };
    let context = FunctionContext::default();
    scalars(&context).iter().for_each(|f| add(f.name(), "A scalar function.", f.documentation()));
    aggregates(&context)
        .iter()
        .for_each(|f| add(f.name(), "An aggregate function.", f.documentation()));
    let mut page = "# Functions of Pleiad in SQL\n\nBeside those of \
                    [DataFusion](https://datafusion.apache.org/user-guide/sql/index.html). \
                    `SHOW FUNCTIONS` lists all of them. This page is made from their \
                    documentation: `PLEIAD_BLESS=1 cargo test page_of_functions` writes it.\n"
        .to_owned();
    for (label, functions) in &sections {
        page += &format!("\n## {label}\n");
        functions.values().for_each(|section| page += &format!("\n{section}"));
    }
    golden::check("docs/functions.md", &page);
}

#[test]
fn the_examples_of_the_functions_run() {
    let mut text = "CREATE TABLE people AS SELECT 20 + value AS age, 50.0 + value AS weight \
                    FROM generate_series(1, 30);\n\
                    CREATE TABLE sources AS SELECT value AS id, value * 11.0 AS ra, value - 15.0 AS decl \
                    FROM generate_series(1, 30);\n"
        .to_owned();
    let context = FunctionContext::default();
    let (scalars, aggregates) = (scalars(&context), aggregates(&context));
    let pages = scalars.iter().map(|f| (f.name(), f.documentation()));
    let pages = pages.chain(aggregates.iter().map(|f| (f.name(), f.documentation())));
    for (name, page) in pages {
        let example = page.and_then(|page| page.sql_example.as_deref());
        let example = example.unwrap_or_else(|| panic!("'{name}' has no example"));
        text += &format!("{};\n", example.trim());
    }
    let (code, rows, stderr) = outcome(pleiad(&["sql", "--json"]).write_stdin(text));
    assert_eq!(code, 0, "{stderr}");
    assert!(rows.lines().count() > 100, "{rows}");
}

/// The lines of the README that call the program, without comments; with fewer rows.
fn commands() -> Vec<Vec<String>> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap().replace(" \\\n    ", " ");
    let lines = readme.lines().filter(|line| line.starts_with("pleiad "));
    let command = |line: &str| {
        let line = line.split_once("  #").map_or(line, |(command, _)| command);
        let mut words = words_of(line);
        words.remove(0);
        words
    };
    lines.map(command).collect()
}

/// As a new user types them: on local files, and in a pod whose variables lead to the bucket `user`.
#[test]
fn the_commands_of_the_readme_run_in_their_order() {
    let commands = commands();
    assert!(commands.len() > 20, "{} commands", commands.len());
    let (server, folder) = (TestS3::new(&["user"]), tempfile::tempdir().unwrap());
    let served = server.serve();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    std::os::unix::fs::symlink(scripts, folder.path().join("sql")).unwrap();
    let sample = "id,ra,dec\n1,10.5,-20\n2,11.5,-21\n3,200,45\n";
    std::fs::write(folder.path().join("stars.csv"), sample).unwrap();
    let people = "Num_Acc;grav;an_nais\n202200000001;3;2008\n202200000001;1;1948\n";
    std::fs::write(server.bucket("user").join("usagers-2022.csv"), people).unwrap();
    let run = |words: &[&str]| {
        let mut command = pleiad(words);
        command.current_dir(folder.path()).envs(served.variables()).write_stdin("SELECT 1");
        let (code, stdout, stderr) = outcome(&mut command);
        assert_eq!(code, 0, "{}: {stderr}", words.join(" "));
        stdout
    };
    run(&["sql", "-c", "COPY (SELECT * FROM 'stars.csv') TO 's3://user/stars.parquet'"]);
    let mut printed = String::new();
    for words in &commands {
        let words: Vec<String> = words.iter().map(|word| fewer(word)).collect();
        printed += &run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    for expected in ["usagers-2022.csv", "an_nais", "11.5", "split.max_rows", "id_pref=0"] {
        assert!(printed.contains(expected), "'{expected}' is not in what was printed");
    }
    assert!(folder.path().join("v4/_SUCCESS").exists());
}

/// Numbers of rows that a debug build has time for.
fn fewer(word: &str) -> String {
    match word {
        "100000" | "1000000" => "600".to_owned(),
        "20000" => "100".to_owned(),
        "rows=100000" => "rows=600".to_owned(),
        "max_rows=2000" => "max_rows=100".to_owned(),
        "2..12" => "2..3".to_owned(),
        other => other.to_owned(),
    }
}

/// A page with what its commands print now: in each block `console`, a line that begins with `$` is
/// run, in a folder that all of them share, and the lines below it are its output. The commands of a
/// block `sh` are run too.
fn replayed(page: &str, folder: &Path) -> String {
    let mut text = String::new();
    let mut block = "";
    for line in page.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            block = kind;
        } else if block == "console" && !line.starts_with("$ ") {
            continue;
        }
        text += line;
        text.push('\n');
        let prompt = if block == "console" { "$ pleiad " } else { "pleiad " };
        let Some(command) = line.strip_prefix(prompt).filter(|_| !block.is_empty()) else {
            continue;
        };
        let words = words_of(command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (code, stdout, stderr) = outcome(pleiad(&words).current_dir(folder));
        assert_eq!(code, 0, "{command}: {stderr}");
        if block == "console" {
            text += &stdout;
        }
    }
    text
}

#[test]
fn the_tutorial_shows_what_its_commands_print() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial.md");
    let page = std::fs::read_to_string(page).unwrap();
    let folder = tempfile::tempdir().unwrap();
    golden::check("docs/tutorial.md", &replayed(&page, folder.path()));
    let printed = in_python(&page, folder.path());
    for (module, table) in
        [("pandas", "centroids=16"), ("polars", "labels=6000"), ("pyarrow", "ages=")]
    {
        assert!(!has_module(module) || printed.contains(table), "{table}: {printed}");
    }
}

/// The python that has the packages of the page.
fn python() -> String {
    variable("PLEIAD_TEST_PYTHON").unwrap_or_else(|| "python3".to_owned())
}

fn has_module(name: &str) -> bool {
    let tried = Command::new(python()).args(["-c", &format!("import {name}")]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

/// Runs the blocks `python` of a page in `folder`; the tables that they have made, with their rows. A block
/// whose modules are not there is skipped.
fn in_python(page: &str, folder: &Path) -> String {
    const TABLES: &str = "print(*[f'{n}={len(v)}' for n, v in list(globals().items()) \
         if hasattr(v, 'columns') and hasattr(v, '__len__')])";
    let binary = assert_cmd::cargo::cargo_bin!("pleiad");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binary.parent().unwrap().display());
    let mut printed = String::new();
    for block in page.split("```python\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let modules = block.lines().filter_map(|line| {
            let names = line.strip_prefix("import ").or_else(|| line.strip_prefix("from "))?;
            Some(names.split(" import ").next().unwrap().split(", "))
        });
        let missing: Vec<&str> = modules.flatten().filter(|name| !has_module(name)).collect();
        if !missing.is_empty() {
            println!("skipped: {} lacks {}", python(), missing.join(", "));
            continue;
        }
        let mut command = Command::new(python());
        command.args(["-c", &format!("{block}\n{TABLES}")]).current_dir(folder).env("PATH", &path);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{block}\n{}", String::from_utf8_lossy(&output.stderr));
        printed += &String::from_utf8_lossy(&output.stdout);
    }
    printed
}

/// The book has every page.
#[test]
fn the_summary_of_the_book_names_every_page() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    for entry in std::fs::read_dir(docs).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_page = name.ends_with(".md") && name != "SUMMARY.md";
        assert!(!is_page || summary.contains(&format!("({name})")), "{name}");
    }
}

/// The commands in backticks of pages that compare, as far as they begin with the program: each is one that
/// there is, with options that there are.
#[test]
fn commands_of_the_comparing_pages_parse() {
    let mut parsed = 0;
    for page in ["docs/coming_from.md", "docs/faq.md"] {
        let page =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        for text in page.split('`').skip(1).step_by(2).filter(|text| text.starts_with("pleiad ")) {
            let words = words_of(&text.replace(['[', ']'], ""));
            if words.len() < 3 || words[2..].iter().all(|word| word.starts_with('-')) {
                let known = pleiad::cli::command();
                let name = words[1].as_str();
                assert!(known.find_subcommand(name).is_some(), "{text}");
                continue;
            }
            let line = pleiad::cli::command().try_get_matches_from(&words);
            let is_short = |error: &clap::Error| error.kind() == ErrorKind::MissingRequiredArgument;
            assert!(line.as_ref().map_or_else(is_short, |_| true), "{text}: {line:?}");
            parsed += 1;
        }
    }
    assert!(parsed >= 12, "{parsed} commands");
}

#[test]
fn the_page_of_kmeans_shows_what_its_commands_print() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kmeans.md");
    let page = std::fs::read_to_string(page).unwrap();
    let folder = tempfile::tempdir().unwrap();
    golden::check("docs/kmeans.md", &replayed(&page, folder.path()));
}
