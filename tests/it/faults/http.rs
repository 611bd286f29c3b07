//! Calls that go wrong between the S3 client and a server, and lines that go wrong below both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::{Error as StoreError, ObjectStoreExt};
use pleiad::error::{Error, Kind};
use pleiad::storage::{Environment, Location, StorageOptions, Stores};
use rstest::rstest;

use super::{create, get, list, put};
use crate::support::endpoint::{Endpoint, endpoints};
use crate::support::fault_http::{Fault, FaultHttp};
use crate::support::proxy::{Line, Proxy};
use crate::support::s3::{self, TestS3};
use crate::support::seeded::{CreateOnly, Moment};

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
