//! `pleiad kmeans`: clusters of tables, where they lie.

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int32Type;
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::{Context, Done};
use crate::error::Error;
use crate::kmeans::{self, Options, Outcome, Params};
use crate::table::{Begin, Mode, Source, SourceOptions};

/// Cluster tables where they lie: exact k-means, the same bits however the data is cut
///
/// Rows stay in their partition: each answers a step with sums and counts, which are integers, so
/// any number of threads, files and partitions gives the same centroids, to the bit. All models
/// (several k, several starts) advance in the same scans.
///
/// IN is a dataset (all its tables), one of its tables, a directory, a Parquet or CSV file, or a
/// pattern in quotes. The answer has two tables: `models` with a line a model, and `partitions`
/// with the rows, cost and mean distance of the best model of each k in each partition. OUT
/// publishes model, figures, history, partitions and partition_clusters as one dataset.
///
/// What is published reveals sums over rows: a cluster of one row is that row, and first centroids
/// are real rows. --min-rows leaves small clusters out of the published tables.
///
/// Models count from 0, so two results cannot share one OUT: --mode append is refused.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad kmeans people --columns age,weight,shoulder_circumference --k 7 clusters
  pleiad kmeans 'people/table*' --columns age,weight --k 2..5 --starts 2 --json")]
pub(crate) struct Kmeans {
    /// What to cluster: a dataset, a table, a directory, a file or a pattern in quotes
    #[arg(value_name = "IN")]
    input: String,

    /// Where to publish the result: a directory, or s3://bucket/prefix
    #[arg(value_name = "OUT")]
    out: Option<String>,

    /// Read a directory although something in it looks unfinished
    #[arg(long)]
    allow_incomplete: bool,

    #[command(flatten)]
    options: Options,
}

impl Kmeans {
    /// Clusters and publishes.
    ///
    /// # Errors
    /// See [`kmeans::run`].
    pub(crate) async fn work(&self, context: &Context) -> anyhow::Result<Done> {
        let params = Params::new(self.options.clone())?;
        let out = self.out.as_ref().map(|out| context.stores.parse(out)).transpose()?;
        if out.is_none() && (params.resume || params.assign) {
            let option = if params.resume { "resume" } else { "assign" };
            return Err(Error::usage(format!("{option} needs OUT: name an output")).into());
        }
        if out.is_some() && context.flags.mode == Mode::Append {
            return Err(Error::usage(
                "mode 'append' would give two models the same number: name another output, or pass \
                 --mode overwrite to replace the result",
            )
            .into());
        }
        let session = context.session()?;
        let options =
            SourceOptions { allow_incomplete: self.allow_incomplete, ..SourceOptions::default() };
        let source = Source::open(&context.stores, &self.input, &options).await?;
        let mut resumed = None;
        let mut run = None;
        if let Some(out) = &out {
            if params.resume {
                resumed = kmeans::last_step(&session, out).await?;
                match &resumed {
                    Some(step) => context.note(&format!("going on after step {}", step.step)),
                    None => context.note("no killed run to resume: starting anew"),
                }
            }
            match context.begin(out, source.input_records()).await? {
                Begin::Run(begun) => run = Some(*begun),
                Begin::Kept(_) => {
                    return Ok(Done { published: Some(out.clone()), ..Done::default() });
                }
            }
        }
        let outcome = kmeans::run(&session, source, &params, run, resumed, &context.watch).await?;
        let tables = outcome.tables()?;
        let tables = tables.iter().map(|(name, batch)| answer(name, batch)).collect();
        Ok(Done { answers: answers(&outcome)?, tables, published: out })
    }
}

/// What is printed of a result: models, the partitions under the best ones, the diagnosis.
pub(super) fn answers(outcome: &Outcome) -> anyhow::Result<Vec<Answer>> {
    const MODELS: &[&str] = &[
        "model",
        "k",
        "start",
        "best",
        "steps",
        "cost",
        "mean_distance",
        "simplified_silhouette",
        "silhouette",
        "stopped_by",
    ];
    let mut answers = Vec::new();
    for (name, batch) in outcome.tables()? {
        match name {
            "figures" => answers.insert(0, answer("models", &narrowed(&batch, MODELS)?)),
            "partitions" => answers.push(answer(name, &of_best(outcome, &batch)?)),
            "diagnosis" => answers.push(answer(name, &batch)),
            _ => {}
        }
    }
    Ok(answers)
}

fn answer(name: &str, batch: &RecordBatch) -> Answer {
    Answer::rows(name, batch.schema(), vec![batch.clone()])
}

/// The columns of `names` that hold a value.
fn narrowed(batch: &RecordBatch, names: &[&str]) -> anyhow::Result<RecordBatch> {
    let places = names.iter().filter_map(|name| batch.schema().index_of(name).ok());
    let filled = |place: &usize| batch.column(*place).null_count() < batch.num_rows();
    Ok(batch.project(&places.filter(filled).collect::<Vec<_>>())?)
}

fn of_best(outcome: &Outcome, batch: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let models = batch.column(0).as_primitive::<Int32Type>().values().iter();
    let is_best =
        models.map(|&model| usize::try_from(model).is_ok_and(|model| outcome.models[model].best));
    let keep: BooleanArray = is_best.map(Some).collect();
    Ok(filter_record_batch(batch, &keep)?)
}
