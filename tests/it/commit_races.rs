//! Law 7 as a state machine: two writers, a reader and a cleaner on one bucket, in an order that a
//! seed decides, against the model "the versions are a list". Some die, some calls fail, and the
//! bucket enforces, ignores or refuses create-only puts.
//!
//! `PLEIAD_TEST_SEEDS` sets how many seeds a mode gets; `just soak` gives 10,000.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, UInt64Type};
use futures::join;
use pleiad::cli::terminal::variable;
use pleiad::error::{Kind, Result};
use pleiad::event::Silent;
use pleiad::storage::{Location, Stores};
use pleiad::table::{
    Begin, Manifest, Mode, Run, RunOptions, Source, SourceOptions, TableSpec, commit,
};
use rstest::rstest;

use crate::support::fault_store::Bucket;
use crate::support::scratch::session;
use crate::support::seeded::{Chance, CreateOnly, Moment};
use crate::support::simulation::{Fate, Simulation, simulate};

/// The rows of a table as two numbers: how many, and the sum of their ids.
type Rows = (u64, i64);

const OUT: &str = "memory://bucket/out";

fn out() -> Location {
    Location::parse(OUT).unwrap()
}

/// Writes ids `first ..= first + rows − 1` under three keys. The answer of mode ignore may be the
/// version of somebody else.
async fn write(stores: Arc<Stores>, mode: Mode, first: i64, rows: i64) -> Result<Manifest> {
    let session = session(&stores, 2, 8192);
    let options = RunOptions { mode, ..RunOptions::default() };
    let run = match Run::begin(&stores, &out(), options).await? {
        Begin::Run(run) => run,
        Begin::AlreadyThere(manifest) => return Ok(*manifest),
    };
    let last = first + rows - 1;
    let sql = format!(
        "SELECT value AS id, CAST(value % 3 AS INT) AS k FROM generate_series({first}, {last})"
    );
    let plan = session.sql(&sql).await?.into_optimized_plan()?;
    let spec = TableSpec { name: "t".into(), keys: vec!["k".into()], ..TableSpec::default() };
    run.write(&session.state(), plan, spec, &Silent).await?;
    run.commit(BTreeMap::new()).await
}

/// Reads the current version: its number and rows.
async fn read(stores: Arc<Stores>) -> Result<(u64, Rows)> {
    let source = Source::open(&stores, OUT, &SourceOptions::default()).await?;
    let version = source.manifest.as_ref().unwrap().version;
    let session = session(&stores, 2, 8192);
    session.register_table("t", source.tables[0].provider())?;
    let sql = "SELECT arrow_cast(count(*), 'UInt64'), coalesce(sum(id), 0) FROM t";
    let batches = session.sql(sql).await?.collect().await?;
    let count = batches[0].column(0).as_primitive::<UInt64Type>().value(0);
    Ok((version, (count, batches[0].column(1).as_primitive::<Int64Type>().value(0))))
}

/// The names that readers who list take for data.
fn data(bucket: &Bucket) -> BTreeSet<String> {
    bucket.names().into_iter().filter(|name| name.ends_with(".parquet")).collect()
}

fn manifests(bucket: &Bucket) -> BTreeMap<u64, Manifest> {
    let mut manifests = BTreeMap::new();
    for name in bucket.names().iter().filter(|name| name.contains("/_manifest/")) {
        let manifest = Manifest::parse(&bucket.read(name).unwrap(), name).unwrap();
        let twin = manifests.insert(manifest.version, manifest);
        assert!(twin.is_none(), "two manifests of one version: {name}");
    }
    manifests
}

