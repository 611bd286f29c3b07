//! A run whose future is dropped ends: a second later none of its work goes on, in whatever phase it
//! was.
//!
//! The clusters are so many that each phase would take seconds more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pleiad::event::{Event, Observer};
use pleiad::kmeans::{self, Params};
use pleiad::splitmix;
use pleiad::table::{Begin, Run, RunOptions};
use rstest::rstest;
use tokio::runtime::Builder;
use tokio::sync::Notify;

use crate::support::clustering::{Tables, floats, params};
use crate::support::soon::ends_within_a_second;

/// Says when to drop: some time after a stage began, or was over. A thread of its own waits for that:
/// where all threads of the runtime compute, its timers do not run.
struct AtStage {
    name: &'static str,
    is_end: bool,
    wait: Duration,
    is_in: AtomicBool,
    /// When it was due, once it is.
    due: Arc<OnceLock<Instant>>,
    reached: Arc<Notify>,
}

impl AtStage {
    /// After the begin of the stage `name`, with a dot behind it after its end; without a name at once.
    fn new(name: &'static str, wait: Duration) -> Self {
        let (name, is_end) = name.strip_suffix('.').map_or((name, false), |name| (name, true));
        let (due, reached) = (Arc::default(), Arc::default());
        let new = Self { name, is_end, wait, is_in: AtomicBool::new(false), due, reached };
        if name.is_empty() {
            new.reach();
        }
        new
    }

    fn reach(&self) {
        let (due, reached) = (Arc::clone(&self.due), Arc::clone(&self.reached));
        let (begun, wait) = (Instant::now(), self.wait);
        thread::spawn(move || {
            let (_open, never) = mpsc::channel::<()>();
            never.recv_timeout(wait).unwrap_err();
            due.set(begun + wait).unwrap();
            reached.notify_one();
        });
    }
}

impl Observer for AtStage {
    fn report(&self, event: Event) {
        match event {
            Event::Stage { name, .. } => {
                let is_in = name == self.name;
                self.is_in.store(is_in, Ordering::Relaxed);
                if is_in && !self.is_end {
                    self.reach();
                }
            }
            Event::Done if self.is_end && self.is_in.swap(false, Ordering::Relaxed) => self.reach(),
            _ => {}
        }
    }
}

/// Rows that are all different.
fn points(rows: u64) -> Tables {
    let tables = Tables::new();
    let column =
        |seed: u64| floats((0..rows).map(move |row| splitmix::unit(splitmix::hash(row ^ seed))));
    tables.write("points/a.parquet", vec![("x", column(0)), ("y", column(1 << 40))]);
    tables
}

#[rstest]
#[case::opening(30_000, "--k 4000 --cache never", "", 0)]
#[case::sampling(30_000, "--k 4000 --cache never", "", 200)]
#[case::drawing(30_000, "--k 4000 --cache never", "", 2000)]
#[case::reading(300_000, "--k 1500", "reading", 0)]
#[case::range(300_000, "--k 1500", "reading.", 0)]
#[case::a_step(60_000, "--k 1500 --start random --starts 1", "clustering", 0)]
#[case::within_a_step(60_000, "--k 1500 --start random --starts 1", "clustering", 300)]
#[case::figures(60_000, "--k 1500 --start random --starts 1 --max-steps 1", "clustering.", 0)]
#[case::within_figures(
    60_000,
    "--k 1500 --start random --starts 1 --max-steps 1 --silhouette",
    "clustering.",
    300
)]
#[case::assignments(
    60_000,
    "--k 1500 --start random --starts 1 --max-steps 1 --assign",
    "writing assignments",
    0
)]
fn a_dropped_run_has_ended_within_a_second(
    #[case] rows: u64,
    #[case] arguments: &str,
    #[case] stage: &'static str,
    #[case] wait_ms: u64,
) {
    let tables = points(rows);
    let params = params(&format!("--columns x,y {arguments}"));
    let wait = Duration::from_millis(wait_ms);
    ends_within_a_second(stage, || time_to_end(&tables, &params, stage, wait));
}

/// How long threads go on after a run was dropped.
fn time_to_end(tables: &Tables, params: &Params, stage: &'static str, wait: Duration) -> Duration {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let due = runtime.block_on(async {
        let (session, source) = (tables.session(2, 8192), tables.source("points").await);
        let out = tables.stores.parse(tables.path("out").to_str().unwrap()).unwrap();
        let begun = Run::begin(&tables.stores, &out, RunOptions::default()).await.unwrap();
        let Begin::Run(run) = begun else { panic!("the output is new") };
        let watch = AtStage::new(stage, wait);
        tokio::select! {
            biased;
            () = watch.reached.notified() => {}
            done = kmeans::run(&session, source, params, Some(*run), None, &watch) => {
                panic!("the run was over before: {:?}", done.map(|outcome| outcome.seconds))
            }
        }
        *watch.due.get().unwrap()
    });
    runtime.shutdown_timeout(Duration::from_secs(60));
    due.elapsed()
}
