//! The tools that break things on purpose, on a small protocol: "one of several writers creates a
//! name".

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use futures::future::join_all;
use object_store::{Error as StoreError, ObjectStoreExt, PutMode, PutPayload};
use pleiad::cli::terminal::variable;
use pleiad::error::{Error, Kind};
use pleiad::storage::{Environment, Location, StorageOptions, Stores};
use rstest::rstest;

use crate::support::children::{self, HOOKS, Kill, Output};
use crate::support::endpoint::{Endpoint, endpoints};
use crate::support::fault_http::{Fault, FaultHttp};
use crate::support::fault_store::Bucket;
use crate::support::proxy::{Line, Proxy};
use crate::support::s3::{self, TestS3};
use crate::support::seeded::{CreateOnly, Moment};
use crate::support::simulation::{Fate, simulate};

/// The bytes at a location.
async fn get(stores: &Arc<Stores>, at: &Location) -> Result<String, StoreError> {
    let store = stores.open(at).unwrap();
    let bytes = store.objects().get(at.path()).await?.bytes().await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn put(stores: &Arc<Stores>, at: &Location, text: &str) -> Result<(), StoreError> {
    let data = PutPayload::from(text.to_owned());
    stores.open(at).unwrap().objects().put(at.path(), data).await.map(drop)
}

async fn create(stores: &Arc<Stores>, at: &Location, text: &str) -> Result<(), StoreError> {
    let (data, how) = (PutPayload::from(text.to_owned()), PutMode::Create.into());
    stores.open(at).unwrap().objects().put_opts(at.path(), data, how).await.map(drop)
}

async fn list(stores: &Arc<Stores>, at: &Location) -> Result<Vec<String>, StoreError> {
    let store = stores.open(at).unwrap();
    let metas: Vec<_> = store.objects().list(Some(at.path())).try_collect().await?;
    Ok(metas.iter().map(|meta| meta.location.filename().unwrap().to_owned()).collect())
}

// ---- FaultHttp

/// A server with `x` at "there", and a client that `plan` breaks after one good request.
struct Broken {
    server: Endpoint,
    faults: FaultHttp,
    stores: Arc<Stores>,
    there: Location,
}

impl Broken {
    async fn by(plan: impl FnOnce(FaultHttp) -> FaultHttp) -> Self {
        let server = Endpoint::in_process();
        let there = server.base.join("there");
        let faults = server.faults();
        let stores = server.stores_through(&faults);
        put(&stores, &there, "x").await.unwrap();
        let faults = plan(faults);
        Self { server, faults, stores, there }
    }

    /// The statuses of the calls since the good one; 0 for no answer.
    fn statuses(&self) -> Vec<u16> {
        self.faults.calls()[1..].iter().map(|call| call.status.unwrap_or(0)).collect()
    }

    /// What is there in truth.
    async fn truth(&self) -> String {
        get(&self.server.stores(), &self.there).await.unwrap()
    }
}

#[rstest]
#[case::unavailable(Fault::Status(503, "SlowDown"), &[503, 200])]
#[case::too_many(Fault::Status(429, "TooManyRequests"), &[429, 200])]
#[case::refused(Fault::Refuse, &[0, 200])]
#[case::lost_before(Fault::LostBefore, &[0, 200])]
#[case::lost_after(Fault::LostAfter, &[0, 200])]
#[case::stalled(Fault::Stall, &[0, 200])]
#[case::failed_after(Fault::ServerErrorAfter, &[500, 200])]
#[case::delayed(Fault::Delay(Duration::from_millis(1)), &[200])]
#[tokio::test]
async fn a_passing_fault_of_a_put_costs_a_try(#[case] fault: Fault, #[case] statuses: &[u16]) {
    let broken = Broken::by(|faults| faults.at(2, fault)).await;
    put(&broken.stores, &broken.there, "y").await.unwrap();
    assert_eq!(broken.statuses(), statuses);
    assert_eq!(broken.truth().await, "y");
    let call = &broken.faults.calls()[1];
    assert_eq!((call.method.as_str(), call.fault), ("PUT", Some(fault)));
    assert!(call.key.ends_with("/there"), "{}", call.key);
}

#[tokio::test]
async fn a_lost_request_is_not_done_and_a_lost_answer_is() {
    for (fault, left) in [
        (Fault::Refuse, "x"),
        (Fault::LostBefore, "x"),
        (Fault::Stall, "x"),
        (Fault::Status(403, "AccessDenied"), "x"),
        (Fault::LostAfter, "y"),
        (Fault::ServerErrorAfter, "y"),
    ] {
        let broken = Broken::by(|faults| faults.each("PUT", "there", fault)).await;
        put(&broken.stores, &broken.there, "y").await.unwrap_err();
        assert_eq!(broken.truth().await, left, "{fault:?}");
    }
}

#[tokio::test]
async fn a_creator_may_be_told_of_its_own_success_that_the_name_is_taken() {
    let broken = Broken::by(|faults| faults.nth(1, "PUT", "new", Fault::ServerErrorAfter)).await;
    let new = broken.server.base.join("new");
    let error = create(&broken.stores, &new, "ours").await.unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error:?}");
    assert_eq!(broken.statuses(), [500, 412]);
    assert!(broken.faults.calls_of("PUT", "new").iter().all(|call| call.create_only));
    assert_eq!(get(&broken.stores, &new).await.unwrap(), "ours");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_resumed() {
    let broken = Broken::by(|faults| faults.nth(1, "GET", "long", Fault::CutBody(4))).await;
    let long = broken.server.base.join("long");
    put(&broken.stores, &long, "0123456789").await.unwrap();
    assert_eq!(get(&broken.stores, &long).await.unwrap(), "0123456789");
    assert_eq!(broken.statuses(), [200, 200, 206]);
}

#[tokio::test]
async fn a_flipped_bit_is_one_bit() {
    let broken = Broken::by(|faults| faults.each("GET", "there", Fault::FlipBit(0))).await;
    assert_eq!(
        get(&broken.stores, &broken.there).await.unwrap(),
        "y",
        "'x' with its first bit flipped"
    );
    broken.faults.heal();
    assert_eq!(get(&broken.stores, &broken.there).await.unwrap(), "x");
}

#[tokio::test]
async fn a_listing_that_is_not_xml_is_an_error() {
    let broken = Broken::by(|faults| faults.each("GET", "", Fault::BadXml)).await;
    list(&broken.stores, &broken.server.base).await.unwrap_err();
}

#[tokio::test]
async fn a_stale_listing_lacks_the_newest_keys_of_all_clients() {
    let broken = Broken::by(|faults| faults).await;
    let other = broken.faults.beside();
    let others = broken.server.stores_through(&other);
    for name in ["a", "b", "c&d"] {
        put(&others, &broken.server.base.join(name), "").await.unwrap();
    }
    let stale = broken.faults.clone().nth(1, "GET", "", Fault::HideNewest(2));
    assert_eq!(list(&broken.stores, &broken.server.base).await.unwrap(), ["a", "there"]);
    assert_eq!(
        list(&broken.stores, &broken.server.base).await.unwrap(),
        ["a", "b", "c&d", "there"]
    );
    let listings = stale.calls_of("GET", "");
    assert!(listings.iter().all(|call| call.query.contains("list-type=2")), "{listings:?}");
    assert_eq!(listings.len(), 2);
    assert_eq!(other.calls().len(), 3);
}

#[tokio::test]
async fn a_crashed_client_is_dropped_and_calls_no_more() {
    for (moment, left) in [(Moment::Before, "x"), (Moment::After, "y")] {
        let broken = Broken::by(|faults| faults.nth(1, "PUT", "there", Fault::Crash(moment))).await;
        let write = put(&broken.stores, &broken.there, "y");
        assert!(broken.faults.run(write).await.is_none());
        assert_eq!(broken.truth().await, left);
        let write = put(&broken.stores, &broken.there, "z");
        assert!(broken.faults.run(write).await.is_none(), "it is still dead");
        assert_eq!(broken.truth().await, left);
        assert_eq!(broken.faults.calls().len(), 2);
    }
}

#[tokio::test]
async fn rates_repeat_with_their_seed() {
    let faults_of = async |seed| {
        let of_rates = |faults: FaultHttp| {
            faults.seed(seed).rate(20., Fault::Status(503, "SlowDown")).rate(5., Fault::LostBefore)
        };
        let broken = Broken::by(of_rates).await;
        for _ in 0..100 {
            put(&broken.stores, &broken.there, "y").await.unwrap();
        }
        broken.statuses()
    };
    let first = faults_of(1).await;
    let count = |status| first.iter().filter(|found| **found == status).count();
    assert!((15..60).contains(&count(503)) && (1..20).contains(&count(0)), "{first:?}");
    assert_eq!(count(200), 100);
    assert_eq!(faults_of(1).await, first);
    assert_ne!(faults_of(2).await, first);
}

#[tokio::test]
async fn create_only_puts_are_enforced_ignored_or_refused_on_every_server() {
    for server in endpoints() {
        let native = server.create_only().await;
        println!("{}: {native:?}", server.name);
        for mode in [CreateOnly::Enforced, CreateOnly::Ignored, CreateOnly::Refused] {
            let faults = server.faults().create_only(mode, &server.secret);
            let stores = server.stores_through(&faults);
            let at = server.base.join(&format!("{mode:?}"));
            let tries = [create(&stores, &at, "1").await, create(&stores, &at, "2").await];
            match (mode, native) {
                (CreateOnly::Refused, _) => {
                    let refused =
                        |put: &Result<_, _>| matches!(put, Err(StoreError::NotSupported { .. }));
                    assert!(tries.iter().all(refused), "{tries:?}");
                    let none = get(&stores, &at).await.unwrap_err();
                    assert!(matches!(none, StoreError::NotFound { .. }), "{none:?}");
                }
                (CreateOnly::Enforced, CreateOnly::Enforced) => {
                    assert!(
                        matches!(tries, [Ok(()), Err(StoreError::AlreadyExists { .. })]),
                        "{tries:?}"
                    );
                    assert_eq!(get(&stores, &at).await.unwrap(), "1");
                }
                _ => {
                    assert!(tries.iter().all(Result::is_ok), "{tries:?}");
                    assert_eq!(get(&stores, &at).await.unwrap(), "2");
                }
            }
        }
    }
}

// ---- the simulation and its store

/// Two writers that put three objects each and then create one name; all turns, and who won.
fn race(seed: u64, create_only: CreateOnly) -> (Vec<String>, usize) {
    simulate(seed, async |simulation| {
        let bucket = Bucket::new(create_only);
        let at = Location::parse("memory://bucket/out").unwrap();
        let writers = [1, 2].map(|number| {
            let actor = simulation.actor(&format!("writer {number}"));
            let (stores, at) = (bucket.stores(&actor), at.clone());
            async move {
                let write = async {
                    let puts = ["a", "b", "c"].map(|name| {
                        let at = at.join(&format!("{number}-{name}"));
                        let stores = &stores;
                        async move { put(stores, &at, "x").await.unwrap() }
                    });
                    join_all(puts).await;
                    stores.open(&at).unwrap().pause(Duration::from_secs(1)).await;
                    create(&stores, &at.join("name"), &number.to_string()).await.is_ok()
                };
                actor.run(write).await.unwrap()
            }
        });
        let won = join_all(writers).await.into_iter().filter(|won| *won).count();
        assert_eq!(bucket.names().len(), 6 + won.min(1));
        (simulation.trace(), won)
    })
}

#[test]
fn a_seed_repeats_its_interleaving() {
    let traces: BTreeSet<_> = (0..50).map(|seed| race(seed, CreateOnly::Enforced).0).collect();
    assert!(traces.len() > 40, "{} interleavings of 50 seeds", traces.len());
    for seed in 0..50 {
        assert!(traces.contains(&race(seed, CreateOnly::Enforced).0));
    }
}

#[test]
fn a_thousand_races_take_no_time() {
    let started = Instant::now();
    for seed in 0..1000 {
        assert_eq!(race(seed, CreateOnly::Enforced).1, 1);
        assert_eq!(race(seed, CreateOnly::Ignored).1, 2);
        assert_eq!(race(seed, CreateOnly::Refused).1, 0);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("3000 races of 10 turns in {seconds:.1} s");
    assert!(seconds < 60., "{seconds} s: does something sleep?");
}

#[test]
fn an_actor_dies_at_any_of_its_calls() {
    for (moment, written) in [(Moment::Before, 2), (Moment::After, 3), (Moment::Late, 3)] {
        for seed in 0..20 {
            simulate(seed, async |simulation| {
                let bucket = Bucket::new(CreateOnly::Enforced);
                let (mortal, other) = (simulation.actor("mortal"), simulation.actor("other"));
                let at = Location::parse("memory://bucket").unwrap();
                mortal.crash(3, moment);
                let (stores, others) = (bucket.stores(&mortal), bucket.stores(&other));
                let write = async {
                    for number in 0..10 {
                        put(&stores, &at.join(&format!("m{number}")), "x").await.unwrap();
                    }
                };
                let live = async {
                    for number in 0..10 {
                        put(&others, &at.join(&format!("o{number}")), "x").await.unwrap();
                    }
                };
                let (died, lived) = futures::join!(mortal.run(write), other.run(live));
                assert_eq!((died, lived), (None, Some(())));
                simulation.settle().await;
                assert_eq!(bucket.names().len(), 10 + written);
                assert_eq!(mortal.calls(), 3);
            });
        }
    }
}

#[test]
fn calls_fail_at_their_rate_done_or_not() {
    for (fate, done) in [(Fate::Fails, false), (Fate::Unanswered, true)] {
        simulate(5, async |simulation| {
            let bucket = Bucket::new(CreateOnly::Enforced);
            let actor = simulation.actor("writer");
            let stores = bucket.stores(&actor);
            simulation.rate(30., fate);
            let at = Location::parse("memory://bucket").unwrap();
            let mut failed = 0;
            for number in 0..100 {
                let name = format!("{number}");
                if let Err(error) = put(&stores, &at.join(&name), "x").await {
                    failed += 1;
                    assert_eq!(bucket.read(&name).is_some(), done);
                    assert_eq!(Error::from(error).kind(), Kind::Io);
                }
            }
            assert!((15..45).contains(&failed), "{failed} of 100");
        });
    }
}

#[test]
fn a_check_sees_every_state_between_two_turns() {
    simulate(1, async |simulation| {
        let bucket = Bucket::new(CreateOnly::Enforced);
        let actor = simulation.actor("writer");
        let stores = bucket.stores(&actor);
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (watched, sizes) = (bucket.clone(), Arc::clone(&seen));
        simulation.between_turns(move || sizes.lock().unwrap().push(watched.names().len()));
        for number in 0..3 {
            let at = Location::parse(&format!("memory://bucket/{number}")).unwrap();
            put(&stores, &at, "x").await.unwrap();
        }
        assert_eq!(*seen.lock().unwrap(), [0, 1, 2]);
    });
}

#[test]
#[should_panic(expected = "nobody may write")]
fn a_check_that_fails_fails_the_test() {
    simulate(1, async |simulation| {
        let bucket = Bucket::new(CreateOnly::Enforced);
        let actor = simulation.actor("writer");
        let stores = bucket.stores(&actor);
        let watched = bucket.clone();
        simulation.between_turns(move || assert!(watched.names().is_empty(), "nobody may write"));
        for number in 0..3 {
            let at = Location::parse(&format!("memory://bucket/{number}")).unwrap();
            actor.run(put(&stores, &at, "x")).await.unwrap().unwrap();
        }
    });
}

#[test]
fn uploads_of_the_simulated_bucket_are_those_of_s3() {
    simulate(3, async |simulation| {
        let bucket = Bucket::new(CreateOnly::Enforced);
        let actor = simulation.actor("writer");
        let stores = bucket.stores(&actor);
        let at = Location::parse("memory://bucket/t/file").unwrap();
        let store = stores.open(&at).unwrap();
        let uploads = store.uploads().unwrap();
        let id = uploads.create_multipart(at.path()).await.unwrap();
        let parts = ["one", "two", "three"].into_iter().enumerate();
        let parts =
            parts.map(|(number, text)| uploads.put_part(at.path(), &id, number, text.into()));
        let parts: Vec<_> = join_all(parts).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(
            (bucket.names().len(), bucket.open_uploads().as_slice()),
            (0, &["t/file".to_owned()][..])
        );
        uploads.complete_multipart(at.path(), &id, parts.clone()).await.unwrap();
        assert_eq!(get(&stores, &at).await.unwrap(), "onetwothree");
        assert!(bucket.open_uploads().is_empty());
        let again = uploads.complete_multipart(at.path(), &id, parts).await.unwrap_err();
        assert!(matches!(again, StoreError::NotFound { .. }), "{again:?}");
    });
}

#[test]
fn stale_listings_and_the_clock_are_the_simulations() {
    simulate(3, async |simulation| {
        let bucket = Bucket::new(CreateOnly::Enforced);
        let actor = simulation.actor("writer");
        let stores = bucket.stores(&actor);
        let base = Location::parse("memory://bucket/t").unwrap();
        let head = async |name: &str| {
            let at = base.join(name);
            stores.open(&at).unwrap().objects().head(at.path()).await.unwrap().last_modified
        };
        put(&stores, &base.join("a"), "x").await.unwrap();
        simulation.advance(Duration::from_secs(900));
        put(&stores, &base.join("b"), "x").await.unwrap();
        let age = (head("b").await - head("a").await).to_std().unwrap();
        assert!(age > Duration::from_secs(890) && age < Duration::from_secs(930), "{age:?}");
        bucket.hide_newest(1);
        assert_eq!(list(&stores, &base).await.unwrap(), ["a"]);
        bucket.hide_newest(0);
        assert_eq!(list(&stores, &base).await.unwrap(), ["a", "b"]);
        let asleep = simulation.now();
        stores.open(&base).unwrap().pause(Duration::from_secs(3600)).await;
        assert!(simulation.now() - asleep >= Duration::from_secs(1800));
    });
}

// ---- the proxy

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_is_slow_breaks_or_is_not_there() {
    let server = TestS3::new(&["bucket"]);
    let served = server.serve();
    let proxy = Proxy::to(&served.endpoint());
    let new_stores = || {
        let environment = Environment::of(s3::variables(&proxy.endpoint()));
        Stores::new(StorageOptions::default().with_environment(environment))
    };
    let stores = new_stores();
    let at = Location::parse("s3://bucket/long").unwrap();
    let text = "0123456789".repeat(20_000);
    put(&stores, &at, &text).await.unwrap();

    proxy.set(Line { resets: Some((1, 50_000)), ..Line::default() });
    // The connection of the put is kept open and is not reset: only new ones are.
    let fresh = Stores::new(
        StorageOptions::default()
            .with_environment(Environment::of(s3::variables(&proxy.endpoint()))),
    );
    assert_eq!(get(&fresh, &at).await.unwrap(), text, "resumed in the middle");
    assert_eq!(proxy.resets_left(), 0);

    proxy.set(Line { bytes_per_second: Some(1_000_000), ..Line::default() });
    let started = Instant::now();
    assert_eq!(get(&stores, &at).await.unwrap().len(), text.len());
    assert!(started.elapsed() > Duration::from_millis(150), "{:?}", started.elapsed());

    proxy.set(Line { latency: Duration::from_millis(100), ..Line::default() });
    let started = Instant::now();
    stores.open(&at).unwrap().objects().head(at.path()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(100), "{:?}", started.elapsed());

    proxy.set(Line { refuses: true, ..Line::default() });
    let fresh = Stores::new(
        StorageOptions::default()
            .with_environment(Environment::of(s3::variables(&proxy.endpoint()))),
    );
    proxy.settle().await;
    let error = Error::from(get(&fresh, &at).await.unwrap_err());
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    proxy.set(Line::default());
    proxy.settle().await;
    assert_eq!(get(&fresh, &at).await.unwrap().len(), text.len());
}

// ---- children

const ACT: &str = "PLEIAD_TEST_WRITES_TO";

/// A writer of a few calls: three objects or files with a name each, then `done`, create-only.
#[tokio::test]
#[ignore = "the process that the tests below start"]
async fn act() {
    let Some(out) = variable(ACT) else { return };
    let stores = Stores::new(StorageOptions::default());
    let out = Location::parse(&out).unwrap();
    let store = stores.open(&out).unwrap();
    for name in ["1", "2", "3", "done"] {
        let at = out.join(name);
        match store.files() {
            Some(files) => assert!(files.create(at.local_path().unwrap(), b"whole").unwrap()),
            None => create(&stores, &at, "whole").await.unwrap(),
        }
    }
    if variable("PLEIAD_TEST_STAYS").is_some() {
        std::future::pending::<()>().await;
    }
}

fn acting(output: &Output) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "faults::act", "--ignored"]);
    output.lead(&mut command);
    command.env(ACT, &output.out);
    command
}

