//! Manifests that were edited, removed, or replaced while their files were copied.

use std::path::{Path, PathBuf};

use pleiad::error::Kind;
use pleiad::event::{Event, Observer};
use pleiad::objects::copy::{self, CopyOptions};
use pleiad::storage::{Location, StorageOptions, Stores};

use crate::commands::Lab;
use crate::support::scratch::On;

/// A dataset of people on files, with the path of its manifest.
fn people() -> (Lab, PathBuf) {
    let lab = Lab::new(On::Files);
    lab.people(100);
    let manifest = Path::new(&lab.at("people")).join("_manifest/00000001.json");
    (lab, manifest)
}

fn edit(manifest: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(manifest).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(manifest, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn edited_values_of_a_manifest_are_found() {
    for (from, to) in
        [("\"rows\": ", "\"rows\": 1"), ("\"table\": \"table1\"", "\"table\": \"table2\"")]
    {
        let (lab, manifest) = people();
        assert!(!lab.done("check @people --verify").contains("checksum"));
        edit(&manifest, from, to);
        let (code, stdout, stderr) = lab.run("check @people --verify");
        assert_eq!(code, 65, "{stdout}{stderr}");
        assert!(stdout.contains("00000001.json' is not as it was written"), "{stdout}");
    }
}

#[test]
fn versions_that_cannot_be_are_named() {
    for version in ["00000000", "18446744073709551615"] {
        let (lab, manifest) = people();
        let odd = manifest.with_file_name(format!("{version}.json"));
        std::fs::copy(&manifest, &odd).unwrap();
        for line in ["count @people", "generate people @people --rows 10 --mode overwrite"] {
            let (code, _, stderr) = lab.run(line);
            assert_eq!(code, 65, "{line}: {stderr}");
            assert!(stderr.contains(&format!("{version}.json' is not a version that")), "{stderr}");
        }
        let (code, stdout, _) = lab.run("check @people");
        assert_eq!(code, 65, "{stdout}");
        std::fs::remove_file(&odd).unwrap();
        lab.done("count @people");
    }
    let (lab, manifest) = people();
    std::fs::rename(&manifest, manifest.with_file_name("00000007.json")).unwrap();
    let (code, _, stderr) = lab.run("count @people");
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("00000007.json' says that it is version 1"), "{stderr}");
}

#[test]
fn a_dataset_without_its_manifest_is_not_a_plain_directory() {
    let (lab, manifest) = people();
    std::fs::remove_file(&manifest).unwrap();
    for runs in ["_runs", "properties", "_SUCCESS"] {
        let path = Path::new(&lab.at("people")).join(runs);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }
    for line in
        ["count @people/table1", "head @people/table1", "kmeans @people/table1 --columns age --k 2"]
    {
        let (code, _, stderr) = lab.run(line);
        assert_eq!(code, 65, "{line}: {stderr}");
        assert!(stderr.contains("a file of a dataset, and there is no manifest"), "{stderr}");
    }
    assert!(lab.done("count @people/table1 --allow-incomplete").contains("table1,100"));
    let (code, stdout, _) = lab.run("check @people");
    assert_eq!(code, 65, "{stdout}");
    assert!(stdout.contains("holds files of a dataset and no manifest"), "{stdout}");
}

/// Publishes another version as soon as bytes are copied.
struct Overwrites(PathBuf);

impl Observer for Overwrites {
    fn report(&self, event: Event) {
        if matches!(event, Event::Progress { .. }) {
            let first = self.0.with_file_name("00000001.json");
            std::fs::copy(first, &self.0).ok();
        }
    }
}

#[tokio::test]
async fn a_dataset_that_is_replaced_while_it_is_copied_is_not_published() {
    let (lab, manifest) = people();
    let stores = Stores::new(StorageOptions::default());
    let from = Location::parse(&lab.at("people")).unwrap();
    let to = Location::parse(&lab.at("copy")).unwrap();
    let options = CopyOptions { recursive: true, ..CopyOptions::default() };
    let watch = Overwrites(manifest.with_file_name("00000002.json"));
    let error = copy::copy(&stores, &from, &to, options, &watch).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Retry, "{error}");
    assert!(error.to_string().contains("got a new version while it was copied"), "{error}");
    assert!(!Path::new(&lab.at("copy/_manifest")).exists());
}

#[test]
fn what_is_published_before_standard_output_is_full_is_said_to_be() {
    let lab = Lab::new(On::Files);
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let out = lab.at("people");
    let child = lab.spawn("generate people @people --rows 10", full().into());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(74), "{stderr}");
    assert!(stderr.starts_with(&format!("error: '{out}' is published, but ")), "{stderr}");
    assert!(lab.done("count @people").contains(",10"));
    let child = lab.spawn("rm @people --yes --dataset", full().into());
    let stderr = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(stderr.starts_with("error: all of it is removed, but "), "{stderr}");
}
