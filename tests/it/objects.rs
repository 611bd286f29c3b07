//! `cp` of several things and of pipes, `mv`, `find`, `mirror`, names that are left out, sizes for people, buckets
//! and links: on files and on S3.

use std::io::{Read, Write};
use std::net::TcpStream;

use rstest::rstest;

use crate::cli::{outcome, pleiad};
use crate::commands::{Lab, check_refused};
use crate::support::scratch::On;

/// Puts objects here, each holding its own name.
fn put(lab: &Lab, names: &[&str]) {
    for name in names {
        let mut command = pleiad(&["cp", "-", &lab.at(name)]);
        let (code, _, stderr) = outcome(command.envs(lab.variables()).write_stdin(*name));
        assert_eq!(code, 0, "{name}: {stderr}");
    }
}

/// The names below a folder, sorted.
fn names(lab: &Lab, folder: &str) -> Vec<String> {
    let (code, listed, _) = lab.run(&format!("ls {folder} --recursive"));
    if code == 66 {
        return Vec::new();
    }
    listed
        .lines()
        .skip(1)
        .map(|line| line.rsplit(',').next().unwrap_or_default().to_owned())
        .collect()
}

#[rstest]
#[case(On::Files)]
#[case(On::S3)]
fn several_things_are_copied_into_a_folder(#[case] on: On) {
    let lab = Lab::new(on);
    put(&lab, &["a.csv", "b.csv", "in/c.csv", "in/d.txt"]);
    lab.done("cp @a.csv @b.csv @out/");
    assert_eq!(names(&lab, "@out"), ["a.csv", "b.csv"]);
    // Folders keep their names, as with cp -r.
    lab.done("cp @a.csv @in @both/ --recursive --exclude *.txt");
    assert_eq!(names(&lab, "@both"), ["a.csv", "in/c.csv"]);
    lab.done("cp @in @only --recursive --include *.txt");
    assert_eq!(names(&lab, "@only"), ["d.txt"]);
    assert_eq!(lab.done("cat @both/in/c.csv"), "in/c.csv");
    assert_eq!(lab.done("cp @a.csv -"), "a.csv");
    let line = "cp @a.csv @both/a.csv @out/ --force";
    check_refused(line, lab.run(line), 2, "two copies would be called");
    let line = "cp @a.csv @b.csv @out/";
    check_refused(line, lab.run(line), 73, "pass --force");
}

#[rstest]
#[case(On::Files)]
#[case(On::S3)]
fn what_is_moved_is_there_and_no_longer_here(#[case] on: On) {
    let lab = Lab::new(on);
    put(&lab, &["a.csv", "in/b.csv", "in/c.txt"]);
    lab.done("mv @a.csv @renamed.csv");
    assert_eq!(lab.done("cat @renamed.csv"), "a.csv");
    assert_eq!(lab.run("cat @a.csv").0, 66);
    lab.done("mv @in @out --recursive --include *.csv");
    assert_eq!(
        (names(&lab, "@in"), names(&lab, "@out")),
        (vec!["c.txt".into()], vec!["b.csv".into()])
    );
    let line = "mv @renamed.csv @out/b.csv";
    check_refused(line, lab.run(line), 73, "exists");
    assert_eq!(lab.done("cat @renamed.csv"), "a.csv", "what could not be moved stays");
    lab.people(50);
    lab.done("mv @people @moved --recursive");
    lab.done("check @moved --verify");
    assert_eq!(lab.run("cat @people/properties").0, 66);
}

#[test]
fn what_is_not_copied_is_not_removed_by_a_move() {
    let lab = Lab::new(On::Files);
    put(&lab, &["in/b.csv"]);
    let location = lab.location("in/link");
    let link = location.local_path().unwrap();
    std::os::unix::fs::symlink("nowhere", link).unwrap();
    check_refused("mv", lab.run("mv @in @out --recursive"), 75, "was not copied");
    assert!(link.is_symlink());
    assert_eq!(lab.done("cat @in/b.csv"), "in/b.csv");
    assert_eq!(lab.done("cat @out/b.csv"), "in/b.csv");
}

#[rstest]
#[case(On::Files)]
#[case(On::S3)]
fn a_mirror_copies_what_differs(#[case] on: On) {
    let lab = Lab::new(on);
    put(&lab, &["from/a", "from/in/b", "to/c"]);
    let would = lab.done("mirror @from @to --dry-run");
    assert_eq!(
        would.lines().skip(1).filter(|line| line.starts_with("copy,")).count(),
        2,
        "{would}"
    );
    assert_eq!(names(&lab, "@to"), ["c"]);
    lab.done("mirror @from @to");
    assert_eq!(names(&lab, "@to"), ["a", "c", "in/b"]);
    assert_eq!(lab.done("mirror @from @to").lines().count(), 1, "nothing differs any more");
    put(&lab, &["from/new"]);
    let done = lab.done("mirror @from @to --remove");
    assert_eq!(done.lines().count(), 3, "{done}");
    assert_eq!(names(&lab, "@to"), ["a", "in/b", "new"]);
    let line = "mirror @from @from/in";
    check_refused(line, lab.run(line), 2, "within each other");
}

