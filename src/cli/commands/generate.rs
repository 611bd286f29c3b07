//! `pleiad generate`: datasets made from a seed.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{StringArray, UInt64Array};
use arrow::csv::WriterBuilder;
use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use futures::StreamExt;

use crate::cli::answer::Answer;
use crate::cli::context::{Context, Done};
use crate::event::{Event, Observer, Unit};
use crate::generate::{
    Options, People, PeopleSource, PeopleTable, Shape, ShapeSource, Shapes, Sky, SkySource, Width,
};
use crate::session::Session;
use crate::table::{Begin, Manifest, Run, TableSpec};

/// Generate data sets: people, sky sources, shapes. The same seed gives the same rows
#[derive(Debug, Args)]
pub(crate) struct Generate {
    #[command(subcommand)]
    kind: DatasetKind,
}

#[derive(Debug, Subcommand)]
enum DatasetKind {
    People(PeopleArgs),
    Shapes(ShapesArgs),
    Sky(SkyArgs),
}

/// Generate three tables of people with age, weight and shoulder circumference
///
/// The dataset has the tables `table1`, `table2` and `table3`, with N rows each and one directory for
/// each value of `id_pref`. In `table1` and `table2` the three measures are independent. In `table3`
/// weight and circumference depend on age, and `id_pref` grows with age.
///
/// Prints one row per table: table, rows, bytes, files.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad generate people people --rows 1000
  pleiad generate people people-2 --rows 1000 --seed 7 --slice 2/4 --json")]
struct PeopleArgs {
    /// Where to write: a directory, or s3://bucket/prefix
    #[arg(value_name = "OUT")]
    out: String,

    #[command(flatten)]
    options: Options,
}

impl Generate {
    /// Writes the dataset.
    ///
    /// # Errors
    /// Numbers out of range, an output that exists, storage that fails.
    pub(crate) async fn work(&self, context: &Context) -> anyhow::Result<Done> {
        match &self.kind {
            DatasetKind::People(args) => args.work(context).await,
            DatasetKind::Shapes(args) => args.work(context).await,
            DatasetKind::Sky(args) => args.work(context).await,
        }
    }
}

/// Generate sources over the whole sky, dense along the galactic plane and in clusters
///
/// The dataset has the table `sky` with `sourceId`, `ra` and `decl` in degrees (ICRS), and eight
/// measures; with --wide, the 107 columns of LSST's table Source. Some sources lie at the poles and on
/// the line where right ascension goes from 360 to 0. With --files csv the dataset is one file,
/// `sky.csv`.
///
/// Prints one row: table, rows, bytes, files.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad generate sky sky --rows 10000
  pleiad generate sky sky-wide --rows 1000 --wide --files csv")]
struct SkyArgs {
    /// Where to write: a directory, or s3://bucket/prefix
    #[arg(value_name = "OUT")]
    out: String,

    #[command(flatten)]
    options: Options,

    /// Write all 107 columns of LSST's table Source
    #[arg(long)]
    wide: bool,

    /// Format of the files
    #[arg(long, value_enum, default_value_t)]
    files: Files,
}

/// Generate points in the plane to try clustering on: blobs, moons, rings and others
///
/// blobs: ten normal distributions. moons: two half circles. rings: three circles with one centre.
/// simden and varden: ten random walks in a square of side 100,000, with one density and with ten (the
/// seed spreader of Gan and Tao). lattice: points with whole coordinates.
///
/// The dataset has the table `shapes` with id (from 1), x, y, and truth, the cluster that a point
/// belongs to (-1 is noise; a lattice has no such column). Prints one row: table, rows, bytes, files.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad generate shapes shapes --shape moons --rows 10000
  pleiad generate shapes walks --shape varden --rows 50000 --seed 7 --slice 1/2 --json")]
struct ShapesArgs {
    /// Where to write: a directory, or s3://bucket/prefix
    #[arg(value_name = "OUT")]
    out: String,

    /// Which shape: blobs, moons, rings, varden, simden or lattice
    #[arg(long, value_name = "SHAPE")]
    shape: Shape,

    #[command(flatten)]
    options: Options,
}

impl ShapesArgs {
    async fn work(&self, context: &Context) -> anyhow::Result<Done> {
        let Options { rows, seed, slice } = self.options;
        let shapes = Arc::new(Shapes::new(self.shape, rows, seed, Some(slice))?);
        let rows = shapes.slice_rows();
        let source = ShapeSource::new(shapes);
        let mut words = words("shapes", self.options);
        words.push(("shape", self.shape.to_string()));
        publish(context, &self.out, words, async |run, session| {
            write(context, run, session, source, rows, distinct("shapes")).await
        })
        .await
    }
}

/// The format of generated files.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Files {
    #[default]
    Parquet,
    Csv,
}

impl SkyArgs {
    async fn work(&self, context: &Context) -> anyhow::Result<Done> {
        let Options { rows, seed, slice } = self.options;
        let sky = Arc::new(Sky::new(rows, seed, Some(slice))?);
        let rows = sky.slice_rows();
        let source = SkySource::new(sky, if self.wide { Width::Wide } else { Width::Narrow });
        let mut words = words("sky", self.options);
        words.push(("wide", self.wide.to_string()));
        publish(context, &self.out, words, async |run, session| match self.files {
            Files::Parquet => write(context, run, session, source, rows, distinct("sky")).await,
            Files::Csv => write_csv(context, run, session, source, rows).await,
        })
        .await
    }
}

