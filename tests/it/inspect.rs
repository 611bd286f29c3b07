//! What is stored, asked with the real binary: on local files and on the in-process S3 server the
//! same questions have the same answers.

use std::io::Read;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, DictionaryArray, RecordBatch, Time64MicrosecondArray};
use arrow::datatypes::Int32Type;
use datafusion::parquet::arrow::ArrowWriter;
use futures::TryStreamExt;
use pleiad::error::Kind;
use pleiad::event::Silent;
use pleiad::objects::copy::{self, CopyOptions};
use pleiad::objects::remove::{self, Allowed};
use pleiad::storage::{Environment, Location, StorageOptions, Stores};
use pleiad::table::commit;
use rstest::rstest;
use serde_json::Value;

use crate::cli::{outcome, pleiad};
use crate::commands::{Lab, check_refused, until, wait};
use crate::support::fault_http::{Fault, FaultHttp};
use crate::support::s3::{KEY, SECRET, TestS3};
use crate::support::scratch::On;
use crate::support::scripted::Scripted;

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
    let matching = lines(&lab, "ls @in/* -r");
    assert!(column(&matching, "name").into_iter().eq(&FILES.map(|(name, _)| lab.at(name))));
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
    check_refused("cat", lab.run("cat @x/1 --json"), 2, "prints bytes as they are stored: leave");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("both");
    lab.done(&format!("cat @x/1 @x/2 -o {}", file.display()));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "one\r\n\u{feff}two");
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
    assert!(said.contains("all bytes of"), "{said}");
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
    check_refused(line, lab.run(line), 2, "is 4 files with 9 bytes: pass --yes");
    check_refused("rm", lab.run("rm @in/*.csv"), 2, "is 1 file with 4 bytes: pass --yes");
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
        ("rm @p*/table1 --yes", "holds the dataset"),
        ("rm @p*/table1/id_pref=0/*.parquet --yes", "holds the dataset"),
    ] {
        check_refused(line, lab.run(line), 2, said);
    }
    check_refused("rm", lab.run("rm @people --dataset"), 2, "pass --yes");
    assert_eq!(wait(lab.files("people")), before);
    lab.done("rm @p*/table1 --yes --dataset");
    let left = wait(lab.files("people"));
    assert!(left.len() < before.len() && left.iter().all(|file| !file.starts_with("table1/")));
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
    for line in ["rm @out/* --yes", "rm @out/l*/a --yes", "rm @*/link/a --yes"] {
        check_refused(
            line,
            lab.run(line),
            2,
            "/out/link' is a symbolic link, which a pattern does",
        );
    }
    assert_eq!(lines(&lab, "rm @out --yes")[0]["files"], 2, "a file and a link");
    lab.done("rm @link --yes");
    assert!(!path("out").exists() && !path("link").exists());
    assert_eq!(wait(lab.files("kept")), ["_SUCCESS", "a"]);
}

/// The object store lists no names that end in `#` and digits.
#[test]
fn files_that_no_listing_shows_are_counted_and_not_left_out_in_silence() {
    let lab = Lab::new(On::Files);
    put(&lab, &[("in/a", "1"), ("in/deep/b", "2")]);
    let path = |name: &str| lab.location(name).local_path().unwrap().to_owned();
    std::fs::write(path("in/deep").join("b#1"), "345").unwrap();
    check_refused("cp", lab.run("cp @in @out -r"), 2, "b#1' of '");
    assert!(!path("out").exists());
    let found = lines(&lab, "rm @in --yes");
    assert_eq!((&found[0]["files"], &found[0]["bytes"]), (&3.into(), &5.into()));
    assert!(!path("in").exists());
}

#[test]
fn a_pattern_leaves_no_empty_folder_that_it_matches() {
    let lab = Lab::new(On::Files);
    put(&lab, &[("in/x/y/z", "1"), ("in/w", "1")]);
    lab.done("rm @in/* --yes");
    assert_eq!(lab.done("ls @in --format csv").lines().count(), 1);
}

/// The folders of two datasets in one, one of them behind the other in the order of names.
const TWO_DATASETS: [(&str, &str); 8] = [
    ("two/a/_SUCCESS", ""),
    ("two/a/_manifest/00000001.json", "{}"),
    ("two/a/_runs/1/intent.json", "{}"),
    ("two/a/t/part.parquet", "1"),
    ("two/z/_SUCCESS", ""),
    ("two/z/_manifest/00000001.json", "{}"),
    ("two/z/properties", "x=1"),
    ("two/z/t/part.parquet", "1"),
];

