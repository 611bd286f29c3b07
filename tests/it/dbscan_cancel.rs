//! A driver that is dropped, as the first Ctrl-C does it: in every phase its threads end within a
//! second, and what they held is free.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use pleiad::event::{Event, Observer};
use rstest::rstest;
use tokio::sync::Notify;

use crate::dbscan::many;
use crate::support::labels::{Engine, Points};
use crate::support::soon::ends_within_a_second;

/// Signals when a stage begins, or when a part of it is done.
struct UntilStage {
    name: &'static str,
    done: u64,
    stage: Mutex<String>,
    reached: Notify,
}

impl UntilStage {
    fn new(name: &'static str, done: u64) -> Self {
        Self { name, done, stage: Mutex::default(), reached: Notify::new() }
    }
}

impl Observer for UntilStage {
    fn report(&self, event: Event) {
        let mut stage = self.stage.lock().unwrap();
        let done = match event {
            Event::Stage { name, .. } => {
                *stage = name;
                0
            }
            Event::Progress { done } => done,
            _ => return,
        };
        if *stage == self.name && done == self.done {
            self.reached.notify_one();
        }
    }
}

const PLENTY: u64 = 1 << 30;
/// A store of lists holds 1.5 MiB of it, so that every phase spills.
const LITTLE: u64 = 14 << 20;

#[rstest]
#[case("reading coordinates", 0, "--eps 1.5 --min-points 5")]
#[case("planning blocks", 0, "--eps 1.5 --min-points 5 --max-rows 3")]
#[case("sending rows to blocks", 0, "--eps 1.5 --min-points 5 --max-rows 300")]
// Rows of the lattice have up to 30,000 near them, which no cell decides.
#[case("clustering", 0, "--eps 100 --min-points 20000 --max-rows 20000")]
#[case("clustering", 1, "--eps 1.5 --min-points 5 --max-rows 999")]
#[case("merging blocks", 0, "--eps 1.5 --min-points 5 --max-rows 300")]
// Every row is compared with thousands of others.
#[case("checking labels", 0, "--eps 100 --min-points 5 --verify 50000 --max-rows 9000")]
#[case("clustering by other blocks", 0, "--eps 1.5 --min-points 5 --verify full --max-rows 300")]
#[case("writing labels", 0, "--eps 1.5 --min-points 5 --max-rows 9000")]
fn the_threads_of_a_dropped_driver_end_within_a_second(
    #[case] stage: &'static str,
    #[case] done: u64,
    #[case] options: &str,
    #[values(PLENTY, LITTLE)] memory: u64,
) {
    let points = Points::with(Engine { memory, ..Engine::default() });
    points.write_points(&many(), 70_000);
    ends_within_a_second(stage, || time_to_end(&points, stage, done, options));
    assert_eq!(points.reserved(), (0, 0), "bytes of memory and of disk");
    assert!(!points.path("out/_manifest").exists(), "nothing is published");
}

/// How long threads go on after the driver was dropped.
fn time_to_end(points: &Points, stage: &'static str, done: u64, options: &str) -> Duration {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let watch = UntilStage::new(stage, done);
    let line = format!("--x x --y y {options}");
    runtime.block_on(async {
        tokio::select! {
            ended = points.watched(&line, &watch) => panic!("it was over before: {ended:?}"),
            () = watch.reached.notified() => {}
        }
    });
    let dropped = Instant::now();
    // Waits for threads that still work.
    runtime.shutdown_timeout(Duration::from_secs(60));
    dropped.elapsed()
}
