//! The sources, tested like code: who uses whom, which crate is at home where, no dead files.
//!
//! It reads tokens, so comments do not count, macros do, and nested `use` groups are taken apart.
//! Unit tests obey the same arrows; what needs more belongs here, in `tests/it`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// Who may use whom, besides `error`, `event` and itself. A new arrow is a line here with its reason
/// in ARCHITECTURE.md. `a::B` means this one item of `a`; `*` means everything.
const ARROWS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("event", &[]),
    ("cleanup", &[]),
    ("cancel", &[]),
    ("compute", &["cancel"]),
    ("sizes", &[]),
    ("intervals", &[]),
    ("isa", &[]),
    ("splitmix", &[]),
    ("records", &[]),
    ("json_line", &[]),
    ("json_led", &["json_line"]),
    ("grid", &["cancel", "isa"]),
    ("centroids", &["cancel", "isa", "splitmix"]),
    ("storage", &["cleanup"]),
    ("table", &["storage", "cleanup", "cancel", "compute", "sizes", "intervals"]),
    ("generate", &["grid", "splitmix"]),
    // random bits for tests only
    ("functions", &["grid", "centroids", "cancel", "isa", "splitmix"]),
    ("session", &["storage", "functions", "table", "cancel"]),
    // it reads what its aggregates answer; its options name sizes
    ("partition", &["session", "table", "grid", "functions", "sizes", "cancel", "compute"]),
    // its options and results name locations; centroids of positions are directions
    (
        "kmeans",
        &[
            "grid",
            "session",
            "table",
            "functions",
            "centroids",
            "cancel",
            "compute",
            "splitmix",
            "storage::Location",
        ],
    ),
    // its options and results name locations
    ("dbscan", &["session", "table", "grid", "partition", "splitmix", "storage::Location"]),
    // its files have locations; a buffer has a size; a query that is dropped ends behind its batch; web
    // servers send events
    (
        "stream",
        &[
            "session",
            "table",
            "sizes",
            "intervals",
            "cleanup",
            "storage::Location",
            "storage::Stores",
            "storage::WebAnswer",
            "storage::WebClient",
        ],
    ),
    // commands come to it as procedures, from those who run them; its targets are locations; its
    // statements end when they are dropped; a table in the place of an argument is written as the
    // relations of `functions` want it; SUMMARIZE asks what `summary` asks
    (
        "script",
        &[
            "session",
            "table",
            "stream",
            "intervals",
            "cancel",
            "storage::Location",
            "functions::table_as_query",
            "inspect::column_sums",
        ],
    ),
    ("objects", &["table", "storage"]),
    // its questions name locations
    ("inspect", &["session", "table", "objects", "storage::Location", "storage::Stores"]),
    ("report", &["grid"]),
    // the readers of bytes of unknown origin, called by the fuzzer
    ("fuzzing", &["grid", "script", "storage", "table", "dbscan"]),
    ("serve", &["session", "script", "inspect", "report"]),
    ("distributed", &["session", "functions", "table"]),
    ("cli", &["*"]),
    ("main", &["*"]),
    ("lib", &[]),
];

/// Crates that only these modules may name.
const HOMES: &[(&str, &[&str])] = &[
    ("ballista", &["distributed"]),
    ("ballista_core", &["distributed"]),
    ("ballista_executor", &["distributed"]),
    ("ballista_scheduler", &["distributed"]),
    ("object_store", &["storage", "table", "objects"]),
    // one definition of options for a command and its procedure
    (
        "clap",
        &[
            "cli",
            "script",
            "storage",
            "table",
            "generate",
            "partition",
            "kmeans",
            "dbscan",
            "stream",
        ],
    ),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("anyhow", &["cli", "main"]),
    ("indicatif", &["cli"]),
    ("rustyline", &["cli", "script"]),
    ("axum", &["serve"]),
    ("askama", &["serve"]),
    ("pgwire", &["serve"]),
    ("kuva", &["report"]),
    ("cdshealpix", &["grid"]),
];

