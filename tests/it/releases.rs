//! Every release reads what the earlier ones wrote. `tests/golden/releases/make.sh` makes the datasets
//! of a release; they are kept as its program wrote them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::{outcome, pleiad};

/// Each dataset that `make.sh` writes: its rows in all tables, and words that `check --verify` says of it.
const DATASETS: [(&str, u64, &str); 5] = [
    ("people", 180, "all bytes of 9 files are as they were written"),
    ("clusters", 189, "all bytes of 5 files are as they were written"),
    (
        "blocks",
        217,
        "all 200 own rows are in their blocks, and all 17 margin rows are near theirs and complete",
    ),
    ("shapes", 60, "all bytes of 1 files are as they were written"),
    ("labels", 66, "all bytes of 2 files are as they were written"),
];

fn releases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/releases");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    assert!(!found.is_empty(), "there is no release");
    found
}

#[track_caller]
fn done(arguments: &[&str]) -> String {
    let (code, stdout, stderr) = outcome(pleiad(&[]).args(arguments));
    assert_eq!(code, 0, "{arguments:?}: {stderr}");
    stdout
}

/// The sum of the column `rows` of `pleiad count`.
fn rows(counted: &str) -> u64 {
    counted
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(1).unwrap().parse::<u64>().unwrap())
        .sum()
}

#[test]
fn datasets_of_every_release_are_whole_and_shown() {
    for release in releases() {
        for (name, expected, verified) in DATASETS {
            let dataset = release.join(name).display().to_string();
            assert_eq!(rows(&done(&["count", &dataset])), expected, "{dataset}");
            let check = done(&["check", &dataset, "--verify"]);
            assert!(check.contains(verified), "{dataset}: {check}");
            let history = done(&["show", &dataset, "--history"]);
            assert!(history.contains("published"), "{dataset}: {history}");
            for option in ["--manifest", "--properties"] {
                assert!(!done(&["show", &dataset, option]).is_empty(), "{dataset} {option}");
            }
        }
        let blocks = release.join("blocks").display().to_string();
        assert_eq!(done(&["show", &blocks, "--blocks"]).lines().count(), 3);
    }
}

#[test]
fn sql_and_drivers_read_datasets_of_every_release() {
    for release in releases() {
        let at = |name: &str| release.join(name).display().to_string();
        let sql = |statement: String| done(&["sql", "-c", &statement]);
        let people = sql(format!(
            "SELECT count(*), sum(age), count(DISTINCT id_pref) FROM '{}'",
            at("people/table1")
        ));
        assert_eq!(people.lines().nth(1), Some("60,1942,3"), "{people}");
        let clusters = sql(format!("SELECT count(*) FROM '{}'", at("clusters/model")));
        assert_eq!(clusters.lines().nth(1), Some("12"), "{clusters}");

        let scratch = tempfile::tempdir().unwrap();
        let out = |name: &str| scratch.path().join(name).display().to_string();
        // The stored blocks are used as they are, and one line per row comes out.
        let line = ["--ra", "ra", "--dec", "decl", "--eps-arcsec", "3600", "--min-points", "3"];
        let (blocks, labels) = (at("blocks"), out("labels"));
        done(&[&["dbscan", &blocks, &labels], &line[..]].concat());
        assert_eq!(rows(&done(&["count", &format!("{labels}/labels")])), 200);
        let picture = out("blocks.svg");
        done(&["plot", "sky", &blocks, "-o", &picture]);
        assert!(fs::read_to_string(picture).unwrap().starts_with("<svg"));
        done(&["kmeans", &at("people"), &out("again"), "--columns", "age,weight", "--k", "2"]);
    }
}
