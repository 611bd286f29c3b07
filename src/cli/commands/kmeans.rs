//! `pleiad kmeans`: clusters of tables, where they lie.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Schema};
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::{Context, Done};
use crate::error::Error;
use crate::kmeans::{self, Options, Outcome, Params};
use crate::table::{Begin, Mode, SourceOptions, TextOptions};

/// Find clusters with k-means, exactly: the same centroids for any files, partitions and threads
///
/// Rows stay where they are. In each step every partition computes sums and counts of its rows, as
/// integers, so the centroids are the same to the last bit however the data is cut. All models (several
/// k, several starts) advance in the same scans.
///
/// IN is a dataset (all its tables), one of its tables, a directory, a Parquet or CSV file, or a
/// pattern in quotes. Prints `models` with one row per model; `best` with the best one of each k, if there
/// are others; `model` with the centroids of the best ones; and `partitions` with their rows, cost and
/// mean distance in each partition. With OUT, the tables model, figures, history, partitions and
/// partition_clusters are written there as one dataset.
///
/// `pleiad predict` assigns rows of other tables, `pleiad plot elbow` draws the cost of each k. The centroid
/// of a cluster of one row is that row: --min-rows leaves small clusters out of the tables.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad kmeans people --columns age,weight,shoulder_circumference --k 7 clusters
  pleiad kmeans 'people/table*' --columns age,weight --k 2..5 --starts 2 --json")]
pub(crate) struct Kmeans {
    /// Rows to cluster: a dataset, one of its tables, a directory, a file, or a pattern in quotes
    #[arg(value_name = "IN")]
    input: String,

    /// Where to write the result: a directory or s3://bucket/prefix
    #[arg(value_name = "OUT")]
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

impl Kmeans {
    /// Clusters and publishes.
    ///
    /// # Errors
    /// See [`kmeans::run`].
    pub(crate) async fn work(&self, context: &Context) -> anyhow::Result<Done> {
        let params = Params::new(self.options.clone())?;
        let out = self.out.as_ref().map(|out| context.stores.parse(out)).transpose()?;
        if out.is_none() && (params.resume() || params.assign()) {
            let option = if params.resume() { "resume" } else { "assign" };
            return Err(
                Error::usage(format!("--{option} needs OUT: add a location to write to")).into()
            );
        }
        if out.is_some() && context.flags.mode == Mode::Append {
            return Err(Error::usage(
                "mode 'append' would give two models the same number: choose another output, or pass \
                 --mode overwrite to replace the result",
            )
            .into());
        }
        let session = context.session()?;
        let options = SourceOptions {
            allow_incomplete: self.allow_incomplete,
            text: self.text.clone(),
            ..SourceOptions::default()
        };
        let source = context.open(&self.input, &options, out.as_ref()).await?;
        if let Some(out) = self.out.as_ref().filter(|out| source.has_column(out)) {
            return Err(Error::usage(format!(
                "output '{out}' is the name of a column of '{}': separate columns by commas, as in \
                 --columns {},{out}; or write ./{out} for a folder of this name",
                self.input,
                self.options.columns.join(",")
            ))
            .into());
        }
        let mut resumed = None;
        let mut run = None;
        if let Some(out) = &out {
            if params.resume() {
                resumed = kmeans::last_step(&session, out).await?;
                match &resumed {
                    Some(step) => context.note(&format!("resuming after step {}", step.step)),
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
        let outcome = kmeans::run(&session, source, &params, run, resumed, &context.watch).await;
        offer.withdraw();
        let outcome = outcome?;
        let tables = outcome.tables()?;
        if let Some(out) = &self.out {
            let mut names: Vec<_> = tables.iter().map(|(name, _)| *name).collect();
            names.extend(params.assign().then_some("assignments"));
            context.note(&format!(
                "'{out}' has the tables {}: SELECT * FROM '{}/model'",
                names.join(", "),
                out.trim_end_matches('/')
            ));
        }
        let tables = tables.iter().map(|(name, batch)| answer(name, batch)).collect();
        Ok(Done { answers: answers(&outcome)?, tables, published: out })
    }
}

/// What is printed of a result: models, the best ones, their centroids and partitions, the diagnosis.
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
    let mut model = RecordBatch::new_empty(Arc::new(Schema::empty()));
    for (name, batch) in outcome.tables()? {
        match name {
            "figures" => {
                let models = narrowed(&batch, MODELS)?;
                let best = of_best(outcome, &models)?;
                answers.push(answer("models", &models));
                if best.num_rows() < models.num_rows() {
                    answers.push(answer("best", &best));
                }
                answers.push(answer("model", &of_best(outcome, &model)?));
            }
            "model" => model = batch,
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