#[test]
fn a_mirror_of_a_dataset_goes_from_version_to_version() {
    let lab = Lab::new(On::Files);
    lab.people(50);
    lab.done("mirror @people @copy");
    lab.done("check @copy --verify");
    lab.done("generate people @people --rows 80 --mode overwrite");
    lab.done("mirror @people @copy --remove");
    lab.done("check @copy --verify");
    assert_eq!(lab.done("count @copy"), lab.done("count @people"));
    // A copy that went its own way is not mixed with another history.
    lab.done("generate people @copy --rows 20 --mode overwrite");
    lab.done("generate people @people --rows 30 --mode overwrite");
    let line = "mirror @people @copy";
    check_refused(line, lab.run(line), 73, "went its own way");
}

#[rstest]
#[case(On::Files)]
#[case(On::S3)]
fn objects_are_found_by_name_and_size(#[case] on: On) {
    let lab = Lab::new(on);
    put(&lab, &["x/a.csv", "x/in/long_name.csv", "x/in/b.txt"]);
    let found = |line: &str| {
        let listed = lab.done(&format!("find @x {line}"));
        let names = listed.lines().skip(1).map(|line| line.rsplit('/').next().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(found("--name *.csv"), ["a.csv", "long_name.csv"]);
    assert_eq!(found("--name *.csv --larger 10"), ["long_name.csv"]);
    assert_eq!(found("--smaller 8"), ["a.csv"]);
    assert_eq!(found("--name in/*"), ["b.txt", "long_name.csv"]);
    assert_eq!(found("--newer-than 1d").len(), 3);
    assert_eq!(found("--older-than 1d").len(), 0);
    assert!(lab.done("find @x --name a.csv").contains(&lab.at("x/a.csv")));
    assert!(lab.done("ls @x -l -h").contains("7 B"));
    assert!(lab.done("du @x -h").contains(" B,"));
}

#[test]
fn a_tree_shows_files_of_folders_and_of_datasets_if_asked() {
    let lab = Lab::new(On::Files);
    put(&lab, &["x/a.csv", "x/in/b.csv"]);
    let tree = lab.done("tree @x");
    assert!(tree.contains("├─ a.csv") && tree.contains("   └─ b.csv"), "{tree}");
    lab.people(50);
    assert!(!lab.done("tree @people").contains(".parquet"));
    assert!(lab.done("tree @people --files").contains(".parquet"));
    lab.done("rm -r @x");
    assert_eq!(lab.run("ls @x").0, 66);
}

#[test]
fn buckets_are_made_once() {
    let lab = Lab::new(On::S3);
    assert_eq!(lab.done("mb s3://first s3://second"), "bucket\ns3://first\ns3://second\n");
    put(&lab, &["a.csv"]);
    lab.done("cp @a.csv s3://first/a.csv");
    assert_eq!(lab.done("cat s3://first/a.csv"), "a.csv");
    check_refused("mb", lab.run("mb s3://first"), 73, "exists already, and is yours");
    assert_eq!(lab.done("mb s3://first s3://third --mode ignore"), "bucket\ns3://third\n");
    check_refused("mb", lab.run("mb s3://first/folder"), 2, "not the name of a bucket alone");
    check_refused("mb", lab.run("mb here"), 2, "is not on S3, so it needs no bucket");
    let elsewhere = [("AWS_DEFAULT_REGION", "eu-west-3")];
    assert_eq!(lab.run_with("mb s3://fourth", &elsewhere).0, 0);
    let nowhere = [("AWS_S3_ENDPOINT", "http://127.0.0.1:9")];
    check_refused("mb", lab.run_with("mb s3://fifth", &nowhere), 69, "cannot reach");
}

/// Sends a request without a key; status and body of its answer.
fn without_keys(method: &str, link: &str, body: &str) -> (u16, String) {
    let (server, path) = link.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(server).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {server}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn a_link_works_without_keys_for_what_it_was_made_for() {
    let lab = Lab::new(On::S3);
    put(&lab, &["in/a b.csv"]);
    let link = |options: &[&str]| {
        let location = lab.at("in/a b.csv");
        let words = [&["presign", &location], options].concat();
        let (code, stdout, stderr) = outcome(pleiad(&words).envs(lab.variables()));
        assert_eq!((code, stdout.lines().count()), (0, 1), "{stderr}");
        stdout.trim_end().to_owned()
    };
    let read = link(&["--expires", "2h"]);
    assert!(read.contains("X-Amz-Expires=7200"), "{read}");
    assert_eq!(without_keys("GET", &read, ""), (200, "in/a b.csv".to_owned()));
    assert_eq!(without_keys("PUT", &read, "other").0, 403, "it is for reading");
    assert_eq!(without_keys("GET", &read.replace("7200", "7201"), "").0, 403);
    assert_eq!(without_keys("PUT", &link(&["--put"]), "new").0, 200);
    assert_eq!(without_keys("GET", &read, "").1, "new");
    for (line, message) in [
        ("presign here.csv", "is not on S3"),
        ("presign s3://bucket", "is not one object"),
        ("presign s3://bucket/*.csv", "is not one object"),
        ("presign s3://bucket/a --expires 8d", "at most 7d"),
        ("presign s3://bucket/a --expires 0", "at least 1s"),
        ("presign s3://bucket/a --no-sign-request", "uses none"),
        ("presign s3://bucket/a --json", "prints links as text"),
    ] {
        check_refused(line, lab.run(line), 2, message);
    }
}
