//! What is stored, asked with the real binary: on local files and on the in-process S3 server the
//! same questions have the same answers.

use std::io::Read;
use std::process::Stdio;

use rstest::rstest;
use serde_json::Value;

use crate::commands::{Lab, check_refused, wait};
use crate::support::scratch::On;

/// The lines of an answer in JSON.
#[track_caller]
fn lines(lab: &Lab, line: &str) -> Vec<Value> {
    let printed = lab.done(&format!("{line} --json"));
    printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// One column of an answer.
fn column<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    lines.iter().map(|line| &line[name]).collect()
}

/// Puts files of these names and texts below `@`.
fn put(lab: &Lab, files: &[(&str, &str)]) {
    for (name, text) in files {
        let location = lab.location(name);
        let store = lab.place.stores.open(&location).unwrap();
        let bytes = (*text).to_owned().into();
        wait(object_store::ObjectStoreExt::put(store.objects().as_ref(), location.path(), bytes))
            .unwrap();
    }
}

/// The text of `@name`.
#[track_caller]
fn text(lab: &Lab, name: &str) -> String {
    lab.done(&format!("cat @{name}"))
}

const FILES: [(&str, &str); 4] =
    [("in/a.csv", "x\n1\n"), ("in/b.txt", "b"), ("in/deep/c.csv", "x,y\n"), ("in/deep/d", "")];

#[rstest]
fn a_folder_is_listed_object_by_object(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &FILES);
    let found = lines(&lab, "ls @in");
    assert_eq!(column(&found, "name"), ["a.csv", "b.txt", "deep/"]);
    assert_eq!(column(&found, "size"), [&Value::from(4), &Value::from(1), &Value::Null]);
    let time = found[0]["modified"].as_str().unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    let below = lines(&lab, "ls @in -r");
    assert_eq!(column(&below, "name"), ["a.csv", "b.txt", "deep/c.csv", "deep/d"]);
    assert_eq!(column(&lines(&lab, "ls @in/b.txt"), "name"), ["b.txt"]);
    let matching = lines(&lab, "ls @in/*.csv");
    assert!(matching.len() == 1 && matching[0]["name"].as_str().unwrap().ends_with("/in/a.csv"));
    let missing = lab.run("ls @nowhere");
    check_refused("ls", missing, 66, "nowhere'");
    check_refused("ls", lab.run("ls @in/*.zip"), 66, "no object or folder matches");
}

#[rstest]
fn an_object_a_folder_and_a_dataset_are_told_apart(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &FILES);
    lab.people(20);
    let found = lines(&lab, "stat @in/a.csv @in @people @people/table1");
    assert_eq!(column(&found, "kind"), ["object", "folder", "dataset", "folder"]);
    assert_eq!((&found[0]["size"], &found[1]["size"]), (&4.into(), &Value::Null));
    assert!(found[0]["e_tag"].is_string() && found[0]["location"] == lab.at("in/a.csv"));
    check_refused("stat", lab.run("stat @in @none.csv"), 66, "none.csv'");
    check_refused("stat", lab.run("stat @in/*"), 2, "is a pattern");
}

#[rstest]
fn bytes_are_printed_as_they_are_stored(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &[("x/1", "one\r\n"), ("x/2", "\u{feff}two"), ("empty", "")]);
    assert_eq!(text(&lab, "x/1"), "one\r\n");
    assert_eq!(lab.done("cat @empty @x/*"), "one\r\n\u{feff}two");
    check_refused("cat", lab.run("cat @x"), 2, "is a folder: name one of its files");
    check_refused("cat", lab.run("cat @x/3.csv"), 66, "3.csv'");
    check_refused("cat", lab.run("cat @x/1 --json"), 2, "bytes are printed as they are: leave");
    check_refused("cat", lab.run("cat @x/1 -o y"), 2, "copy them with pleiad cp");
}