/// The names under OUT without the temporary ones, whose bytes must be whole.
fn whole(output: &Output) -> Vec<String> {
    let mut names = output.names();
    names.retain(|name| !name.contains('#'));
    for name in &names {
        assert_eq!(output.read(name).as_deref(), Some(&b"whole"[..]), "{name}");
    }
    names
}

#[rstest]
#[case::files(Output::files())]
#[case::s3(Output::s3())]
#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_killed_when_its_output_says_so(#[case] output: Output) {
    let mut command = acting(&output);
    command.env("PLEIAD_TEST_STAYS", "1");
    let is_done = || output.names().contains(&"done".to_owned());
    let ended = children::run(command, &Kill::When(&is_done));
    assert!(ended.is_killed(), "{ended:?}");
    assert_eq!(whole(&output), ["1", "2", "3", "done"]);
    let listed = list(&output.stores(), &output.location()).await.unwrap();
    assert_eq!(BTreeSet::from_iter(listed), BTreeSet::from_iter(output.names()));
    assert!(output.data().is_empty() && output.open_uploads() == 0);
    assert!(HOOKS || ended.calls.is_empty());
}

#[test]
fn a_child_is_killed_after_a_time() {
    let output = Output::files();
    let mut command = acting(&output);
    command.env("PLEIAD_TEST_STAYS", "1");
    let ended = children::run(command, &Kill::After(Duration::from_millis(100)));
    assert!(ended.is_killed(), "{ended:?}");
}

