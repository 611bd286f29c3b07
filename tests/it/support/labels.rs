//! DBSCAN over small tables on disk, with any number of streams, batches, files and blocks.

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use clap::Parser;
use parquet::arrow::ArrowWriter;
use pleiad::dbscan::resume::killed;
use pleiad::dbscan::{self, Options, Outcome, Params};
use pleiad::error::Result;
use pleiad::event::{Observer, Silent};
use pleiad::session::{Session, SessionOptions};
use pleiad::storage::{Location, StorageOptions, Stores};
use pleiad::table::{Begin, Mode, Run, RunOptions, Source, SourceOptions};

use crate::support::scratch::session as plain_session;

/// A directory with tables of points, gone when dropped.
pub(crate) struct Points {
    pub(crate) stores: Arc<Stores>,
    pub(crate) dir: tempfile::TempDir,
    session: Session,
}

/// How the engine runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Engine {
    pub(crate) streams: usize,
    pub(crate) batch_rows: usize,
    pub(crate) memory: u64,
}

impl Default for Engine {
    fn default() -> Self {
        Self { streams: 2, batch_rows: 8192, memory: 1 << 30 }
    }
}

/// What a run published.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    /// Row numbers or ids, as stored.
    pub(crate) rows: Vec<i64>,
    pub(crate) clusters: Vec<Option<i64>>,
    pub(crate) kinds: Vec<String>,
}

impl Points {
    pub(crate) fn new() -> Self {
        Self::with(Engine::default())
    }

    pub(crate) fn with(engine: Engine) -> Self {
        let stores = Stores::new(StorageOptions::default());
        let session = session(&stores, engine);
        Self { stores, dir: tempfile::tempdir().unwrap(), session }
    }

    /// Bytes that the session has reserved in memory and on the disk for temporary files.
    pub(crate) fn reserved(&self) -> (usize, u64) {
        let disk = &self.session.context().runtime_env().disk_manager;
        (self.session.memory_pool().reserved(), disk.used_disk_space())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn location(&self, name: &str) -> Location {
        self.stores.parse(self.path(name).to_str().unwrap()).unwrap()
    }

    /// Writes columns as Parquet files of at most this many rows in folder `points`.
    pub(crate) fn write(&self, columns: Vec<(&str, ArrayRef)>, file_rows: usize) {
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        std::fs::create_dir_all(self.path("points")).unwrap();
        for (number, from) in (0..batch.num_rows().max(1)).step_by(file_rows.max(1)).enumerate() {
            let file =
                File::create(self.path(&format!("points/part-{number:05}.parquet"))).unwrap();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            let rows = file_rows.min(batch.num_rows() - from);
            writer.write(&batch.slice(from, rows)).unwrap();
            writer.close().unwrap();
        }
    }

    /// Writes points with the columns x, y and perhaps z.
    pub(crate) fn write_points<const D: usize>(&self, rows: &[[f64; D]], file_rows: usize) {
        let column = |k: usize| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row[k])))
        };
        let columns = ["x", "y", "z"].into_iter().take(D).enumerate();
        self.write(columns.map(|(k, name)| (name, column(k))).collect(), file_rows);
    }

    /// Clusters `points` with these options of the command into `out`.
    pub(crate) async fn run(&self, arguments: &str) -> Result<Outcome> {
        self.watched(arguments, &Silent).await
    }

    /// The same, watched.
    pub(crate) async fn watched(&self, arguments: &str, watch: &dyn Observer) -> Result<Outcome> {
        let params = params(arguments)?;
        let source = self.path("points");
        let options = SourceOptions::default();
        let source = Source::open(&self.stores, source.to_str().unwrap(), &options).await?;
        if params.options().dry_run {
            return dbscan::run(&self.session, &source, &params, None, None, watch).await;
        }
        let out = self.location("out");
        let resumed = match params.options().resume {
            true => killed(&self.session, &out).await?,
            false => None,
        };
        let options = RunOptions { mode: Mode::Overwrite, ..RunOptions::default() };
        let Begin::Run(run) = Run::begin(&self.stores, &out, options).await? else { panic!() };
        dbscan::run(&self.session, &source, &params, Some(*run), resumed, watch).await
    }

    /// The table `name` of what was published, in the order of files and rows.
    pub(crate) async fn table(&self, name: &str) -> RecordBatch {
        let at = self.path("out").join(name);
        let options = SourceOptions::default();
        let source = Source::open(&self.stores, at.to_str().unwrap(), &options).await.unwrap();
        let session = plain_session(&self.stores, 1, 8192);
        let table = session.read_table(source.tables[0].provider()).unwrap();
        let schema = Arc::clone(table.schema().inner());
        arrow::compute::concat_batches(&schema, &table.collect().await.unwrap()).unwrap()
    }

    /// The labels that were published.
    pub(crate) async fn labels(&self) -> Found {
        let labels = self.table("labels").await;
        let clusters = labels.column_by_name("cluster").unwrap().as_primitive::<Int64Type>();
        let kinds = labels.column_by_name("kind").unwrap().as_string::<i32>();
        Found {
            rows: labels.column(0).as_primitive::<Int64Type>().values().to_vec(),
            clusters: clusters.iter().collect(),
            kinds: (0..kinds.len()).map(|row| kinds.value(row).to_owned()).collect(),
        }
    }

    /// Clusters and reads the clusters of all rows, which all have a place.
    pub(crate) async fn numbers(&self, arguments: &str) -> Vec<i64> {
        self.run(arguments).await.unwrap();
        let labels = self.labels().await;
        let order: Vec<i64> = (0..i64::try_from(labels.rows.len()).unwrap()).collect();
        assert_eq!(labels.rows, order, "rows are in the order of the input");
        labels.clusters.into_iter().map(Option::unwrap).collect()
    }
}

/// A session that runs so.
pub(crate) fn session(stores: &Arc<Stores>, engine: Engine) -> Session {
    let batch = ("datafusion.execution.batch_size".to_owned(), engine.batch_rows.to_string());
    let options = SessionOptions {
        threads: NonZeroUsize::new(engine.streams),
        memory_limit: Some(engine.memory),
        disk_limit: None,
        settings: vec![batch],
    };
    Session::new(Arc::clone(stores), &options).unwrap()
}

/// Options as the command reads them.
pub(crate) fn params(arguments: &str) -> Result<Params> {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }
    let words = ["dbscan"].into_iter().chain(arguments.split_whitespace());
    Params::new(Line::try_parse_from(words).unwrap().options)
}
