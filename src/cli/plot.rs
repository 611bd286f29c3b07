//! `pleiad plot`: pictures of datasets.

use clap::{Args, Subcommand};

use super::Context;
use crate::error::{Error, Result};
use crate::grid::{Bounds, Frame};
use crate::report::{self, Block};
use crate::table::{Manifest, current_manifest};

/// Draw a picture of a dataset, as SVG
#[derive(Debug, Args)]
pub struct Plot {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    Blocks(BlocksArgs),
    Sky(SkyArgs),
}

/// Rows of each block as bars, by id and sorted, with the line that no block should pass
///
/// Own and margin rows are stacked; below stand the smallest, median, mean and largest block.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad plot blocks blocks -o blocks.svg
  pleiad plot blocks blocks -o -")]
struct BlocksArgs {
    /// What `pleiad partition` wrote
    #[arg(value_name = "DATASET")]
    dataset: String,
}

/// Blocks on the whole sky, coloured by their rows
///
/// Mollweide's projection in ICRS, right ascension growing to the left with 0 in the middle. Colours
/// follow the logarithm where rows differ by more than a factor of 100.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad plot sky blocks -o sky.svg
  pleiad plot sky blocks -o -")]
struct SkyArgs {
    /// What `pleiad partition` wrote
    #[arg(value_name = "DATASET")]
    dataset: String,
}

impl Plot {
    /// Draws and prints.
    ///
    /// # Errors
    /// A dataset without blocks, storage that fails, a failed write.
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let name = match &self.kind {
            Kind::Blocks(args) => &args.dataset,
            Kind::Sky(args) => &args.dataset,
        };
        let manifest = current_manifest(&context.stores, &context.stores.parse(name)?).await?;
        let figure = match &self.kind {
            Kind::Blocks(_) => block_bars(name, &manifest)?,
            Kind::Sky(_) => {
                let frame: Frame = property(&manifest, "frame").unwrap_or_default().parse()?;
                report::sky_map(&title(name, &manifest), frame, &blocks(&manifest)?)
            }
        };
        context.print_figure(&figure)
    }
}

/// The bars of a dataset's blocks.
pub(super) fn block_bars(name: &str, manifest: &Manifest) -> Result<String> {
    let max_rows = property(manifest, "split.max_rows").and_then(|rows| rows.parse().ok());
    Ok(report::block_bars(&title(name, manifest), &blocks(manifest)?, max_rows))
}

fn title(name: &str, manifest: &Manifest) -> String {
    let property = |name: &str| property(manifest, name).unwrap_or("?");
    format!("{name}: preset {}, {} frame", property("preset"), property("frame"))
}

fn property<'a>(manifest: &'a Manifest, name: &str) -> Option<&'a str> {
    manifest.properties.get(name).map(String::as_str)
}

/// The blocks of a version.
fn blocks(manifest: &Manifest) -> Result<Vec<Block>> {
    let [names, lines @ ..] = manifest.blocks.as_slice() else {
        return Err(Error::data(format!(
            "dataset '{}' has no blocks, expected what pleiad partition wrote",
            manifest.location
        )));
    };
    let broken = |what: &str| {
        Error::data(format!("the blocks of dataset '{}' have no {what}", manifest.location))
    };
    let blocks = lines.iter().map(|line| {
        let text = |name: &str| {
            let column = names.iter().position(|known| known == name);
            column.and_then(|column| line.get(column)).ok_or_else(|| broken(name))
        };
        let count = |name: &str| text(name)?.parse::<u64>().map_err(|_no| broken(name));
        let angle = |name: &str| text(name)?.parse::<f64>().map_err(|_no| broken(name));
        Ok(Block {
            id: u32::try_from(count("block")?).map_err(|_no| broken("block"))?,
            bounds: Bounds {
                lon_min: angle("lon_min")?,
                lon_max: angle("lon_max")?,
                lat_min: angle("lat_min")?,
                lat_max: angle("lat_max")?,
            },
            own_rows: count("own_rows")?,
            margin_rows: count("margin_rows")?,
            is_dense: text("flag")? == "dense",
        })
    });
    blocks.collect()
}
