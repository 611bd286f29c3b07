//! `pleiad dbscan`: clusters by density, exact and larger than memory.

use arrow::array::{Float64Array, StringArray, UInt32Array, UInt64Array};
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::{Context, Done};
use crate::dbscan::{self, BlockSummary, Options, Outcome, Params};
use crate::error::Error;
use crate::table::{Begin, Mode, SourceOptions, TextOptions};

/// Find clusters by density with DBSCAN, exactly: the same labels for any blocks and memory
///
/// A row is a core row if at least --min-points rows, itself included, are within eps of it. Core rows
/// within eps of each other form one cluster. Any other row belongs to the first cluster within eps of
/// it, or is noise. The labels equal those of scikit-learn (algorithm='kd_tree') row for row, for any
/// number of threads and blocks and any memory limit. On the sphere (--ra, --dec) eps is an angle, and
/// the poles and the line from 360 to 0 degrees need no special care.
///
/// Two tables are written to OUT. `labels` has one row per row of the input, in its order: row (or
/// --id), cluster (-1 is noise, empty if the position is not usable), kind (core, border, noise,
/// skipped), and the columns of --keep. `clusters` has one row per cluster. Prints `dbscan` with one
/// row, and `clusters`; with --dry-run `dbscan` and `blocks`.
///
/// A dataset of `pleiad partition` is clustered in its own blocks if their margins are at least eps
/// wide. Any other input is cut into blocks that fit into memory. Finished blocks are kept until the
/// run ends: after a crash, --resume does only the others.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad dbscan points labels --x x --y y --eps 10 --min-points 8
  pleiad dbscan sky groups --ra ra --dec decl --eps-deg 2 --min-points 4 --keep sourceId --json")]
pub(crate) struct Dbscan {
    /// Rows to cluster: a dataset, one of its tables, a directory, a file, or a pattern in quotes
    #[arg(value_name = "IN")]
    input: String,

    /// Where to write the result: a directory or s3://bucket/prefix
    #[arg(value_name = "OUT", required_unless_present = "dry_run")]
    out: Option<String>,

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

impl Dbscan {
    /// Clusters and publishes.
    ///
    /// # Errors
    /// See [`dbscan::run`].
    pub(crate) async fn work(&self, context: &Context) -> anyhow::Result<Done> {
        let params = Params::new(self.options.clone())?;
        if context.flags.mode == Mode::Append {
            return Err(Error::usage(
                "dbscan cannot append: it finds clusters among all rows at once. Pass --mode overwrite to \
                 replace the result",
            )
            .into());
        }
        let out = self.out.as_deref().filter(|_| !params.options().dry_run);
        let out = out.map(|out| context.stores.parse(out)).transpose()?;
        let session = context.session()?;
        let options = SourceOptions {
            allow_incomplete: self.allow_incomplete,
            text: self.text.clone(),
            ..SourceOptions::default()
        };
        let source = context.open(&self.input, &options, out.as_ref()).await?;
        let (mut run, mut killed) = (None, None);
        if let Some(out) = &out {
            if params.options().resume {
                killed = dbscan::resume::killed(&session, out).await?;
                match &killed {
                    Some(killed) => {
                        context.note(&format!("{} blocks are done already", killed.blocks()))
                    }
                    None => context
                        .note("found no interrupted run to resume: starting from the beginning"),
                }
            }
            match context.begin(out, Some(&source)).await? {
                Begin::Run(begun) => run = Some(*begun),
                Begin::AlreadyThere(_) => {
                    return Ok(Done { published: Some(out.clone()), ..Done::default() });
                }
            }
        }
        let offer = context.resume_offer(run.as_ref());
        let outcome = dbscan::run(&session, &source, &params, run, killed, &context.watch).await;
        offer.withdraw();
        let outcome = outcome?;
        let location = out.as_ref().map(ToString::to_string);
        let mut answers = vec![summary(&outcome, location)];
        match &outcome.clusters {
            Some(clusters) => {
                let rows = vec![clusters.clone()];
                answers.push(Answer::rows("clusters", clusters.schema(), rows));
            }
            None => answers.push(blocks(&outcome.blocks)),
        }
        Ok(Done { tables: answers.clone(), answers, published: out })
    }
}

/// One row: what was found, or in a dry run what would be read.
fn summary(outcome: &Outcome, location: Option<String>) -> Answer {
    let number = |number: u64| UInt64Array::from(vec![number]);
    let answer = Answer::build("dbscan").column("rows", number(outcome.rows));
    let Some(location) = location else {
        let largest = outcome.blocks.iter().map(|block| block.bytes).max().unwrap_or_default();
        return answer
            .column("skipped", number(outcome.skipped))
            .column("blocks", number(outcome.blocks.len() as u64))
            .column("margin_rows", number(outcome.margin_rows()))
            .column("largest_block_bytes", number(largest))
            .done();
    };
    let counts = &outcome.counts;
    answer
        .column("clusters", number(outcome.clusters()))
        .column("core", number(counts.core))
        .column("border", number(counts.border))
        .column("noise", number(counts.noise))
        .column("skipped", number(outcome.skipped))
        .column("ambiguous", number(counts.ambiguous))
        .column("location", StringArray::from(vec![location]))
        .done()
}

/// One row per block; an edge beyond all rows is empty.
fn blocks(blocks: &[BlockSummary]) -> Answer {
    let count = |of: fn(&BlockSummary) -> u64| UInt64Array::from_iter_values(blocks.iter().map(of));
    let numbers = UInt32Array::from_iter_values(blocks.iter().map(|block| block.block));
    let mut answer = Answer::build("blocks").column("block", numbers);
    let dimensions = blocks.first().map_or(0, |block| block.lo.len());
    for (k, axis) in ["x", "y", "z"].into_iter().take(dimensions).enumerate() {
        let edge = |of: &dyn Fn(&BlockSummary) -> f64| {
            let edges = blocks.iter().map(|block| Some(of(block)).filter(|edge| edge.is_finite()));
            edges.collect::<Float64Array>()
        };
        answer = answer
            .column(format!("{axis}_min"), edge(&|block| block.lo[k]))
            .column(format!("{axis}_max"), edge(&|block| block.hi[k]));
    }
    let shares = Float64Array::from_iter_values(blocks.iter().map(|block| block.cost_share));
    answer
        .column("own_rows", count(|block| block.own_rows))
        .column("margin_rows", count(|block| block.margin_rows))
        .column("cost_share", shares)
        .column("bytes", count(|block| block.bytes))
        .done()
}
