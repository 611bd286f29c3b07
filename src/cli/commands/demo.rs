//! `pleiad demo`: the main jobs from nothing, on local files.

use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, StringArray, UInt64Array};
use clap::{Args, Parser};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;

use super::kmeans::answers;
use super::partition::summary;
use super::plot::{block_bars, sky_map};
use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::cli::output::write_text;
use crate::error::Error;
use crate::generate::{People, PeopleSource, PeopleTable, Sky, SkySource, Width};
use crate::kmeans::{self, Options, Outcome, Params};
use crate::partition;
use crate::session::Session;
use crate::storage::Location;
use crate::table::{
    Begin, InputRecord, Mode, Run, RunOptions, Source, SourceOptions, TableSpec, current_manifest,
};

/// The sky, drawn.
const PICTURE: &str = "sky-map.svg";

/// What is clustered, and how.
const OPTIONS: &str = "--columns age,weight,shoulder_circumference --k 7 --starts 1 --diagnose";

/// Try pleiad on generated data: cluster people, cut the sky into blocks, draw pictures
///
/// Generates three tables of people, partitioned by `id_pref`, and the same rows as one table without
/// partitions. Clusters both with k-means and shows that the results are identical to the last bit. Then
/// generates sources of the sky, cuts them into blocks with each preset, and draws the blocks. Needs no
/// input and no network.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad demo
  pleiad demo my-demo --format markdown")]
pub(crate) struct Demo {
    /// Directory to write to; what an earlier demo wrote there is replaced
    #[arg(value_name = "DIR", default_value = "pleiad-demo")]
    dir: String,

    /// Rows of each of the three tables
    #[arg(long, value_name = "N", default_value_t = 100_000, hide = true)]
    rows: u64,
}

#[derive(Parser)]
struct KmeansOptions {
    #[command(flatten)]
    options: Options,
}

#[derive(Parser)]
struct PartitionOptions {
    #[command(flatten)]
    options: partition::Options,
}

impl Demo {
    /// Runs the demo.
    ///
    /// # Errors
    /// Storage that fails; results that do not agree would be a bug.
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let dir = context.stores.parse(&self.dir)?;
        let session = context.session()?;
        let people = Arc::new(People::new(self.rows, 42, None)?);
        let rows = self.rows;
        context.note(&format!(
            "1. three tables of {rows} people, partitioned by id_pref: {dir}/people"
        ));
        write(context, &session, &dir.join("people"), &people, true).await?;
        context.note(&format!("2. the same rows as one table without partitions: {dir}/central"));
        write(context, &session, &dir.join("central"), &people, false).await?;
        let words = ["pleiad"].into_iter().chain(OPTIONS.split_whitespace());
        let params = Params::new(KmeansOptions::try_parse_from(words)?.options)?;
        context.note(&format!("3. pleiad kmeans {dir}/people {OPTIONS} {dir}/clusters"));
        let parts = cluster(context, &session, &params, &dir, "people", Some("clusters")).await?;
        context.note(&format!("4. pleiad kmeans {dir}/central {OPTIONS}"));
        let central = cluster(context, &session, &params, &dir, "central", None).await?;
        let mut tables = vec![compared(&central, &parts)?];
        tables.extend(answers(&parts)?.into_iter().filter(|table| table.name() != "models"));
        tables.push(Box::pin(cut_the_sky(context, &session, &dir, self.rows)).await?);
        context.print(&tables)?;
        if let Some(found) = parts.models[0].diagnosis {
            context.note(&format!(
                "\nBoth k-means runs gave identical centroids. Averaging the means of the partitions \
                 would have cost {:.1} % more.",
                100.0 * found.excess().unwrap_or_default()
            ));
        }
        self.say_what_is_next(context, &dir);
        Ok(())
    }

    /// The picture, and commands that work as they are written.
    fn say_what_is_next(&self, context: &Context, dir: &Location) {
        let (typed, program) = (self.dir.trim_end_matches('/'), &context.program);
        if dir.local_path().is_some() {
            context.note(&format!("\nA picture of the sky in blocks: {typed}/{PICTURE}"));
        }
        context.note(&format!(
            "\nTry next:\n  \
             {program} sql -c \"SELECT id_pref, count(*), avg(weight) FROM '{typed}/people/table3' GROUP BY id_pref\"\n  \
             {program} show {typed}/sky-v4\n  \
             {program} kmeans {typed}/people --columns age,weight --k 2..5 --starts 1"
        ));
    }
}

/// Writes the people as three partitioned tables, or as one table in one piece.
async fn write(
    context: &Context,
    session: &Session,
    out: &Location,
    people: &Arc<People>,
    partitioned: bool,
) -> anyhow::Result<()> {
    let run = begin(context, out, Vec::new()).await?;
    let scan = |table: PeopleTable| {
        let source = provider_as_source(Arc::new(PeopleSource::new(Arc::clone(people), table)));
        LogicalPlanBuilder::scan(table.name(), source, None)
    };
    if partitioned {
        for table in PeopleTable::ALL {
            let keys = vec!["id_pref".to_owned()];
            let spec = TableSpec { name: table.name().to_owned(), keys, ..TableSpec::default() };
            run.write(&session.state(), scan(table)?.build()?, spec, &context.watch).await?;
        }
    } else {
        let [first, second, third] = PeopleTable::ALL;
        let all = scan(first)?.union(scan(second)?.build()?)?.union(scan(third)?.build()?)?;
        let spec = TableSpec { name: "all".to_owned(), ..TableSpec::default() };
        run.write(&session.state(), all.build()?, spec, &context.watch).await?;
    }
    run.commit([("rows".to_owned(), people.rows().to_string())].into()).await?;
    Ok(())
}

