//! Answers that are lost, cut short or never come: what was done counts, and what can be asked again is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use pleiad::error::{Error, Kind, Result};
use pleiad::event::Silent;
use pleiad::objects::copy::{CopyOptions, copy};
use pleiad::storage::{Create, Environment, Finished, Location, StorageOptions, Stores, Upload};
use pleiad::table::{Begin, Manifest, Run, RunOptions, TableSpec, commit, current_manifest};
use rstest::rstest;

use crate::commands::until;
use crate::support::children::{self, Kill};
use crate::support::fault_http::{Fault, FaultHttp};
use crate::support::s3::{self, TestS3};
use crate::support::scratch::session;

/// More than one put takes.
const LARGE: usize = 9 << 20;

/// A server, and a client that goes wrong.
struct Place {
    server: TestS3,
    faults: FaultHttp,
    stores: Arc<Stores>,
    at: Location,
}

impl Place {
    fn with(plan: impl FnOnce(FaultHttp) -> FaultHttp) -> Self {
        Self::new(plan, None)
    }

    /// The client gives up soon.
    fn impatient(plan: impl FnOnce(FaultHttp) -> FaultHttp) -> Self {
        Self::new(plan, Some(TIMEOUT))
    }

    fn new(plan: impl FnOnce(FaultHttp) -> FaultHttp, timeout: Option<Duration>) -> Self {
        let server = TestS3::new(&["bucket"]);
        let faults = plan(FaultHttp::over(server.connector()));
        let environment = Environment::of(TestS3::variables());
        let options =
            StorageOptions { timeout, ..StorageOptions::default() }.with_environment(environment);
        let stores = Stores::with_http(options, Arc::new(faults.clone()));
        Self { server, faults, stores, at: Location::parse("s3://bucket/x.bin").unwrap() }
    }

    async fn write(&self, how: Create, bytes: &[u8]) -> Result<Finished> {
        let store = self.stores.open(&self.at)?;
        let mut upload = Upload::create(&store, &self.at, how, None).await?;
        upload.write(Bytes::copy_from_slice(bytes)).await?;
        upload.finish().await
    }

    /// What is there in truth.
    fn truth(&self) -> Option<Vec<u8>> {
        std::fs::read(self.server.bucket("bucket").join("x.bin")).ok()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.server.bucket("bucket").join(name), bytes).unwrap();
    }
}

/// A dataset of three rows.
async fn write(stores: &Arc<Stores>, out: &Location) -> Result<Manifest> {
    let session = session(stores, 1, 8192);
    let Begin::Run(run) = Run::begin(stores, out, RunOptions::default()).await? else { panic!() };
    let plan = session.sql("SELECT value AS id FROM generate_series(1, 3)").await?;
    let plan = plan.into_optimized_plan()?;
    run.write(&session.state(), plan, TableSpec::default(), &Silent).await?;
    run.commit(BTreeMap::new()).await
}

// ---- a file gets its name although its writer is not told

