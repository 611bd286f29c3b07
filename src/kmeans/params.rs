//! Options of k-means, checked.

use std::time::Duration;

use clap::ValueEnum;

use super::options::{Cache, ClusterCounts, Empty, Nulls, Options, Scaling, Start};
use crate::error::{Error, Result};

/// The tolerance where no limit is named: that of scikit-learn.
const DEFAULT_TOLERANCE: f64 = 1e-4;

/// Checked options.
#[derive(Debug, Clone)]
pub struct Params {
    options: Options,
    /// What is clustered: the columns, or the parts of a unit vector.
    features: Vec<String>,
}

/// The parts of the unit vector of a position.
pub(super) const SKY: [&str; 3] = ["x", "y", "z"];

impl Params {
    /// Checks each option and their combination.
    ///
    /// # Errors
    /// A usage error that names the option, what was given and what is expected.
    pub fn new(options: Options) -> Result<Self> {
        let fail = |message: String| Err(Error::usage(message));
        let Options { columns, weight, tolerance, max_delta, starts, max_steps, seed, .. } =
            &options;
        let sky = match (&options.ra, &options.dec) {
            (Some(ra), Some(dec)) => Some([ra, dec]),
            (None, None) => None,
            _ => return fail("ra and dec need each other".into()),
        };
        if columns.is_empty() && sky.is_none() {
            return fail("columns is empty, expected a name at least".into());
        }
        if let Some(sky) = sky {
            if !columns.is_empty() {
                return fail("columns and ra are both given: pass one of them".into());
            }
            if options.scale != Scaling::None {
                return fail("scale is for columns: positions on the sphere have one unit".into());
            }
            if let Some(name) = sky.iter().find(|name| SKY.contains(&name.as_str())) {
                return fail(format!(
                    "'{name}' is what a part of a unit vector is named: rename it"
                ));
            }
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
        for (name, limit) in [("tolerance", tolerance), ("max-delta", max_delta)] {
            if let Some(limit) = limit.filter(|limit| limit.is_nan() || *limit < 0.0) {
                return fail(format!("{name} is {limit}, expected 0 or more"));
            }
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
        let features = match sky {
            Some(_) => SKY.map(str::to_owned).to_vec(),
            None => options.columns.clone(),
        };
        Ok(Self { options, features })
    }

    /// What is clustered: the columns, or the parts x, y and z of a unit vector.
    pub fn columns(&self) -> &[String] {
        &self.features
    }

    /// The columns of right ascension and declination, where positions are clustered.
    pub fn sky(&self) -> Option<[&String; 2]> {
        self.options.ra.as_ref().zip(self.options.dec.as_ref()).map(<[_; 2]>::from)
    }

    /// What is measured of each row: what is clustered, then the weight.
    pub fn measured(&self) -> impl Iterator<Item = &String> {
        self.features.iter().chain(&self.options.weight)
    }

    /// The column with the weights.
    pub fn weight(&self) -> Option<&String> {
        self.options.weight.as_ref()
    }

    /// All columns that are read: those to cluster by, then the weight.
    pub fn used_columns(&self) -> impl Iterator<Item = &String> {
        let sky = self.sky().into_iter().flatten();
        self.options.columns.iter().chain(sky).chain(&self.options.weight)
    }

    /// The numbers of clusters, where they were named.
    pub fn k(&self) -> Option<&ClusterCounts> {
        self.options.k.as_ref()
    }

    /// Where the first centroids come from.
    pub fn start(&self) -> Start {
        self.options.start
    }

    /// Where given centroids are.
    pub fn centroids(&self) -> Option<&str> {
        self.options.centroids.as_deref()
    }

    /// Starts for each k: a given start is one start.
    pub fn starts(&self) -> u32 {
        if self.options.start == Start::Given { 1 } else { self.options.starts }
    }

    /// The seed of all draws.
    pub fn seed(&self) -> u64 {
        self.options.seed
    }

    /// How columns are scaled.
    pub fn scale(&self) -> Scaling {
        self.options.scale
    }

    /// What to do with rows that cannot be used.
    pub fn nulls(&self) -> Nulls {
        self.options.nulls
    }

    /// What to do with an empty cluster.
    pub fn empty(&self) -> Empty {
        self.options.empty
    }

    /// The largest number of steps.
    pub fn max_steps(&self) -> u64 {
        self.options.max_steps
    }

    /// The squared movement at which a model stops, as a share of the mean variance of the columns.
    pub fn tolerance(&self) -> Option<f64> {
        let without = self.options.max_delta.is_none().then_some(DEFAULT_TOLERANCE);
        self.options.tolerance.or(without)
    }

    /// The movement below which a model stops.
    pub fn max_delta(&self) -> Option<f64> {
        self.options.max_delta
    }

    /// The time after which no further step begins.
    pub fn time_limit(&self) -> Option<Duration> {
        self.options.time_limit_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    /// Whether the columns may be held in memory.
    pub fn cache(&self) -> Cache {
        self.options.cache
    }

    /// Whether a killed run is continued.
    pub fn resume(&self) -> bool {
        self.options.resume
    }

    /// Whether models of single partitions run beside.
    pub fn diagnose(&self) -> bool {
        self.options.diagnose
    }

    /// Whether the last step is repeated.
    pub fn recheck(&self) -> bool {
        self.options.recheck
    }

    /// Whether every row is written with its cluster.
    pub fn assign(&self) -> bool {
        self.options.assign
    }

    /// Whether the silhouette is computed.
    pub fn silhouette(&self) -> bool {
        self.options.silhouette
    }

    /// The fewest rows of a cluster that is written.
    pub fn min_rows(&self) -> u64 {
        self.options.min_rows
    }

    /// What decides the result, as `name`, `value`: kept with every step and in the output.
    ///
    /// Where and how fast a run works (cache, resume, recheck) is not among them.
    pub fn record(&self) -> Vec<(String, String)> {
        let options = &self.options;
        let mut record = vec![
            ("columns", options.columns.join(",")),
            ("ra", options.ra.clone().unwrap_or_default()),
            ("dec", options.dec.clone().unwrap_or_default()),
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
            ("tolerance", limit(self.tolerance())),
            ("max_delta", limit(self.max_delta())),
            ("diagnose", options.diagnose.to_string()),
        ];
        record.retain(|(_, value)| !value.is_empty());
        record.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// A limit as it is recorded.
fn limit(limit: Option<f64>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
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
    #[case("--columns a --max-delta=-1", "max-delta is -1, expected 0 or more")]
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

    #[rstest]
    #[case("--columns a", Some(1e-4), None)]
    #[case("--columns a --tolerance 0.5", Some(0.5), None)]
    #[case("--columns a --max-delta 0.001", None, Some(0.001))]
    #[case("--columns a --max-delta 0.001 --tolerance 0.5", Some(0.5), Some(0.001))]
    fn an_absolute_limit_stands_alone_unless_both_are_given(
        #[case] arguments: &str,
        #[case] tolerance: Option<f64>,
        #[case] max_delta: Option<f64>,
    ) {
        let params = Params::new(options(arguments)).unwrap();
        assert_eq!((params.tolerance(), params.max_delta()), (tolerance, max_delta));
    }

    #[test]
    fn columns_are_needed() {
        let refused = Params::new(Options::default()).unwrap_err();
        assert_eq!(refused.to_string(), "columns is empty, expected a name at least");
    }
}
