//! Histories: several processes run statements on one output, in an order of calls that a seed decides. Some
//! read what they replace, some die, some calls fail. Each version must hold what its statement makes of the
//! version before it, every statement that was answered is one version, and no reader sees anything else.
//!
//! `PLEIAD_TEST_SEEDS` sets how many seeds a mode gets; `just soak` gives 1,000.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::future::join_all;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pleiad::cli::terminal::variable;
use pleiad::error::{Kind, Result};
use pleiad::event::Silent;
use pleiad::storage::{Location, Stores};
use pleiad::table::{Manifest, Source, SourceOptions, commit};
use rstest::rstest;

use crate::support::fault_store::Bucket;
use crate::support::scratch::session;
use crate::support::seeded::{Chance, CreateOnly, Moment};
use crate::support::simulation::{Actor, Fate, Simulation, simulate};
use crate::support::sql;

const OUT: &str = "memory://bucket/out";

/// What is added to ids, so that no two rows of a history are the same.
const FAR: i64 = 1 << 32;

/// A deed with its number, and the call at which its process dies.
type Step = (i64, Deed, Option<(usize, Moment)>);

/// The ids of a version, sorted.
type Ids = Vec<i64>;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// Adds rows that depend on nothing.
    Append,
    /// Replaces all by rows that depend on nothing.
    Replace,
    /// Replaces all rows by themselves.
    Rewrite,
    /// Replaces all rows by those with even ids.
    Halve,
    /// Adds a copy of each row.
    Copy,
    /// Inserts a copy of some rows by way of a named table.
    Insert,
    Recover,
    Gc,
    Read,
}

impl Deed {
    const ALL: [Self; 9] = [
        Self::Append,
        Self::Replace,
        Self::Rewrite,
        Self::Halve,
        Self::Copy,
        Self::Insert,
        Self::Recover,
        Self::Gc,
        Self::Read,
    ];

    fn is_statement(self) -> bool {
        !matches!(self, Self::Recover | Self::Gc | Self::Read)
    }

    /// The statement with the number `number` in its history.
    fn sql(self, out: &str, number: i64) -> String {
        let far = FAR * number;
        let copy = |query: String, mode: &str| {
            format!("COPY ({query}) TO '{out}' OPTIONS ('mode' '{mode}')")
        };
        let series = format!("SELECT {far} + value AS id FROM generate_series(1, 4)");
        match self {
            Self::Append => copy(series, "append"),
            Self::Replace => copy(series, "overwrite"),
            Self::Rewrite => copy(format!("SELECT * FROM '{out}'"), "overwrite"),
            Self::Halve => copy(format!("SELECT * FROM '{out}' WHERE id % 2 = 0"), "overwrite"),
            Self::Copy => copy(format!("SELECT id + {far} AS id FROM '{out}'"), "append"),
            Self::Insert => format!(
                "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{out}';
                 INSERT INTO t SELECT id + {far} FROM t WHERE id % 3 = 0"
            ),
            Self::Recover | Self::Gc | Self::Read => unreachable!("no statements"),
        }
    }

    /// What it makes of the version before.
    fn of(self, before: &Ids, number: i64) -> Ids {
        let far = FAR * number;
        let series = (1..=4).map(|value| far + value);
        let copied = |keep: fn(&&i64) -> bool| before.iter().filter(keep).map(move |id| id + far);
        let mut after: Ids = match self {
            Self::Append => before.iter().copied().chain(series).collect(),
            Self::Replace => series.collect(),
            Self::Rewrite => before.clone(),
            Self::Halve => before.iter().copied().filter(|id| id % 2 == 0).collect(),
            Self::Copy => before.iter().copied().chain(copied(|_| true)).collect(),
            Self::Insert => before.iter().copied().chain(copied(|id| **id % 3 == 0)).collect(),
            Self::Recover | Self::Gc | Self::Read => unreachable!("no statements"),
        };
        after.sort_unstable();
        after
    }
}

/// How a deed went.
#[derive(Debug)]
enum Answer {
    Died,
    /// A statement was done.
    Done,
    /// A version and its rows were read.
    Seen(u64, Ids),
    Failed(Kind, String),
}

/// A deed in its history, with the turns in which it began and ended.
#[derive(Debug)]
struct Told {
    deed: Deed,
    number: i64,
    began: usize,
    ended: usize,
    answer: Answer,
}

/// A version and what was in its files when it was published.
struct Version {
    manifest: Manifest,
    ids: Ids,
}

type Versions = Arc<Mutex<BTreeMap<u64, Version>>>;