/// More than one range, read in order; and a reader who leaves after the first bytes.
#[rstest]
fn a_large_object_comes_whole_and_a_reader_may_leave(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    let line = |number: usize| format!("{number:>15}\n");
    let whole: String = (0..1_200_000).map(line).collect(); // 18 MiB, three ranges
    put(&lab, &[("large.txt", &whole)]);
    assert!(text(&lab, "large.txt") == whole, "other bytes");
    lab.done("cp @large.txt @copy.txt");
    assert!(text(&lab, "copy.txt") == whole, "other bytes");
    let mut child = lab.spawn("cat @large.txt", Stdio::piped());
    let mut first = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&first), line(0));
    assert_eq!(
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()),
        (Some(0), "")
    );
}

#[rstest]
fn a_copy_never_replaces_unless_forced(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &FILES);
    let copied = lines(&lab, "cp @in/a.csv @out/copy.csv");
    assert_eq!((&copied[0]["size"], &copied[0]["to"]), (&4.into(), &lab.at("out/copy.csv").into()));
    assert_eq!(text(&lab, "out/copy.csv"), "x\n1\n");
    check_refused("cp", lab.run("cp @in/b.txt @out/copy.csv"), 73, "exists: pass --force");
    assert_eq!(text(&lab, "out/copy.csv"), "x\n1\n");
    lab.done("cp @in/b.txt @out/copy.csv --force");
    assert_eq!(text(&lab, "out/copy.csv"), "b");
    lab.done(&format!("cp @in/b.txt {}/", lab.at("out")));
    assert_eq!(text(&lab, "out/b.txt"), "b");
    check_refused("cp", lab.run("cp @in @out"), 2, "pass --recursive");
    check_refused("cp", lab.run("cp @in/b.txt @in/b.txt"), 2, "onto itself");
    check_refused("cp", lab.run("cp @none.csv @out/x"), 66, "none.csv'");
    check_refused("cp", lab.run("cp @in/b.txt @out/*"), 2, "is a pattern");
}

#[rstest]
fn a_folder_is_copied_whole_or_not_begun(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &FILES);
    assert_eq!(lines(&lab, "cp @in @out -r").len(), 4);
    assert_eq!(text(&lab, "out/deep/c.csv"), "x,y\n");
    put(&lab, &[("again/deep/c.csv", "mine")]);
    check_refused("cp", lab.run("cp @in @again -r"), 73, "again/deep/c.csv' exists");
    assert_eq!(wait(lab.files("again")), ["deep/c.csv"]);
    assert_eq!(lines(&lab, "cp @in/*.csv @picked").len(), 1);
    assert_eq!(text(&lab, "picked/a.csv"), "x\n1\n");
}

#[rstest]
fn a_copied_dataset_is_a_dataset(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    lab.people(50);
    lab.done("cp @people @copy --recursive");
    let files = wait(lab.files("copy"));
    assert!(files.iter().all(|file| !file.starts_with("_runs/")), "{files:?}");
    let said = lab.done("check @copy --verify --json");
    assert!(said.contains("every byte of"), "{said}");
    assert_eq!(lines(&lab, "stat @copy")[0]["kind"], "dataset");
}

#[test]
fn files_go_to_a_bucket_and_come_back() {
    let lab = Lab::new(On::S3);
    let folder = tempfile::tempdir().unwrap();
    let local = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(local("in.bin"), [0, 159, 146, 150, 255]).unwrap();
    lab.done(&format!("cp {} @", local("in.bin")).replace(" @", &format!(" {}/", lab.at("up"))));
    lab.done(&format!("cp @up/in.bin {}", local("back")));
    assert_eq!(std::fs::read(local("back")).unwrap(), [0, 159, 146, 150, 255]);
    let again = lab.run(&format!("cp @up/in.bin {}", local("back")));
    check_refused("cp", again, 73, "back' exists");
    lab.done(&format!("cp @up {} -r", local("all")));
    assert_eq!(std::fs::read(local("all/in.bin")).unwrap(), [0, 159, 146, 150, 255]);
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 3, "nothing is left beside the copies");
}

