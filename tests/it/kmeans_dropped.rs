//! A run whose future is dropped ends: a second later none of its work goes on, in whatever phase it
//! was.
//!
//! The clusters are so many that each phase would take seconds more.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use pleiad::event::{Event, Observer};
use pleiad::kmeans;
use pleiad::splitmix;
use pleiad::table::{Begin, Run, RunOptions};
use rstest::rstest;
use tokio::runtime::Builder;
use tokio::sync::Notify;

use crate::support::clustering::{Tables, floats, params};

/// The time in which everything has to end.
const SOON: Duration = Duration::from_secs(1);

/// Notices when a stage begins, or is over.
struct AtStage {
    name: &'static str,
    is_end: bool,
    state: Mutex<(bool, Option<Instant>)>,
    reached: Notify,
}

impl AtStage {
    /// At the begin of the stage `name`; with a dot behind it, at its end.
    fn new(name: &'static str) -> Self {
        let (name, is_end) = name.strip_suffix('.').map_or((name, false), |name| (name, true));
        Self { name, is_end, state: Mutex::default(), reached: Notify::new() }
    }

    fn reach(&self, at: &mut Option<Instant>) {
        *at = Some(Instant::now());
        self.reached.notify_one();
    }
}

impl Observer for AtStage {
    fn report(&self, event: Event) {
        let (is_in, at) = &mut *self.state.lock().unwrap();
        match event {
            Event::Stage { name, .. } => {
                *is_in = name == self.name;
                if *is_in && !self.is_end {
                    self.reach(at);
                }
            }
            Event::Done if *is_in && self.is_end => self.reach(at),
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
#[case::reading(300_000, "--k 4000", "reading", 0)]
#[case::range(300_000, "--k 4000", "reading.", 0)]
#[case::a_step(30_000, "--k 4000 --start random --starts 1", "clustering", 0)]
#[case::within_a_step(30_000, "--k 4000 --start random --starts 1", "clustering", 400)]
#[case::figures(12_000, "--k 4000 --start random --starts 1 --max-steps 1", "clustering.", 0)]
#[case::within_figures(
    12_000,
    "--k 4000 --start random --starts 1 --max-steps 1",
    "clustering.",
    400
)]
#[case::assignments(
    12_000,
    "--k 4000 --start random --starts 1 --max-steps 1 --assign",
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
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let watch = AtStage::new(stage);
    let due = runtime.block_on(async {
        let (session, source) = (tables.session(2, 8192), tables.source("points").await);
        let out = tables.stores.parse(tables.path("out").to_str().unwrap()).unwrap();
        let begun = Run::begin(&tables.stores, &out, RunOptions::default()).await.unwrap();
        let Begin::Run(run) = begun else { panic!("the output is new") };
        let begun = Instant::now();
        let wait = Duration::from_millis(wait_ms);
        let reached = async {
            if !stage.is_empty() {
                watch.reached.notified().await;
            }
            tokio::time::sleep(wait).await;
        };
        tokio::select! {
            biased;
            () = reached => {}
            done = kmeans::run(&session, source, &params, Some(*run), None, &watch) => {
                panic!("the run was over before: {:?}", done.map(|outcome| outcome.seconds))
            }
        }
        watch.state.lock().unwrap().1.unwrap_or(begun) + wait
    });
    runtime.shutdown_timeout(Duration::from_secs(60));
    assert!(due.elapsed() < SOON, "{:?}", due.elapsed());
}
