//! Settings of the engine (`--conf`), and the habits of `spark-submit` that have a meaning here.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use datafusion::config::ConfigOptions;
use strsim::levenshtein;

use crate::error::{Error, Kind, Result};

/// Takes `key=value` apart.
///
/// # Errors
/// Text without `=`.
pub fn parse(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected key=value")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// A time as people write it: `30s`, `90m`, `1h`, `7d`, or `0`.
///
/// # Errors
/// A sentence that shows the forms accepted.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a time: write it like 30m, 1h or 7d, or 0");
    let text = text.trim();
    let letters = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(letters);
    let number: u64 = number.parse().map_err(|_not_a_number| wrong())?;
    let unit = match unit.trim_start() {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "" if number == 0 => 1,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)
}

/// Spark's settings that have a counterpart, and the counterpart.
const SPARK: &[(&str, &str)] = &[
    ("spark.app.name", "--name"),
    ("spark.cores.max", "--threads"),
    ("spark.default.parallelism", "--threads"),
    ("spark.driver.cores", "--threads"),
    ("spark.driver.memory", "--memory-limit"),
    ("spark.executor.cores", "--threads"),
    ("spark.executor.memory", "--memory-limit"),
    ("spark.hadoop.fs.s3a.access.key", "the variables or profile that the aws command reads"),
    ("spark.hadoop.fs.s3a.connection.ssl.enabled", "the scheme of --endpoint-url"),
    ("spark.hadoop.fs.s3a.endpoint", "--endpoint-url"),
    ("spark.hadoop.fs.s3a.endpoint.region", "--region"),
    ("spark.hadoop.fs.s3a.path.style.access", "nothing, it is the default"),
    ("spark.hadoop.fs.s3a.secret.key", "the variables or profile that the aws command reads"),
    ("spark.hadoop.fs.s3a.session.token", "the variables or profile that the aws command reads"),
    ("spark.master", "--threads"),
    ("spark.sql.shuffle.partitions", "--conf datafusion.execution.target_partitions=N"),
    ("spark.sql.sources.partitionOverwriteMode", "--mode"),
];

/// Refuses settings that the engine does not know or whose values it does not take.
///
/// # Errors
/// [`Kind::Configuration`]; it names our counterpart of a Spark setting, or the nearest name.
pub fn check(settings: &[(String, String)]) -> Result<()> {
    let mut options = ConfigOptions::new();
    let wrong = |message| Err(Error::new(Kind::Configuration, message));
    for (key, value) in settings {
        if key.starts_with("spark.") {
            let counterpart = SPARK.iter().find(|(spark, _)| spark == key);
            return wrong(match counterpart {
                Some((_, ours)) => format!("setting '{key}' is Spark's: use {ours}"),
                None => format!(
                    "setting '{key}' is Spark's and has no counterpart here: \
                     settings of the engine begin with 'datafusion.'"
                ),
            });
        }
        let names: Vec<String> = options.entries().into_iter().map(|entry| entry.key).collect();
        if !names.contains(key) {
            return wrong(match nearest(key, names.iter().map(String::as_str)) {
                Some(near) => format!("setting '{key}' is not known: did you mean '{near}'?"),
                None => format!(
                    "setting '{key}' is not known: settings of the engine begin with 'datafusion.'"
                ),
            });
        }
        if let Err(cause) = options.set(key, value) {
            let message = format!("setting '{key}' does not take the value '{value}'");
            return Err(Error::new(Kind::Configuration, message).caused_by(cause));
        }
    }
    Ok(())
}

/// The name that `key` may be a misspelling of: at most a quarter of it differs.
pub(super) fn nearest<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, name) = names.map(|name| (levenshtein(key, name), name)).min()?;
    (4 * distance <= name.len()).then_some(name)
}

/// The threads that `--master local[N]` asks for; none for `local[*]`: one a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Master(pub Option<NonZeroUsize>);

impl FromStr for Master {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = text.strip_prefix("local[").and_then(|rest| rest.strip_suffix(']'));
        match (text, count) {
            ("local", _) => Ok(Self(Some(NonZeroUsize::MIN))),
            (_, Some("*")) => Ok(Self(None)),
            (_, Some(count)) => count
                .parse()
                .map(|count| Self(Some(count)))
                .map_err(|cause| format!("'{count}' is not a number of threads: {cause}")),
            _ => Err("expected local, local[N] or local[*]: pleiad runs in one process, and --threads N sets \
                      its threads"
                .to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refusal(text: &str) -> String {
        let error = check(&[parse(text).expect("key=value")]).expect_err("a refusal");
        assert_eq!(error.kind(), Kind::Configuration);
        error.to_string()
    }

    #[test]
    fn a_known_setting_with_a_good_value_passes() {
        let good = ["datafusion.execution.batch_size=1024", "datafusion.catalog.has_header = true"];
        check(&good.map(|text| parse(text).expect("key=value"))).expect("both are known");
    }

    #[test]
    fn a_spark_setting_names_our_counterpart() {
        let expected = "setting 'spark.executor.memory' is Spark's: use --memory-limit";
        assert_eq!(refusal("spark.executor.memory=4g"), expected);
        assert!(refusal("spark.ui.port=1").contains("begin with 'datafusion.'"));
    }

    #[test]
    fn an_unknown_setting_names_the_nearest() {
        let expected = "setting 'datafusion.execution.batchsize' is not known: \
                        did you mean 'datafusion.execution.batch_size'?";
        assert_eq!(refusal("datafusion.execution.batchsize=1"), expected);
        assert!(refusal("color=red").ends_with("begin with 'datafusion.'"));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused() {
        let expected = "setting 'datafusion.execution.batch_size' does not take the value 'many'";
        assert_eq!(refusal("datafusion.execution.batch_size=many"), expected);
    }

    #[test]
    fn every_counterpart_is_listed_once() {
        assert!(SPARK.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn a_master_is_a_number_of_threads() {
        let threads = |text: &str| text.parse::<Master>().map(|master| master.0.map(usize::from));
        assert_eq!(threads("local"), Ok(Some(1)));
        assert_eq!(threads("local[3]"), Ok(Some(3)));
        assert_eq!(threads("local[*]"), Ok(None));
        for text in ["local[0]", "local[x]", "local[", "yarn", "spark://host:7077", ""] {
            assert!(threads(text).is_err(), "{text}");
        }
    }
}
