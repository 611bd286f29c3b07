//! Histories: several processes run statements on one output, in an order of calls that a seed decides. Some
//! read what they replace, some die, some calls fail. Each version must hold what its statement makes of the
//! version before it, every statement that was answered is one version, and no reader sees anything else.
//!
//! `PLEIAD_TEST_SEEDS` sets how many seeds a mode gets; `just soak` gives 1,000.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use futures::future::join_all;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pleiad::cli::terminal::variable;
use pleiad::error::{Kind, Result};
use pleiad::event::Silent;
use pleiad::storage::{Location, Stores};
use pleiad::table::{
    Begin, Manifest, Mode, Run, RunOptions, Source, SourceOptions, TableSpec, commit,
};
use rstest::rstest;

use crate::support::children::{self, Kill, Output};
use crate::support::fault_store::Bucket;
use crate::support::scratch::session;
use crate::support::seeded::{Chance, CreateOnly, Moment};
use crate::support::simulation::{Actor, Fate, Simulation, simulate};
use crate::support::sql;

const OUT: &str = "memory://bucket/out";

/// What is added to ids, so that no two rows of a history are the same.
const FAR: i64 = 1 << 32;

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
    /// Replaces all rows by themselves, and does not say that it has read them.
    Forget,
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
            Self::Forget | Self::Recover | Self::Gc | Self::Read => unreachable!("no SQL"),
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
            Self::Rewrite | Self::Forget => before.clone(),
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

/// A writer as it must not be: what it reads is not known to its run.
async fn forget(stores: &Arc<Stores>, out: &Location, number: i64) -> Result<()> {
    let source = Source::open(stores, OUT, &SourceOptions::default()).await?;
    let session = session(stores, 2, 8192);
    session.register_table("t", source.tables[0].provider())?;
    let plan = session.sql("SELECT * FROM t").await?.into_optimized_plan()?;
    let arguments = vec![("name".to_owned(), number.to_string())];
    let options = RunOptions { mode: Mode::Overwrite, arguments, ..RunOptions::default() };
    let Begin::Run(run) = Run::begin(stores, out, options).await? else { panic!("it writes") };
    run.write(&session.state(), plan, TableSpec::default(), &Silent).await?;
    run.commit(BTreeMap::new()).await.map(drop)
}

