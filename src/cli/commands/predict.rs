//! `pleiad predict`: rows of another table to the clusters of a stored model.

use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::{Context, Done};
use crate::error::Error;
use crate::kmeans::{self, Choice, StoredModel};
use crate::table::{Begin, Mode, Source, SourceOptions, TextOptions};

/// Assign rows of another table to the clusters of a model of `pleiad kmeans`
///
/// Each row gets the cluster whose centroid is nearest to it: the same cluster, to the last bit, that
/// `pleiad kmeans --assign` would give it. Rows with NULL, NaN or infinity in a used column get none.
///
/// IN needs the columns that the model was made from, under the same names. Prints the table `predicted`
/// with the rows of each cluster and the distance of the farthest one. With OUT, every row is
/// written there with all its columns, then `cluster` and `distance`, as the table `assignments`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad predict clusters new_people.parquet --k 3
  pleiad predict clusters 'people/table2' labels --k 4 --json")]
pub(crate) struct Predict {
    /// The model: the OUT of `pleiad kmeans`
    #[arg(value_name = "MODEL")]
    model: String,

    /// Rows to assign: a dataset, one of its tables, a directory, a file, or a pattern in quotes
    #[arg(value_name = "IN")]
    input: String,

    /// Where to write the rows with their clusters: a directory or s3://bucket/prefix
    #[arg(value_name = "OUT")]
    out: Option<String>,

    /// The k whose best model is used, if the result has several
    #[arg(long, value_name = "K", alias = "n-clusters")]
    k: Option<u32>,

    /// The number of the model, as the table `figures` has it, in place of the best one
    #[arg(long, value_name = "NUMBER", conflicts_with = "k")]
    number: Option<u32>,

    /// Read a directory even if it looks like the output of an unfinished job, or like a table that lists
    /// its own files
    #[arg(long, visible_alias = "as-files")]
    allow_incomplete: bool,

    #[command(flatten)]
    text: TextOptions,
}

impl Predict {
    /// Assigns and publishes.
    ///
    /// # Errors
    /// See [`StoredModel::read`] and [`kmeans::predict`].
    pub(crate) async fn work(&self, context: &Context) -> anyhow::Result<Done> {
        let out = self.out.as_ref().map(|out| context.stores.parse(out)).transpose()?;
        if out.is_some() && context.flags.mode == Mode::Append {
            return Err(Error::usage(
                "mode 'append' would mix the rows of two predictions: choose another output, or pass \
                 --mode overwrite to replace the result",
            )
            .into());
        }
        let session = context.session()?;
        let choice = match (self.k, self.number) {
            (Some(k), _) => Choice::K(k),
            (None, Some(number)) => Choice::Number(number),
            (None, None) => Choice::Best,
        };
        let stored = Source::open(&context.stores, &self.model, &SourceOptions::default()).await?;
        let model = StoredModel::read(&session, &stored, &self.model, choice).await?;
        let options = SourceOptions {
            allow_incomplete: self.allow_incomplete,
            text: self.text.clone(),
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
        let rows = kmeans::predict(&session, &model, &source, run, &context.watch).await?;
        let schema = rows.first().map(arrow::array::RecordBatch::schema);
        let schema = schema.ok_or_else(|| Error::internal("a count without an answer"))?;
        if let Some(out) = &out {
            context.note(&format!("the rows with their clusters are in '{out}'"));
        }
        let answers = vec![Answer::rows("predicted", schema, rows)];
        Ok(Done { tables: answers.clone(), answers, published: out })
    }
}
