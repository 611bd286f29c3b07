//! The exercise of the data-lab course on two files of our own making, with the oddities of France's
//! road accidents: another delimiter in each, codes with leading zeros, a letter far down in a column
//! of numbers, missing years.

use std::fmt::Write as _;

use crate::support::data_lab::{Files, check_commands, check_script};

const PEOPLE: u64 = 600;

fn files() -> Files {
    let mut usagers =
        "place;catu;grav;sexe;an_nais;trajet;secu1;secu2;secu3;locp;actp;etatp\n".to_owned();
    for i in 0..PEOPLE {
        let grav = match i {
            0..250 => 1,
            250..450 => 4,
            450..540 => 3,
            540..580 => 2,
            _ => -1,
        };
        let year = if i % 12 == 5 { String::new() } else { (1940 + i % 80).to_string() };
        let actp = if i >= 93 && i % 100 == 93 { "B" } else { "-1" };
        writeln!(usagers, "1;{};{grav};1;{year};5;2;8;-1;-1;{actp};-1", i % 3 + 1).unwrap();
    }
    let mut vehicules = "Num_Acc,senc,catv,occutc,obs,obsm,choc,manv,num_veh\n".to_owned();
    // Accident i has i % 5 + 1 vehicles.
    for accident in 0..50_u64 {
        for vehicle in 0..=accident % 5 {
            let number = 201_800_000_001 + accident;
            writeln!(vehicules, "{number},0,07,000,00,2,3,01,B{vehicle:02}").unwrap();
        }
    }
    Files {
        usagers: usagers.into_bytes(),
        vehicules: vehicules.into_bytes(),
        people: PEOPLE,
        vehicles: 150,
        no_year: 50,
        severity: &[(1, 250), (4, 200), (3, 90), (2, 40), (-1, 20)],
        activity_b: 6,
        three_or_four: 20,
    }
}

#[test]
fn two_files_are_listed_copied_previewed_and_counted() {
    check_commands(&files());
}

#[test]
fn the_script_of_the_exercise_gives_its_counts() {
    check_script(&files());
}