/// Does a deed in a process of its own.
async fn act(stores: Arc<Stores>, deed: Deed, number: i64) -> Result<Answer> {
    let out = Location::parse(OUT).unwrap();
    match deed {
        Deed::Recover => commit::recover(&stores, &out, commit::Settle::Nothing).await.map(drop)?,
        Deed::Gc => commit::gc(&stores, &out, false, None).await.map(drop)?,
        Deed::Forget => forget(&stores, &out, number).await?,
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

/// A deed with its number, and the call at which its process dies.
type Step = (i64, Deed, Option<(usize, Moment)>);

/// The deeds of several processes.
type Lives = Vec<Vec<Step>>;

/// What three processes do, some of them to their deaths.
fn random_lives(chance: &mut Chance) -> Lives {
    let mut number = 0;
    let mut deed = || {
        number += 1;
        let deed = Deed::ALL[chance.below(Deed::ALL.len())];
        let moments = [Moment::Before, Moment::After, Moment::Late];
        let death = (1 + chance.below(90), moments[chance.below(3)]);
        (number, deed, chance.hits(25.).then_some(death))
    };
    (0..3).map(|_| (0..3).map(|_| deed()).collect()).collect()
}

/// The versions that such lives make, each as it has to be.
fn history(seed: u64, create_only: CreateOnly, lives: Option<Lives>) -> usize {
    simulate(seed, async |simulation| {
        let mut chance = Chance::of(seed ^ 0x0BAD_CAFE);
        let bucket = Bucket::new(create_only);
        let versions = watch(simulation, &bucket);
        let first = vec![(100, Deed::Append, None)];
        let mut told = live(simulation, &bucket, first).await;
        let has_faults = lives.is_none() && chance.hits(40.);
        if has_faults {
            simulation.rate(1., Fate::Fails);
            simulation.rate(1., Fate::Unanswered);
        }
        let lives = lives.unwrap_or_else(|| random_lives(&mut chance));
        let lives = lives.into_iter().map(|deeds| live(simulation, &bucket, deeds));
        told.extend(join_all(lives).await.into_iter().flatten());
        simulation.settle().await;
        simulation.calm();
        let last = simulation.actor("last");
        Box::pin(come_to_rest(simulation, &bucket, &last, create_only)).await;
        let (version, ids) = last.run(read(&bucket.stores(&last))).await.unwrap().unwrap();
        let versions = versions.lock().unwrap_or_else(PoisonError::into_inner);
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
        last.run(commit::gc(&stores, &out, false, None)).await.unwrap().unwrap();
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
    let versions: usize = (first..first + seeds).map(|seed| history(seed, create_only, None)).sum();
    println!("{seeds} histories of {versions} versions");
    assert!(versions as u64 > 2 * seeds || seeds < 10);
}

/// Two ways to lose rows are found: the rows of a killed append that was decided, and those of one beside.
#[test]
fn a_writer_that_forgets_what_it_has_read_is_found() {
    let is_found = |lives: &dyn Fn(usize) -> Lives| {
        (0..40).any(|seed| {
            let lives = Some(lives(seed));
            let told = || history(seed as u64, CreateOnly::Enforced, lives);
            catch_unwind(AssertUnwindSafe(told)).is_err()
        })
    };
    let after = |seed| {
        let death = Some((1 + 2 * seed, Moment::After));
        vec![vec![(1, Deed::Append, death), (2, Deed::Forget, None)]]
    };
    let beside = |_| vec![vec![(1, Deed::Append, None)], vec![(2, Deed::Forget, None)]];
    assert!(is_found(&after), "after a killed append");
    assert!(is_found(&beside), "beside an append");
}

/// The same with the real program, its processes killed after a random time; what each version held is
/// read at the end, since replaced files are kept.
#[rstest]
#[case::on_files(Output::files)]
#[case::on_s3(Output::s3)]
fn versions_of_processes_are_statements_one_after_the_other(#[case] output: fn() -> Output) {
    let first = variable("PLEIAD_TEST_SEED").map_or(0, |seed| seed.parse().unwrap());
    let seeds = variable("PLEIAD_TEST_SEEDS").map_or(1, |seeds| seeds.parse::<u64>().unwrap() / 20);
    let histories = first..first + seeds.max(1);
    let versions: usize = histories.map(|seed| history_of_processes(seed, &output())).sum();
    println!("{seeds} histories of {versions} versions");
}

fn history_of_processes(seed: u64, output: &Output) -> usize {
    let started = Instant::now();
    let now = || usize::try_from(started.elapsed().as_micros()).unwrap();
    let work = |number: i64, deed: Deed, death: Option<Duration>| {
        let (number_text, statement) = (number.to_string(), || deed.sql(&output.out, number));
        let (statement, words): (String, Vec<&str>) = match deed {
            Deed::Recover => (String::new(), vec!["recover", &output.out]),
            Deed::Gc => (String::new(), vec!["gc", &output.out]),
            Deed::Read => (String::new(), vec!["count", &output.out]),
            _ => (statement(), vec!["sql", "--threads", "1", "--keep-old", "1d", "--name"]),
        };
        let mut words = words;
        if deed.is_statement() {
            words.extend([number_text.as_str(), "-c", &statement]);
        }
        let kill = death.map_or(Kill::Never, Kill::After);
        let began = now();
        let ended = children::run(output.pleiad(&words), &kill);
        let answer = match ended.status.code() {
            None => Answer::Died,
            Some(0) => Answer::Done,
            Some(70) => Answer::Failed(Kind::Internal, ended.stderr),
            Some(_) => Answer::Failed(Kind::Other, ended.stderr),
        };
        Told { deed, number, began, ended: now(), answer }
    };
    let mut told = vec![work(100, Deed::Append, None)];
    assert!(matches!(told[0].answer, Answer::Done), "{:?}", told[0]);
    let lives = std::thread::scope(|scope| {
        let live = |life: i64| {
            let mut chance = Chance::of(seed ^ (0xFEED + life.unsigned_abs()));
            let work = &work;
            scope.spawn(move || {
                let deed = |step: i64| {
                    let deed = Deed::ALL[chance.below(Deed::ALL.len())];
                    let time = Duration::from_millis(50 + chance.below(900) as u64);
                    work(10 * life + step, deed, chance.hits(40.).then_some(time))
                };
                (0..4).map(deed).collect::<Vec<_>>()
            })
        };
        let lives: Vec<_> = (1..=3).map(live).collect();
        lives.into_iter().flat_map(|life| life.join().unwrap()).collect::<Vec<_>>()
    });
    told.extend(lives);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let versions = runtime.block_on(versions_of(output));
    judge(&versions, &told);
    versions.len()
}

/// Every version, as it can be read once all is at rest.
async fn versions_of(output: &Output) -> BTreeMap<u64, Version> {
    let (stores, out) = (output.stores(), output.location());
    commit::recover(&stores, &out, commit::Settle::Nothing).await.unwrap();
    assert_eq!(commit::check(&stores, &out, true, &Silent).await.unwrap().damages(), 0);
    let mut versions = BTreeMap::new();
    for name in output.names().iter().filter(|name| name.starts_with("_manifest/")) {
        let manifest = Manifest::parse(&output.read(name).unwrap(), name).unwrap();
        let text = format!("{}@{}", output.out, manifest.version);
        let source = Source::open(&stores, &text, &SourceOptions::default()).await.unwrap();
        let session = session(&stores, 2, 8192);
        session.register_table("t", source.tables[0].provider()).unwrap();
        let rows = session.sql("SELECT id FROM t ORDER BY id").await.unwrap();
        let rows = rows.collect().await.unwrap();
        let ids = rows.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values());
        versions.insert(manifest.version, Version { ids: ids.copied().collect(), manifest });
    }
    versions
}
