//! Options of DBSCAN: as the user wrote them, and as checked parameters.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::error::{Error, Result};
use crate::partition::options::AngleUnit;
use pleiad_core::dbscan::Density;

/// Rows that `--verify` looks at where no number is given.
const VERIFY_ROWS: u64 = 4096;

/// A clustering as the user asks for it; the command and the procedure share this definition.
#[derive(Args, Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// Column of the first coordinate; alone it is the only one
    #[arg(long, value_name = "COLUMN")]
    #[arg(help_heading = "Input")]
    pub x: Option<String>,
    /// Column of the second coordinate
    #[arg(long, value_name = "COLUMN", requires = "x")]
    #[arg(help_heading = "Input")]
    pub y: Option<String>,
    /// Column of the third coordinate
    #[arg(long, value_name = "COLUMN", requires = "y")]
    #[arg(help_heading = "Input", hide_short_help = true)]
    pub z: Option<String>,
    /// Largest distance between two near rows, in the unit of the coordinates
    #[arg(long, value_name = "DISTANCE", conflicts_with_all = ["eps_arcsec", "eps_deg"])]
    #[arg(help_heading = "Method")]
    pub eps: Option<f64>,
    /// Column of the right ascension: rows are clustered on the sphere
    #[arg(long, value_name = "COLUMN", requires = "dec", conflicts_with = "x")]
    #[arg(help_heading = "Input")]
    pub ra: Option<String>,
    /// Column of the declination
    #[arg(long, value_name = "COLUMN", requires = "ra")]
    #[arg(help_heading = "Input")]
    pub dec: Option<String>,
    /// Unit of both columns; `hour` is for the right ascension only [default: what the dataset of blocks
    /// says, else deg]
    #[arg(long, value_enum, requires = "ra")]
    #[arg(help_heading = "Input", hide_short_help = true)]
    pub unit: Option<AngleUnit>,
    /// Largest angle between two near rows, in degrees
    #[arg(long, value_name = "DEGREES", conflicts_with = "x")]
    #[arg(help_heading = "Method")]
    pub eps_deg: Option<f64>,
    /// The same angle in arc seconds
    #[arg(long, value_name = "ARCSEC", conflicts_with_all = ["eps_deg", "x"])]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub eps_arcsec: Option<f64>,
    /// Smallest number of rows near a core row, counting the row itself [default: twice the
    /// dimensions]
    #[arg(long, value_name = "N", visible_aliases = ["minpts", "min-samples"])]
    #[arg(help_heading = "Method")]
    pub min_points: Option<usize>,
    /// Column of unique whole numbers that orders the rows and appears in the result [default: the
    /// rows are numbered in the order of the input]
    #[arg(long, value_name = "COLUMN")]
    #[arg(help_heading = "Input", hide_short_help = true)]
    pub id: Option<String>,
    /// Where border rows go: into the first cluster near them, or into the noise
    #[arg(long, value_enum, default_value_t)]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub border: Border,
    /// Columns of the input to write next to the labels, or '*' for all
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    #[arg(help_heading = "Output")]
    pub keep: Vec<String>,
    /// Check the labels of N random rows against the definition (4096 if you give no number); `full`
    /// also clusters again with other blocks and compares every label
    #[arg(long, value_name = "N|full", num_args = 0..=1, default_missing_value = "4096")]
    #[arg(help_heading = "Output", hide_short_help = true)]
    pub verify: Option<Verify>,
    /// Largest number of own rows in a block [default: what fits in memory]
    #[arg(long, value_name = "N")]
    #[arg(help_heading = "Limits", hide_short_help = true)]
    pub max_rows: Option<NonZeroU64>,
    /// Continue a killed run that had the same options: only cluster the blocks it did not finish
    #[arg(long)]
    #[arg(help_heading = "Output", hide_short_help = true)]
    pub resume: bool,
    /// Only plan: print the blocks, their cost and warnings, and write nothing
    #[arg(long)]
    #[arg(help_heading = "Output", hide_short_help = true)]
    pub dry_run: bool,
}

