//! Actors on one bucket, in an order that a seed decides; some die, some calls fail.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use object_store::{Error as StoreError, ObjectStoreExt};
use pleiad::error::{Error, Kind};
use pleiad::storage::{Location, StorageOptions, Stores};

use super::{create, get, list, put};
use crate::support::fault_store::Bucket;
use crate::support::seeded::{CreateOnly, Moment};
use crate::support::simulation::{Fate, simulate};

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
        let seen = Arc::new(Mutex::new(Vec::new()));
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

#[tokio::test]
async fn a_pause_lasts_half_of_its_time_at_least() {
    let at = Location::parse("memory://m").unwrap();
    let store = Stores::new(StorageOptions::default()).open(&at).unwrap();
    let started = Instant::now();
    store.pause(Duration::from_millis(40)).await;
    assert!(started.elapsed() >= Duration::from_millis(20));
}