#[rstest]
#[case::folder("two")]
#[case::pattern("two/*")]
#[tokio::test(flavor = "multi_thread")]
async fn copied_datasets_are_published_after_their_data(#[case] from: &str) {
    let lab = Lab::new(On::Files);
    for (name, text) in TWO_DATASETS {
        let path = lab.location(name).local_path().unwrap().to_owned();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let server = TestS3::new(&["bucket"]);
    let options = StorageOptions::default();
    let options = options.with_environment(Environment::of(TestS3::variables()));
    let http = FaultHttp::over(server.connector());
    let stores = Stores::with_http(options, Arc::new(http.clone()));
    let from = Location::parse(&format!("{}/{from}", lab.at("").trim_end_matches('/'))).unwrap();
    let to = Location::parse("s3://bucket/copy").unwrap();
    let recursive = CopyOptions { recursive: true, ..CopyOptions::default() };
    copy::copy(&stores, &from, &to, recursive, &Silent).await.unwrap();
    let puts = http.calls_of("PUT", "");
    let order: Vec<_> = puts
        .iter()
        .map(|put| match &put.key {
            key if key.ends_with("/_SUCCESS") => 2,
            key if key.contains("/_manifest/") => 1,
            _ => 0,
        })
        .collect();
    assert_eq!(order, [0, 0, 0, 1, 1, 2, 2], "{puts:?}");
}

/// Removed is what publishes first, of datasets further down too.
#[tokio::test(flavor = "multi_thread")]
async fn removed_datasets_lose_their_names_first() {
    let server = TestS3::new(&["bucket"]);
    let options = StorageOptions::default();
    let options = options.with_environment(Environment::of(TestS3::variables()));
    let refused = Fault::Status(403, "AccessDenied");
    let http = FaultHttp::over(server.connector()).nth(3, "POST", "", refused);
    let stores = Stores::with_http(options, Arc::new(http));
    for (name, text) in TWO_DATASETS {
        let path = server.bucket("bucket").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let location = Location::parse("s3://bucket/two").unwrap();
    let allowed = Allowed { many: true, datasets: true };
    let doomed = remove::look(&stores, &location, allowed).await.unwrap();
    assert_eq!(remove::remove(&stores, doomed).await.unwrap_err().kind(), Kind::Denied);
    let left = pleiad::objects::list(&stores, &location, true).await.unwrap();
    let left: Vec<_> = left.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        left,
        ["a/_runs/1/intent.json", "a/t/part.parquet", "z/properties", "z/t/part.parquet"]
    );
}

#[rstest]
fn a_dataset_is_not_copied_into_another(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    lab.people(20);
    lab.done("generate people @lab/x --rows 30");
    let before = wait(lab.files("lab"));
    for line in [
        "cp @people @lab/x -r",
        "cp @people @lab/x -r --force",
        "cp @people @lab/x/in -r --force",
        "cp @people/* @lab/x -r --force",
    ] {
        check_refused(line, lab.run(line), 73, "lab/x': copying would mix two datasets");
    }
    lab.done("cp @lab @labs -r");
    check_refused(
        "cp",
        lab.run("cp @lab @labs -r --force"),
        73,
        "labs/x': copying would mix two datasets",
    );
    check_refused(
        "cp",
        lab.run("cp @people @people/in -r"),
        73,
        "people': copying would mix two datasets",
    );
    assert_eq!(wait(lab.files("lab")), before);
    lab.done("cp @people/properties @lab/x/notes.txt");
}

/// Local file systems take names of 255 bytes.
#[test]
fn a_name_of_any_length_is_copied() {
    let lab = Lab::new(On::Files);
    let long = "x".repeat(255);
    put(&lab, &[("a", "1")]);
    lab.done(&format!("cp @a @{long}"));
    assert_eq!(text(&lab, &long), "1");
}

#[tokio::test]
async fn a_marker_of_a_folder_is_removed_by_its_own_name() {
    let listing = "<?xml version=\"1.0\"?><ListBucketResult><Name>bucket</Name><KeyCount>1</KeyCount>\
        <IsTruncated>false</IsTruncated><Contents><Key>empty/</Key>\
        <LastModified>2024-02-29T00:00:00.000Z</LastModified><ETag>\"e\"</ETag><Size>0</Size>\
        </Contents></ListBucketResult>";
    let options = StorageOptions::default();
    let options = options.with_environment(Environment::of(TestS3::variables()));
    let sent = Arc::new(std::sync::Mutex::new(Vec::new()));
    let record = Arc::clone(&sent);
    let scripted = Scripted::new(move |request| {
        record.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
        Ok((200, listing.to_owned()))
    });
    let stores = Stores::with_http(options, Arc::new(scripted));
    let location = Location::parse("s3://bucket/empty").unwrap();
    let allowed = Allowed { many: true, datasets: true };
    let removal = remove::look(&stores, &location, allowed).await.unwrap();
    assert_eq!((removal.files, removal.bytes), (1, 0));
    remove::remove(&stores, removal).await.unwrap();
    let sent = sent.lock().unwrap();
    assert!(sent.iter().any(|request| request == "DELETE /bucket/empty/"), "{sent:?}");
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
    check_refused("du", lab.run("du @nowhere"), 66, "nowhere'");
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
    let files = ["in", "├─ a.csv", "├─ b.txt", "└─ deep", "   ├─ c.csv", "   └─ d"];
    assert_eq!(column(&plain, "tree"), files);
    assert_eq!(column(&plain, "rows"), [&Value::Null; 6]);
}

// ---- tables

/// Text in three forms, with what is easily lost: leading zeros, NULL, quotes, a time.
const TEXTS: [(&str, &str); 3] = [
    ("c/a.csv", "id;Code;x\r\n1;07;0.5\r\n2;;\r\n3;\"a;\"\"b\";1e3\r\n"),
    ("j/a.jsonl", "{\"id\":1,\"t\":\"2024-02-29T00:00:00\"}\n\n{\"id\":2,\"y\":true}\n"),
    ("l/a.csv", "name,year\ncaf\u{e9},2024\n"),
];

#[rstest]
fn first_rows_are_shown_as_they_were_written(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &TEXTS);
    assert_eq!(
        lab.done("head @c/a.csv --format csv"),
        "id,Code,x\n1,07,0.5\n2,,\n3,\"a;\"\"b\",1000.0\n"
    );
    assert_eq!(
        lab.done("head @c -n 1 --types text --json"),
        "{\"id\":\"1\",\"Code\":\"07\",\"x\":\"0.5\"}\n"
    );
    let json = lines(&lab, "head @j/a.jsonl");
    assert_eq!((&json[0]["t"], &json[1]["y"]), (&"2024-02-29T00:00:00".into(), &true.into()));
    lab.people(40);
    let first = lab.done("head @people/table1 -n 3 --format csv");
    assert_eq!(first.lines().count(), 4, "{first}");
    assert!(first.starts_with("id,") || first.contains("age"), "{first}");
    assert_eq!(lab.done("head @people -n 2 --format json").matches("id_pref").count(), 6);
    check_refused("head", lab.run("head @none.csv"), 66, "none.csv' not found");
    put(&lab, &[("x.pdf", "%PDF")]);
    check_refused("head", lab.run("head @x.pdf"), 65, "does not end in .parquet, .parq, .csv");
}

