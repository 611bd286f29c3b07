//! `pleiad partition`: a catalogue of the sky into blocks.

use std::path::PathBuf;

use arrow::array::{BooleanArray, Float64Array, StringArray, UInt32Array, UInt64Array};
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::{Context, Done};
use crate::error::Error;
use crate::partition::{self, Options, Outcome, Params, TextSchema};
use crate::table::{Begin, Mode, SourceOptions, TextOptions, Types};

/// Cut a catalogue of the sky into blocks of bounded size, with the neighbours of each
///
/// Lays a grid over the rows, or over the whole sky, and splits blocks that hold too many rows. Each row
/// is written to the block that owns it, in the table `blocks`. Rows near a border are copied into the
/// table `margins` of the block on the other side, also at the poles and across the line from 360 to 0
/// degrees. Each block says up to which radius its margin is complete. Rows without a usable position
/// go to the table `quarantine`, with the reason.
///
/// IN is a dataset, a directory, a Parquet or CSV file (any delimiter, also gzip; `NULL` and `\N` are
/// read as NULL), or a pattern in quotes. Prints two tables: `partitioning` with one row, and `blocks`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad partition sky blocks --max-rows 2000
  pleiad partition sky --preset v1 --grid 16x10 --bounds sky --dry-run")]
pub(crate) struct Partition {
    /// Rows to partition: a dataset, one of its tables, a directory, a file, or a pattern in quotes
    #[arg(value_name = "IN")]
    input: String,

    /// Where to write the blocks: a directory or s3://bucket/prefix; not needed with --dry-run
    #[arg(value_name = "OUT", required_unless_present = "dry_run")]
    out: Option<String>,

    /// A file with a CREATE TABLE statement that names the columns of text files without a header
    #[arg(long, value_name = "FILE.sql")]
    #[arg(help_heading = "Input", hide_short_help = true)]
    schema: Option<PathBuf>,

    /// Read a directory even if it looks like the output of an unfinished job, or like a table that lists
    /// its own files
    #[arg(long, visible_alias = "as-files")]
    #[arg(help_heading = "Input", hide_short_help = true)]
    allow_incomplete: bool,

    #[command(flatten)]
    options: Options,

    #[command(flatten)]
    text: TextOptions,
}

impl Partition {
    /// Partitions and publishes.
    ///
    /// # Errors
    /// Options that make no sense, input that cannot be used, storage that fails.
    pub(crate) async fn work(&self, context: &Context) -> anyhow::Result<Done> {
        let params = Params::new(self.options.clone())?;
        if context.flags.mode == Mode::Append {
            return Err(Error::usage(
                "partition cannot append: it counts the rows of all blocks at once. Partition all rows with \
                 --mode overwrite",
            )
            .into());
        }
        let out = self.out.as_deref().filter(|_| !params.options().dry_run);
        let out = out.map(|out| context.stores.parse(out)).transpose()?;
        let schema = self.schema()?;
        let session = context.session()?;
        let mut text = self.text.clone();
        if params.options().layout.keeps_text() {
            text.types = Types::Text;
        }
        let options = SourceOptions {
            allow_incomplete: self.allow_incomplete,
            columns: schema.as_ref().map(TextSchema::names),
            text,
            ..SourceOptions::default()
        };
        let source = context.open(&self.input, &options, out.as_ref()).await?;
        let mut run = None;
        if let Some(out) = &out {
            match context.begin(out, Some(&source)).await? {
                Begin::Run(begun) => run = Some(*begun),
                Begin::AlreadyThere(_) => {
                    return Ok(Done { published: Some(out.clone()), ..Done::default() });
                }
            }
        }
        let schema = schema.as_ref();
        let outcome =
            partition::run(&session, &source, &params, schema, run, &context.watch).await?;
        let answers = vec![summary(std::slice::from_ref(&outcome)), blocks(&outcome)];
        Ok(Done { tables: answers.clone(), answers, published: out })
    }

    fn schema(&self) -> Result<Option<TextSchema>, Error> {
        let Some(file) = &self.schema else { return Ok(None) };
        let shown = file.display();
        let text = std::fs::read_to_string(file)
            .map_err(|cause| Error::io(format!("cannot read the schema '{shown}'"), cause))?;
        TextSchema::parse(&text, &shown.to_string()).map(Some)
    }
}

/// One row per partitioning.
pub(super) fn summary(outcomes: &[Outcome]) -> Answer {
    let numbers = |of: fn(&Outcome) -> u64| UInt64Array::from_iter_values(outcomes.iter().map(of));
    let texts = |of: fn(&Outcome) -> &str| StringArray::from_iter_values(outcomes.iter().map(of));
    let radius = |outcome: &Outcome| {
        let radii = outcome.blocks.iter().map(|block| block.margin_radius_arcsec);
        radii.reduce(f64::min).filter(|radius| *radius > 0.0)
    };
    Answer::build("partitioning")
        .column("preset", texts(|outcome| outcome.preset.name()))
        .column("frame", texts(|outcome| outcome.frame))
        .column("blocks", numbers(|outcome| outcome.blocks.len() as u64))
        .column("empty", numbers(|outcome| outcome.empty()))
        .column("dense", numbers(|outcome| outcome.dense()))
        .column("rows", numbers(|outcome| outcome.rows))
        .column("margin_rows", numbers(|outcome| outcome.margin_rows()))
        .column("quarantined", numbers(|outcome| outcome.bad()))
        .column("largest", numbers(|outcome| outcome.largest()))
        .column("margin_radius_arcsec", outcomes.iter().map(radius).collect::<Float64Array>())
        .done()
}

/// A line for each block.
fn blocks(outcome: &Outcome) -> Answer {
    let blocks = || outcome.blocks.iter();
    Answer::build("blocks")
        .column("block", UInt32Array::from_iter_values(blocks().map(|block| block.block)))
        .column("parent", UInt32Array::from_iter_values(blocks().map(|block| block.parent)))
        .column("lon_min", Float64Array::from_iter_values(blocks().map(|b| b.bounds.lon_min)))
        .column("lon_max", Float64Array::from_iter_values(blocks().map(|b| b.bounds.lon_max)))
        .column("lat_min", Float64Array::from_iter_values(blocks().map(|b| b.bounds.lat_min)))
        .column("lat_max", Float64Array::from_iter_values(blocks().map(|b| b.bounds.lat_max)))
        .column("own_rows", UInt64Array::from_iter_values(blocks().map(|block| block.own_rows)))
        .column("margin_rows", UInt64Array::from_iter_values(blocks().map(|b| b.margin_rows)))
        .column("dense", BooleanArray::from_iter(blocks().map(|block| Some(block.dense))))
        .done()
}