/// Files and folders that take values and return values, and the crates that are not for them.
const PURE: &[&str] = &[
    "core",
    "src/dbscan/check/advise.rs",
    "src/dbscan/check/tree.rs",
    "src/dbscan/merge/mod.rs",
    "src/dbscan/merge/sizes.rs",
    "src/dbscan/plan/cells.rs",
    "src/dbscan/plan/count.rs",
    "src/dbscan/plan/mod.rs",
    "src/dbscan/plan/planner.rs",
    "src/kmeans/bits.rs",
    "src/kmeans/coordinates.rs",
    "src/kmeans/figures.rs",
    "src/kmeans/model.rs",
    "src/kmeans/start.rs",
    "src/generate/broken.rs",
    "src/generate/changes.rs",
    "src/generate/discrete.rs",
    "src/generate/draws.rs",
    "src/generate/iot.rs",
    "src/generate/people.rs",
    "src/generate/quotes.rs",
    "src/generate/shapes.rs",
    "src/generate/sky.rs",
    "src/generate/slice.rs",
    "src/stream/events.rs",
    "src/stream/lines.rs",
    "src/stream/watermark.rs",
];
const IMPURE: &[&str] = &["arrow", "datafusion", "futures", "object_store", "parquet", "tokio"];

/// Where files may be published: put, renamed, removed. The last is the one writer of new objects.
const WRITERS: &[&str] = &["src/table", "src/storage/local", "src/storage/upload"];

/// A token with its line and the number of inline modules around it.
struct Word {
    text: String,
    line: usize,
    inline: usize,
}

/// The tokens of a file in one row, brackets included, doc comments left out, `::` as one.
fn words(stream: TokenStream, inline: usize, words: &mut Vec<Word>) {
    let (mut joint, mut is_attribute) = (false, false);
    for token in stream {
        let line = token.span().start().line;
        let word = |text: String| Word { text, line, inline };
        let after_mark = std::mem::take(&mut is_attribute);
        match token {
            TokenTree::Group(group) if after_mark && is_documentation(&group.stream()) => {}
            TokenTree::Group(group) => {
                let [open, close] = match group.delimiter() {
                    Delimiter::Parenthesis => ["(", ")"],
                    Delimiter::Brace => ["{", "}"],
                    Delimiter::Bracket => ["[", "]"],
                    Delimiter::None => ["", ""],
                };
                let is_module = words.len() > 1 && words[words.len() - 2].text == "mod";
                words.push(word(open.into()));
                self::words(group.stream(), inline + usize::from(is_module), words);
                words.push(word(close.into()));
            }
            TokenTree::Punct(punct) => {
                match words.last_mut() {
                    Some(last) if joint && last.text == ":" && punct.as_char() == ':' => {
                        last.text = "::".into();
                    }
                    _ => words.push(word(punct.to_string())),
                }
                joint = punct.spacing() == Spacing::Joint;
                is_attribute = matches!(punct.as_char(), '#' | '!');
            }
            other => words.push(word(other.to_string())),
        }
    }
}

fn is_documentation(attribute: &TokenStream) -> bool {
    matches!(attribute.clone().into_iter().next(), Some(TokenTree::Ident(name)) if name == "doc")
}

/// The paths that go on at `words[at]` from `path`, group by group; and where they end.
fn paths(words: &[Word], mut at: usize, mut path: String, found: &mut Vec<String>) -> usize {
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    while text(at) == "::" {
        at += 2;
        if text(at - 1) == "{" {
            while !matches!(text(at), "}" | "") {
                at = match text(at) {
                    "," => at + 1,
                    segment => paths(words, at + 1, format!("{path}::{segment}"), found),
                };
                if text(at) == "as" {
                    at += 2;
                }
            }
            return at + 1;
        }
        path = format!("{path}::{}", text(at - 1));
    }
    found.push(path);
    at
}

/// The folders of the packages: the pure core, and all else.
const PACKAGES: [&str; 2] = ["core/src", "src"];