#[rstest]
fn a_column_of_text_files_has_the_type_it_is_given(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &TEXTS);
    let types = |options: &str| {
        let found = lines(&lab, &format!("schema @c/a.csv {options}"));
        column(&found, "type")
            .into_iter()
            .map(|t| t.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(types("--column id:text --column x:text"), ["text", "text", "text"]);
    assert_eq!(types("--types text --column id:float64"), ["float64", "text", "text"]);
    assert_eq!(
        lab.done("head @c/a.csv -n 1 --column id:text --json"),
        "{\"id\":\"1\",\"Code\":\"07\",\"x\":0.5}\n"
    );
    assert_eq!(lines(&lab, "summary @c/a.csv --column id:text --columns id")[0]["max"], "3");
    let line = "schema @c/a.csv --column code:text";
    check_refused(line, lab.run(line), 65, "'code' not found in");
    let line = "schema @c/a.csv --column id:number";
    check_refused(line, lab.run(line), 2, "no type 'number', expected one of text, int64, float64");
    let line = "summary @c/a.csv --column Code:int64";
    check_refused(line, lab.run(line), 65, "column 'Code' has 'a;\"b' in line 4, expected int64");
}

/// Rows behind the sample may have values of other types than those in it.
#[test]
fn more_rows_than_the_sample_are_shown_too() {
    let lab = Lab::new(On::Files);
    let rows: String = (0..60_000).map(|row| format!("{row:06}x,{row}\n")).collect();
    put(&lab, &[("long.csv", &format!("name,n\n{rows}last,no number\n"))]);
    let shown = lab.done("head @long.csv -n 100000 --format csv");
    assert_eq!(shown.lines().count(), 60_002);
    assert!(shown.ends_with("059999x,59999\nlast,no number\n"));
}

#[rstest]
fn columns_have_names_types_and_a_source(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &TEXTS);
    lab.people(40);
    let found = lines(&lab, "schema @c/a.csv");
    assert_eq!(column(&found, "sql"), ["id", "\"Code\"", "x"]);
    assert_eq!(column(&found, "type"), ["int64", "text", "float64"]);
    assert!(found.iter().all(|column| column["source"] == "sniffed" && column["table"] == "a"));
    assert_eq!(column(&lines(&lab, "schema @j/a.jsonl"), "type"), ["int64", "text", "bool"]);
    assert_eq!(column(&lines(&lab, "schema @c --types text"), "type"), ["text"; 3]);
    let declared = lines(&lab, "schema @people/table1");
    let key = declared.last().unwrap();
    assert_eq!((&key["column"], &key["source"]), (&"id_pref".into(), &"declared".into()));
    lab.done("cp @people/table1 @plain -r");
    let plain = lines(&lab, "schema @plain --allow-incomplete");
    assert_eq!((&plain[0]["source"], &plain[0]["type"]), (&"footer".into(), &declared[0]["type"]));
    let key = plain.last().unwrap();
    assert_eq!((&key["source"], &key["type"]), (&"path".into(), &"int64".into()));
}

#[rstest]
fn a_footer_tells_of_every_row_group_and_column(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    lab.people(90);
    let found = lines(&lab, "meta @people/table1/id_pref=0/*.parquet --show columns");
    let files = lines(&lab, "meta @people/table1/id_pref=0/*.parquet --show files");
    let columns = lines(&lab, "schema @people/table1").len() - 1; // the key is in the path
    assert_eq!(found.len(), columns * files.len());
    let age = found.iter().find(|chunk| chunk["column"] == "age").unwrap();
    assert_eq!((&age["row_group"], &age["nulls"]), (&0.into(), &0.into()));
    assert!(age["compression"].as_str().unwrap().starts_with("zstd"), "{age}");
    assert!(age["page_index"] == true && age["min"].is_string(), "{age}");
    assert_eq!((&files[0]["row_groups"], &files[0]["rows"]), (&1.into(), &age["rows"]));
    assert!(files[0]["created_by"].as_str().unwrap().starts_with("pleiad"), "{files:?}");
    check_refused("meta", lab.run("meta @people"), 2, "is a folder, expected a Parquet file");
    put(&lab, &[("no.parquet", "PAR1 and no more")]);
    check_refused("meta", lab.run("meta @no.parquet"), 65, "is not a complete Parquet file");
}

