//! Rows into a dataset by INSERT and COPY, and the mending of one whose tables are mixed.

use std::fs;

use rstest::rstest;

use crate::cli::{outcome, pleiad};
use crate::commands::Lab;
use crate::support::scratch::On;

/// Runs SQL in which `@` stands for the lab: code, standard output, standard error.
fn sql(lab: &Lab, text: &str) -> (i32, String, String) {
    let text = text.replace("'@", &format!("'{}/", lab.at("")));
    outcome(pleiad(&["sql", "-c", &text, "--format", "csv"]).envs(lab.variables()))
}

#[track_caller]
fn done(lab: &Lab, text: &str) -> String {
    let (code, stdout, stderr) = sql(lab, text);
    assert_eq!(code, 0, "{text}: {stderr}");
    stdout
}

#[track_caller]
fn count(lab: &Lab, table: &str) -> u64 {
    let counted = done(lab, &format!("SELECT count(*) FROM '{table}'"));
    counted.lines().nth(1).expect("a row").parse().expect("a number")
}

#[rstest]
#[case(On::Files)]
#[case(On::S3)]
fn rows_are_inserted_by_location_as_by_name(#[case] on: On) {
    let lab = Lab::new(on);
    lab.done("generate sky @sky --rows 300");
    lab.people(100);
    done(&lab, "INSERT INTO '@sky/sky' SELECT * FROM '@sky/sky' LIMIT 7");
    assert_eq!(count(&lab, "@sky/sky"), 307);
    // A dataset of one table is named by its folder too.
    done(&lab, "INSERT INTO '@sky' SELECT * FROM '@sky/sky' LIMIT 1");
    assert_eq!(count(&lab, "@sky"), 308);
    // Keys find their folders.
    done(&lab, "INSERT INTO '@people/table1' SELECT * FROM '@people/table2' WHERE id_pref = 1");
    let keys = "SELECT count(*) FROM '@people/table1/id_pref=1'";
    let added = done(&lab, "SELECT count(*) FROM '@people/table2/id_pref=1'");
    let added: u64 = added.lines().nth(1).expect("a row").parse().expect("a number");
    assert!(added > 0, "{keys}");
    assert_eq!(count(&lab, "@people/table1"), 100 + added);
    lab.done("check @people --verify");
}

#[test]
fn rows_are_inserted_into_the_current_version_only() {
    let lab = Lab::new(On::Files);
    lab.done("generate sky @sky --rows 300");
    done(&lab, "INSERT INTO '@sky/sky' SELECT * FROM '@sky/sky' LIMIT 1");
    let (code, _, stderr) = sql(&lab, "INSERT INTO '@sky/sky@1' SELECT * FROM '@sky/sky'");
    assert!(code == 2 && stderr.contains("INSERT INTO needs a table of a dataset"), "{stderr}");
}

#[rstest]
#[case::rows_beside_tables(
    "COPY (SELECT 1 AS a) TO '@sky' OPTIONS ('mode' 'append')",
    "INSERT INTO '"
)]
#[case::rows_of_its_own(
    "COPY (SELECT * FROM '@sky/sky') TO '@sky' OPTIONS ('mode' 'append')",
    "holds the tables sky"
)]
#[case::another_column(
    "COPY (SELECT 1 AS b) TO '@plain' OPTIONS ('mode' 'append')",
    "expected column 'a'"
)]
fn rows_of_another_shape_are_refused_before_a_byte(#[case] copy: &str, #[case] says: &str) {
    let lab = Lab::new(On::Files);
    lab.done("generate sky @sky --rows 300");
    done(&lab, "COPY (SELECT 1 AS a) TO '@plain'");
    let before = [lab.done("check @sky --verify"), lab.done("check @plain --verify")];
    let (code, _, stderr) = sql(&lab, copy);
    assert!([2, 65].contains(&code) && stderr.contains(says), "{code}: {stderr}");
    let after = [lab.done("check @sky --verify"), lab.done("check @plain --verify")];
    assert_eq!(before, after);
    lab.done("partition @sky @blocks --ra ra --dec decl --grid 4x2");
}

#[test]
fn a_dataset_with_a_table_at_its_root_beside_others_is_found_and_mended() {
    let lab = Lab::new(On::Files);
    lab.done("generate sky @sky --rows 300");
    // As version 0.1.0 wrote it.
    done(&lab, "COPY (SELECT * FROM '@sky/sky' LIMIT 5) TO '@other'");
    let manifest = |name: &str| {
        lab.location(name).local_path().expect("a path").join("_manifest/00000001.json")
    };
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(manifest(name)).expect("a manifest")).expect("JSON")
    };
    let (mut sky, other) = (read("sky"), read("other"));
    for list in ["tables", "files"] {
        let more = other[list].as_array().expect("a list").clone();
        sky[list].as_array_mut().expect("a list").extend(more);
    }
    for file in other["files"].as_array().expect("a list") {
        let path = file["path"].as_str().expect("a path");
        let [from, to] = ["other", "sky"].map(|name| lab.location(name).join(path));
        let [from, to] = [&from, &to].map(|place| place.local_path().expect("a path"));
        fs::copy(from, to).expect("a copy");
    }
    sky.as_object_mut().expect("an object").remove("checksum");
    let version = manifest("sky").with_file_name("00000002.json");
    sky["version"] = 2.into();
    sky["base"] = 1.into();
    fs::write(version, serde_json::to_vec_pretty(&sky).expect("JSON")).expect("written");

    let (code, stdout, stderr) = lab.run("check @sky");
    assert_eq!(code, 65, "{stdout}{stderr}");
    assert!(stdout.contains("is beside others") && stdout.contains("--table ."), "{stdout}");
    lab.done("rm @sky --table .");
    lab.done("check @sky --verify");
    assert_eq!(count(&lab, "@sky/sky"), 300);
    lab.done("partition @sky @blocks --ra ra --dec decl --grid 4x2");
}

#[rstest]
#[case("rm @people --table nothing", 66, "which has table1, table2, table3")]
#[case("rm @sky --table sky", 2, "is the only table")]
#[case("rm @people --table table1 --yes", 2, "cannot be used with")]
fn a_table_that_cannot_go_stays(#[case] line: &str, #[case] code: i32, #[case] says: &str) {
    let lab = Lab::new(On::Files);
    lab.people(100);
    lab.done("generate sky @sky --rows 300");
    let (found, _, stderr) = lab.run(line);
    assert!(found == code && stderr.contains(says), "{found}: {stderr}");
}

#[test]
fn a_table_that_was_removed_can_be_brought_back() {
    let lab = Lab::new(On::Files);
    lab.people(100);
    lab.done("rm @people --table table2");
    assert!(!lab.done("show @people --show tables").contains("table2"));
    lab.done("rollback @people 1");
    assert_eq!(count(&lab, "@people/table2"), 100);
}