#[test]
fn the_program_itself_runs_as_a_child() {
    let output = Output::files();
    let ended = children::run(output.pleiad(&["--version"]), &Kill::Never);
    assert!(ended.status.success() && ended.stdout.starts_with("pleiad "), "{ended:?}");
    assert_eq!((ended.stderr.as_str(), output.names().len()), ("", 0));
}

#[rstest]
#[case::files(Output::files, 1 + 4 * 5)] // a directory; a file is made, written, linked, removed, synced
#[case::s3(Output::s3, 4)] // a put each
#[cfg_attr(not(feature = "test-hooks"), ignore = "needs --features test-hooks")]
fn a_child_is_killed_at_each_of_its_calls(#[case] output: fn() -> Output, #[case] calls: u64) {
    let current = std::cell::RefCell::new(output());
    let mut seen = BTreeSet::new();
    let start = || {
        *current.borrow_mut() = output();
        acting(&current.borrow())
    };
    let points = children::run_to_every_kill_point(start, |call, ended| {
        assert_eq!(ended.calls.len() as u64, call, "the log ends where the child did");
        let names = whole(&current.borrow());
        let expected = ["1", "2", "3", "done"];
        assert_eq!(names, expected[..names.len()], "in order");
        seen.insert(names.len());
    });
    assert_eq!(points, calls);
    assert_eq!(whole(&current.borrow()).len(), 4, "the last one lives");
    assert!(seen.contains(&0) && seen.contains(&3), "{seen:?}");
}

#[tokio::test]
async fn a_pause_lasts_half_of_its_time_at_least() {
    let at = Location::parse("memory://m").unwrap();
    let store = Stores::new(StorageOptions::default()).open(&at).unwrap();
    let started = Instant::now();
    store.pause(Duration::from_millis(40)).await;
    assert!(started.elapsed() >= Duration::from_millis(20));
}