/// What anybody may see at any time: no data of a run that is not decided; versions without gaps.
fn watch(simulation: &Simulation, bucket: &Bucket) {
    let bucket = bucket.clone();
    let mut decided = BTreeSet::new();
    simulation.between_turns(move || {
        let names = bucket.names();
        for name in &names {
            let decision = name
                .strip_prefix("out/_runs/")
                .and_then(|name| name.strip_suffix("/prepared.json"));
            decided.extend(decision.map(str::to_owned));
        }
        for name in names.iter().filter(|name| name.ends_with(".parquet")) {
            let run = name.rsplit("part-").next().unwrap()[..32].to_owned();
            assert!(decided.contains(&run), "'{name}' is visible before its run decided");
        }
        let versions: Vec<_> = manifests(&bucket).into_keys().collect();
        assert!(versions.iter().zip(1..).all(|(have, want)| *have == want), "{versions:?}");
    });
}

/// What two writers did, as they and the bucket say.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    versions: usize,
    said: Vec<String>,
}

fn scenario(seed: u64, create_only: CreateOnly, faults: bool) -> Told {
    simulate(seed, async |simulation| {
        let mut chance = Chance::of(seed ^ 0x5EED);
        let bucket = Bucket::new(create_only);
        watch(simulation, &bucket);
        let modes = [Mode::Error, Mode::Overwrite, Mode::Append, Mode::Ignore];
        let modes = [modes[chance.below(4)], modes[chance.below(4)]];
        let (a, b) = (simulation.actor("a"), simulation.actor("b"));
        let (reader, cleaner) = (simulation.actor("reader"), simulation.actor("cleaner"));
        let helper = simulation.actor("helper");
        if chance.hits(50.) {
            let first = helper.run(write(bucket.stores(&helper), Mode::Error, 1, 10)).await;
            first.unwrap().unwrap();
        }
        if faults && chance.hits(70.) {
            let moments = [Moment::Before, Moment::After, Moment::Late];
            a.crash(1 + chance.below(70), moments[chance.below(3)]);
        }
        if faults && chance.hits(50.) {
            simulation.rate(2., Fate::Fails);
            simulation.rate(2., Fate::Unanswered);
        }
        let read_often = async {
            let mut seen = Vec::new();
            for _ in 0..4 {
                seen.push(read(bucket.stores(&reader)).await);
            }
            seen
        };
        let clean_often = clean(bucket.stores(&cleaner));
        let (said_a, said_b, seen, _) = join!(
            a.run(write(bucket.stores(&a), modes[0], 1_000, 20)),
            b.run(write(bucket.stores(&b), modes[1], 1_000_000, 30)),
            reader.run(read_often),
            cleaner.run(clean_often),
        );
        simulation.settle().await;
        simulation.calm();
        let said = [said_a, said_b];
        Box::pin(judge(simulation, &bucket, create_only, &said, seen.unwrap())).await
    })
}

/// What a careful user does all day.
async fn clean(stores: Arc<Stores>) {
    for _ in 0..2 {
        drop(commit::recover(&stores, &out(), commit::Settle::Nothing).await);
        drop(commit::gc(&stores, &out(), false, None).await);
        drop(commit::check(&stores, &out(), true, &Silent).await);
    }
}