#[rstest]
fn rows_are_counted_without_reading_them(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &TEXTS);
    lab.people(40);
    let found = lines(&lab, "count @people");
    assert_eq!(column(&found, "table"), ["table1", "table2", "table3"]);
    assert_eq!(column(&found, "rows"), [40, 40, 40]);
    assert_eq!(column(&lines(&lab, "count @c"), "rows"), [3]);
    assert_eq!(column(&lines(&lab, "count @j/a.jsonl"), "rows"), [2]);
    check_refused("count", lab.run("count @nowhere"), 66, "nowhere' not found");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_summary_leaves_out_nulls_and_nan(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(
        &lab,
        &[("s.csv", "n,f,t,\"or\"\"der\"\n1,0.5,b,true\n2,-1.5,,false\n,,a,\n4,1.0,b,true\n")],
    );
    let found = lines(&lab, "summary @s.csv");
    let one = |name: &str| {
        let found = found.iter().find(|column| column["column"] == name).unwrap();
        ["nulls", "min", "max", "mean", "approx_distinct"].map(|key| found[key].clone())
    };
    let text = |min: &str, max: &str| [Value::from(min), Value::from(max)];
    assert_eq!(one("n")[..3], [&[1.into()], &text("1", "4")[..]].concat());
    assert_eq!(one("n")[3], Value::from(7. / 3.));
    assert_eq!(one("f")[1..], [&text("-1.5", "1.0")[..], &[0.0.into(), 3.into()]].concat());
    assert_eq!(one("t"), [1.into(), "a".into(), "b".into(), Value::Null, 2.into()]);
    assert_eq!(one("or\"der")[1..3], text("false", "true"));
    let sql = "SELECT * FROM (VALUES (1.5), (CAST('NaN' AS DOUBLE)), (-2.5)) AS t(a)";
    lab.publish("nan", sql, &[]).await.unwrap();
    let nan = &lines(&lab, "summary @nan")[0];
    assert_eq!(
        ["nulls", "nans", "min", "max", "mean"].map(|key| nan[key].clone()),
        [0.into(), 1.into(), "-2.5".into(), "1.5".into(), Value::from(-0.5)]
    );
    assert_eq!(lines(&lab, "summary @s.csv --columns t").len(), 1);
    check_refused("summary", lab.run("summary @s.csv --columns z"), 65, "'z' not found in");
}

/// A dictionary is a way to store values, and times have an order.
#[test]
fn dictionaries_and_times_are_summed_up_as_their_values() {
    let lab = Lab::new(On::Files);
    let words: DictionaryArray<Int32Type> =
        [Some("b"), Some("a"), None, Some("b")].into_iter().collect();
    let times = Time64MicrosecondArray::from(vec![Some(1_000_000), None, Some(2), Some(2)]);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("d", Arc::new(words) as ArrayRef, true),
        ("t", Arc::new(times) as ArrayRef, true),
    ])
    .unwrap();
    let path = lab.location("d.parquet").local_path().unwrap().to_owned();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert_eq!(column(&lines(&lab, "schema @d.parquet"), "type"), ["text", "time(us)"]);
    let found = lines(&lab, "summary @d.parquet");
    assert_eq!(column(&found, "nulls"), [1, 1]);
    assert_eq!(column(&found, "min"), ["a", "00:00:00.000002"]);
    assert_eq!(column(&found, "max"), ["b", "00:00:01"]);
    assert_eq!(column(&found, "approx_distinct"), [2, 2]);
}

/// A file in Latin-1 is refused with its place, and read when that is said.
#[test]
fn other_characters_than_utf8_are_named() {
    let lab = Lab::new(On::Files);
    let path = lab.location("l.csv").local_path().unwrap().to_owned();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, b"name,year\ncaf\xe9,2024\n").unwrap();
    for command in ["head", "schema", "count", "summary"] {
        let line = format!("{command} @l.csv");
        check_refused(&line, lab.run(&line), 65, "l.csv'");
        lab.done(&format!("{line} --encoding latin1"));
    }
    assert_eq!(lab.done("head @l.csv --encoding latin1 --format csv"), "name,year\ncafé,2024\n");
}

