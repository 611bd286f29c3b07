//! The exercise of the data-lab course on France's road accidents (`usagers` 2022, `vehicules` 2018).
//! Counts are those of the files, found with `wc` and `cut`, and of `sql_golden.csv`.

use crate::support::data_lab::{Files, check_commands, check_script};
use crate::support::shared::shared;

fn files() -> Option<Files> {
    let bytes = |file: &str| Some(std::fs::read(shared(&format!("csv/{file}"))?).unwrap());
    let files = Files {
        usagers: bytes("usagers-2022_nokey.csv")?,
        vehicules: bytes("vehicules-2018.csv")?,
        people: 126_662,
        vehicles: 98_876,
        no_year: 2_874,
        severity: &[(1, 53_630), (4, 49_981), (3, 19_260), (2, 3_550), (-1, 241)],
        activity_b: 300,
        three_or_four: 4131,
    };
    assert_eq!((files.usagers.len(), files.vehicules.len()), (3_955_006, 3_558_545));
    Some(files)
}

#[test]
fn two_files_are_listed_copied_previewed_and_counted() {
    files().iter().for_each(check_commands);
}

#[test]
fn the_script_of_the_exercise_gives_its_counts() {
    files().iter().for_each(check_script);
}
