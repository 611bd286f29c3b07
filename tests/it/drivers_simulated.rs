//! Drivers under simulation: one run of k-means, DBSCAN or the partitioner, and one who finishes, cleans and checks
//! the same output, in an order of calls that a seed decides. Runs die, calls fail. What is published is what an
//! undisturbed run publishes, and the same command again, which goes on from kept steps, publishes it too.
//!
//! `PLEIAD_TEST_SEEDS` sets how many seeds a driver gets in each mode; `just soak` gives a tenth of its own.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pleiad::cli::terminal::variable;
use pleiad::error::{Kind, Result};
use pleiad::event::Silent;
use pleiad::session::{Session, SessionOptions};
use pleiad::storage::{Location, Stores};
use pleiad::table::{
    Begin, Manifest, Mode, Run, RunOptions, Source, SourceOptions, commit, current_manifest,
};
use pleiad::{dbscan, kmeans, partition, splitmix};
use rstest::rstest;
use tokio::join;

use crate::support::clustering::{Tables, floats, params as kmeans_params};
use crate::support::fault_store::Bucket;
use crate::support::labels::params as dbscan_params;
use crate::support::seeded::{Chance, CreateOnly, Moment};
use crate::support::simulation::{Actor, Fate, simulate};

const OUT: &str = "memory://bucket/out";

const ROWS: u64 = 60;

#[derive(Clone, Copy, Debug)]
enum Driver {
    Kmeans,
    Dbscan,
    Partition,
}

/// Rows of each partition of each table.
type Rows = BTreeMap<(String, Vec<String>), u64>;

/// Some positions, and a file of them.
fn points() -> (Tables, String) {
    let tables = Tables::new();
    let column = |seed: u64, scale: f64| {
        floats((0..ROWS).map(move |row| scale * splitmix::unit(splitmix::hash(row ^ seed))))
    };
    tables.write("a.parquet", vec![("x", column(0, 360.)), ("y", column(1 << 40, 80.))]);
    let path = tables.path("a.parquet").to_str().unwrap().to_owned();
    (tables, path)
}

impl Driver {
    /// A run that replaces the output, from what a dead one kept.
    async fn run(self, stores: &Arc<Stores>, input: &str) -> Result<()> {
        let options = SessionOptions {
            threads: NonZeroUsize::new(2),
            memory_limit: Some(1 << 30),
            ..SessionOptions::default()
        };
        let session = Session::new(Arc::clone(stores), &options)?;
        let source = Source::open(stores, input, &SourceOptions::default()).await?;
        let out = Location::parse(OUT)?;
        commit::recover(stores, &out, commit::Settle::Nothing).await?;
        let begin = async || {
            let options = RunOptions { mode: Mode::Overwrite, ..RunOptions::default() };
            match Run::begin(stores, &out, options).await? {
                Begin::Run(run) => Ok::<_, pleiad::error::Error>(Some(*run)),
                Begin::AlreadyThere(_) => panic!("it overwrites"),
            }
        };
        match self {
            Self::Kmeans => {
                let params =
                    kmeans_params("--columns x,y --k 3 --starts 1 --max-steps 4 --resume --assign");
                let dead = kmeans::last_step(&session, &out).await?;
                let run = begin().await?;
                Box::pin(kmeans::run(&session, source, &params, run, dead, &Silent)).await?;
            }
            Self::Dbscan => {
                let line = "--x x --y y --eps 20 --min-points 4 --max-rows 20 --resume";
                let params = dbscan_params(line)?;
                let dead = dbscan::resume::killed(&session, &out).await?;
                let run = begin().await?;
                Box::pin(dbscan::run(&session, &source, &params, run, dead, &Silent)).await?;
            }
            Self::Partition => {
                let options = partition::Options {
                    ra: Some("x".to_owned()),
                    dec: Some("y".to_owned()),
                    blocks: Some(4),
                    max_rows: Some(20),
                    ..partition::Options::default()
                };
                let params = partition::Params::new(options)?;
                let run = begin().await?;
                Box::pin(partition::run(&session, &source, &params, None, run, &Silent)).await?;
            }
        }
        Ok(())
    }
}

/// What is in a version.
fn rows(manifest: &Manifest) -> Rows {
    let mut rows = Rows::new();
    for file in &manifest.files {
        *rows.entry((file.table.clone(), file.partition.clone())).or_insert(0) += file.rows;
    }
    rows
}

