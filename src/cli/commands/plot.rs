//! `pleiad plot`: pictures of datasets.

use clap::{Args, Subcommand};

use super::kdistance::CurveArgs;
use super::plot_clusters::{ElbowArgs, PartitionsArgs, StepsArgs};
use super::plot_columns::{HistogramArgs, ScatterArgs};
use super::plot_stream::StreamArgs;
use crate::cli::context::Context;
use crate::error::Result;
use crate::grid::Frame;
use crate::partition::BlockRecord;
use crate::partition::stored::Stored;
use crate::report::{self, DrawnBlock, Picture};
use crate::table::{Manifest, current_manifest};

/// Draw a picture: blocks, the sky, clusters, costs, columns, streams
///
/// On a terminal the picture is drawn with text. `-o x.svg` writes an SVG file, and so does a pipe.
#[derive(Debug, Args)]
pub(crate) struct Plot {
    #[command(subcommand)]
    kind: PictureKind,
}

#[derive(Debug, Subcommand)]
enum PictureKind {
    Blocks(BlocksArgs),
    Sky(SkyArgs),
    Scatter(Box<ScatterArgs>),
    Kdist(Box<KdistArgs>),
    Elbow(ElbowArgs),
    Steps(StepsArgs),
    Partitions(PartitionsArgs),
    Histogram(Box<HistogramArgs>),
    Stream(StreamArgs),
}

/// Draw the rows of each block as bars, by id and sorted, with the limit of --max-rows
///
/// Own rows and margin rows are stacked. Below the bars are the smallest, median, mean and largest
/// block.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad plot blocks blocks -o blocks.svg
  pleiad plot blocks blocks -o -")]
struct BlocksArgs {
    /// A dataset written by `pleiad partition`
    #[arg(value_name = "DATASET")]
    dataset: String,
}

/// Draw blocks on a map of the whole sky, coloured by their number of rows
///
/// The map is a Mollweide projection in ICRS: right ascension grows to the left, 0 is in the middle. The
/// colour scale is logarithmic if the numbers of rows differ by more than a factor of 100.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad plot sky blocks -o sky.svg
  pleiad plot sky blocks -o -")]
struct SkyArgs {
    /// A dataset written by `pleiad partition`
    #[arg(value_name = "DATASET")]
    dataset: String,
}

/// Draw how far the nearest rows are, to choose eps for `pleiad dbscan`
///
/// `pleiad kdistance` prints the same curve as numbers and explains it. A summary goes to standard error.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad plot kdist points --x x --y y --min-points 10 -o kdist.svg
  pleiad plot kdist sky --ra ra --dec decl -o -")]
struct KdistArgs {
    #[command(flatten)]
    of: CurveArgs,
}

impl Plot {
    /// Draws and prints.
    ///
    /// # Errors
    /// A dataset of another kind, storage that fails, a failed write.
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let figure = match &self.kind {
            PictureKind::Blocks(args) => {
                block_bars(&args.dataset, &manifest(context, &args.dataset).await?)?
            }
            PictureKind::Sky(args) => {
                sky_map(&args.dataset, &manifest(context, &args.dataset).await?)?
            }
            PictureKind::Scatter(args) => args.figure(context).await?,
            PictureKind::Kdist(args) => args.figure(context).await?,
            PictureKind::Elbow(args) => args.figure(context).await?,
            PictureKind::Steps(args) => args.figure(context).await?,
            PictureKind::Partitions(args) => args.figure(context).await?,
            PictureKind::Histogram(args) => args.figure(context).await?,
            PictureKind::Stream(args) => args.figure().await?,
        };
        context.print_picture(&figure)
    }
}

async fn manifest(context: &Context, dataset: &str) -> Result<Manifest> {
    current_manifest(&context.stores, &context.stores.parse(dataset)?).await
}

impl KdistArgs {
    async fn figure(&self, context: &Context) -> anyhow::Result<Picture> {
        let curve = self.of.measure(context).await?;
        let unit = if curve.unit.is_empty() { "" } else { " arcsec" };
        for (share, eps) in curve.shares() {
            let eps = report::short(eps);
            context.note(&format!("eps {eps}{unit}: {share} % of the rows are core rows"));
        }
        let knee = report::short(curve.knee());
        context.note(&format!("the curve turns upwards at eps {knee}{unit}"));
        let title = format!(
            "{}: distance to nearest row number {}, {} rows",
            self.of.input, curve.min_points, curve.rows
        );
        let (distances, shares) = (&curve.distances, curve.shares());
        Ok(report::nearest(&title, distances, &shares, curve.knee(), curve.unit))
    }
}

/// The bars of a dataset's blocks.
pub(super) fn block_bars(name: &str, manifest: &Manifest) -> Result<Picture> {
    let stored = Stored::expected(manifest)?;
    let split = stored.blocks.as_ref().and_then(|blocks| blocks.split);
    let max_rows = split.map(|split| split.max_rows);
    Ok(report::block_bars(&title(name, &stored), &blocks(manifest)?, max_rows))
}

/// The blocks of a dataset on the sky.
pub(super) fn sky_map(name: &str, manifest: &Manifest) -> Result<Picture> {
    let stored = Stored::expected(manifest)?;
    let frame: Frame = stored.frame().parse()?;
    Ok(report::sky_map(&title(name, &stored), frame, &blocks(manifest)?))
}

fn title(name: &str, stored: &Stored) -> String {
    format!("{name}: preset {}, {} frame", stored.preset.name(), stored.frame())
}

/// The blocks of a version.
fn blocks(manifest: &Manifest) -> Result<Vec<DrawnBlock>> {
    let blocks = BlockRecord::read(manifest)?.into_iter().map(|block| DrawnBlock {
        id: block.block,
        bounds: block.bounds,
        own_rows: block.own_rows,
        margin_rows: block.margin_rows,
        is_dense: block.dense,
    });
    Ok(blocks.collect())
}