// ---- datasets, stores, settings

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_shows_what_its_manifest_says(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    lab.people(30);
    let version = &lines(&lab, "show @people --show dataset")[0];
    let expected = (&1.into(), &"generate people".into(), &90.into());
    assert_eq!((&version["version"], &version["command"], &version["rows"]), expected);
    let tables = lines(&lab, "show @people --show tables");
    assert_eq!(column(&tables, "keys"), ["id_pref"; 3]);
    assert_eq!(column(&tables, "partitions"), [3, 3, 3]);
    let files = lines(&lab, "show @people --manifest");
    assert_eq!(files.iter().map(|file| file["rows"].as_u64().unwrap()).sum::<u64>(), 90);
    assert!(files.iter().all(|file| file["sha256"].as_str().unwrap().len() == 64));
    let shown = lines(&lab, "show @people --properties");
    let stored = lab.done("cat @people/properties");
    assert_eq!(shown.len(), stored.lines().count());
    check_refused("show", lab.run("show @people --blocks"), 65, "has no blocks");
    check_refused("show", lab.run("show @people --blocks --manifest"), 2, "cannot be used with");
}

#[test]
fn blocks_have_their_rows_and_the_cap() {
    let lab = Lab::new(On::Files);
    lab.done("generate sky @sky --rows 3000");
    lab.done("partition @sky @blocks --max-rows 400");
    let blocks = lines(&lab, "show @blocks --blocks");
    let own = |block: &Value| block["own_rows"].as_u64().unwrap();
    assert!(blocks.iter().all(|block| block["cap"] == 400 && own(block) <= 400));
    let quarantined = lines(&lab, "show @blocks --properties");
    let quarantined =
        quarantined.iter().find(|line| line["key"] == "rows.quarantined").unwrap()["value"].clone();
    let quarantined: u64 = quarantined.as_str().unwrap().parse().unwrap();
    assert_eq!(blocks.iter().map(own).sum::<u64>() + quarantined, 3000);
    assert!(blocks[0]["margin_radius_arcsec"].is_number() && blocks[0]["lon_min"].is_number());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_history_tells_of_every_run_the_dead_too(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    lab.people(30);
    lab.done("generate people @people --rows 20 --mode append --name second");
    let mut child = lab.start("generate people @people --rows 60000 --mode append");
    until("an intent", || {
        wait(lab.files("people")).iter().filter(|f| f.ends_with("intent.json")).count() > 2
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let runs = lines(&lab, "show @people --history");
    let last = runs[2]["state"].as_str().unwrap();
    assert_eq!(column(&runs[..2], "state"), ["published", "published"]);
    assert!(["dead", "open", "published"].contains(&last), "{last}");
    assert_eq!(column(&runs[..2], "version"), [1, 2]);
    assert_eq!(column(&runs[..2], "rows"), [90, 60]);
    assert!(runs[1]["arguments"].as_str().unwrap().contains("name=second"), "{runs:?}");
    assert!(runs[0]["started"].is_string() && runs[0]["ended"].is_string(), "{runs:?}");
    if on == On::Files && last != "published" {
        assert_eq!(last, "dead");
    }
}

#[rstest]
fn what_is_no_dataset_is_listed(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &FILES);
    let (code, stdout, stderr) = lab.run("show @in --format csv");
    assert_eq!((code, stdout.lines().count()), (0, 4));
    assert!(stderr.ends_with("in' is not a dataset. It contains:\n"), "{stderr}");
    put(&lab, &[("p/properties", "# by another program\nrows = 7\nnames: a, \\\n  b\n")]);
    for line in ["show @p --properties", "show @p/properties --properties"] {
        let found = lines(&lab, line);
        assert_eq!(column(&found, "key"), ["names", "rows"]);
        assert_eq!(column(&found, "value"), ["a, b", "7"]);
    }
    check_refused("show", lab.run("show @in --manifest"), 65, "is not a dataset");
    check_refused("show", lab.run("show @in --history"), 66, "is not a pleiad dataset");
    check_refused("show", lab.run("show @nowhere"), 66, "nowhere'");
}

#[test]
fn check_says_what_a_server_can_do_before_there_is_anything() {
    let lab = Lab::new(On::S3);
    let said = lab.done("check @empty --json");
    for part in [
        "nothing is stored at 's3://bucket/some/out/empty' yet",
        "the server answers and lists: endpoint http://127.0.0.1:",
        "(from AWS_S3_ENDPOINT), region us-east-1 (from AWS_DEFAULT_REGION), key …4F2A",
        "refuses to put a name twice",
        "multipart uploads work",
    ] {
        assert!(said.contains(part), "'{part}' is not in: {said}");
    }
    assert_eq!(wait(lab.files("empty")), Vec::<String>::new(), "no probe is left");
    assert_eq!(lab.place.server().open_uploads(), 0);
    lab.done("check s3://bucket");
    for line in ["ls s3://bukket", "cat s3://buckets/a.csv", "stat s3://ucket/x"] {
        check_refused(
            line,
            lab.run(line),
            66,
            "' (from AWS_S3_ENDPOINT): did you mean 'bucket'?\n",
        );
    }
    let (_, _, stderr) = lab.run("ls s3://nowhere");
    assert!(!stderr.contains("there is"), "{stderr}");
    let wrong = lab.run_with("ls s3://", &[("AWS_SECRET_ACCESS_KEY", "canary")]);
    check_refused("ls s3://", wrong, 77, "wrong secret key");
    check_refused("check", lab.run("check s3://nowhere"), 66, "no bucket 'nowhere'");
    let wrong = lab.run_with("check @empty", &[("AWS_SECRET_ACCESS_KEY", "canary")]);
    check_refused("check", wrong, 77, "wrong secret key");
}

#[rstest]
fn check_refuses_an_object(#[values(On::Files, On::S3)] on: On) {
    let lab = Lab::new(on);
    put(&lab, &[("noext", "1"), ("a.csv", "1")]);
    for line in ["check @noext", "check @a.csv"] {
        check_refused(line, lab.run(line), 2, "' is an object, expected a dataset, a folder");
    }
    assert_eq!(wait(lab.files("noext")), Vec::<String>::new(), "no probe");
}

/// The second listing comes late: meanwhile another version takes the place of the first.
#[tokio::test(flavor = "multi_thread")]
async fn check_sees_no_damage_while_a_dataset_is_overwritten() {
    let lab = Lab::new(On::S3);
    lab.people(20);
    let options = StorageOptions::default();
    let options = options.with_environment(Environment::of(TestS3::variables()));
    let late = Fault::Delay(Duration::from_millis(1));
    let http = FaultHttp::over(lab.place.server().connector()).nth(2, "GET", "", late);
    let stores = Stores::with_http(options, Arc::new(http.clone()));
    let location = lab.location("people");
    let overwrite = async {
        while http.calls().iter().all(|call| call.fault.is_none()) {
            tokio::task::yield_now().await;
        }
        // It holds the thread of both.
        lab.done("generate people @people --rows 30 --mode overwrite");
    };
    let check = commit::check(&stores, &location, true, &Silent);
    let (checkup, ()) = tokio::join!(check, overwrite);
    let checkup = checkup.unwrap();
    assert_eq!(checkup.damages(), 0, "{:?}", checkup.findings);
    assert_eq!(checkup.manifest.unwrap().rows(), 90);
}

/// Each way an Onyxia pod gives keys, through the real program and without a flag.
#[test]
fn each_way_of_a_data_lab_works_without_a_flag() {
    let lab = Lab::new(On::S3);
    put(&lab, &[("hello.txt", "hello")]);
    let served = lab.served.as_ref().unwrap();
    let (endpoint, home) = (served.endpoint(), tempfile::tempdir().unwrap());
    let host = endpoint.strip_prefix("http://").unwrap();
    let config = format!(
        "[default]\nservices = m\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n\
         [services m]\ns3 =\n  endpoint_url = {endpoint}/\n"
    );
    let folder = home.path().join(".aws");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("config"), config).unwrap();
    let mc = home.path().join(".mc");
    std::fs::create_dir(&mc).unwrap();
    let entry = serde_json::json!({
        "version": "10",
        "aliases": {"lab": {"url": &endpoint, "accessKey": KEY, "secretKey": SECRET}}
    });
    std::fs::write(mc.join("config.json"), entry.to_string()).unwrap();
    let token = format!("http://{KEY}:{SECRET}:to/k+e:n==@{host}");
    let ways: [(&[(&str, &str)], &str); 5] = [
        (
            &[
                ("AWS_ACCESS_KEY_ID", KEY),
                ("AWS_SECRET_ACCESS_KEY", SECRET),
                ("AWS_SESSION_TOKEN", ""),
                ("AWS_DEFAULT_REGION", ""),
                ("AWS_S3_ENDPOINT", &endpoint),
                ("HOME", "/nonexistent"),
            ],
            "s3://bucket/some/out/hello.txt",
        ),
        (&[("MC_HOST_s3", &token), ("HOME", "/nonexistent")], "s3/bucket/some/out/hello.txt"),
        (&[("MC_HOST_s3", &token), ("HOME", "/nonexistent")], "s3a://bucket/some/out/hello.txt"),
        (&[("HOME", home.path().to_str().unwrap())], "s3://bucket/some/out/hello.txt"),
        (&[("HOME", home.path().to_str().unwrap())], "lab/bucket/some/out/hello.txt"),
    ];
    for (variables, location) in ways {
        let variables = variables.iter().copied();
        let (code, stdout, stderr) =
            outcome(pleiad(&["cat", location]).envs(variables.clone()).current_dir(home.path()));
        assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "hello", ""), "{location}");
        let (code, stdout, stderr) =
            outcome(pleiad(&["ls", location]).envs(variables).current_dir(home.path()));
        assert!(code == 0 && stdout.contains(",hello.txt\n"), "{location}: {stderr}");
    }
    // A bucket by its variable, and a local path in spite of an alias.
    let mut command = pleiad(&["ls", "--format", "csv"]);
    command.envs(served.variables()).env("AWS_BUCKET_NAME", "bucket");
    assert!(outcome(&mut command).1.contains(",some/\n"));
    let here = home.path().join("s3/bucket");
    std::fs::create_dir_all(&here).unwrap();
    std::fs::write(here.join("here.txt"), "here").unwrap();
    let mut command = pleiad(&["cat", "./s3/bucket/here.txt"]);
    let found = outcome(command.env("MC_HOST_s3", &token).current_dir(home.path()));
    assert_eq!(found.1, "here");
    for server in ["s3", "s3/", "s3://"] {
        let mut command = pleiad(&["ls", server, "--format", "csv"]);
        command.env("MC_HOST_s3", &token).env("HOME", "/nonexistent").current_dir(home.path());
        let found = outcome(&mut command);
        let listed = "size,modified,name\n,,bucket/\n".to_owned();
        assert_eq!(found, (0, listed, String::new()), "{server}");
    }
    let mut command = pleiad(&["cat", "s3/"]);
    let (code, _, stderr) = outcome(command.env("MC_HOST_s3", &token).current_dir(home.path()));
    assert!(code == 2 && stderr.contains("has no bucket"), "{stderr}");
}