/// What becomes of border rows, which are not core but near a core row.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Border {
    /// Each belongs to the cluster with the smallest number among those near it
    #[default]
    First,
    /// They are noise: DBSCAN* (Campello, Moulavi and Sander 2013)
    Noise,
}

impl Border {
    /// The word a user writes.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Noise => "noise",
        }
    }
}

/// How much of a result is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// The labels of this many rows, and everything that can be counted.
    Rows(u64),
    /// That, and every label against those of other blocks.
    Full,
}

impl fmt::Display for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => write!(f, "{rows}"),
            Self::Full => f.write_str("full"),
        }
    }
}

impl FromStr for Verify {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "full" => Ok(Self::Full),
            _ => match text.parse() {
                Ok(rows) if rows > 0 => Ok(Self::Rows(rows)),
                _ => Err("expected a number of rows above 0, or `full`".to_owned()),
            },
        }
    }
}

impl Verify {
    /// How many rows are looked at.
    pub fn rows(self) -> u64 {
        match self {
            Self::Rows(rows) => rows,
            Self::Full => VERIFY_ROWS,
        }
    }
}

const EUCLIDEAN: &str = "euclidean";
/// What follows an eps on the sphere.
const ARCSEC: &str = " arcsec";

/// Where rows are and what is near.
#[derive(Debug, Clone, PartialEq)]
pub enum Space {
    /// On a line, in the plane or in space: one to three columns, Euclidean distance.
    Plane {
        /// The columns, in order.
        columns: Vec<String>,
        /// The distance.
        eps: f64,
    },
    /// On the sphere: angles in degrees, great circles.
    Sky {
        /// Right ascension and declination.
        columns: [String; 2],
        /// The angle.
        eps_deg: f64,
    },
}

impl Space {
    /// The columns of the coordinates.
    pub fn columns(&self) -> &[String] {
        match self {
            Self::Plane { columns, .. } => columns,
            Self::Sky { columns, .. } => columns,
        }
    }

    /// Eps as a person writes it, with its unit on the sphere.
    pub fn eps(&self) -> String {
        match self {
            Self::Plane { eps, .. } => eps.to_string(),
            Self::Sky { eps_deg, .. } => format!("{}{ARCSEC}", arcsec(*eps_deg)),
        }
    }

    /// The metric's name.
    pub fn metric(&self) -> &'static str {
        match self {
            Self::Plane { .. } => EUCLIDEAN,
            Self::Sky { .. } => "great circle",
        }
    }
}

/// The angle of a chord of the unit sphere, in arc seconds.
pub(super) fn chord_arcsec(chord: f64) -> f64 {
    arcsec(2.0 * (chord / 2.0).min(1.0).asin().to_degrees())
}

/// Arc seconds, without the noise of the last digits.
fn arcsec(deg: f64) -> f64 {
    let arcsec = deg * 3600.0;
    format!("{arcsec:.9e}").parse().unwrap_or(arcsec)
}

/// Checked parameters.
#[derive(Debug, Clone)]
pub struct Params {
    options: Options,
    space: Space,
    density: Density,
}

impl Params {
    /// Checks each option and their combination.
    ///
    /// # Errors
    /// A usage error that names the option, what was given and what is expected.
    pub fn new(options: Options) -> Result<Self> {
        let (space, dimensions) = space(&options)?;
        let min_points = options.min_points.unwrap_or(2 * dimensions);
        let density = match &space {
            Space::Plane { eps, .. } => Density::new(*eps, min_points)?,
            Space::Sky { eps_deg, .. } => Density::on_sphere(*eps_deg, min_points)?,
        };
        let twice = |names: &[String]| (1..names.len()).find(|i| names[..*i].contains(&names[*i]));
        if let Some(index) = twice(space.columns()) {
            let name = &space.columns()[index];
            return Err(Error::usage(format!(
                "column '{name}' is given for two coordinates: pass a different column for each"
            )));
        }
        if let Some(index) = twice(&options.keep) {
            let name = &options.keep[index];
            return Err(Error::usage(format!("column '{name}' appears twice in --keep")));
        }
        if options.keep.len() > 1 && options.keep.iter().any(|name| name == "*") {
            return Err(Error::usage("'*' in --keep means all columns: leave out the other names"));
        }
        Ok(Self { options, space, density })
    }