/// The ids in the data files of a version.
fn ids_of(manifest: &Manifest, read: impl Fn(&str) -> bytes::Bytes) -> Ids {
    let mut ids = Ids::new();
    for file in &manifest.files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(read(&file.path)).unwrap();
        for batch in reader.build().unwrap() {
            ids.extend(batch.unwrap().column(0).as_primitive::<Int64Type>().values());
        }
    }
    ids.sort_unstable();
    ids
}

/// Notes each version when it is published.
fn watch(simulation: &Simulation, bucket: &Bucket) -> Versions {
    let versions = Versions::default();
    let (bucket, noted) = (bucket.clone(), Arc::clone(&versions));
    simulation.between_turns(move || {
        let mut noted = noted.lock().unwrap();
        for name in bucket.names().iter().filter(|name| name.starts_with("out/_manifest/")) {
            let manifest = Manifest::parse(&bucket.read(name).unwrap(), name).unwrap();
            if let Some(known) = noted.get(&manifest.version) {
                assert_eq!(known.manifest, manifest, "two manifests of one version: {name}");
                continue;
            }
            let ids = ids_of(&manifest, |path| {
                bucket.read(&format!("out/{path}")).expect("a published file is there")
            });
            noted.insert(manifest.version, Version { manifest, ids });
        }
    });
    versions
}

/// Reads the current version.
async fn read(stores: &Arc<Stores>) -> Result<(u64, Ids)> {
    let source = Source::open(stores, OUT, &SourceOptions::default()).await?;
    let version = source.manifest.as_ref().unwrap().version;
    let session = session(stores, 2, 8192);
    session.register_table("t", source.tables[0].provider())?;
    let batches = session.sql("SELECT id FROM t ORDER BY id").await?.collect().await?;
    let ids = batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values());
    Ok((version, ids.copied().collect()))
}

/// Does a deed in a process of its own.
async fn act(stores: Arc<Stores>, deed: Deed, number: i64) -> Result<Answer> {
    let out = Location::parse(OUT).unwrap();
    match deed {
        Deed::Recover => commit::recover(&stores, &out, commit::Settle::Nothing).await.map(drop)?,
        Deed::Gc => commit::gc(&stores, &out, false).await.map(drop)?,
        Deed::Read => return read(&stores).await.map(|(version, ids)| Answer::Seen(version, ids)),
        _ => {
            let script = sql::script(&stores, &number.to_string());
            sql::run(&script, &deed.sql(OUT, number)).await?;
        }
    }
    Ok(Answer::Done)
}

/// The deeds of one who starts a process after the other.
async fn live(simulation: &Simulation, bucket: &Bucket, deeds: Vec<Step>) -> Vec<Told> {
    let mut told = Vec::new();
    for (number, deed, death) in deeds {
        let actor = simulation.actor(&format!("{number} {deed:?}"));
        if let Some((call, moment)) = death {
            actor.crash(call, moment);
        }
        let began = simulation.trace().len();
        let answer = match actor.run(act(bucket.stores(&actor), deed, number)).await {
            None => Answer::Died,
            Some(Ok(answer)) => answer,
            Some(Err(error)) => Answer::Failed(error.kind(), format!("{error:?}: {error}")),
        };
        told.push(Told { deed, number, began, ended: simulation.trace().len(), answer });
    }
    told
}

fn history(seed: u64, create_only: CreateOnly) -> usize {
    simulate(seed, async |simulation| {
        let mut chance = Chance::of(seed ^ 0x0BAD_CAFE);
        let bucket = Bucket::new(create_only);
        let versions = watch(simulation, &bucket);
        let mut number = 0;
        let mut deeds = |chance: &mut Chance, deaths: f64| {
            number += 1;
            let deed = Deed::ALL[chance.below(Deed::ALL.len())];
            let moments = [Moment::Before, Moment::After, Moment::Late];
            let death = (1 + chance.below(90), moments[chance.below(3)]);
            (number, deed, chance.hits(deaths).then_some(death))
        };
        let lives: Vec<Vec<_>> =
            (0..3).map(|_| (0..3).map(|_| deeds(&mut chance, 25.)).collect()).collect();
        let first = vec![(100, Deed::Append, None)];
        let mut told = live(simulation, &bucket, first).await;
        if chance.hits(40.) {
            simulation.rate(1., Fate::Fails);
            simulation.rate(1., Fate::Unanswered);
        }
        let lives = lives.into_iter().map(|deeds| live(simulation, &bucket, deeds));
        told.extend(join_all(lives).await.into_iter().flatten());
        simulation.settle().await;
        simulation.calm();
        let last = simulation.actor("last");
        Box::pin(come_to_rest(simulation, &bucket, &last, create_only)).await;
        let (version, ids) = last.run(read(&bucket.stores(&last))).await.unwrap().unwrap();
        let versions = versions.lock().unwrap();
        assert_eq!(versions.last_key_value().map(|(version, _)| *version), Some(version));
        assert_eq!(versions[&version].ids, ids, "the last version");
        judge(&versions, &told);
        versions.len()
    })
}