#[test]
fn a_broken_config_of_mc_is_told_and_stops_no_path() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join(".mc")).unwrap();
    std::fs::create_dir_all(home.path().join("here")).unwrap();
    std::fs::write(home.path().join(".mc/config.json"), "{\n\"aliases\": canary").unwrap();
    std::fs::write(home.path().join("here/a"), "a").unwrap();
    let run =
        |line: &[&str]| outcome(pleiad(line).env("HOME", home.path()).current_dir(home.path()));
    let (code, stdout, stderr) = run(&["cat", "here/a"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "a", ""));
    let (code, _, stderr) = run(&["cat", "lab/bucket/a"]);
    assert_eq!(code, 66, "{stderr}");
    assert!(stderr.contains("is not mc's config.json: line 2, column 12"), "{stderr}");
    assert!(!stderr.contains("canary"), "{stderr}");
}

#[test]
fn settings_are_shown_with_their_source_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pleiad.toml"), "memory-limit = \"3g\"\n").unwrap();
    let mut command = pleiad(&["config", "show", "--origin", "--threads", "2", "--json"]);
    command.current_dir(folder.path()).env("PLEIAD_DISK_LIMIT", "9g").env("HOME", "/nonexistent");
    command.env("MC_HOST_s3", "https://AKIDTEST4F2A:canary/1:canary+2=@minio.lab:9000");
    let (code, stdout, stderr) = outcome(&mut command);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(!stdout.contains("canary"), "{stdout}");
    let rows: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let shown = |name: &str| {
        let row = rows.iter().find(|row| row["setting"] == name).unwrap();
        (row["value"].as_str(), row["origin"].as_str().unwrap())
    };
    assert_eq!(shown("threads"), (Some("2"), "--threads"));
    assert_eq!(shown("memory-limit"), (Some("3g"), "./pleiad.toml"));
    assert_eq!(shown("disk-limit"), (Some("9g"), "PLEIAD_DISK_LIMIT"));
    assert_eq!(shown("endpoint-url"), (Some("https://minio.lab:9000"), "MC_HOST_s3"));
    assert_eq!(shown("access-key"), (Some("…4F2A"), "MC_HOST_s3"));
    assert_eq!(shown("secret-key"), (Some("***"), "MC_HOST_s3"));
    assert_eq!(shown("session-token"), (Some("***"), "MC_HOST_s3"));
}

