//! Options of k-means, checked.

use std::time::Duration;

use clap::ValueEnum;

use super::options::{Cache, ClusterCounts, Empty, Nulls, Options, Scaling, Start};
use crate::error::{Error, Result};

/// Checked options.
#[derive(Debug, Clone)]
pub struct Params(Options);

impl Params {
    /// Checks each option and their combination.
    ///
    /// # Errors
    /// A usage error that names the option, what was given and what is expected.
    pub fn new(options: Options) -> Result<Self> {
        let fail = |message: String| Err(Error::usage(message));
        let Options { columns, weight, tolerance, starts, max_steps, seed, .. } = &options;
        if columns.is_empty() {
            return fail("columns is empty, expected a name at least".into());
        }
        for (number, column) in columns.iter().enumerate() {
            if column.is_empty() {
                return fail("columns holds an empty name".into());
            }
            if columns[..number].contains(column) {
                return fail(format!("columns names '{column}' twice"));
            }
        }
        if let Some(weight) = weight
            && columns.contains(weight)
        {
            return fail(format!("weight '{weight}' is one of the columns too"));
        }
        match (options.start, &options.centroids) {
            (Start::Given, None) => return fail("start 'given' needs --centroids".into()),
            (Start::PlusPlus | Start::Random, Some(_)) => {
                return fail(format!(
                    "centroids are given, but start is '{}': pass --start given",
                    options.start.name()
                ));
            }
            _ => {}
        }
        if tolerance.is_nan() || *tolerance < 0.0 {
            return fail(format!("tolerance is {tolerance}, expected 0 or more"));
        }
        if *starts == 0 {
            return fail("starts is 0, expected 1 or more".into());
        }
        if i64::try_from(*seed).is_err() {
            return fail(format!("seed is {seed}, expected 0 to {}", i64::MAX));
        }
        if *max_steps == 0 {
            return fail("max-steps is 0, expected 1 or more".into());
        }
        if let Some(seconds) = options.time_limit_s
            && Duration::try_from_secs_f64(seconds).is_err()
        {
            return fail(format!("time-limit-s is {seconds}, expected 0 or more"));
        }
        if options.assign && options.k.as_ref().is_some_and(|k| k.as_slice().len() > 1) {
            return fail("assign needs one k: there would be several clusters for a row".into());
        }
        Ok(Self(options))
    }

    /// The columns to cluster by.
    pub fn columns(&self) -> &[String] {
        &self.0.columns
    }

    /// The column with the weights.
    pub fn weight(&self) -> Option<&String> {
        self.0.weight.as_ref()
    }

    /// All columns that are read: those to cluster by, then the weight.
    pub fn used_columns(&self) -> impl Iterator<Item = &String> {
        self.0.columns.iter().chain(&self.0.weight)
    }

    /// The numbers of clusters, where they were named.
    pub fn k(&self) -> Option<&ClusterCounts> {
        self.0.k.as_ref()
    }

    /// Where the first centroids come from.
    pub fn start(&self) -> Start {
        self.0.start
    }

    /// Where given centroids are.
    pub fn centroids(&self) -> Option<&str> {
        self.0.centroids.as_deref()
    }

    /// Starts for each k: a given start is one start.
    pub fn starts(&self) -> u32 {
        if self.0.start == Start::Given { 1 } else { self.0.starts }
    }

    /// The seed of all draws.
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// How columns are scaled.
    pub fn scale(&self) -> Scaling {
        self.0.scale
    }

    /// What to do with rows that cannot be used.
    pub fn nulls(&self) -> Nulls {
        self.0.nulls
    }

    /// What to do with an empty cluster.
    pub fn empty(&self) -> Empty {
        self.0.empty
    }

    /// The largest number of steps.
    pub fn max_steps(&self) -> u64 {
        self.0.max_steps
    }

    /// The movement below which a model stops.
    pub fn tolerance(&self) -> f64 {
        self.0.tolerance
    }

    /// The time after which no further step begins.
    pub fn time_limit(&self) -> Option<Duration> {
        self.0.time_limit_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    /// Whether the columns may be held in memory.
    pub fn cache(&self) -> Cache {
        self.0.cache
    }

    /// Whether a killed run is continued.
    pub fn resume(&self) -> bool {
        self.0.resume
    }

    /// Whether models of single partitions run beside.
    pub fn diagnose(&self) -> bool {
        self.0.diagnose
    }

    /// Whether the last step is repeated.
    pub fn recheck(&self) -> bool {
        self.0.recheck
    }

    /// Whether every row is written with its cluster.
    pub fn assign(&self) -> bool {
        self.0.assign
    }

    /// Whether the silhouette is computed.
    pub fn silhouette(&self) -> bool {
        self.0.silhouette
    }

    /// The fewest rows of a cluster that is written.
    pub fn min_rows(&self) -> u64 {
        self.0.min_rows
    }

    /// What decides the result, as `name`, `value`: kept with every step and in the output.
    ///
    /// Where and how fast a run works (cache, resume, recheck) is not among them.
    pub fn record(&self) -> Vec<(String, String)> {
        let options = &self.0;
        let mut record = vec![
            ("columns", options.columns.join(",")),
            ("k", options.k.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("start", options.start.name().to_owned()),
            ("centroids", options.centroids.clone().unwrap_or_default()),
            ("starts", self.starts().to_string()),
            ("seed", options.seed.to_string()),
            ("weight", options.weight.clone().unwrap_or_default()),
            ("scale", name_of(&options.scale)),
            ("nulls", name_of(&options.nulls)),
            ("empty", name_of(&options.empty)),
            ("max_steps", options.max_steps.to_string()),
            ("tolerance", options.tolerance.to_string()),
            ("diagnose", options.diagnose.to_string()),
        ];
        record.retain(|(_, value)| !value.is_empty());
        record.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

fn name_of(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: Options,
    }

    fn options(arguments: &str) -> Options {
        let words = ["pleiad"].into_iter().chain(arguments.split_whitespace());
        CommandLine::try_parse_from(words).unwrap().options
    }

    #[rstest]
    #[case("--columns a,a", "columns names 'a' twice")]
    #[case("--columns a --weight a", "weight 'a' is one of the columns too")]
    #[case("--columns a --start given", "start 'given' needs --centroids")]
    #[case(
        "--columns a --centroids c.csv",
        "centroids are given, but start is 'k-means++': pass --start given"
    )]
    #[case("--columns a --tolerance=-1", "tolerance is -1, expected 0 or more")]
    #[case("--columns a --tolerance nan", "tolerance is NaN, expected 0 or more")]
    #[case("--columns a --starts 0", "starts is 0, expected 1 or more")]
    #[case(
        "--columns a --seed 9223372036854775808",
        "seed is 9223372036854775808, expected 0 to 9223372036854775807"
    )]
    #[case("--columns a --max-steps 0", "max-steps is 0, expected 1 or more")]
    #[case("--columns a --time-limit-s=-2", "time-limit-s is -2, expected 0 or more")]
    #[case(
        "--columns a --assign --k 2..3",
        "assign needs one k: there would be several clusters for a row"
    )]
    fn a_combination_without_sense_is_refused(#[case] arguments: &str, #[case] message: &str) {
        assert_eq!(Params::new(options(arguments)).unwrap_err().to_string(), message);
    }

    #[test]
    fn columns_are_needed() {
        let refused = Params::new(Options::default()).unwrap_err();
        assert_eq!(refused.to_string(), "columns is empty, expected a name at least");
    }
}