/// A file's path in its package, without its ending.
fn inside(file: &str) -> &str {
    let inside = PACKAGES.iter().find_map(|package| file.strip_prefix(*package)).unwrap_or(file);
    inside.trim_start_matches('/').trim_end_matches(".rs")
}

/// The text files of both packages.
pub(crate) fn sources() -> BTreeMap<String, String> {
    PACKAGES.into_iter().flat_map(files).collect()
}

/// A source file, its path from the root with `/`.
struct Source<'a> {
    file: &'a str,
    module: &'a str,
    words: Vec<Word>,
}

impl<'a> Source<'a> {
    fn read(file: &'a str, text: &str) -> Self {
        let stream = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut all = Vec::new();
        words(stream, 0, &mut all);
        let inside = inside(file);
        Self { file, module: inside.split('/').next().unwrap_or_default(), words: all }
    }

    /// What is wrong with it, each with file, line and rule.
    fn findings(&self) -> Vec<String> {
        let Some((_, arrows)) = ARROWS.iter().find(|(module, _)| *module == self.module) else {
            let module = self.module;
            return vec![format!("{}:1: '{module}' has no line in ARROWS of tidy.rs", self.file)];
        };
        let found = self.words.iter().enumerate().flat_map(|(at, word)| {
            let rules = [self.strayed(at), self.homeless(at), self.forbidden(at)];
            let rules = self.arrows(at, arrows).into_iter().chain(rules.into_iter().flatten());
            rules.map(|rule| format!("{}:{}: {rule}", self.file, word.line)).collect::<Vec<_>>()
        });
        found.collect()
    }

    fn text(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |word| word.text.as_str())
    }

    /// Its module: `::table::scan`; nothing for the root.
    fn path(&self) -> String {
        let inside = inside(self.file);
        let inside = inside.strip_suffix("/mod").unwrap_or(inside);
        if inside == "lib" { String::new() } else { format!("::{}", inside.replace('/', "::")) }
    }

    fn before(&self, at: usize) -> &str {
        if at == 0 { "" } else { self.text(at - 1) }
    }

    /// Modules used against the arrows.
    fn arrows(&self, at: usize, arrows: &[&str]) -> Vec<String> {
        let mut used = Vec::new();
        if self.text(at) == "crate" && self.text(at + 1) == "::" {
            paths(&self.words, at + 1, String::new(), &mut used);
        }
        let is_under = |path: &str, root: &str| {
            root == "*" || path == root || path.starts_with(&format!("{root}::"))
        };
        let free = [self.module, "error", "event"];
        used.retain_mut(|path| {
            *path = path.trim_start_matches("::").to_owned();
            !free.iter().chain(arrows).any(|root| is_under(path, root))
        });
        used.iter().map(|path| format!("'{}' may not use 'crate::{path}'", self.module)).collect()
    }

    /// A path that climbs out of its module, past the arrows.
    fn strayed(&self, at: usize) -> Option<String> {
        let inside = inside(self.file);
        let is_root = inside == self.module || inside == format!("{}/mod", self.module);
        let climbs = is_root && self.words[at].inline == 0;
        let leaves = self.text(at) == "super" && (self.before(at) == "::" || climbs);
        leaves.then(|| "'super' leaves the module: write the path from 'crate'".into())
    }

    /// A crate away from home.
    fn homeless(&self, at: usize) -> Option<String> {
        let (name, module) = (self.text(at), self.module);
        let starts =
            self.before(at) != "::" && (self.text(at + 1) == "::" || self.before(at) == "use");
        if starts && IMPURE.contains(&name) && PURE.iter().any(|pure| self.file.starts_with(pure)) {
            return Some(format!("this file is pure: no '{name}', values in and values out"));
        }
        let (_, modules) = HOMES.iter().find(|(home, _)| starts && *home == name)?;
        let away = !modules.contains(&module);
        away.then(|| format!("'{module}' may not use the crate '{name}'"))
    }

    /// A call or a literal that has one place only.
    fn forbidden(&self, at: usize) -> Option<String> {
        let (name, next, module) = (self.text(at), self.text(at + 1), self.module);
        let prints = ["print", "println", "eprint", "eprintln"].contains(&name) && next == "!";
        if prints && !["cli", "main"].contains(&module) {
            return Some(format!("'{name}!' outside 'cli': return a value or report an event"));
        }
        let publishes = ["put", "rename", "remove_file"].contains(&name)
            && next == "("
            && self.before(at) != "fn"
            && self.words[at].inline == 0; // unit tests may
        if publishes && !WRITERS.iter().any(|home| self.file.starts_with(home)) {
            return Some(format!("'{name}' outside 'table': what a run publishes, it commits"));
        }
        let names_variable = name.contains('"') && name.contains("AWS_");
        (names_variable && module != "storage")
            .then(|| "only 'storage' knows the variables AWS_*".into())
    }
}