/// The end: versions are a list, everybody was told the truth, and nothing is left over.
async fn judge(
    simulation: &Simulation,
    bucket: &Bucket,
    create_only: CreateOnly,
    said: &[Option<Result<Manifest>>],
    seen: Vec<Result<(u64, Rows)>>,
) -> Told {
    let last = simulation.actor("last");
    let stores = bucket.stores(&last);
    // Twice: what a writer left to its last task may die the first time.
    for _ in 0..2 {
        simulation.advance(Duration::from_secs(3600));
        if create_only != CreateOnly::Enforced {
            last.run(commit::unlock(&stores, &out())).await.unwrap().unwrap();
        }
        last.run(commit::recover(&stores, &out(), commit::Settle::Nothing)).await.unwrap().unwrap();
        last.run(commit::gc(&stores, &out(), false, None)).await.unwrap().unwrap();
    }

    let manifests = manifests(bucket);
    let mut contents: BTreeMap<u64, Rows> = BTreeMap::new();
    for (version, manifest) in &manifests {
        let before = match manifest.mode {
            Mode::Append => contents.get(&(version - 1)).copied().unwrap_or_default(),
            _ => (0, 0),
        };
        let own = manifest.files.iter().filter(|file| file.path.contains(&manifest.run));
        let rows: u64 = own.map(|file| file.rows).sum();
        let sum = match rows {
            10 => (1..=10).sum(),
            20 => (1_000..1_020).sum(),
            30 => (1_000_000..1_000_030).sum::<i64>(),
            _ => panic!("version {version} has {rows} rows of its run"),
        };
        contents.insert(*version, (before.0 + rows, before.1 + sum));
        assert_eq!(manifest.base, version - 1, "a version is made from the one before");
    }
    let runs: BTreeSet<_> = manifests.values().map(|manifest| &manifest.run).collect();
    assert_eq!(runs.len(), manifests.len(), "a run publishes once");
    let mut newest = 0;
    for answer in seen {
        match answer {
            Ok((version, rows)) => {
                assert_eq!(contents.get(&version), Some(&rows), "version {version} is read whole");
                assert!(version >= newest, "a reader does not go back");
                newest = version;
            }
            Err(error) => assert_ne!(error.kind(), Kind::Internal, "{error}"),
        }
    }
    let mut told = Told { versions: manifests.len(), said: Vec::new() };
    for said in said {
        told.said.push(match said {
            None => "died".to_owned(),
            Some(Ok(manifest)) => {
                assert_eq!(manifests.get(&manifest.version).map(|m| &m.run), Some(&manifest.run));
                "published".to_owned()
            }
            Some(Err(error)) => {
                assert_ne!(error.kind(), Kind::Internal, "{error}");
                format!("{:?}", error.kind())
            }
        });
    }
    if let Some(current) = manifests.values().next_back() {
        let (version, rows) = last.run(read(bucket.stores(&last))).await.unwrap().unwrap();
        assert_eq!(contents.get(&version), Some(&rows));
        let named: BTreeSet<_> =
            current.files.iter().map(|file| format!("out/{}", file.path)).collect();
        assert_eq!(data(bucket), named, "who lists sees the version");
        assert!(bucket.names().contains(&"out/_SUCCESS".to_owned()));
        let at = out();
        let checkup = commit::check(&stores, &at, true, &Silent);
        let checkup = last.run(checkup).await.unwrap().unwrap();
        assert_eq!(checkup.damages(), 0, "{checkup:?}");
    } else {
        assert!(data(bucket).is_empty());
    }
    assert_eq!(bucket.uploaded(), Vec::<String>::new(), "no upload is left open");
    told
}

fn seeds(usual: u64) -> u64 {
    variable("PLEIAD_TEST_SEEDS").map_or(usual, |seeds| seeds.parse().unwrap())
}

#[rstest]
#[case::enforced(CreateOnly::Enforced)]
#[case::ignored(CreateOnly::Ignored)]
#[case::refused(CreateOnly::Refused)]
fn writers_readers_and_cleaners_agree_on_a_list_of_versions(#[case] create_only: CreateOnly) {
    let first = variable("PLEIAD_TEST_SEED").map_or(0, |seed| seed.parse().unwrap());
    for seed in first..first + seeds(60) {
        scenario(seed, create_only, true);
    }
}

/// Without faults: the loser of a race is told so, in every mode.
#[rstest]
#[case::enforced(CreateOnly::Enforced)]
#[case::ignored(CreateOnly::Ignored)]
#[case::refused(CreateOnly::Refused)]
fn of_two_writers_one_wins_a_version(#[case] create_only: CreateOnly) {
    for seed in 0..seeds(30) {
        let told = scenario(seed, create_only, false);
        let allowed = ["published", "Retry", "OutputExists"];
        assert!(told.said.iter().all(|said| allowed.contains(&said.as_str())), "{seed}: {told:?}");
        assert!(told.versions >= 1, "{seed}: {told:?}");
    }
}
