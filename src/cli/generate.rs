//! `pleiad generate`: datasets made from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{StringArray, UInt64Array};
use clap::{Args, Subcommand};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;

use super::Context;
use super::output::Answer;
use crate::event::{Event, Observer, Unit};
use crate::generate::{People, PeopleSource, PeopleTable, Slice};
use crate::session::Session;
use crate::table::{Begin, Manifest, Run, RunOptions, TableSpec};

/// Make data: the same seed gives the same rows, and any slice alone gives its rows
#[derive(Debug, Args)]
pub struct Generate {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    People(PeopleArgs),
}

/// Three tables of people: age, weight and shoulder circumference, in three regions
///
/// The dataset holds `table1`, `table2` and `table3`, each with ROWS rows and one directory for
/// each value of `id_pref`. In `table1` and `table2` the measures are independent; in `table3`
/// weight and circumference follow from age, and `id_pref` rises with it.
///
/// The answer has one line a table: table, rows, bytes, files.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad generate people people --rows 1000
  pleiad generate people people-2 --rows 1000 --seed 7 --slice 2/4 --json")]
struct PeopleArgs {
    /// Where to write: a directory, or s3://bucket/prefix
    #[arg(value_name = "OUT")]
    out: String,

    /// Rows of each table
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rows: u64,

    /// The seed: the same one gives the same rows
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,

    /// Write only the I-th of N parts of the rows, counted from 1; joined they are the whole
    #[arg(long, value_name = "I/N", default_value_t = Slice::WHOLE)]
    slice: Slice,
}

impl Generate {
    /// Writes the dataset and prints what was written.
    ///
    /// # Errors
    /// Numbers out of range, an output that exists, storage that fails.
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match &self.kind {
            Kind::People(args) => args.run(context).await,
        }
    }
}

impl PeopleArgs {
    async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let people = Arc::new(People::new(self.rows, self.seed, Some(self.slice))?);
        let out = context.stores.parse(&self.out)?;
        let session = context.session()?;
        let options = RunOptions {
            mode: context.flags.mode,
            arguments: context.arguments.clone(),
            inputs: Vec::new(),
        };
        let manifest = match Run::begin(&context.stores, &out, options).await? {
            Begin::Kept(manifest) => {
                let version = manifest.version;
                context.note(&format!("kept '{out}' as it is, version {version} (--mode ignore)"));
                *manifest
            }
            Begin::Run(run) => {
                for table in PeopleTable::ALL {
                    write(&run, &session, &people, table, context).await?;
                }
                run.commit(self.properties()).await?
            }
        };
        context.print(&[written(&manifest)])
    }

    fn properties(&self) -> BTreeMap<String, String> {
        let words = [
            ("generator", "people".to_owned()),
            ("rows", self.rows.to_string()),
            ("seed", self.seed.to_string()),
            ("slice", self.slice.to_string()),
        ];
        words.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

async fn write(
    run: &Run,
    session: &Session,
    people: &Arc<People>,
    table: PeopleTable,
    context: &Context,
) -> anyhow::Result<()> {
    let rows = people.slice_rows();
    context.watch.report(Event::Stage {
        name: format!("writing {table}"),
        total: Some(rows.end - rows.start),
        unit: Unit::Rows,
    });
    let source = provider_as_source(Arc::new(PeopleSource::new(Arc::clone(people), table)));
    let plan = LogicalPlanBuilder::scan(table.name(), source, None)?.build()?;
    let keys = vec!["id_pref".to_owned()];
    let spec = TableSpec { name: table.name().to_owned(), keys, ..TableSpec::default() };
    run.write(&session.state(), plan, spec, &context.watch).await?;
    context.watch.report(Event::Done);
    Ok(())
}

/// One line a table of the dataset.
fn written(manifest: &Manifest) -> Answer {
    let sums = |table: &str| {
        let files = manifest.files.iter().filter(|file| file.table == table);
        files.fold([0; 3], |[rows, bytes, files], file| {
            [rows + file.rows, bytes + file.size, files + 1_u64]
        })
    };
    let names: Vec<&str> = manifest.tables.iter().map(|table| table.name.as_str()).collect();
    let sums: Vec<[u64; 3]> = names.iter().map(|name| sums(name)).collect();
    let column = |index: usize| UInt64Array::from_iter_values(sums.iter().map(|sums| sums[index]));
    Answer::build("tables")
        .column("table", StringArray::from(names))
        .column("rows", column(0))
        .column("bytes", column(1))
        .column("files", column(2))
        .done()
}