/// The files of the library by the paths of their modules, and what each takes from which.
struct Files<'a> {
    modules: BTreeMap<String, &'a str>,
    /// What `pub use` gives a module: its path and the name there, and where the name leads.
    passed_on: BTreeMap<(String, String), String>,
    /// Every path that a file names, without those of `pub use`.
    named: Vec<(&'a str, String)>,
}

impl<'a> Files<'a> {
    fn read(sources: &'a [Source<'a>]) -> Self {
        let modules = sources.iter().map(|source| (source.path(), source.file)).collect();
        let mut files = Self { modules, passed_on: BTreeMap::new(), named: Vec::new() };
        for source in sources {
            let here = source.path();
            for (at, word) in source.words.iter().enumerate() {
                // `pub(in crate::a)` uses nothing
                let is_start = !["::", "in"].contains(&source.before(at));
                if !is_start || source.text(at + 1) != "::" || word.inline > 0 {
                    continue; // unit tests may use what they like
                }
                let root = match word.text.as_str() {
                    "crate" => String::new(),
                    "self" => here.clone(),
                    "super" => parent(&here).to_owned(),
                    child if files.modules.contains_key(&format!("{here}::{child}")) => {
                        format!("{here}::{child}")
                    }
                    _ => continue,
                };
                let mut found = Vec::new();
                paths(&source.words, at + 1, root, &mut found);
                let is_use = source.before(at) == "use";
                let is_passed_on = is_use && at > 1 && ["pub", ")"].contains(&source.text(at - 2));
                for path in found.iter().map(|path| path.trim_end_matches("::self")) {
                    match path.rsplit_once("::") {
                        Some((_, name)) if is_passed_on => {
                            let name = (here.clone(), name.to_owned());
                            files.passed_on.insert(name, path.to_owned());
                        }
                        _ => files.named.push((source.file, path.to_owned())),
                    }
                }
            }
        }
        files
    }

    /// The file in which `path` ends, past the modules that only pass it on.
    fn home(&self, path: &str) -> Option<&'a str> {
        let mut module = String::new();
        let mut names = path.split("::").skip(1);
        while let Some(name) = names.next() {
            let inner = format!("{module}::{name}");
            if self.modules.contains_key(&inner) {
                module = inner;
            } else if let Some(other) = self.passed_on.get(&(module.clone(), name.to_owned())) {
                let rest = names.map(|name| format!("::{name}")).collect::<String>();
                return self.home(&format!("{other}{rest}"));
            } else {
                break;
            }
        }
        self.modules.get(&module).copied()
    }

    /// Each circle of files that use one another, directly or through others.
    fn circles(&self) -> Vec<String> {
        let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (file, path) in &self.named {
            if let Some(home) = self.home(path).filter(|home| home != file) {
                uses.entry(file).or_default().insert(home);
            }
        }
        let mut search =
            Tarjan { uses: &uses, numbers: BTreeMap::new(), open: Vec::new(), circles: Vec::new() };
        for file in uses.keys() {
            if !search.numbers.contains_key(file) {
                search.visit(file);
            }
        }
        search.circles
    }
}

fn parent(module: &str) -> &str {
    module.rsplit_once("::").map_or("", |(parent, _)| parent)
}