impl PeopleArgs {
    async fn work(&self, context: &Context) -> anyhow::Result<Done> {
        let Options { rows, seed, slice } = self.options;
        let people = Arc::new(People::new(rows, seed, Some(slice))?);
        let words = words("people", self.options);
        publish(context, &self.out, words, async |run, session| {
            for table in PeopleTable::ALL {
                let source = PeopleSource::new(Arc::clone(&people), table);
                let (name, keys) = (table.name().to_owned(), vec!["id_pref".to_owned()]);
                let spec = TableSpec { name, keys, ..TableSpec::default() };
                write(context, run, session, source, people.slice_rows(), spec).await?;
            }
            Ok(())
        })
        .await
    }
}

/// What the manifest says of every generated dataset.
fn words(generator: &str, Options { rows, seed, slice }: Options) -> Vec<(&'static str, String)> {
    vec![
        ("generator", generator.to_owned()),
        ("rows", rows.to_string()),
        ("seed", seed.to_string()),
        ("slice", slice.to_string()),
    ]
}

/// Publishes at `out` what `make` writes, unless what is there is kept. The manifest says by `words`
/// how the rows were made.
async fn publish(
    context: &Context,
    out: &str,
    words: Vec<(&str, String)>,
    make: impl AsyncFnOnce(&Run, &Session) -> anyhow::Result<()>,
) -> anyhow::Result<Done> {
    let out = context.stores.parse(out)?;
    let session = context.session()?;
    let manifest = match context.begin(&out, None).await? {
        Begin::AlreadyThere(manifest) => *manifest,
        Begin::Run(run) => {
            make(&run, &session).await?;
            let words = words.into_iter().map(|(name, value)| (name.to_owned(), value));
            run.commit(words.collect()).await?
        }
    };
    Ok(Done { answers: vec![written(&manifest)], tables: Vec::new(), published: Some(out) })
}

/// A table without keys, of measures that hardly repeat.
fn distinct(name: &str) -> TableSpec {
    TableSpec { name: name.to_owned(), high_cardinality: true, ..TableSpec::default() }
}

/// Writes one table of generated rows.
async fn write(
    context: &Context,
    run: &Run,
    session: &Session,
    source: impl TableProvider + 'static,
    rows: Range<u64>,
    spec: TableSpec,
) -> anyhow::Result<()> {
    let plan = scan(context, &spec.name, source, rows)?;
    run.write(&session.state(), plan, spec, &context.watch).await?;
    context.watch.report(Event::Done);
    Ok(())
}

/// Writes the sky as one file of text, in the order of the rows.
async fn write_csv(
    context: &Context,
    run: &Run,
    session: &Session,
    source: SkySource,
    rows: Range<u64>,
) -> anyhow::Result<()> {
    let plan = scan(context, "sky", source, rows)?;
    let session = session.child(|options| options.execution.target_partitions = 1);
    let frame = session.context().execute_logical_plan(plan).await?;
    let mut is_first = true;
    let texts = frame.execute_stream().await?.map(move |batch| {
        let batch = batch?;
        let mut text = Vec::new();
        let has_header = std::mem::take(&mut is_first);
        WriterBuilder::new().with_header(has_header).build(&mut text).write(&batch)?;
        Ok((Bytes::from(text), batch.num_rows() as u64))
    });
    run.write_text("sky.csv", texts).await?;
    context.watch.report(Event::Done);
    Ok(())
}

/// All rows of a generated table as a plan; reports that they are being written.
fn scan(
    context: &Context,
    name: &str,
    source: impl TableProvider + 'static,
    rows: Range<u64>,
) -> anyhow::Result<LogicalPlan> {
    context.watch.report(Event::Stage {
        name: format!("writing {name}"),
        total: Some(rows.end - rows.start),
        unit: Unit::Rows,
    });
    let source = provider_as_source(Arc::new(source));
    Ok(LogicalPlanBuilder::scan(name, source, None)?.build()?)
}

/// One line a table of the dataset.
fn written(manifest: &Manifest) -> Answer {
    let sums = |table: &str| {
        let files = manifest.files.iter().filter(|file| file.table == table);
        files.fold([0; 3], |[rows, bytes, files], file| {
            [rows + file.rows, bytes + file.size, files + 1_u64]
        })
    };
    let mut names: Vec<&str> = manifest.tables.iter().map(|table| table.name.as_str()).collect();
    if names.is_empty() {
        names.push(""); // text
    }
    let sums: Vec<[u64; 3]> = names.iter().map(|name| sums(name)).collect();
    let column = |index: usize| UInt64Array::from_iter_values(sums.iter().map(|sums| sums[index]));
    Answer::build("tables")
        .column("table", StringArray::from(names))
        .column("rows", column(0))
        .column("bytes", column(1))
        .column("files", column(2))
        .done()
}
