//! Lines of two kinds of devices that people carry: phones and watches, as the streaming lab has them.
//!
//! A line tells of a moment up to a second ago. Two of 101 lines are errors: their device sends its times
//! and nothing else. Numbers of measurements go on over those.

use rand::Rng;

use super::draws::{Column, Draws};

/// What sends the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// What its user does, and three accelerations.
    Phone,
    /// The beats of the heart a minute.
    Watch,
}

const ACTIVITIES: [&str; 8] =
    ["stand", "sit", "walk", "stairsdown", "unknown", "stairsup", "bike", "run"];

/// The longest way of a line, in nanoseconds.
const LATE: u64 = 1_000_000_000;

/// Lines of one kind of device, one after the other.
#[derive(Clone, Debug)]
pub struct Iot {
    device: Device,
    bits: Column,
    line: u64,
    index: u64,
}

impl Iot {
    /// From the first line.
    pub fn new(device: Device, seed: u64) -> Self {
        let name = match device {
            Device::Phone => "iot.phone",
            Device::Watch => "iot.watch",
        };
        Self { device, bits: Column::new(seed, name), line: 0, index: 0 }
    }

    /// The next line, which arrives at `now`: nanoseconds since 1970.
    pub fn line(&mut self, now: i64) -> String {
        let mut draws = self.bits.at(self.line);
        self.line += 1;
        let late = i64::try_from(below(&mut draws, LATE + 1)).unwrap_or(0); // a second fits
        let times = format!("{{\"Arrival_Time\": {now}, \"Creation_Time\": {}", now - late);
        if below(&mut draws, 101) >= 99 {
            return format!(
                "{times}, \"Device\": null, \"Index\": null, \"Model\": null, \"User\": null, \"gt\": null, \
                 \"x\": null, \"y\": null, \"z\": null}}"
            );
        }
        self.index += 1;
        let index = self.index;
        let user = char::from(b'a' + small(&mut draws, 26));
        match self.device {
            Device::Phone => {
                let number = 1 + small(&mut draws, 2);
                let activity = ACTIVITIES[usize::from(small(&mut draws, 8))];
                let [x, y, z] = [[-1.0, 1.0, 0.5], [-0.3, 0.2, 0.0], [1.0, 3.0, 1.1]]
                    .map(|[low, high, mode]| triangular(&mut draws, low, high, mode));
                format!(
                    "{times}, \"Device\": \"nexus4_{number}\", \"Index\": {index}, \"Model\": \"nexus4\", \
                     \"User\": \"{user}\", \"gt\": \"{activity}\", \"x\": {x:?}, \"y\": {y:?}, \"z\": {z:?}}}"
                )
            }
            Device::Watch => {
                let number = 1 + small(&mut draws, 12);
                let bpm = 60 + small(&mut draws, 141);
                format!(
                    "{times}, \"Device\": \"smartWatchX{number}\", \"Index\": {index}, \"Model\": \
                     \"smartWatch\", \"User\": \"{user}\", \"bpm\": {bpm}, \"gt\": null, \"x\": null, \
                     \"y\": null, \"z\": null}}"
                )
            }
        }
    }
}

/// A whole number below `end`, each with the same chance but for one in 2^64 / `end`.
pub(super) fn below(draws: &mut Draws, end: u64) -> u64 {
    let product = u128::from(draws.next_u64()) * u128::from(end);
    u64::try_from(product >> 64).expect("the high half of 128 bits")
}

fn small(draws: &mut Draws, end: u8) -> u8 {
    u8::try_from(below(draws, u64::from(end))).expect("below a number of 8 bits")
}

/// A number of the triangular law between `low` and `high`, by its inverse.
fn triangular(draws: &mut Draws, low: f64, high: f64, mode: f64) -> f64 {
    let chance = (mode - low) / (high - low);
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let u = (draws.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    match u <= chance {
        true => low + (high - low) * (u * chance).sqrt(),
        false => high - (high - low) * ((1.0 - u) * (1.0 - chance)).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const NOW: i64 = 1_619_562_304_000_000_000;

    fn lines(device: Device, seed: u64, count: usize) -> Vec<String> {
        let mut iot = Iot::new(device, seed);
        (0..count).map(|_| iot.line(NOW)).collect()
    }

    fn keys(line: &str) -> Vec<String> {
        let text = line.trim_matches(['{', '}']);
        text.split(", ").map(|member| member.split(": ").next().unwrap().replace('"', "")).collect()
    }

    #[test]
    fn keys_have_the_order_of_the_lab() {
        let expected = [
            "Arrival_Time",
            "Creation_Time",
            "Device",
            "Index",
            "Model",
            "User",
            "gt",
            "x",
            "y",
            "z",
        ];
        for line in lines(Device::Phone, 1, 500) {
            assert_eq!(keys(&line), expected);
            assert!(line.is_ascii());
        }
        let with_bpm = [&expected[..6], &["bpm"], &expected[6..]].concat();
        for line in lines(Device::Watch, 1, 500) {
            let is_error = line.contains("\"User\": null");
            assert_eq!(keys(&line), if is_error { expected.to_vec() } else { with_bpm.clone() });
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(lines(Device::Phone, 7, 100), lines(Device::Phone, 7, 100));
        assert_ne!(lines(Device::Phone, 7, 100), lines(Device::Phone, 8, 100));
    }

    #[test]
    fn errors_are_two_in_101_and_measures_have_their_means() {
        let count = 100_000;
        let (mut errors, mut index, mut sums) = (0.0, 0, [0.0; 3]);
        for line in lines(Device::Phone, 3, count) {
            let row: Value = serde_json::from_str(&line).unwrap();
            let late = NOW - row["Creation_Time"].as_i64().unwrap();
            assert!(row["Arrival_Time"] == NOW && (0..=1_000_000_000).contains(&late));
            if row["Device"].is_null() {
                errors += 1.0;
                assert!(
                    ["Index", "Model", "User", "gt", "x", "y", "z"]
                        .iter()
                        .all(|k| row[k].is_null())
                );
                continue;
            }
            index += 1;
            assert_eq!(row["Index"], index);
            for (sum, key) in sums.iter_mut().zip(["x", "y", "z"]) {
                *sum += row[key].as_f64().unwrap();
            }
        }
        let (share, n) = (2.0 / 101.0, 100_000.0_f64);
        assert!((errors / n - share).abs() < 3.0 * (share * (1.0 - share) / n).sqrt(), "{errors}");
        for (sum, mean) in sums.into_iter().zip([1.0 / 6.0, -1.0 / 30.0, 1.7]) {
            assert!((sum / f64::from(index) - mean).abs() < 0.006, "{sum} {mean}");
        }
    }

    #[test]
    fn beats_are_between_60_and_200() {
        let beats: Vec<_> = lines(Device::Watch, 1, 20_000)
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["bpm"].as_i64())
            .collect();
        assert_eq!((beats.iter().min(), beats.iter().max()), (Some(&60), Some(&200)));
    }
}