#[test]
fn shells_and_man_are_told_of_every_command() {
    for (line, said) in [("completions bash", "_pleiad"), ("man", ".TH"), ("man kmeans", "kmeans")]
    {
        let words: Vec<&str> = line.split(' ').collect();
        let (code, stdout, stderr) = outcome(&mut pleiad(&words));
        assert_eq!((code, stderr.as_str()), (0, ""), "{line}");
        assert!(stdout.contains(said) && stdout.contains("kmeans"), "{line}");
    }
    let (code, _, stderr) = outcome(&mut pleiad(&["man", "kmean"]));
    assert!(code == 2 && stderr.contains("'kmean' is not a command of 'pleiad'"), "{stderr}");
}

/// Programs read these keys: a change of one is a change for them.
#[test]
fn the_keys_of_answers_are_stable_and_standard_output_is_data() {
    let lab = Lab::new(On::Files);
    lab.people(20);
    put(&lab, &FILES);
    let expected = [
        ("ls @in", "size modified name"),
        ("stat @in", "location kind size modified e_tag"),
        ("cp @in/a.csv @out/a.csv --force", "size from to"),
        ("rm @in --yes --dry-run", "files bytes location"),
        ("du @in", "files bytes location"),
        ("tree @people", "tree rows files bytes path"),
        ("schema @in/a.csv", "table column type nullable sql source"),
        ("count @people", "table rows files bytes"),
        ("summary @in/a.csv", "table column type rows nulls nans min max mean approx_distinct"),
        (
            "meta @people/table1/id_pref=0/*.parquet --show columns",
            "row_group column type rows nulls min max bytes plain_bytes compression encodings \
             page_index bloom_filter sorted file",
        ),
        (
            "meta @people/table1/id_pref=0/*.parquet --show files",
            "rows row_groups columns bytes created_by version notes file",
        ),
        (
            "show @people --show dataset",
            "version created command mode tables files rows bytes run location",
        ),
        ("show @people --show tables", "table rows files bytes partitions keys columns"),
        ("show @people --properties", "key value"),
        ("show @people --manifest", "table rows bytes sha256 path"),
        (
            "show @people --history",
            "run state version started ended rows bytes readable mode host pid arguments",
        ),
        ("config show --origin", "setting value origin"),
    ];
    for (line, keys) in expected {
        let csv = lab.done(&format!("{line} --format csv -vv"));
        assert_eq!(csv.lines().next().unwrap().replace(',', " "), keys, "{line}");
        let json = lab.done(&format!("{line} --format json -vv"));
        let json: Value = serde_json::from_str(&json).expect("JSON");
        let rows = json.as_array().unwrap();
        let first: Vec<_> = rows[0].as_object().unwrap().keys().cloned().collect();
        let (mut found, mut keys): (Vec<_>, Vec<_>) = (first, keys.split(' ').collect());
        found.sort_unstable();
        keys.sort_unstable();
        assert_eq!(
            (found, csv.lines().count() - 1),
            (keys.into_iter().map(str::to_owned).collect(), rows.len()),
            "{line}"
        );
    }
}