/// The first POST begins an upload, the second completes it; a third meets an upload that is gone.
#[rstest]
#[case::lost(Fault::LostAfter)]
#[case::failed(Fault::ServerErrorAfter)]
#[case::cut(Fault::CutBody(50))]
#[case::broken(Fault::BadXml)]
#[tokio::test(flavor = "multi_thread")]
async fn a_completion_whose_answer_is_lost_counts(#[case] fault: Fault) {
    for (how, before) in [(Create::New, None), (Create::Replace, Some(vec![b'o'; LARGE]))] {
        let place = Place::with(|faults| faults.nth(2, "POST", "x.bin", fault));
        before.iter().for_each(|bytes| place.put("x.bin", bytes));
        assert_eq!(place.write(how, &[b'n'; LARGE]).await.unwrap(), Finished::Named);
        assert!(place.truth().unwrap() == [b'n'; LARGE]);
        assert_eq!(place.server.open_uploads(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_whose_answer_is_lost_counts() {
    for fault in [Fault::LostAfter, Fault::ServerErrorAfter, Fault::Status(503, "SlowDown")] {
        let place = Place::with(|faults| faults.nth(1, "PUT", "x.bin", fault));
        assert_eq!(place.write(Create::New, b"new").await.unwrap(), Finished::Named, "{fault:?}");
        assert_eq!(place.truth().unwrap(), b"new");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_whose_request_is_lost_is_put_again() {
    let place = Place::with(|faults| faults.nth(1, "PUT", "x.bin", Fault::LostBefore));
    place.stores.open(&place.at).unwrap().objects().head(place.at.path()).await.unwrap_err();
    assert_eq!(place.write(Create::New, b"new").await.unwrap(), Finished::Named);
    assert_eq!(place.truth().unwrap(), b"new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_that_is_refused_leaves_the_old_object_and_no_upload() {
    let refused = Fault::Status(403, "AccessDenied");
    let place = Place::with(|faults| {
        faults.nth(2, "POST", "x.bin", refused).nth(2, "POST", "x.bin", refused)
    });
    place.put("x.bin", &[b'o'; LARGE]);
    let error = place.write(Create::Replace, &[b'n'; LARGE]).await.unwrap_err();
    assert!(error.to_string().contains("may not write 's3://bucket/x.bin'"), "{error}");
    assert!(place.truth().unwrap() == [b'o'; LARGE]);
    until("the end of the upload", || place.server.open_uploads() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_last_answer_is_lost_is_a_copy() {
    let place = Place::with(|faults| faults.nth(2, "POST", "copy", Fault::LostAfter));
    place.put("x.bin", &[b'x'; LARGE]);
    let to = Location::parse("s3://bucket/copy.bin").unwrap();
    let made = copy(&place.stores, &place.at, &to, CopyOptions::default(), &Silent).await.unwrap();
    assert_eq!(made[0].size, LARGE as u64);
    let copied = std::fs::read(place.server.bucket("bucket").join("copy.bin")).unwrap();
    assert!(copied == [b'x'; LARGE]);
}

// ---- answers that are cut short

/// The server says how long an answer is, or it does not.
#[rstest]
#[case::by_the_line(Fault::CutBody(300))]
#[case::in_silence(Fault::BadXml)]
#[tokio::test]
async fn a_listing_that_is_cut_short_is_asked_for_again(#[case] fault: Fault) {
    let place = Place::with(|faults| faults.nth(1, "GET", "", fault));
    place.put("a", b"");
    place.put("b", b"");
    let store = place.stores.open(&place.at).unwrap();
    let listed: Vec<_> = store.objects().list(None).try_collect().await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(place.faults.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_an_upload_that_are_cut_short_cost_a_try() {
    let place = Place::with(|faults| {
        faults.nth(1, "POST", "x.bin", Fault::CutBody(20)).nth(1, "PUT", "x.bin", Fault::LostAfter)
    });
    assert_eq!(place.write(Create::Replace, &[b'n'; LARGE]).await.unwrap(), Finished::Named);
    assert!(place.truth().unwrap() == [b'n'; LARGE]);
}

#[tokio::test]
async fn what_is_removed_is_removed_again_if_no_one_said_so() {
    let place = Place::with(|faults| {
        faults.nth(1, "POST", "", Fault::LostAfter).nth(1, "POST", "", Fault::CutBody(30))
    });
    let store = place.stores.open(&place.at).unwrap();
    let paths = ["a", "b"].map(|name| {
        place.put(name, b"");
        Ok(name.into())
    });
    let gone = store.objects().delete_stream(futures::stream::iter(paths).boxed());
    assert_eq!(gone.try_collect::<Vec<_>>().await.unwrap().len(), 2);
    assert_eq!(place.faults.calls_of("POST", "").len(), 3);
    assert!(!place.server.bucket("bucket").join("a").exists());
}

// ---- a server that falls silent

/// No answer at all, as far as a test can wait.
const NEVER: Fault = Fault::Delay(Duration::from_secs(3600));

/// How long a server may be silent here.
const TIMEOUT: Duration = Duration::from_millis(300);

/// More than any command takes on a busy machine that waits a few times so long.
const BOUND: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_request_that_is_not_answered_is_sent_again() {
    let place = Place::impatient(|faults| faults.nth(1, "GET", "x.bin", NEVER));
    place.put("x.bin", b"x");
    let store = place.stores.open(&place.at).unwrap();
    store.objects().head(place.at.path()).await.unwrap();
    let got = store.objects().get(place.at.path()).await.unwrap();
    assert_eq!(got.bytes().await.unwrap(), "x");
    assert_eq!(place.faults.calls_of("GET", "x.bin").len(), 2);
}

#[tokio::test]
async fn a_body_that_stops_is_asked_for_again_and_given_up_in_the_end() {
    let place = Place::impatient(|faults| faults.nth(1, "GET", "x.bin", Fault::StopBody(4)));
    place.put("x.bin", b"0123456789");
    let store = place.stores.open(&place.at).unwrap();
    let got = store.objects().get(place.at.path()).await.unwrap();
    assert_eq!(got.bytes().await.unwrap(), "0123456789");
    // From here on there are headers and no byte.
    let faults = place.faults.clone().each("GET", "x.bin", Fault::StopBody(0));
    let begun = Instant::now();
    let got = store.objects().get(place.at.path()).await.unwrap();
    let error = Error::from(got.bytes().await.unwrap_err());
    assert_eq!(error.kind(), Kind::Unreachable, "{error}");
    assert!(error.to_string().ends_with("no answer for 0.3 s: --timeout says how long to wait"));
    assert!(begun.elapsed() < BOUND && faults.calls().len() < 8, "{:?}", begun.elapsed());
}

/// The server answers so many requests of a run and then never again.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_unreachable_and_only_the_decision_is_in_doubt() {
    for answered in 1.. {
        let place = Place::impatient(|faults| faults.from(answered + 1, NEVER));
        let out = Location::parse("s3://bucket/out").unwrap();
        let begun = Instant::now();
        let written = write(&place.stores, &out).await;
        assert!(begun.elapsed() < BOUND, "{answered}: {:?}", begun.elapsed());
        let healthy = place.server.stores();
        let Err(error) = written else {
            assert_eq!(current_manifest(&healthy, &out).await.unwrap().rows(), 3);
            assert!(answered > 5);
            break;
        };
        let doubted = error.to_string().starts_with("outcome unknown: ");
        let expected = if doubted { Kind::Io } else { Kind::Unreachable };
        assert_eq!(error.kind(), expected, "{answered}: {error}");
        let last = &place.faults.calls()[answered];
        assert_eq!(doubted, last.key.ends_with("/prepared.json"), "{answered}: {error}");
        commit::recover(&healthy, &out, commit::Settle::Nothing).await.unwrap();
        write(&healthy, &out.join("other")).await.unwrap();
    }
}

/// What a user sees. The server takes connections and never says a word.
#[test]
fn a_server_that_never_answers_is_69_after_a_line() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("pleiad"));
    command.args(["ls", "s3://bucket/x", "--timeout", "12"]);
    command.env_clear().envs(s3::variables(&endpoint));
    let ended = children::run(command, &Kill::Never);
    assert_eq!(ended.status.code(), Some(69), "{ended:?}");
    let line = format!("no answer from '{endpoint}' (from AWS_S3_ENDPOINT) for 5 s: waiting for");
    assert!(ended.stderr.contains(&line), "{}", ended.stderr);
    assert!(ended.stderr.contains("no answer for 12 s"), "{}", ended.stderr);
}
