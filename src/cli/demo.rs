//! `pleiad demo`: the main job from nothing, on local files.

use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, StringArray, UInt64Array};
use clap::{Args, Parser};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;

use super::Context;
use super::kmeans::answers;
use super::output::Answer;
use crate::error::Error;
use crate::event::Silent;
use crate::generate::{People, PeopleSource, PeopleTable};
use crate::kmeans::{self, Options, Outcome, Params};
use crate::session::Session;
use crate::storage::Location;
use crate::table::{Begin, Mode, Run, RunOptions, Source, SourceOptions, SourceTable, TableSpec};

/// What is clustered, and how.
const OPTIONS: &str = "--columns age,weight,shoulder_circumference --k 7 --starts 1 --diagnose";

/// Show the main job on local files: people, their clusters, and what averaging would cost
///
/// Writes three tables of people, cut by `id_pref`, and the same rows once more as one table
/// without partitions. Clusters both, and shows that they agree to the bit and what averaging the
/// means of partitions would have cost instead.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad demo
  pleiad demo my-demo --format markdown")]
pub struct Demo {
    /// Where to write; what an earlier demo wrote there is replaced
    #[arg(value_name = "DIR", default_value = "pleiad-demo")]
    dir: String,

    /// Rows of each of the three tables
    #[arg(long, value_name = "N", default_value_t = 100_000, hide = true)]
    rows: u64,
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

impl Demo {
    /// Runs the demo.
    ///
    /// # Errors
    /// Storage that fails; results that do not agree would be a bug.
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let dir = context.stores.parse(&self.dir)?;
        let session = context.session()?;
        let people = Arc::new(People::new(self.rows, 42, None)?);
        let rows = self.rows;
        context.note(&format!("1. three tables of {rows} people, cut by id_pref: {dir}/people"));
        write(context, &session, &dir.join("people"), &people, true).await?;
        context.note(&format!("2. the same rows as one table without partitions: {dir}/central"));
        write(context, &session, &dir.join("central"), &people, false).await?;
        let words = ["pleiad"].into_iter().chain(OPTIONS.split_whitespace());
        let params = Params::new(Line::try_parse_from(words)?.options)?;
        context.note(&format!("3. pleiad kmeans {dir}/people {OPTIONS} {dir}/clusters"));
        let parts = cluster(context, &session, &params, &dir, "people", Some("clusters")).await?;
        context.note(&format!("4. pleiad kmeans {dir}/central {OPTIONS}"));
        let central = cluster(context, &session, &params, &dir, "central", None).await?;
        let mut tables = vec![compared(&central, &parts)?];
        tables.extend(answers(&parts)?.into_iter().filter(|table| table.name() != "models"));
        context.print(&tables)?;
        if let Some(found) = parts.models[0].diagnosis {
            context.note(&format!(
                "Both runs agree to the bit. Averaging the means of the partitions would have cost \
                 {:.1} % more.",
                100.0 * found.excess().unwrap_or_default()
            ));
        }
        context.note(&format!(
            "Look at {dir}/people/table1/id_pref=0/*.parquet (rows), {dir}/clusters/model/*.parquet \
             (centroids), {dir}/clusters/properties and {dir}/clusters/_manifest/ (what was done)."
        ));
        Ok(())
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
    let options = RunOptions {
        mode: Mode::Overwrite,
        arguments: context.arguments.clone(),
        inputs: Vec::new(),
    };
    let Begin::Run(run) = Run::begin(&context.stores, out, options).await? else {
        return Err(Error::internal("mode overwrite always writes").into());
    };
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
        let options = RunOptions {
            mode: Mode::Overwrite,
            arguments: context.arguments.clone(),
            inputs: source.tables.iter().flat_map(SourceTable::input_records).collect(),
        };
        if let Begin::Run(begun) = Run::begin(&context.stores, &dir.join(out), options).await? {
            run = Some(*begun);
        }
    }
    Ok(kmeans::run(session, source, params, run, None, &Silent).await?)
}

/// A line for each run, and whether all centroids are the same bits.
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
