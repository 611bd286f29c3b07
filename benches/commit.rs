//! What the commit costs: the people tables written by a run and published, beside a plain parallel
//! writer of the same files, one a stream and key, with the same Parquet settings and no staging,
//! checksums, syncs or manifest.
//!
//!     cargo bench --bench commit -- DIR [ROWS]
//!
//! ROWS of each table, 10,000,000 unless told; both write under DIR, three times in turn.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{AsArray, RecordBatch, Scalar, StringArray};
use arrow::compute::{cast, filter_record_batch, kernels::cmp};
use arrow::datatypes::DataType;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlanProperties;
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use pleiad::event::Silent;
use pleiad::generate::{People, PeopleSource, PeopleTable};
use pleiad::session::{Session, SessionOptions};
use pleiad::storage::{StorageOptions, Stores};
use pleiad::table::{Begin, Mode, Run, RunOptions, TableSpec};

type Done<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn plan(people: &Arc<People>, table: PeopleTable) -> Done<LogicalPlan> {
    let source = provider_as_source(Arc::new(PeopleSource::new(Arc::clone(people), table)));
    Ok(LogicalPlanBuilder::scan(table.name(), source, None)?.build()?)
}

async fn published(session: &Session, people: &Arc<People>, out: &Path) -> Done<()> {
    let out = session.stores().parse(&out.to_string_lossy())?;
    let options = RunOptions { mode: Mode::Overwrite, ..RunOptions::default() };
    let Begin::Run(run) = Run::begin(session.stores(), &out, options).await? else { return Ok(()) };
    for table in PeopleTable::ALL {
        let keys = vec!["id_pref".to_owned()];
        let spec = TableSpec { name: table.name().to_owned(), keys, ..TableSpec::default() };
        run.write(&session.state(), plan(people, table)?, spec, &Silent).await?;
    }
    run.commit(BTreeMap::new()).await?;
    Ok(())
}

async fn plain(session: &Session, people: &Arc<People>, out: &Path) -> Done<()> {
    for table in PeopleTable::ALL {
        let physical = session.state().create_physical_plan(&plan(people, table)?).await?;
        let streams = 0..physical.output_partitioning().partition_count();
        let streams = streams.map(|number| {
            let stream = physical.execute(number, session.state().task_ctx());
            let out = out.join(table.name());
            SpawnedTask::spawn(async move { write_stream(stream?, number, &out).await })
        });
        for stream in streams.collect::<Vec<_>>() {
            stream.await??;
        }
    }
    Ok(())
}

async fn write_stream(
    mut stream: datafusion::execution::SendableRecordBatchStream,
    number: usize,
    out: &Path,
) -> Done<()> {
    let mut writers: BTreeMap<String, ArrowWriter<BufWriter<File>>> = BTreeMap::new();
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        let place = batch.schema().index_of("id_pref")?;
        let keys = cast(batch.column(place), &DataType::Utf8)?;
        let mut others: Vec<usize> = (0..batch.num_columns()).collect();
        others.remove(place);
        let rest = batch.project(&others)?;
        let mut values: Vec<&str> = keys.as_string::<i32>().iter().flatten().collect();
        values.sort_unstable();
        values.dedup();
        for value in values {
            let is_value = cmp::eq(&keys, &Scalar::new(StringArray::from(vec![value])))?;
            let rows: RecordBatch = filter_record_batch(&rest, &is_value)?;
            if !writers.contains_key(value) {
                let dir = out.join(format!("id_pref={value}"));
                fs::create_dir_all(&dir)?;
                let file = BufWriter::new(File::create(dir.join(format!("{number}.parquet")))?);
                let writer = ArrowWriter::try_new(file, rows.schema(), Some(settings()))?;
                writers.insert(value.to_owned(), writer);
            }
            writers.get_mut(value).ok_or("just made")?.write(&rows)?;
        }
    }
    writers.into_values().try_for_each(|writer| writer.close().map(drop))?;
    Ok(())
}

/// Those of our own files.
fn settings() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).expect("a level")))
        .set_max_row_group_row_count(Some(100_000))
        .set_dictionary_page_size_limit(128 * 1024)
        .set_statistics_enabled(EnabledStatistics::Page)
        .build()
}

fn main() -> Done<()> {
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    let Some(dir) = arguments.next() else { return Ok(()) }; // `cargo test` runs benches, too
    let rows = arguments.next().map_or(Ok(10_000_000), |rows| rows.parse())?;
    let out = Path::new(&dir).join("commit-bench");
    let runtime = tokio::runtime::Runtime::new()?;
    let session = Session::new(Stores::new(StorageOptions::default()), &SessionOptions::default())?;
    let people = Arc::new(People::new(rows, 42, None)?);
    let mut told = std::io::stdout();
    for round in 1..=3 {
        for is_ours in [true, false] {
            drop(fs::remove_dir_all(&out));
            let started = Instant::now();
            runtime.block_on(async {
                match is_ours {
                    true => published(&session, &people, &out).await,
                    false => plain(&session, &people, &out).await,
                }
            })?;
            let what = if is_ours { "published" } else { "plain" };
            writeln!(told, "round {round}, {what}: {:.2} s", started.elapsed().as_secs_f64())?;
        }
    }
    drop(fs::remove_dir_all(&out));
    Ok(())
}