// ---- servers in trouble

/// A local file of `size` bytes, a place on `server` to copy it to, and stores that lead there through
/// `faults`.
fn journey(
    server: &TestS3,
    size: usize,
    faults: impl FnOnce(FaultHttp) -> FaultHttp,
) -> (tempfile::TempDir, Location, Location, Arc<Stores>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("from.bin");
    let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
    std::fs::write(&file, bytes).unwrap();
    let options = StorageOptions::default();
    let options = options.with_environment(Environment::of(TestS3::variables()));
    let http = faults(FaultHttp::over(server.connector()));
    let stores = Stores::with_http(options, Arc::new(http));
    let from = Location::parse(file.to_str().unwrap()).unwrap();
    (folder, from, Location::parse("s3://bucket/copied.bin").unwrap(), stores)
}

/// The client repeats what it got no answer to, and meets what it has done.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_done_though_the_answer_was_lost_is_done() {
    for call in 0..4 {
        let server = TestS3::new(&["bucket"]);
        let (_folder, from, to, stores) =
            journey(&server, 1000, |http| http.at(call, Fault::ServerErrorAfter));
        let copied = copy::copy(&stores, &from, &to, CopyOptions::default(), &Silent).await;
        assert_eq!(copied.unwrap()[0].size, 1000, "call {call}");
        let stored = std::fs::read(server.bucket("bucket").join("copied.bin")).unwrap();
        assert_eq!(stored, std::fs::read(from.local_path().unwrap()).unwrap());
        let again = copy::copy(&stores, &from, &to, CopyOptions::default(), &Silent).await;
        assert_eq!(again.unwrap_err().kind(), Kind::OutputExists);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_fails_leaves_no_object_and_no_upload() {
    let server = TestS3::new(&["bucket"]);
    let refused = Fault::Status(400, "EntityTooLarge");
    let (_folder, from, to, stores) =
        journey(&server, 17 << 20, |http| http.nth(2, "PUT", "copied", refused));
    let copied = copy::copy(&stores, &from, &to, CopyOptions::default(), &Silent).await;
    let message = copied.unwrap_err().to_string();
    assert!(message.contains("answered 400 EntityTooLarge"), "{message}");
    until("the end of the upload", || server.open_uploads() == 0);
    assert!(!server.bucket("bucket").join("copied.bin").exists());
}

/// A policy that lets objects be read and not listed.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_list_may_still_read() {
    let server = TestS3::new(&["bucket"]);
    let (_folder, local, to, stores) = journey(&server, 10, FaultHttp::without_listing);
    for name in ["s3://bucket/copied.bin", "s3://bucket/noext"] {
        let to = Location::parse(name).unwrap();
        copy::copy(&stores, &local, &to, CopyOptions::default(), &Silent).await.unwrap();
        let read: Vec<_> = copy::read(&stores, &to).await.unwrap().try_collect().await.unwrap();
        assert_eq!(read.concat().len(), 10);
        let listed = pleiad::objects::list(&stores, &to, false).await.unwrap();
        assert_eq!(listed[0].object.as_ref().unwrap().size, 10);
    }
    let folder = Location::parse("s3://bucket").unwrap();
    let error = pleiad::objects::list(&stores, &folder, false).await.unwrap_err();
    assert_eq!((error.kind(), to.name()), (Kind::Denied, "copied.bin"));
    assert!(error.to_string().contains("may not list"), "{error}");
}

/// One odd key fails the whole listing of the client: ours leaves it out, and its name is told.
#[tokio::test]
async fn an_odd_key_is_named() {
    let object = |key: &str| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2024-02-29T00:00:00.000Z</LastModified>\
             <ETag>\"e\"</ETag><Size>1</Size></Contents>"
        )
    };
    let listing = format!(
        "<?xml version=\"1.0\"?><ListBucketResult><Name>bucket</Name><KeyCount>2</KeyCount>\
         <IsTruncated>false</IsTruncated>{}{}</ListBucketResult>",
        object("x/a//b"),
        object("x/c")
    );
    let options = StorageOptions::default();
    let options = options.with_environment(Environment::of(TestS3::variables()));
    let scripted = Scripted::new(move |_| Ok((200, listing.to_owned())));
    let stores = Stores::with_http(options, Arc::new(scripted));
    let location = Location::parse("s3://bucket/x").unwrap();
    let listed = pleiad::objects::list(&stores, &location, true).await.unwrap();
    assert_eq!(listed.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["c"]);
    assert_eq!(stores.skipped(), Some((1, "s3://bucket/x/a//b".to_owned())));
}