async fn cluster(
    context: &Context,
    session: &Session,
    params: &Params,
    dir: &Location,
    input: &str,
    out: Option<&str>,
) -> anyhow::Result<Outcome> {
    let input = dir.join(input).to_string();
    let source = Source::open(&context.stores, &input, &SourceOptions::default()).await?;
    let mut run = None;
    if let Some(out) = out {
        let inputs = source.input_records();
        run = Some(begin(context, &dir.join(out), inputs).await?);
    }
    let found = kmeans::run(session, source, params, run, None, &context.watch);
    Ok(Box::pin(found).await?)
}

/// Sources of the sky, cut into blocks with each preset; a row for each.
async fn cut_the_sky(
    context: &Context,
    session: &Session,
    dir: &Location,
    rows: u64,
) -> anyhow::Result<Answer> {
    context.note(&format!("5. {rows} sources of the sky: {dir}/sky"));
    let run = begin(context, &dir.join("sky"), Vec::new()).await?;
    let sky = SkySource::new(Arc::new(Sky::new(rows, 42, None)?), Width::Narrow);
    let plan = LogicalPlanBuilder::scan("sky", provider_as_source(Arc::new(sky)), None)?.build()?;
    let spec = TableSpec { name: "sky".to_owned(), high_cardinality: true, ..TableSpec::default() };
    run.write(&session.state(), plan, spec, &context.watch).await?;
    run.commit([("rows".to_owned(), rows.to_string())].into()).await?;
    let max_rows = (rows / 60).max(1);
    let mut outcomes = Vec::new();
    for preset in ["v1", "v2", "v3", "v4"] {
        let mut options = format!("--preset {preset} --blocks 40");
        if preset == "v4" {
            options += &format!(" --max-rows {max_rows}");
        }
        context.note(&format!("   pleiad partition {dir}/sky {options} {dir}/sky-{preset}"));
        let input = dir.join("sky").to_string();
        let source = Source::open(&context.stores, &input, &SourceOptions::default()).await?;
        let inputs = source.input_records();
        let out = dir.join(&format!("sky-{preset}"));
        let run = begin(context, &out, inputs).await?;
        let words = ["pleiad"].into_iter().chain(options.split_whitespace());
        let params = partition::Params::new(PartitionOptions::try_parse_from(words)?.options)?;
        let outcome =
            partition::run(session, &source, &params, None, Some(run), &context.watch).await?;
        outcomes.push(outcome);
        if let Some(picture) = dir.join(&format!("sky-{preset}.svg")).local_path() {
            let manifest = current_manifest(&context.stores, &out).await?;
            write_text(picture, &block_bars(&format!("sky-{preset}"), &manifest)?.svg())?;
            if preset == "v4" {
                let map = sky_map(&format!("sky-{preset}"), &manifest)?.svg();
                write_text(&picture.with_file_name(PICTURE), &map)?;
            }
        }
    }
    context.note(&format!("   rows of the blocks, drawn: {dir}/sky-v1.svg to sky-v4.svg"));
    Ok(summary(&outcomes))
}

/// A run that replaces what an earlier demo wrote.
async fn begin(context: &Context, out: &Location, inputs: Vec<InputRecord>) -> anyhow::Result<Run> {
    let arguments = context.arguments.clone();
    let options = RunOptions { mode: Mode::Overwrite, arguments, inputs, ..RunOptions::default() };
    match Run::begin(&context.stores, out, options).await? {
        Begin::Run(run) => Ok(*run),
        Begin::AlreadyThere(_) => Err(Error::internal("mode overwrite always writes").into()),
    }
}

/// One row per run, and whether all centroids are the same bits.
fn compared(central: &Outcome, parts: &Outcome) -> anyhow::Result<Answer> {
    let bits = |outcome: &Outcome| -> Vec<u64> {
        outcome.models[0].centroids.iter().map(|x| x.to_bits()).collect()
    };
    let same = bits(central) == bits(parts);
    if !same {
        return Err(Error::internal("the two runs differ, and they never should").into());
    }
    let runs = [("central", central), ("by partition", parts)];
    let figures = || runs.iter().map(|(_, outcome)| &outcome.models[0].figures);
    Ok(Answer::build("runs")
        .column("run", StringArray::from_iter_values(runs.iter().map(|(name, _)| *name)))
        .column(
            "partitions",
            UInt64Array::from_iter_values(
                runs.iter().map(|(_, outcome)| outcome.partitions.len() as u64),
            ),
        )
        .column("rows", UInt64Array::from_iter_values(figures().map(|figures| figures.rows)))
        .column("cost", Float64Array::from_iter_values(figures().map(|figures| figures.cost)))
        .column(
            "mean_distance",
            Float64Array::from_iter_values(figures().map(|figures| figures.mean_distance)),
        )
        .column("same_bits", BooleanArray::from(vec![same; 2]))
        .done())
}
