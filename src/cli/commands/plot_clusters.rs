//! Pictures of a result of k-means: `elbow`, `steps`, `partitions`.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use clap::Args;
use futures::TryStreamExt;

use crate::cli::context::Context;
use crate::error::{Error, Result};
use crate::report::{self, Curve, PartitionShares, Picture};
use crate::session::Session;
use crate::table::{Source, SourceOptions};

/// Draw the cost of the best model of each k, and its silhouette: look for the bend
///
/// The silhouette is the simplified one, or the full one if `pleiad kmeans --silhouette` computed it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad plot elbow models -o elbow.svg
  pleiad plot elbow models -o -")]
pub(super) struct ElbowArgs {
    /// A result of `pleiad kmeans` with several k
    #[arg(value_name = "DATASET")]
    dataset: String,
}

/// Draw cost and movement over the steps, a line for the best model of each k
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad plot steps models -o steps.svg
  pleiad plot steps models --k 3 -o -")]
pub(super) struct StepsArgs {
    /// A result of `pleiad kmeans`
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// Only this k, with all its starts
    #[arg(long, value_name = "K")]
    k: Option<i64>,
}

/// Draw the share of each cluster in each partition
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad plot partitions models --k 3 -o partitions.svg
  pleiad plot partitions models --k 3 -o -")]
pub(super) struct PartitionsArgs {
    /// A result of `pleiad kmeans`
    #[arg(value_name = "DATASET")]
    dataset: String,

    /// The k whose best model is drawn, if the result has several
    #[arg(long, value_name = "K")]
    k: Option<i64>,
}

/// A table of a result as one batch.
struct Rows(RecordBatch);

impl Rows {
    fn ints(&self, name: &str) -> Result<Vec<i64>> {
        let array = cast(self.column(name)?, &DataType::Int64)?;
        Ok(array.as_primitive::<Int64Type>().values().to_vec())
    }

    fn floats(&self, name: &str) -> Result<Vec<Option<f64>>> {
        let array = cast(self.column(name)?, &DataType::Float64)?;
        Ok(array.as_primitive::<Float64Type>().iter().collect())
    }

    fn texts(&self, name: &str) -> Result<Vec<String>> {
        let array = cast(self.column(name)?, &DataType::Utf8)?;
        let texts = array.as_string::<i32>().iter();
        Ok(texts.map(|text| text.unwrap_or("NULL").to_owned()).collect())
    }

    fn column(&self, name: &str) -> Result<&ArrayRef> {
        let missing = || Error::data(format!("the result has no column '{name}'"));
        self.0.column_by_name(name).ok_or_else(missing)
    }

    fn has(&self, name: &str) -> bool {
        self.0.column_by_name(name).is_some_and(|column| column.null_count() < column.len())
    }
}

/// A model of a result.
struct Model {
    number: i64,
    k: i64,
    start: i64,
    best: bool,
}

/// A result of k-means that is drawn.
struct Drawn {
    session: Session,
    source: Source,
    name: String,
    figures: Rows,
    models: Vec<Model>,
}

impl Drawn {
    async fn open(context: &Context, name: &str) -> Result<Self> {
        let session = context.session()?;
        let source = Source::open(&context.stores, name, &SourceOptions::default()).await?;
        let made_by = source.manifest.as_ref().and_then(|manifest| manifest.made_by());
        if made_by != Some("kmeans") {
            return Err(Error::data(format!(
                "'{name}' is not a result of kmeans: name the OUT of pleiad kmeans"
            )));
        }
        let figures = table(&session, &source, "figures").await?;
        let best = figures.column("best")?.as_boolean();
        let (numbers, k, start) =
            (figures.ints("model")?, figures.ints("k")?, figures.ints("start")?);
        let models = (0..numbers.len()).map(|row| Model {
            number: numbers[row],
            k: k[row],
            start: start[row],
            best: best.value(row),
        });
        let models = models.collect();
        Ok(Self { session, source, name: name.to_owned(), figures, models })
    }

    async fn table(&self, name: &str) -> Result<Rows> {
        table(&self.session, &self.source, name).await
    }

    fn known_k(&self) -> String {
        let best = self.models.iter().filter(|model| model.best);
        best.map(|model| model.k.to_string()).collect::<Vec<_>>().join(", ")
    }

    fn check_k(&self, k: i64) -> Result<()> {
        match self.models.iter().any(|model| model.k == k) {
            true => Ok(()),
            false => Err(Error::usage(format!(
                "'{}' has no model of k {k}, expected one of {}",
                self.name,
                self.known_k()
            ))),
        }
    }
}