#[rstest]
fn what_is_removed_is_said_and_much_needs_yes(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &FILES);
    let line = "rm @in";
    check_refused(line, lab.run(line), 2, "stands for 4 files of 9 bytes: pass --yes");
    check_refused("rm", lab.run("rm @in/*.csv"), 2, "stands for 1 files of 4 bytes: pass --yes");
    check_refused("rm", lab.run("rm @in/b.txt @none.csv"), 66, "none.csv'");
    assert_eq!(wait(lab.files("in")).len(), 4, "nothing is removed before all is known");
    let found = lines(&lab, "rm @in --yes --dry-run");
    assert_eq!((&found[0]["files"], &found[0]["bytes"]), (&4.into(), &9.into()));
    assert_eq!(wait(lab.files("in")).len(), 4);
    lab.done("rm @in/b.txt");
    lab.done("rm @in/*.csv --yes");
    assert_eq!(wait(lab.files("in")), ["deep/c.csv", "deep/d"]);
    lab.done("rm @in --yes");
    assert_eq!(wait(lab.files("in")), Vec::<String>::new());
}

#[rstest]
fn a_dataset_is_removed_only_as_one(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    lab.people(20);
    let before = wait(lab.files("people"));
    for (line, said) in [
        ("rm @people --yes", "is the dataset"),
        ("rm @people/properties", "is in the dataset"),
        ("rm @people/table1 --yes", "is in the dataset"),
        ("rm @p* --yes", "holds the dataset"),
    ] {
        check_refused(line, lab.run(line), 2, said);
    }
    check_refused("rm", lab.run("rm @people --dataset"), 2, "pass --yes");
    assert_eq!(wait(lab.files("people")), before);
    lab.done("rm @people --yes --dataset");
    assert_eq!(wait(lab.files("people")), Vec::<String>::new());
}

/// A link is removed, what it leads to is not.
#[test]
fn links_are_removed_and_never_followed() {
    let lab = Lab::new(On::Files);
    put(&lab, &[("kept/_SUCCESS", ""), ("kept/a", "a"), ("out/b", "b")]);
    let path = |name: &str| lab.location(name).local_path().unwrap().to_owned();
    std::os::unix::fs::symlink(path("kept"), path("out/link")).unwrap();
    std::os::unix::fs::symlink(path("kept"), path("link")).unwrap();
    lab.done("rm @out --yes");
    lab.done("rm @link --yes");
    assert!(!path("out").exists() && !path("link").exists());
    assert_eq!(wait(lab.files("kept")), ["_SUCCESS", "a"]);
}

#[rstest]
fn sizes_add_up_folder_by_folder(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &FILES);
    let found = lines(&lab, "du @in --depth 1");
    assert_eq!(column(&found, "bytes"), [9, 4]);
    assert_eq!(column(&found, "files"), [4, 2]);
    assert_eq!(column(&found, "location"), [&lab.at("in"), &lab.at("in/deep")]);
    assert_eq!(column(&lines(&lab, "du @in/*.csv"), "bytes"), [4]);
    assert_eq!(column(&lines(&lab, "du @in/b.txt"), "bytes"), [1]);
    check_refused("du", lab.run("du @nowhere"), 66, "nothing found at");
}

#[rstest]
fn the_tree_of_a_dataset_has_the_rows_of_its_manifest(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    lab.people(90);
    let found = lines(&lab, "tree @people");
    let shown = column(&found, "tree");
    assert_eq!(shown[..3], ["people", "├─ table1", "│  ├─ id_pref=0"]);
    assert_eq!((found.len(), &found[0]["rows"], &found[1]["rows"]), (13, &270.into(), &90.into()));
    assert_eq!(found[12]["path"], "table3/id_pref=2");
    assert_eq!(lines(&lab, "tree @people/table1 --depth 1").len(), 4);
    put(&lab, &FILES);
    let plain = lines(&lab, "tree @in");
    assert_eq!(column(&plain, "tree"), ["in", "└─ deep"]);
    assert_eq!(column(&plain, "rows"), [&Value::Null, &Value::Null]);
}
