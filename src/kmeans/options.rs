//! Options of k-means, as the user writes them.

use std::fmt;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::centroids::model::CLUSTER_LIMIT;
use crate::error::{Error, Result};

/// k-means as the user asks for it; the command and the procedure share this definition.
///
/// The defaults are those of the command; only `columns` has none.
#[derive(Args, Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line, checked by Params")]
pub struct Options {
    /// Numeric columns to cluster by, in this order
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', required_unless_present = "ra")]
    #[arg(help_heading = "Input")]
    pub columns: Vec<String>,
    /// Column of the right ascension in degrees, for clusters on the sphere
    #[arg(long, value_name = "COLUMN", requires = "dec", conflicts_with = "columns")]
    #[arg(help_heading = "Input", hide_short_help = true)]
    pub ra: Option<String>,
    /// Column of the declination in degrees
    #[arg(long, value_name = "COLUMN", requires = "ra")]
    #[arg(help_heading = "Input", hide_short_help = true)]
    pub dec: Option<String>,
    /// Number of clusters: one number (7), a range with both ends (2..12) or a list (3,5,7) [default: 7]
    #[arg(long, alias = "n-clusters")]
    #[arg(help_heading = "Method")]
    pub k: Option<ClusterCounts>,
    /// Where the first centroids come from
    #[arg(long, alias = "init", value_enum, default_value_t = Self::default().start)]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub start: Start,
    /// First centroids for `--start given`: a file with the columns, or the dataset of an earlier run
    #[arg(long, value_name = "FILE|DATASET")]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub centroids: Option<String>,
    /// Number of starts for each k; the one of lowest cost is the best
    #[arg(long, alias = "n-init", value_name = "N", default_value_t = Self::default().starts)]
    #[arg(help_heading = "Method")]
    pub starts: u32,
    /// Seed of all random draws: the same seed gives the same result
    #[arg(long, alias = "random-state", value_name = "N", default_value_t = Self::default().seed)]
    #[arg(help_heading = "Method")]
    pub seed: u64,
    /// Weight of each row; a whole number counts the row that many times
    #[arg(long, alias = "sample-weight", value_name = "COLUMN")]
    #[arg(help_heading = "Input", hide_short_help = true)]
    pub weight: Option<String>,
    /// Scale columns inside distances; centroids stay in your units
    #[arg(long, value_enum, default_value_t = Self::default().scale)]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub scale: Scaling,
    /// What to do with rows that hold NULL, NaN or infinity in a used column
    #[arg(long, value_enum, default_value_t = Self::default().nulls)]
    #[arg(help_heading = "Input", hide_short_help = true)]
    pub nulls: Nulls,
    /// What to do with a cluster that lost all its rows
    #[arg(long, value_enum, default_value_t = Self::default().empty)]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub empty: Empty,
    /// Largest number of steps
    #[arg(long, visible_alias = "max-iterations", alias = "max-iter", value_name = "N",
        default_value_t = Self::default().max_steps)]
    #[arg(help_heading = "Limits", hide_short_help = true)]
    pub max_steps: u64,
    /// Stop when the squared movement of all centroids is at most this share of the mean variance of the
    /// columns, as scikit-learn's tol; 0 waits until none moves [default: 0.0001, without --max-delta]
    #[arg(long, alias = "tol", value_name = "SHARE")]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub tolerance: Option<f64>,
    /// Stop when all centroids together move less than this distance, whatever the variance
    #[arg(long, value_name = "DISTANCE")]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub max_delta: Option<f64>,
    /// Start no further step after this time
    #[arg(long, value_name = "SECONDS")]
    #[arg(help_heading = "Limits", hide_short_help = true)]
    pub time_limit_s: Option<f64>,
    /// Hold the columns in memory
    #[arg(long, value_enum, default_value_t = Self::default().cache)]
    #[arg(help_heading = "Limits", hide_short_help = true)]
    pub cache: Cache,
    /// Continue where a killed run into the same output stopped
    #[arg(long)]
    #[arg(help_heading = "Output")]
    pub resume: bool,
    /// Show what clustering each partition alone, or averaging the means of partitions, would give
    #[arg(long)]
    #[arg(help_heading = "Output", hide_short_help = true)]
    pub diagnose: bool,
    /// Repeat the last step in another order of the rows and compare every bit
    #[arg(long, visible_alias = "verify")]
    #[arg(help_heading = "Output", hide_short_help = true)]
    pub recheck: bool,
    /// Write every row with its cluster and distance, as the table `assignments`
    #[arg(long)]
    #[arg(help_heading = "Output")]
    pub assign: bool,
    /// Also compute the silhouette, with squared Euclidean distances (one more scan)
    #[arg(long)]
    #[arg(help_heading = "Output")]
    pub silhouette: bool,
    /// Leave clusters with fewer rows out of the written tables
    #[arg(long, value_name = "N", default_value_t = Self::default().min_rows)]
    #[arg(help_heading = "Output", hide_short_help = true)]
    pub min_rows: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            ra: None,
            dec: None,
            k: None,
            start: Start::PlusPlus,
            centroids: None,
            starts: 4,
            seed: 42,
            weight: None,
            scale: Scaling::None,
            nulls: Nulls::Error,
            empty: Empty::Far,
            max_steps: 300,
            tolerance: None,
            max_delta: None,
            time_limit_s: None,
            cache: Cache::Auto,
            resume: false,
            diagnose: false,
            recheck: false,
            assign: false,
            silhouette: false,
            min_rows: 0,
        }
    }
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