async fn table(session: &Session, source: &Source, name: &str) -> Result<Rows> {
    let table = source.tables.iter().find(|table| table.name == name);
    let table = table.ok_or_else(|| Error::data(format!("the result has no table '{name}'")))?;
    let session = session.child(|options| options.execution.target_partitions = 1);
    let frame = session.context().read_table(table.provider())?;
    let batches: Vec<RecordBatch> = frame.execute_stream().await?.try_collect().await?;
    Ok(Rows(concat_batches(&table.schema, &batches)?))
}

impl ElbowArgs {
    pub(super) async fn figure(&self, context: &Context) -> Result<Picture> {
        let drawn = Drawn::open(context, &self.dataset).await?;
        let silhouette = ["silhouette", "simplified_silhouette"];
        let silhouette = silhouette.into_iter().find(|name| drawn.figures.has(name));
        let points = |name: &str| -> Result<Vec<(f64, f64)>> {
            let values = drawn.figures.floats(name)?;
            let best = drawn.models.iter().zip(values).filter(|(model, _)| model.best);
            Ok(best.filter_map(|(model, value)| Some((model.k as f64, value?))).collect())
        };
        let cost = points("cost")?;
        let second =
            silhouette.map(|name| points(name).map(|points| (name, points))).transpose()?;
        let second = second.filter(|(_, points)| !points.is_empty());
        let second = second.as_ref().map(|(name, points)| (*name, points.as_slice()));
        let title = format!("{}: cost and silhouette of the best model of each k", self.dataset);
        Ok(report::elbow(&title, &cost, second))
    }
}

impl StepsArgs {
    pub(super) async fn figure(&self, context: &Context) -> Result<Picture> {
        let drawn = Drawn::open(context, &self.dataset).await?;
        if let Some(k) = self.k {
            drawn.check_k(k)?;
        }
        let history = drawn.table("history").await?;
        let (models, steps) = (history.ints("model")?, history.ints("step")?);
        let is_shown = |model: &&Model| match self.k {
            Some(k) => model.k == k,
            None => model.best,
        };
        let curves = |name: &str| -> Result<Vec<Curve>> {
            let values = history.floats(name)?;
            let curve = |model: &Model| {
                let rows = (0..models.len()).filter(|row| models[*row] == model.number);
                let points = rows.filter_map(|row| Some((steps[row] as f64, values[row]?)));
                let name = match self.k {
                    Some(_) => format!("start {}", model.start),
                    None => format!("k {}", model.k),
                };
                Curve { name, points: points.collect() }
            };
            Ok(drawn.models.iter().filter(is_shown).map(curve).collect())
        };
        let title = format!("{}: cost and movement over the steps", self.dataset);
        Ok(report::steps(&title, &curves("cost")?, &curves("movement")?))
    }
}

impl PartitionsArgs {
    pub(super) async fn figure(&self, context: &Context) -> Result<Picture> {
        let drawn = Drawn::open(context, &self.dataset).await?;
        if let Some(k) = self.k {
            drawn.check_k(k)?;
        }
        let best = drawn.models.iter().filter(|model| model.best);
        let best: Vec<_> = best.filter(|model| self.k.is_none_or(|k| model.k == k)).collect();
        let [model] = &best[..] else {
            return Err(Error::usage(format!(
                "'{}' has models of several k ({}): pass --k with one of them",
                self.dataset,
                drawn.known_k()
            )));
        };
        let rows = drawn.table("partition_clusters").await?;
        let schema = rows.0.schema();
        let taken = ["model", "k", "table", "cluster", "rows"];
        let keys = schema.fields().iter().map(|field| field.name().as_str());
        let keys: Vec<&str> = keys.filter(|name| !taken.contains(name)).collect();
        let (models, tables) = (rows.ints("model")?, rows.texts("table")?);
        let (clusters, counts) = (rows.ints("cluster")?, rows.ints("rows")?);
        let values = keys.iter().map(|key| rows.texts(key)).collect::<Result<Vec<_>>>()?;
        let mut shares: Vec<PartitionShares> = Vec::new();
        for row in (0..models.len()).filter(|row| models[*row] == model.number) {
            let keys =
                keys.iter().zip(&values).map(|(key, values)| format!("{key}={}", values[row]));
            let name =
                std::iter::once(tables[row].clone()).chain(keys).collect::<Vec<_>>().join("/");
            let place = shares.iter().position(|shares| shares.name == name).unwrap_or_else(|| {
                let clusters = usize::try_from(model.k).unwrap_or_default();
                shares.push(PartitionShares { name, rows: vec![0; clusters] });
                shares.len() - 1
            });
            let cluster = usize::try_from(clusters[row]).unwrap_or_default();
            if let Some(rows) = shares[place].rows.get_mut(cluster) {
                *rows = u64::try_from(counts[row]).unwrap_or_default();
            }
        }
        let title =
            format!("{}: share of each cluster in each partition, k {}", self.dataset, model.k);
        Ok(report::partition_shares(&title, &shares))
    }
}