/// R. Tarjan, Depth-first search and linear graph algorithms, SIAM J. Comput. 1 (1972).
struct Tarjan<'a> {
    uses: &'a BTreeMap<&'a str, BTreeSet<&'a str>>,
    numbers: BTreeMap<&'a str, usize>,
    open: Vec<&'a str>,
    circles: Vec<String>,
}

impl<'a> Tarjan<'a> {
    /// Visits `file` and all it uses; the lowest number among the open files that are reached.
    fn visit(&mut self, file: &'a str) -> usize {
        let number = self.numbers.len();
        self.numbers.insert(file, number);
        self.open.push(file);
        let mut lowest = number;
        for next in self.uses.get(file).into_iter().flatten() {
            let reached = match self.numbers.get(next) {
                None => self.visit(next),
                Some(reached) if self.open.contains(next) => *reached,
                Some(_) => continue,
            };
            lowest = lowest.min(reached);
        }
        if lowest == number {
            let start = self.open.iter().position(|open| *open == file).unwrap();
            let mut circle = self.open.split_off(start);
            circle.sort_unstable();
            if circle.len() > 1 {
                self.circles.push(format!("these files use one another: {}", circle.join(" ")));
            }
        }
        lowest
    }
}

/// The text files under `folder` of the repository, by their path from its root.
pub(crate) fn files(folder: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<PathBuf> = vec![root.join(folder)];
    let mut files = BTreeMap::new();
    while let Some(path) = open.pop() {
        if let Ok(entries) = fs::read_dir(&path) {
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = fs::read_to_string(&path) {
            let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            files.insert(name, text);
        }
    }
    files
}

#[track_caller]
pub(crate) fn expect_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn every_source_keeps_to_its_arrows_and_homes() {
    let sources = sources();
    assert!(PACKAGES.iter().all(|package| sources.contains_key(&format!("{package}/lib.rs"))));
    let found = sources.iter().flat_map(|(file, text)| Source::read(file, text).findings());
    expect_none(&found.collect::<Vec<_>>());
}

#[test]
fn no_file_uses_itself_through_others() {
    for package in PACKAGES {
        let sources = files(package);
        let read = sources.iter().map(|(file, text)| Source::read(file, text));
        let sources: Vec<_> = read.filter(|source| source.file != "src/main.rs").collect();
        expect_none(&Files::read(&sources).circles());
    }
}

#[test]
fn every_step_is_included_once_and_every_script_is_tested() {
    let (sources, tests) = (files("src"), files("tests"));
    let named = |texts: &BTreeMap<String, String>, name: &str| {
        texts.values().map(|text| text.matches(name).count()).sum::<usize>()
    };
    let found = files("sql").into_keys().filter_map(|file| {
        let (name, count) = match file.strip_prefix("sql/steps/") {
            Some(_) => ("include_str!", named(&sources, &format!("{file}\""))),
            None => ("a test", named(&tests, &file).min(1)),
        };
        (count != 1).then(|| format!("{file}: named by {name} {count} times, expected once"))
    });
    expect_none(&found.collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_to_do() {
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat()];
    let folders =
        ["core", "src", "tests", "benches", "sql", "docs", ".ci", "justfile", "Cargo.toml"];
    let found = folders.iter().flat_map(|folder| files(folder)).flat_map(|(file, text)| {
        let marked = |line: &str| marks.iter().any(|mark| line.contains(mark));
        let lines = text.lines().enumerate().filter(|(_, line)| marked(line));
        lines.map(|(i, line)| format!("{file}:{}: {}", i + 1, line.trim())).collect::<Vec<_>>()
    });
    expect_none(&found.collect::<Vec<_>>());
}

#[test]
fn every_package_of_a_profile_is_in_the_lock_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| -> toml::Table {
        fs::read_to_string(root.join(name)).unwrap().parse().unwrap()
    };
    let lock = read("Cargo.lock");
    let locked = lock["package"].as_array().unwrap().iter();
    let locked: Vec<_> = locked.map(|package| package["name"].as_str().unwrap()).collect();
    let manifest = read("Cargo.toml");
    let mut names = 0;
    for (profile, settings) in manifest["profile"].as_table().unwrap() {
        for name in settings.get("package").and_then(|all| all.as_table()).into_iter().flatten() {
            let name = name.0.split('@').next().unwrap();
            let known = name == "*" || locked.contains(&name);
            assert!(known, "profile.{profile}.package names '{name}', which is not in Cargo.lock");
            names += 1;
        }
    }
    assert!(names > 0, "no profile names a package");
}

#[test]
fn the_checker_sees_what_it_should() {
    let leaves = "'super' leaves the module: write the path from 'crate'";
    for (file, source, expected) in [
        ("table/a.rs", "use crate::{error::Result, storage::{Store, local as l}};", &[][..]),
        (
            "table/a.rs",
            "use crate::{storage::Store, kmeans::{self as k, Params}};",
            &[
                "'table' may not use 'crate::kmeans::self'",
                "'table' may not use 'crate::kmeans::Params'",
            ],
        ),
        (
            "kmeans/mod.rs",
            "use crate::storage::{Location, Stores};",
            &["'kmeans' may not use 'crate::storage::Stores'"],
        ),
        (
            "core/grid/a.rs",
            "//! no `arrow::array`: `AWS_`\nuse super::b; mod tests { use super::*; }",
            &[],
        ),
        ("session.rs", "mod tests { use super::*; }", &[]),
        ("session.rs", "use super::grid;", &[leaves]),
        ("core/grid/a/b.rs", "use super::super::c;", &[leaves]),
        ("core/isa.rs", "use super::c;", &[leaves]),
        (
            "core/grid/a.rs",
            "fn f(x: arrow::array::ArrayRef) {}",
            &["this file is pure: no 'arrow', values in and values out"],
        ),
        (
            "kmeans/a.rs",
            "mac! { object_store::path::Path }",
            &["'kmeans' may not use the crate 'object_store'"],
        ),
        (
            "report/a.rs",
            "fn f() { println!(); }",
            &["'println!' outside 'cli': return a value or report an event"],
        ),
        (
            "kmeans/a.rs",
            "fn put() { store.put(x); } mod tests { fn f() { store.put(x); } }",
            &["'put' outside 'table': what a run publishes, it commits"],
        ),
        (
            "cli/mod.rs",
            "const A: &str = \"AWS_REGION\";",
            &["only 'storage' knows the variables AWS_*"],
        ),
        ("surprise.rs", "", &["'surprise' has no line in ARROWS of tidy.rs"]),
    ] {
        let file = match file.strip_prefix("core/") {
            Some(file) => format!("core/src/{file}"),
            None => format!("src/{file}"),
        };
        let expected: Vec<_> = expected.iter().map(|rule| format!("{file}:1: {rule}")).collect();
        let found = Source::read(&file, source).findings();
        assert_eq!(found, expected, "{source}");
    }
}

#[test]
fn circles_are_seen_through_groups_and_names_passed_on() {
    let check = |files: &[(&str, &str)], expected: &[&str]| {
        let sources: Vec<_> = files.iter().map(|(file, text)| Source::read(file, text)).collect();
        let expected: Vec<_> =
            expected.iter().map(|files| format!("these files use one another: {files}")).collect();
        assert_eq!(Files::read(&sources).circles(), expected);
    };
    let root = ("src/a/mod.rs", "mod b; mod c; pub use b::B; use c::C;");
    let user = ("src/a/b.rs", "use crate::d::D; mod tests { use crate::a::c::C; }");
    check(&[root, user, ("src/a/c.rs", "use super::{B as Other};"), ("src/d.rs", "")], &[]);
    check(
        &[root, user, ("src/a/c.rs", "fn c() { super::run(); }"), ("src/d.rs", "")],
        &["src/a/c.rs src/a/mod.rs"],
    );
    check(
        &[root, user, ("src/a/c.rs", ""), ("src/d.rs", "use crate::{x, a::{self, B}};")],
        &["src/a/b.rs src/d.rs"],
    );
}