async fn current(stores: &Arc<Stores>) -> Option<Rows> {
    match current_manifest(stores, &Location::parse(OUT).unwrap()).await {
        Ok(manifest) => Some(rows(&manifest)),
        Err(error) => {
            assert_eq!(error.kind(), Kind::InputMissing, "{error}");
            None
        }
    }
}

/// What a careful user does meanwhile.
async fn clean(stores: Arc<Stores>) {
    let out = Location::parse(OUT).unwrap();
    for _ in 0..2 {
        drop(commit::recover(&stores, &out, commit::Settle::Nothing).await);
        drop(commit::gc(&stores, &out, false, None).await);
        drop(commit::check(&stores, &out, true, &Silent).await);
    }
}

/// All is finished or removed.
async fn rest(stores: &Arc<Stores>, create_only: CreateOnly) -> Option<Rows> {
    let out = Location::parse(OUT).unwrap();
    if create_only != CreateOnly::Enforced {
        commit::unlock(stores, &out).await.unwrap();
    }
    commit::recover(stores, &out, commit::Settle::Nothing).await.unwrap();
    let found = current(stores).await;
    if found.is_some() {
        let checkup = commit::check(stores, &out, true, &Silent).await.unwrap();
        assert_eq!(checkup.damages(), 0, "{checkup:?}");
    }
    found
}

/// Whether the first run was published.
fn scenario(seed: u64, driver: Driver, create_only: CreateOnly, input: &str, want: &Rows) -> bool {
    simulate(seed, async |simulation| {
        let mut chance = Chance::of(seed ^ 0x00D1_51DE);
        let bucket = Bucket::new(create_only);
        let (a, cleaner) = (simulation.actor("a"), simulation.actor("cleaner"));
        if chance.hits(70.) {
            let moments = [Moment::Before, Moment::After, Moment::Late];
            a.crash(1 + chance.below(120), moments[chance.below(3)]);
        }
        if chance.hits(40.) {
            simulation.rate(1., Fate::Fails);
            simulation.rate(1., Fate::Unanswered);
        }
        let stores = bucket.stores(&a);
        let (said, _) =
            join!(a.run(driver.run(&stores, input)), cleaner.run(clean(bucket.stores(&cleaner))),);
        simulation.settle().await;
        simulation.calm();
        simulation.advance(Duration::from_secs(3600));
        let last = simulation.actor("last");
        let stores = bucket.stores(&last);
        let found = last.run(rest(&stores, create_only)).await.unwrap();
        assert!(found.as_ref().is_none_or(|found| found == want), "{found:?}, not {want:?}");
        match said {
            None => {}
            Some(Ok(())) => assert!(found.is_some(), "what was answered is there"),
            Some(Err(error)) => assert_ne!(error.kind(), Kind::Internal, "{error}"),
        }
        again(&last, driver, &bucket, input).await;
        simulation.advance(Duration::from_secs(3600));
        let again = last.run(rest(&stores, create_only)).await.unwrap();
        assert_eq!(again.as_ref(), Some(want));
        assert_eq!(bucket.uploaded(), Vec::<String>::new(), "no upload is left open");
        found.is_some()
    })
}

async fn again(last: &Actor, driver: Driver, bucket: &Bucket, input: &str) {
    let stores = bucket.stores(last);
    last.run(driver.run(&stores, input)).await.unwrap().unwrap();
    let out = Location::parse(OUT).unwrap();
    last.run(commit::gc(&stores, &out, false, None)).await.unwrap().unwrap();
}

#[rstest]
fn a_driver_that_dies_publishes_what_it_would_have(
    #[values(Driver::Kmeans, Driver::Dbscan, Driver::Partition)] driver: Driver,
    #[values(CreateOnly::Enforced, CreateOnly::Ignored)] create_only: CreateOnly,
) {
    let first = variable("PLEIAD_TEST_SEED").map_or(0, |seed| seed.parse().unwrap());
    let seeds = variable("PLEIAD_TEST_SEEDS").map_or(6, |seeds| seeds.parse().unwrap());
    let (_held, input) = points();
    assert!(Path::new(&input).is_file());
    let want = simulate(0, async |simulation| {
        let bucket = Bucket::new(create_only);
        let alone = simulation.actor("alone");
        let stores = bucket.stores(&alone);
        alone.run(driver.run(&stores, &input)).await.unwrap().unwrap();
        alone.run(current(&stores)).await.unwrap().unwrap()
    });
    let published = (first..first + seeds)
        .filter(|seed| scenario(*seed, driver, create_only, &input, &want))
        .count();
    println!(
        "{seeds} seeds of {driver:?}: {published} were published by the first run or after it"
    );
}