/// What is decided is finished, what is dead is removed.
async fn come_to_rest(
    simulation: &Simulation,
    bucket: &Bucket,
    last: &Actor,
    create_only: CreateOnly,
) {
    let (stores, out) = (bucket.stores(last), Location::parse(OUT).unwrap());
    for _ in 0..2 {
        simulation.advance(Duration::from_secs(3600));
        if create_only != CreateOnly::Enforced {
            last.run(commit::unlock(&stores, &out)).await.unwrap().unwrap();
        }
        let recovered = commit::recover(&stores, &out, commit::Settle::Nothing);
        last.run(recovered).await.unwrap().unwrap();
        last.run(commit::gc(&stores, &out, false)).await.unwrap().unwrap();
    }
    let checkup = last.run(commit::check(&stores, &out, true, &Silent)).await.unwrap().unwrap();
    assert_eq!(checkup.damages(), 0, "{checkup:?}");
    assert_eq!(bucket.uploaded(), Vec::<String>::new(), "no upload is left open");
}

/// The versions are the statements one after the other, in an order that their times allow.
fn judge(versions: &BTreeMap<u64, Version>, told: &[Told]) {
    let nothing = Ids::new();
    let mut version_of: BTreeMap<i64, u64> = BTreeMap::new();
    for (version, Version { manifest, ids }) in versions {
        let before = versions.get(&(version - 1)).map_or(&nothing, |before| &before.ids);
        if manifest.revokes.is_some() {
            assert_eq!(ids, before, "version {version} is the one before once more");
            continue;
        }
        let name = manifest.arguments.iter().find(|(name, _)| name == "name");
        let number = name.unwrap().1.parse().unwrap();
        let by = told.iter().find(|told| told.number == number).unwrap();
        assert_eq!(
            *ids,
            by.deed.of(before, number),
            "version {version} is made by {:?} from the version before",
            by.deed
        );
        assert_eq!(version_of.insert(number, *version), None, "{by:?} is published once");
    }
    for one in told {
        let version = version_of.get(&one.number);
        match &one.answer {
            Answer::Died => {}
            Answer::Done => {
                assert_eq!(version.is_some(), one.deed.is_statement(), "{one:?}");
            }
            Answer::Seen(version, ids) => assert_eq!(&versions[version].ids, ids, "{one:?}"),
            Answer::Failed(kind, text) => {
                assert_ne!(*kind, Kind::Internal, "{one:?}");
                if text.contains("nothing of") || text.contains("this run has read") {
                    assert_eq!(version, None, "{one:?}");
                }
            }
        }
    }
    // What was answered before something else began comes before it.
    let place = |told: &Told| match &told.answer {
        Answer::Seen(version, _) => Some(*version),
        Answer::Done => version_of.get(&told.number).copied(),
        Answer::Died | Answer::Failed(..) => None,
    };
    for (early, version) in told.iter().filter_map(|told| Some((told, place(told)?))) {
        for late in told.iter().filter(|late| late.began >= early.ended) {
            let is_statement = late.deed.is_statement();
            if let Some(later) = place(late).filter(|_| late.number != early.number) {
                let follows = later > version || (!is_statement && later == version);
                assert!(follows, "{early:?}, then {late:?}");
            }
        }
    }
}

#[rstest]
#[case::enforced(CreateOnly::Enforced)]
#[case::ignored(CreateOnly::Ignored)]
#[case::refused(CreateOnly::Refused)]
fn versions_are_statements_one_after_the_other(#[case] create_only: CreateOnly) {
    let first = variable("PLEIAD_TEST_SEED").map_or(0, |seed| seed.parse().unwrap());
    let seeds = variable("PLEIAD_TEST_SEEDS").map_or(20, |seeds| seeds.parse().unwrap());
    let versions: usize = (first..first + seeds).map(|seed| history(seed, create_only)).sum();
    println!("{seeds} histories of {versions} versions");
    assert!(versions as u64 > 2 * seeds || seeds < 10);
}
