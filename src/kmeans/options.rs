//! Options of k-means: as the user wrote them, and as checked parameters.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::error::{Error, Result};

/// The most clusters a model may have.
pub const MAX_K: usize = 65_535;

/// k-means as the user asks for it; the command and the procedure share this definition.
#[derive(Args, Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line, checked by Params")]
pub struct Options {
    /// Numeric columns that span the space, in this order
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', required = true)]
    pub columns: Vec<String>,
    /// Clusters: a number (7), a range with both ends (2..12) or a list (3,5,7) [default: 7]
    #[arg(long)]
    pub k: Option<ClusterCounts>,
    /// Where the first centroids come from
    #[arg(long, value_enum, default_value = "k-means++")]
    pub start: Start,
    /// First centroids for `--start given`: a file with the columns, or an earlier result
    #[arg(long, value_name = "FILE|DATASET")]
    pub centroids: Option<String>,
    /// Starts for each k; the one of lowest cost is the best
    #[arg(long, default_value_t = 4)]
    pub starts: u32,
    /// Seed of everything that is drawn
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Column that says how often a row counts (an integer repeats it)
    #[arg(long, value_name = "COLUMN")]
    pub weight: Option<String>,
    /// Scale columns inside distances; centroids stay in your units
    #[arg(long, value_enum, default_value_t)]
    pub scale: Scaling,
    /// What to do with rows that hold NULL, NaN or infinity in a used column
    #[arg(long, value_enum, default_value_t)]
    pub nulls: Nulls,
    /// What to do with a cluster that lost all its rows: move it to the farthest row, keep its
    /// centroid, or fail
    #[arg(long, value_enum, default_value_t)]
    pub empty: Empty,
    /// Steps at most
    #[arg(long, visible_alias = "max-iterations", value_name = "N", default_value_t = 300)]
    pub max_steps: u64,
    /// Stop when the centroids move less than this, all together; 0 waits for stillness
    #[arg(long, default_value_t = 0.001)]
    pub tolerance: f64,
    /// Stop after the step that ends later than this
    #[arg(long, value_name = "SECONDS")]
    pub time_limit_s: Option<f64>,
    /// Hold the columns in memory if they fit, or read them again at each step
    #[arg(long, value_enum, default_value_t)]
    pub cache: Cache,
    /// Go on where a killed run into the same output stopped
    #[arg(long)]
    pub resume: bool,
    /// Show what clustering each partition alone, or averaging partition means, would have given
    #[arg(long)]
    pub diagnose: bool,
    /// Do the last step once more in another order and compare every bit
    #[arg(long, visible_alias = "verify")]
    pub recheck: bool,
    /// Publish every row with its cluster and distance
    #[arg(long)]
    pub assign: bool,
    /// Also compute the squared Euclidean silhouette (one more scan)
    #[arg(long)]
    pub silhouette: bool,
    /// Leave clusters with fewer rows out of the published tables
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub min_rows: u64,
}

/// Where the first centroids come from.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Rows far from each other, drawn by their squared distance.
    #[value(name = "k-means++")]
    PlusPlus,
    /// Distinct rows, drawn by weight.
    Random,
    /// The centroids of `--centroids`.
    Given,
}

impl Start {
    /// The name a user writes.
    pub fn name(self) -> &'static str {
        match self {
            Self::PlusPlus => "k-means++",
            Self::Random => "random",
            Self::Given => "given",
        }
    }
}

/// How columns are weighed inside distances.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scaling {
    /// As they are.
    #[default]
    None,
    /// Divided by the standard deviation.
    Standard,
    /// Divided by the difference of largest and smallest value.
    Range,
}

/// What to do with rows that cannot be placed.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Nulls {
    /// Refuse the input and say how many there are, and where.
    #[default]
    Error,
    /// Leave them out and count them.
    Skip,
}

/// What to do with an empty cluster.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Empty {
    /// Move it to the row farthest from all centroids.
    #[default]
    Far,
    /// Keep its centroid.
    Keep,
    /// Fail.
    Error,
}

/// Whether the columns are held in memory.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cache {
    /// When they fit half of the memory pool.
    #[default]
    Auto,
    /// Read them again at each step.
    Never,
}

/// The numbers of clusters to try, ascending, without doubles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterCounts(Vec<usize>);

impl ClusterCounts {
    /// The numbers, ascending.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }
}

impl FromStr for ClusterCounts {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |part: &str| match part.trim().parse() {
            Ok(k @ 1..=MAX_K) => Ok(k),
            _ => Err(Error::usage(format!("k is '{part}', expected 1 to {MAX_K}"))),
        };
        let mut counts = Vec::new();
        for part in text.split(',') {
            match part.split_once("..") {
                None => counts.push(number(part)?),
                Some((low, high)) => {
                    let (low, high) = (number(low)?, number(high.trim_start_matches('='))?);
                    if low > high {
                        return Err(Error::usage(format!(
                            "k is '{part}', expected the smaller number first"
                        )));
                    }
                    counts.extend(low..=high);
                }
            }
        }
        counts.sort_unstable();
        counts.dedup();
        Ok(Self(counts))
    }
}

impl fmt::Display for ClusterCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

/// Checked options: only [`Params::new`] makes them, so a driver need not look again.
#[derive(Debug, Clone)]
pub struct Params(Options);

impl Params {
    /// Checks each option and their combination.
    ///
    /// # Errors
    /// A usage error that names the option, what was given and what is expected.
    pub fn new(options: Options) -> Result<Self> {
        let fail = |message: String| Err(Error::usage(message));
        let Options { columns, weight, tolerance, starts, max_steps, .. } = &options;
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

    /// The numbers of clusters, where the user named them.
    pub fn k(&self) -> Option<&ClusterCounts> {
        self.0.k.as_ref()
    }

    /// Starts for each k: a given start is one start.
    pub fn starts(&self) -> u32 {
        if self.0.start == Start::Given { 1 } else { self.0.starts }
    }

    /// The time after which no further step begins.
    pub fn time_limit(&self) -> Option<Duration> {
        self.0.time_limit_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
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

impl std::ops::Deref for Params {
    type Target = Options;

    fn deref(&self) -> &Options {
        &self.0
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
    #[case("7", &[7])]
    #[case("2..5", &[2, 3, 4, 5])]
    #[case("2..=3", &[2, 3])]
    #[case("9,3,3..4", &[3, 4, 9])]
    fn numbers_of_clusters_are_read(#[case] text: &str, #[case] expected: &[usize]) {
        assert_eq!(text.parse::<ClusterCounts>().unwrap().as_slice(), expected);
    }

    #[rstest]
    #[case("0")]
    #[case("65536")]
    #[case("5..2")]
    #[case("x")]
    #[case("")]
    fn other_numbers_of_clusters_are_refused(#[case] text: &str) {
        assert!(text.parse::<ClusterCounts>().unwrap_err().to_string().contains("expected"));
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
    fn both_names_of_an_option_mean_the_same() {
        let one = options("--columns a --max-iterations 20 --verify");
        assert_eq!((one.max_steps, one.recheck), (20, true));
    }
}