    /// The parameters that [`Self::record`] wrote down, by name.
    ///
    /// # Errors
    /// A record that no checked parameters have, as an internal error.
    pub(crate) fn from_record<'a>(of: impl Fn(&str) -> Option<&'a str>) -> Result<Self> {
        let field = |name: &str| {
            of(name).ok_or_else(|| Error::internal(format!("a record without '{name}'")))
        };
        let wrong = |name: &str| Error::internal(format!("'{name}' of a record cannot be read"));
        let mut columns = field("columns")?.split(',').map(str::to_owned);
        let mut options = Options {
            min_points: Some(field("min_points")?.parse().map_err(|_cause| wrong("min_points"))?),
            border: Border::from_str(field("border")?, false).map_err(|_cause| wrong("border"))?,
            id: Some(field("id")?.to_owned()).filter(|id| !id.is_empty()),
            ..Options::default()
        };
        let eps = field("eps")?;
        let number = eps.strip_suffix(ARCSEC).unwrap_or(eps);
        let number = Some(number.parse().map_err(|_cause| wrong("eps"))?);
        if field("metric")? == EUCLIDEAN {
            (options.x, options.y, options.z) = (columns.next(), columns.next(), columns.next());
            options.eps = number;
        } else {
            (options.ra, options.dec) = (columns.next(), columns.next());
            options.eps_arcsec = number;
            let unit = of("columns.unit").map(|unit| AngleUnit::from_str(unit, false));
            options.unit = unit.transpose().map_err(|_cause| wrong("columns.unit"))?;
        }
        Self::new(options)
    }

    /// As [`Self::new`], for what needs no eps: where none is given it is 1.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn without_eps(mut options: Options) -> Result<Self> {
        if options.ra.is_some() {
            options.eps_deg.get_or_insert(1.0);
        } else {
            options.eps.get_or_insert(1.0);
        }
        Self::new(options)
    }

    /// The same with coordinates in `unit`.
    pub(super) fn in_unit(mut self, unit: AngleUnit) -> Self {
        self.options.unit = Some(unit);
        self
    }

    /// The unit of the coordinates on the sphere.
    pub(super) fn unit(&self) -> AngleUnit {
        self.options.unit.unwrap_or_default()
    }

    /// The options, as the user wrote them.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Where rows are and what is near.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// When a row is core.
    pub fn density(&self) -> Density {
        self.density
    }

    /// The number of dimensions of the core: 3 on the sphere, and 2 on a line, which is one of the plane.
    pub fn dimensions(&self) -> usize {
        match &self.space {
            Space::Plane { columns, .. } => columns.len().max(2),
            Space::Sky { .. } => 3,
        }
    }

    /// What decides the labels, by name: a run may go on where another with the same stopped.
    pub fn record(&self) -> Vec<(String, String)> {
        let all = [
            ("columns", self.space.columns().join(",")),
            ("metric", self.space.metric().to_owned()),
            ("eps", self.space.eps()),
            ("min_points", self.density.min_points().to_string()),
            ("border", self.options.border.name().to_owned()),
            ("id", self.options.id.clone().unwrap_or_default()),
        ];
        let unit = Some(self.unit()).filter(|unit| *unit != AngleUnit::Deg);
        let unit = unit.map(|unit| ("columns.unit", unit.name().to_owned()));
        all.into_iter().chain(unit).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The space, and its dimensions as the default of min-points counts them.
fn space(options: &Options) -> Result<(Space, usize)> {
    if let (Some(ra), Some(dec)) = (&options.ra, &options.dec) {
        let eps_deg = match (options.eps, options.eps_deg, options.eps_arcsec) {
            (None, Some(deg), None) => deg,
            (None, None, Some(arcsec)) => arcsec / 3600.0,
            (Some(_), ..) => {
                return Err(Error::usage(
                    "eps has no unit, and rows are on the sphere: pass --eps-arcsec or --eps-deg",
                ));
            }
            _ => return Err(no_eps("--eps-arcsec or --eps-deg")),
        };
        return Ok((Space::Sky { columns: [ra.clone(), dec.clone()], eps_deg }, 2));
    }
    let Some(x) = &options.x else {
        return Err(Error::usage(
            "no coordinates are named: pass --x and --y (and --z), or --ra and --dec",
        ));
    };
    if options.z.is_some() && options.y.is_none() {
        return Err(Error::usage("z is given without y: pass --x, --y and --z"));
    }
    let Some(eps) = options.eps else { return Err(no_eps("--eps")) };
    let others = options.y.iter().chain(&options.z);
    let columns: Vec<String> = std::iter::once(x).chain(others).cloned().collect();
    let dimensions = columns.len();
    Ok((Space::Plane { columns, eps }, dimensions))
}

fn no_eps(option: &str) -> Error {
    Error::usage(format!(
        "eps is missing, and no value suits all data: pass {option}; `pleiad plot kdist` helps you \
         choose it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(eps: Option<f64>) -> Options {
        let column = |name: &str| Some(name.to_owned());
        Options { x: column("x"), y: column("y"), eps, ..Options::default() }
    }

    #[test]
    fn no_flags_are_the_default() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: Options,
        }
        let line = <Line as clap::Parser>::parse_from(["dbscan"]);
        assert_eq!(line.options, Options::default());
    }

    #[test]
    fn min_points_is_twice_the_dimensions_unless_given() {
        assert_eq!(Params::new(options(Some(1.0))).unwrap().density().min_points(), 4);
        let deep = Options { z: Some("z".to_owned()), ..options(Some(1.0)) };
        assert_eq!(Params::new(deep).unwrap().density().min_points(), 6);
        let given = Options { min_points: Some(7), ..options(Some(1.0)) };
        assert_eq!(Params::new(given).unwrap().density().min_points(), 7);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let message = |options: Options| Params::new(options).unwrap_err().to_string();
        assert!(message(options(None)).starts_with("eps is missing"));
        assert!(message(Options::default()).starts_with("no coordinates are named"));
        let same = Options { y: Some("x".to_owned()), ..options(Some(1.0)) };
        assert!(message(same).starts_with("column 'x' is given for two coordinates"));
        let sky = Options {
            ra: Some("ra".to_owned()),
            dec: Some("dec".to_owned()),
            eps: Some(0.5),
            ..Options::default()
        };
        assert!(message(sky).starts_with("eps has no unit"));
    }

    #[test]
    fn parameters_read_back_from_their_record() {
        let plane = Options {
            z: Some("z".to_owned()),
            id: Some("k".to_owned()),
            border: Border::Noise,
            ..options(Some(0.1))
        };
        let (ra, dec) = (Some("ra".to_owned()), Some("dec".to_owned()));
        let sky = Options { ra, dec, eps_deg: Some(0.7), ..Options::default() };
        for options in [plane, sky] {
            let params = Params::new(options).unwrap();
            let record = params.record();
            let field = |name: &str| {
                let found = record.iter().find(|(field, _)| field == name);
                found.map(|(_, value)| value.as_str())
            };
            let read = Params::from_record(field).unwrap();
            assert_eq!(read.record(), record);
        }
        assert!(Params::from_record(|_| None).is_err());
    }

    #[test]
    fn an_angle_reads_back_as_it_was_written() {
        let columns = ["ra".to_owned(), "dec".to_owned()];
        let space = Space::Sky { columns, eps_deg: 30.0 / 3600.0 };
        assert_eq!(space.eps(), "30 arcsec");
        let chord = 2.0 * (15f64 / 3600.0).to_radians().sin();
        assert!((chord_arcsec(chord) - 30.0).abs() < 1e-6);
    }
}
