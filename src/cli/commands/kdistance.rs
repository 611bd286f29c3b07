//! `pleiad kdistance`: how far the nearest rows are, as numbers; `pleiad plot kdist` draws them.

use arrow::array::{Float64Array, UInt32Array, UInt64Array};
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::{Context, Done};
use crate::dbscan::distances::{Curve, measure};
use crate::dbscan::{Options, Params};
use crate::error::Result;
use crate::partition::options::AngleUnit;
use crate::table::{Source, SourceOptions, TextOptions};

/// Measure how far the nearest rows are, to choose eps for `pleiad dbscan`
///
/// For a sample of rows, computes the distance to the nearest row number --min-points, where the row
/// itself is number 1. The sorted distances show how many rows are core rows for each eps. The knee,
/// where the curve turns upwards, is often a good eps.
///
/// Prints two tables. `kdistance` has one row with the knee and the share of rows that have --min-points
/// rows at exactly their position: these are core rows for any eps. `shares` shows the eps at which 50,
/// 75, 90, 95 and 99 percent of the rows are core rows. On the sphere, eps is in arc seconds.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad kdistance points --x x --y y --min-points 10
  pleiad kdistance sky --ra ra --dec decl --show shares --json")]
pub(crate) struct Kdistance {
    #[command(flatten)]
    of: CurveArgs,
}

/// What a curve is measured on.
#[derive(Debug, Args)]
pub(super) struct CurveArgs {
    /// Rows to measure: a dataset, one of its tables, a directory, a file, or a pattern in quotes
    #[arg(value_name = "IN")]
    pub(super) input: String,

    /// Column of the first coordinate; alone it is the only one
    #[arg(long, value_name = "COLUMN", required_unless_present = "ra")]
    x: Option<String>,

    /// Column of the second coordinate
    #[arg(long, value_name = "COLUMN", requires = "x")]
    y: Option<String>,

    /// Column of the third coordinate
    #[arg(long, value_name = "COLUMN", requires = "y")]
    #[arg(hide_short_help = true)]
    z: Option<String>,

    /// Column of the right ascension, for rows on the sphere
    #[arg(long, value_name = "COLUMN", requires = "dec", conflicts_with = "x")]
    ra: Option<String>,

    /// Column of the declination
    #[arg(long, value_name = "COLUMN", requires = "ra")]
    dec: Option<String>,

    /// Unit of both columns; `hour` is for the right ascension only [default: what the dataset of blocks
    /// says, else deg]
    #[arg(long, value_enum, requires = "ra")]
    unit: Option<AngleUnit>,

    /// Rows within eps that make a core row, itself included [default: twice the dimensions]
    #[arg(long, value_name = "N", visible_aliases = ["minpts", "min-samples"])]
    min_points: Option<usize>,

    /// Size of the sample, about; rows are chosen by a hash of their number
    #[arg(long, value_name = "N", default_value_t = 4096)]
    #[arg(hide_short_help = true)]
    rows: u64,

    #[command(flatten)]
    text: TextOptions,
}

impl CurveArgs {
    /// Measures the curve.
    pub(super) async fn measure(&self, context: &Context) -> Result<Curve> {
        let params = Params::without_eps(Options {
            x: self.x.clone(),
            y: self.y.clone(),
            z: self.z.clone(),
            ra: self.ra.clone(),
            dec: self.dec.clone(),
            unit: self.unit,
            min_points: self.min_points,
            ..Options::default()
        })?;
        let session = context.session()?;
        let options = SourceOptions { text: self.text.clone(), ..SourceOptions::default() };
        let source = Source::open(&context.stores, &self.input, &options).await?;
        measure(&session, &source, &params, self.rows, &context.watch).await
    }
}

impl Kdistance {
    /// Measures.
    ///
    /// # Errors
    /// See [`measure`].
    pub(crate) async fn work(&self, context: &Context) -> anyhow::Result<Done> {
        let curve = self.of.measure(context).await?;
        let eps = if curve.unit.is_empty() { "eps" } else { "eps_arcsec" };
        let summary = Answer::build("kdistance")
            .column("rows", UInt64Array::from(vec![curve.rows]))
            .column("min_points", UInt64Array::from(vec![curve.min_points as u64]))
            .column(format!("knee_{eps}"), Float64Array::from(vec![curve.knee()]))
            .column("same_place_percent", Float64Array::from(vec![curve.same_place() * 100.0]))
            .done();
        let shares = curve.shares();
        let percents = UInt32Array::from_iter_values(shares.iter().map(|share| share.0));
        let distances = Float64Array::from_iter_values(shares.iter().map(|share| share.1));
        let shares =
            Answer::build("shares").column("core_percent", percents).column(eps, distances).done();
        let answers = vec![summary, shares];
        Ok(Done { tables: answers.clone(), answers, published: None })
    }
}
