//! Small tables on disk, and k-means over them with any number of streams and batch size.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch};
use clap::Parser;
use parquet::arrow::ArrowWriter;
use pleiad::error::Result;
use pleiad::event::{Event, Observer};
use pleiad::generate::Person;
use pleiad::kmeans::{self, Options, Outcome, Params, StepRecord};
use pleiad::session::{Session, SessionOptions};
use pleiad::storage::{StorageOptions, Stores};
use pleiad::table::{Begin, Run, RunOptions, Source, SourceOptions};
use tokio::sync::Notify;

/// A directory with tables, gone when dropped.
pub(crate) struct Tables {
    pub(crate) stores: Arc<Stores>,
    dir: tempfile::TempDir,
}

impl Tables {
    pub(crate) fn new() -> Self {
        let stores = Stores::new(StorageOptions::default());
        Self { stores, dir: tempfile::tempdir().unwrap() }
    }

    /// The path of `name` in the directory; its parents exist.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Writes a Parquet file.
    pub(crate) fn write(&self, name: &str, columns: Vec<(&str, ArrayRef)>) {
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let file = File::create(self.path(name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    /// Writes people, without the column they are filed by.
    pub(crate) fn write_people(&self, name: &str, people: &[Person]) {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("age", Arc::new(people.iter().map(|person| Some(person.age)).collect::<Int32Array>())),
            ("weight", floats(people.iter().map(|person| person.weight))),
            (
                "shoulder_circumference",
                floats(people.iter().map(|person| person.shoulder_circumference)),
            ),
        ];
        self.write(name, columns);
    }

    /// Writes first centroids as CSV, each number with all its digits; returns where.
    pub(crate) fn write_centroids<'a>(
        &self,
        columns: &str,
        rows: impl IntoIterator<Item = &'a [f64]>,
    ) -> String {
        let mut text = format!("{columns}\n");
        for row in rows {
            let values: Vec<String> = row.iter().map(f64::to_string).collect();
            writeln!(text, "{}", values.join(",")).unwrap();
        }
        let path = self.path("centroids.csv");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A session with so many streams, and batches of so many rows.
    pub(crate) fn session(&self, streams: usize, batch_rows: usize) -> Session {
        self.session_with(streams, &[("batch_size", &batch_rows.to_string())])
    }

    /// A session with so many streams and these settings of `datafusion.execution`.
    pub(crate) fn session_with(&self, streams: usize, settings: &[(&str, &str)]) -> Session {
        let setting = |(name, value): &(&str, &str)| {
            (format!("datafusion.execution.{name}"), (*value).to_owned())
        };
        let options = SessionOptions {
            threads: NonZeroUsize::new(streams),
            memory_limit: Some(1 << 30),
            disk_limit: None,
            settings: settings.iter().map(setting).collect(),
        };
        Session::new(Arc::clone(&self.stores), &options).unwrap()
    }

    /// What `input`, a path or pattern in the directory, names.
    pub(crate) async fn source(&self, input: &str) -> Source {
        let text = self.dir.path().join(input).to_str().unwrap().to_owned();
        Source::open(&self.stores, &text, &SourceOptions::default()).await.unwrap()
    }

    /// Clusters `input` with these options of the command.
    pub(crate) async fn run(&self, input: &str, arguments: &str) -> Result<Outcome> {
        self.watched(input, arguments, &pleiad::event::Silent).await
    }

    /// What a run left that was dropped when it reported step `number`.
    pub(crate) async fn dropped_after(
        &self,
        number: u64,
        input: &str,
        params: &Params,
    ) -> StepRecord {
        let (session, source) = (self.session(2, 100), self.source(input).await);
        let out = tempfile::tempdir().unwrap();
        let out = self.stores.parse(out.path().join("out").to_str().unwrap()).unwrap();
        let begun = Run::begin(&self.stores, &out, RunOptions::default()).await.unwrap();
        let Begin::Run(run) = begun else { panic!("the output is new") };
        let watch = AtStep { number, reached: Notify::new() };
        tokio::select! {
            biased;
            () = watch.reached.notified() => {}
            _ = kmeans::run(&session, source, params, Some(*run), None, &watch) => {
                panic!("the run has no step {number}")
            }
        }
        // The dropped run lets go of its output a moment later.
        let left = async {
            loop {
                match kmeans::last_step(&session, &out).await.unwrap() {
                    Some(step) => break step,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), left).await.unwrap()
    }

    /// The same, watched.
    pub(crate) async fn watched(
        &self,
        input: &str,
        arguments: &str,
        watch: &dyn Observer,
    ) -> Result<Outcome> {
        let (session, source) = (self.session(3, 8192), self.source(input).await);
        kmeans::run(&session, source, &params(arguments), None, None, watch).await
    }
}

/// Notices a step.
struct AtStep {
    number: u64,
    reached: Notify,
}

impl Observer for AtStep {
    fn report(&self, event: Event) {
        if matches!(event, Event::Step { number, .. } if number == self.number) {
            self.reached.notify_one();
        }
    }
}

/// Options as the command reads them.
pub(crate) fn params(arguments: &str) -> Params {
    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: Options,
    }
    let words = ["kmeans"].into_iter().chain(arguments.split_whitespace());
    Params::new(CommandLine::try_parse_from(words).unwrap().options).unwrap()
}

pub(crate) fn floats(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

pub(crate) fn integers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// Keeps the warnings of a run.
#[derive(Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    pub(crate) fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Warnings {
    fn report(&self, event: Event) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text);
        }
    }
}