/// How columns are scaled inside distances.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// As they are.
    None,
    /// Divided by the standard deviation.
    Standard,
    /// Divided by the difference of largest and smallest value.
    Range,
}

/// What to do with rows that hold NULL, NaN or infinity in a used column.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// Fail and say how many there are, and where.
    Error,
    /// Leave them out and count them.
    Skip,
}

/// What to do with an empty cluster.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// Move it to the row farthest from all centroids.
    Far,
    /// Keep its centroid.
    Keep,
    /// Fail.
    Error,
}

/// Whether the columns are held in memory.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// When they fit half of the memory pool.
    Auto,
    /// Read them again at each step.
    Never,
}

/// The numbers of clusters to try, ascending, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterCounts(Vec<usize>);

impl ClusterCounts {
    /// These numbers.
    ///
    /// # Errors
    /// A number that is 0 or above 65,535; none at all.
    pub fn new(counts: impl IntoIterator<Item = usize>) -> Result<Self> {
        let mut counts: Vec<usize> = counts.into_iter().collect();
        if let Some(k) = counts.iter().find(|k| !(1..=CLUSTER_LIMIT).contains(*k)) {
            return Err(Error::usage(format!("k is {k}, expected 1 to {CLUSTER_LIMIT}")));
        }
        if counts.is_empty() {
            return Err(Error::usage("k names no number of clusters, expected one at least"));
        }
        counts.sort_unstable();
        counts.dedup();
        Ok(Self(counts))
    }

    /// The numbers, ascending.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }
}

impl FromStr for ClusterCounts {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |part: &str| match part.trim().parse() {
            Ok(k @ 1..=CLUSTER_LIMIT) => Ok(k),
            _ => Err(Error::usage(format!("k is '{part}', expected 1 to {CLUSTER_LIMIT}"))),
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
        Self::new(counts)
    }
}

impl fmt::Display for ClusterCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join(","))
    }
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

    #[test]
    fn the_defaults_are_those_of_the_command() {
        let columns = vec!["a".to_owned()];
        assert_eq!(options("--columns a"), Options { columns, ..Options::default() });
    }

    #[test]
    fn numbers_of_clusters_are_checked_without_text_too() {
        assert_eq!(ClusterCounts::new([5, 3, 5]).unwrap().as_slice(), [3, 5]);
        assert!(ClusterCounts::new([0]).is_err() && ClusterCounts::new([]).is_err());
    }

    #[test]
    fn both_names_of_an_option_mean_the_same() {
        let one = options("--columns a --max-iterations 20 --verify");
        assert_eq!((one.max_steps, one.recheck), (20, true));
    }
}
