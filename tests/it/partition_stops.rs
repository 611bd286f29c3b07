//! A partitioning or its check whose future is dropped ends all its work within a second, in every
//! stage: no thread computes for an answer that no one waits for.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pleiad::event::{Event, Observer};
use pleiad::grid::GridShape;
use pleiad::partition::options::Coverage;
use pleiad::partition::{self, Options, Params, verify};
use pleiad::session::{Session, SessionOptions};
use pleiad::storage::{StorageOptions, Stores};
use pleiad::table::{Begin, Run, RunOptions, Source, SourceOptions};
use rstest::rstest;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::partition::Lab;
use crate::support::seeded::Chance;
use crate::support::soon::ends_within_a_second;

/// Signals each stage by its name.
struct Stages(UnboundedSender<String>);

impl Observer for Stages {
    fn report(&self, event: Event) {
        if let Event::Stage { name, .. } = event {
            // The listener leaves as soon as it has heard enough.
            drop(self.0.send(name));
        }
    }
}

/// Works on a runtime of its own until `stage` has gone on for `moment`, then drops the work: its threads
/// end within a second.
#[track_caller]
fn ends_soon<T>(stage: &str, moment: Duration, work: impl AsyncFn(Stages) -> T) {
    ends_within_a_second(stage, || time_to_end(stage, moment, &work));
}

/// How long threads go on after the work was dropped.
fn time_to_end<T>(stage: &str, moment: Duration, work: impl AsyncFn(Stages) -> T) -> Duration {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let (sender, stages) = unbounded_channel();
    let dropped = runtime.block_on(async {
        tokio::select! {
            _ = work(Stages(sender)) => None,
            () = reached(stages, stage) => {
                tokio::time::sleep(moment).await;
                Some(Instant::now())
            }
        }
    });
    let dropped = dropped.unwrap_or_else(|| panic!("the work ended before '{stage}'"));
    runtime.shutdown_timeout(Duration::from_secs(60));
    dropped.elapsed()
}

async fn reached(mut stages: UnboundedReceiver<String>, stage: &str) {
    while let Some(name) = stages.recv().await {
        if name == stage {
            return;
        }
    }
    std::future::pending().await
}

/// A catalogue of `rows` rows on the whole sphere, every hundredth without a position.
fn catalogue(lab: &Lab, rows: usize) {
    let mut chance = Chance::of(11);
    let mut text = "id,ra,dec\n".to_owned();
    for id in 0..rows {
        let (ra, dec) = (chance.unit() * 360., (2. * chance.unit() - 1.).asin().to_degrees());
        match id % 100 {
            0 => writeln!(text, "{id},NULL,{dec}").unwrap(),
            _ => writeln!(text, "{id},{ra},{dec}").unwrap(),
        }
    }
    lab.file("in.csv", &text);
}

async fn open(stores: &Arc<Stores>, location: &str) -> (Session, Source) {
    let session = Session::new(Arc::clone(stores), &SessionOptions::default()).unwrap();
    let source = Source::open(stores, location, &SourceOptions::default()).await.unwrap();
    (session, source)
}

async fn partitioned(lab: &Lab, options: Options, watch: Stages) {
    let stores = Stores::new(StorageOptions::default());
    let (session, source) = open(&stores, &lab.at("in.csv")).await;
    let out = stores.parse(&lab.at("out")).unwrap();
    let Begin::Run(run) = Run::begin(&stores, &out, RunOptions::default()).await.unwrap() else {
        panic!("'out' is new")
    };
    let params = Params::new(options).unwrap();
    partition::run(&session, &source, &params, None, Some(*run), &watch).await.unwrap();
}

#[rstest]
#[case("reading positions", 0, (700, 500))]
#[case("counting", 0, (700, 500))]
#[case("counting", 300, (700, 500))]
#[case("planning margins", 0, (100, 80))]
#[case("writing blocks", 0, (70, 50))]
#[case("writing blocks", 300, (70, 50))]
fn a_dropped_partitioning_ends_soon(
    #[case] stage: &str,
    #[case] millis: u64,
    #[case] (columns, rows): (u32, u32),
) {
    let lab = Lab::new();
    catalogue(&lab, 100_000);
    let options = Options {
        bounds: Coverage::Sky,
        grid: Some(GridShape::new(columns, rows).unwrap()),
        margin_arcsec: Some(600.0),
        max_rows: Some(if columns > 100 { 1 } else { 1000 }),
        ..Options::default()
    };
    let work = async |watch| partitioned(&lab, options.clone(), watch).await;
    ends_soon(stage, Duration::from_millis(millis), work);
}

#[test]
fn a_dropped_quarantine_ends_soon() {
    let lab = Lab::new();
    catalogue(&lab, 20_000);
    let options = Options { blocks: Some(4), ..Options::default() };
    let work = async |watch| partitioned(&lab, options.clone(), watch).await;
    ends_soon("writing quarantine", Duration::ZERO, work);
}

#[rstest]
#[case(0)]
#[case(100)]
fn a_dropped_check_of_blocks_ends_soon(#[case] millis: u64) {
    let lab = Lab::new();
    catalogue(&lab, 20_000);
    lab.done("@in.csv @out --bounds sky --grid 40x20 --margin-arcsec 18000 --max-rows 1000");
    let work = async |watch: Stages| {
        let stores = Stores::new(StorageOptions::default());
        let (session, source) = open(&stores, &lab.at("out")).await;
        let verified = verify::verify(&session, &source, &watch).await.unwrap();
        assert_eq!(verified.faults, Vec::<String>::new());
    };
    ends_soon("verifying blocks", Duration::from_millis(millis), work);
}
