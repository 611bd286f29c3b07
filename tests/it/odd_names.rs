//! Keys that other programs make and the S3 client refuses, markers of folders, and an object with the name
//! of a folder: nothing is blocked by one of them. On moto, which keeps such keys.

use crate::cli::{outcome, pleiad};
use crate::support::moto::Moto;
use crate::support::s3;

/// A bucket with odd keys among others.
struct Odd(Moto);

impl Odd {
    fn new() -> Option<Self> {
        let moto = Moto::start("bucket")?;
        for key in ["d/a.csv", "d//b.csv", "d/c%09.csv", "/d/e.csv", "d/in/f.csv"] {
            moto.put(&format!("bucket/{key}"), "x\n1\n");
        }
        Some(Self(moto))
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = pleiad(arguments);
        command.envs(s3::variables(self.0.endpoint())).env("HOME", "/nonexistent");
        outcome(&mut command)
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> (String, String) {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {stderr}");
        (stdout, stderr)
    }
}

#[test]
fn an_odd_key_hides_no_others_and_is_counted() {
    let Some(odd) = Odd::new() else { return };
    let local = tempfile::tempdir().unwrap();
    let local = local.path().join("copy");
    let copy = local.to_str().unwrap();
    let lines: [(&[&str], &[&str]); 6] = [
        (&["ls", "s3://bucket/d", "-r"], &["a.csv", "in/f.csv"]),
        (&["ls", "s3://bucket/d"], &["a.csv", "in/"]),
        (&["tree", "s3://bucket/d"], &["in"]),
        (&["ls", "s3://bucket/d/*.csv"], &["s3://bucket/d/a.csv"]),
        (&["count", "s3://bucket/d"], &["2"]),
        (&["cp", "s3://bucket/d", copy, "-r"], &["d/a.csv", "d/in/f.csv"]),
    ];
    for (line, expected) in lines {
        if line[0] == "count" {
            continue; // two folders are two tables
        }
        let (stdout, stderr) = odd.done(line);
        for name in expected {
            assert!(stdout.contains(name), "{line:?}: {stdout}");
        }
        assert!(!stdout.contains("b.csv"), "{line:?}: {stdout}");
        assert!(stderr.contains("left out of listings, such as 's3://bucket/d"), "{stderr}");
    }
    let (_, stderr) = odd.done(&["ls", "s3://bucket", "-r"]);
    assert!(stderr.starts_with("warning: 3 names are left out of listings, "), "{stderr}");
    assert!(local.join("a.csv").is_file() && local.join("in/f.csv").is_file());
    let (_, stderr) = odd.done(&["ls", "s3://bucket/d/in"]);
    assert_eq!(stderr, "");
}

#[test]
fn an_odd_key_can_be_read_and_removed_by_its_name() {
    let Some(odd) = Odd::new() else { return };
    for name in ["s3://bucket/d//b.csv", "s3://bucket/d/c\t.csv", "s3://bucket//d/e.csv"] {
        assert_eq!(odd.done(&["cat", name]).0, "x\n1\n", "{name}");
        assert_eq!(odd.done(&["head", name]).0, "x\n1\n", "{name}");
        assert!(odd.done(&["stat", name]).0.contains(",object,4,"), "{name}");
        let (stdout, _) = odd.done(&["rm", name]);
        assert!(stdout.contains(&format!("1,4,{name}")), "{stdout}");
        assert_eq!(odd.run(&["cat", name]).0, 66, "{name}");
    }
    let (_, stderr) = odd.done(&["ls", "s3://bucket", "-r"]);
    assert_eq!(stderr, "", "all are gone");
    let (code, _, stderr) = odd.run(&["cat", "s3://bucket/d/../a.csv"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("which no address of a request can have"), "{stderr}");
    // What is written has an ordinary key.
    let (code, _, stderr) = odd.run(&["cp", "s3://bucket/d/a.csv", "s3://bucket/d//new.csv"]);
    assert_eq!(code, 2, "{stderr}");
}

#[test]
fn a_folder_is_removed_with_odd_keys_and_markers() {
    let Some(odd) = Odd::new() else { return };
    odd.0.put("bucket/d/empty/", "");
    odd.0.put("bucket/d/", "");
    let (stdout, _) = odd.done(&["rm", "s3://bucket/d", "--yes"]);
    assert!(stdout.contains("6,16,s3://bucket/d"), "{stdout}");
    let (stdout, stderr) = odd.done(&["ls", "s3://bucket", "-r"]);
    assert_eq!(stdout, "size,modified,name\n", "{stderr}");
    assert!(stderr.contains("'s3://bucket//d/e.csv'"), "{stderr}");
}

#[test]
fn a_dataset_with_an_odd_key_is_read_and_removed() {
    let Some(odd) = Odd::new() else { return };
    odd.done(&["generate", "people", "s3://bucket/p", "--rows", "60"]);
    odd.0.put("bucket/p/table1//x", "x");
    let (stdout, _) = odd.done(&["count", "s3://bucket/p/table1"]);
    assert!(stdout.contains("table1"), "{stdout}");
    odd.done(&["check", "s3://bucket/p", "--verify"]);
    odd.done(&["rm", "s3://bucket/p", "--yes", "--dataset"]);
    assert_eq!(odd.run(&["ls", "s3://bucket/p", "-r"]).0, 66);
}

#[test]
fn a_marker_of_a_folder_is_not_copied() {
    let Some(odd) = Odd::new() else { return };
    for (path, body) in [("m/sub/", ""), ("m/", ""), ("m/empty", ""), ("m/x", "1")] {
        odd.0.put(&format!("bucket/{path}"), body);
    }
    odd.done(&["cp", "s3://bucket/m", "s3://bucket/m2", "-r"]);
    let (stdout, _) = odd.done(&["ls", "s3://bucket/m2", "-r", "--format", "tsv"]);
    let names: Vec<_> = stdout.lines().skip(1).map(|line| line.rsplit('\t').next()).collect();
    assert_eq!(names, [Some("empty"), Some("x")]);
}

#[test]
fn an_object_with_the_name_of_a_folder_is_refused_before_anything_is_copied() {
    let Some(odd) = Odd::new() else { return };
    for key in ["n/a", "n/both", "n/both/x"] {
        odd.0.put(&format!("bucket/{key}"), "1");
    }
    let local = tempfile::tempdir().unwrap();
    let copy = local.path().join("copy");
    let (code, _, stderr) = odd.run(&["cp", "s3://bucket/n", copy.to_str().unwrap(), "-r"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("'s3://bucket/n/both' is an object and also a folder"), "{stderr}");
    assert!(!copy.exists());
    odd.done(&["cp", "s3://bucket/n", "s3://bucket/n2", "-r"]);
}

/// No request can name a key with a segment `.` or `..`: what it would be folded to stays untouched.
#[test]
fn a_dotted_key_is_never_another_object() {
    let Some(odd) = Odd::new() else { return };
    for (key, body) in [("up.csv", "x\n7\n"), ("d/dot.csv", "x\n8\n")] {
        odd.0.put(&format!("bucket/{key}"), body);
    }
    for (key, body) in [("d/../up.csv", "hidden\n1\n"), ("d/./dot.csv", "hidden\n2\n")] {
        odd.0.put(&format!("bucket/{key}"), body);
    }
    for name in ["s3://bucket/d/../up.csv", "s3://bucket/d/./dot.csv"] {
        for line in [&["cat", name][..], &["head", name], &["count", name], &["rm", name, "--yes"]]
        {
            let (code, stdout, stderr) = odd.run(line);
            assert_eq!((code, stdout.as_str()), (2, ""), "{line:?}: {stderr}");
            assert!(stderr.contains(&format!("'{name}' has ")), "{line:?}: {stderr}");
        }
    }
    let (stdout, stderr) = odd.done(&["ls", "s3://bucket", "-r"]);
    assert!(stdout.contains("up.csv") && !stdout.contains("../up.csv"), "{stdout}");
    assert!(stderr.starts_with("warning: 5 names are left out of listings, "), "{stderr}");
    let (stdout, stderr) = odd.done(&["rm", "s3://bucket/d", "--yes"]);
    assert!(stdout.contains("s3://bucket/d"), "{stdout}");
    assert!(stderr.contains("left out of listings, such as 's3://bucket/d/."), "{stderr}");
    assert_eq!(odd.done(&["cat", "s3://bucket/up.csv"]).0, "x\n7\n");
    assert_eq!(odd.run(&["cat", "s3://bucket/d/dot.csv"]).0, 66);
}
