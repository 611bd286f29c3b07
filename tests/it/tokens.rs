//! A session token that expires in mid-run: a new one in the profile's file is picked up, and without
//! one the run ends with 77, publishes nothing or is finished later, and loses nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use pleiad::cli::terminal::variable;
use pleiad::error::{Kind, Result};
use pleiad::event::Silent;
use pleiad::storage::{Environment, Location, StorageOptions, Stores};
use pleiad::table::{Begin, Manifest, Mode, Run, RunOptions, Source, SourceOptions, TableSpec};

use crate::support::s3::{KEY, SECRET, TestS3};
use crate::support::scratch::session;

/// A server that takes one token up to a request of a number, and any other at any time. As tools
/// that log in do, somebody puts a new token into the profile some requests before.
#[derive(Clone)]
struct Expiring {
    server: Arc<dyn HttpConnector>,
    profile: Arc<PathBuf>,
    renewed_at: usize,
    expired_at: usize,
    requests: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

impl Expiring {
    /// The token `old` of `profile` is renewed and expires at these requests.
    fn new(server: &TestS3, profile: PathBuf, (renewed_at, expired_at): (usize, usize)) -> Self {
        put_token(&profile, "old", 1);
        Self {
            server: server.connector(),
            profile: Arc::new(profile),
            renewed_at,
            expired_at,
            requests: Arc::default(),
            refused: Arc::default(),
        }
    }

    fn stores(&self) -> Arc<Stores> {
        let hidden = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
        let mut variables = TestS3::variables();
        variables.retain(|(name, _)| !hidden.contains(&name.as_str()));
        let file = self.profile.to_str().unwrap();
        variables.push(("AWS_SHARED_CREDENTIALS_FILE".to_owned(), file.to_owned()));
        variables.push(("AWS_CONFIG_FILE".to_owned(), "/nonexistent".to_owned()));
        let options = StorageOptions::default().with_environment(Environment::of(variables));
        Stores::with_http(options, Arc::new(self.clone()))
    }
}

/// Puts a token into the profile, changed at this second.
fn put_token(profile: &PathBuf, token: &str, second: u64) {
    let text = format!(
        "[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n\
         aws_session_token = {token}\n"
    );
    let beside = profile.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    let stamp = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    std::fs::File::options().append(true).open(&beside).unwrap().set_modified(stamp).unwrap();
    std::fs::rename(beside, profile).unwrap();
}

impl fmt::Debug for Expiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expiring(at {})", self.expired_at)
    }
}

impl HttpConnector for Expiring {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service { client: self.server.connect(options)?, of: self.clone() }))
    }
}

#[derive(Debug)]
struct Service {
    client: HttpClient,
    of: Expiring,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let number = self.of.requests.fetch_add(1, Ordering::SeqCst);
        if number == self.of.renewed_at {
            put_token(&self.of.profile, "new", 2);
        }
        let is_old = request.headers()["x-amz-security-token"] == "old";
        if !is_old || number < self.of.expired_at {
            return self.client.execute(request).await;
        }
        self.of.refused.fetch_add(1, Ordering::SeqCst);
        let body = "<Error><Code>ExpiredToken</Code><Message>expired</Message></Error>".to_owned();
        let mut response = HttpResponse::new(HttpResponseBody::from(body));
        *response.status_mut() = 400.try_into().unwrap();
        Ok(response)
    }
}

/// Forty files of five thousand rows.
async fn write(stores: &Arc<Stores>, out: &Location, mode: Mode) -> Result<Option<Manifest>> {
    let session = session(stores, 2, 8192);
    let options = RunOptions { mode, ..RunOptions::default() };
    let Begin::Run(run) = Run::begin(stores, out, options).await? else { return Ok(None) };
    let sql = "SELECT value AS id, CAST(value % 40 AS INT) AS k FROM generate_series(1, 5000)";
    let plan = session.sql(sql).await?.into_optimized_plan()?;
    let spec = TableSpec { name: "t".into(), keys: vec!["k".into()], ..TableSpec::default() };
    run.write(&session.state(), plan, spec, &Silent).await?;
    run.commit(BTreeMap::new()).await.map(Some)
}

fn out() -> Location {
    Location::parse("s3://bucket/out").unwrap()
}

/// The requests of a run to which nothing happens.
async fn requests_of_a_run() -> usize {
    let (server, dir) = (TestS3::new(&["bucket"]), tempfile::tempdir().unwrap());
    let never = (usize::MAX, usize::MAX);
    let expiring = Expiring::new(&server, dir.path().join("credentials"), never);
    write(&expiring.stores(), &out(), Mode::Error).await.unwrap();
    expiring.requests.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_in_the_profile_is_picked_up_in_mid_run() {
    let requests = requests_of_a_run().await;
    for share in [1, 3, 5] {
        let (server, dir) = (TestS3::new(&["bucket"]), tempfile::tempdir().unwrap());
        // More than are on their way at a time.
        let renewed_at = requests * share / 10;
        let moments = (renewed_at, renewed_at + 32);
        let expiring = Expiring::new(&server, dir.path().join("credentials"), moments);
        let manifest = write(&expiring.stores(), &out(), Mode::Error).await.unwrap().unwrap();
        assert_eq!((manifest.version, manifest.rows()), (1, 5000));
        let sent = expiring.requests.load(Ordering::SeqCst);
        assert!(sent > moments.1, "{sent} requests, the token expired at {}", moments.1);
        assert_eq!(expiring.refused.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_new_token_the_run_ends_with_77_and_loses_nothing() {
    let requests = requests_of_a_run().await;
    let every = if variable("PLEIAD_TEST_EVERY").is_some() { 1 } else { requests / 6 };
    for expired_at in (0..requests).step_by(every) {
        let (server, dir) = (TestS3::new(&["bucket"]), tempfile::tempdir().unwrap());
        let profile = dir.path().join("credentials");
        let expiring = Expiring::new(&server, profile.clone(), (usize::MAX, expired_at));
        let error = match write(&expiring.stores(), &out(), Mode::Error).await {
            Ok(_) => continue, // only its cleaning up was left
            Err(error) => error,
        };
        assert_eq!(error.kind(), Kind::Denied, "at {expired_at}: {error}");
        assert!(error.to_string().contains("session token expired"), "{error}");
        let is_decided = error.to_string().contains("is decided but not finished");
        // The decision was put, and it was not answered whether it is there.
        let is_unknown = error.to_string().contains("outcome unknown");
        let data = s3_names(&server).into_iter().filter(|name| name.starts_with("t/"));
        assert!(data.count() == 0 || is_decided, "at {expired_at}: nothing is visible");

        // With a new token: what was decided is finished, all else is done anew.
        put_token(&profile, "new", 3);
        let stores = expiring.stores();
        let again = write(&stores, &out(), Mode::Ignore).await.unwrap();
        assert!(again.is_none() == is_decided || is_unknown, "at {expired_at}: {error}");
        let source = Source::open(&stores, "s3://bucket/out", &SourceOptions::default()).await;
        let source = source.unwrap();
        assert_eq!(source.manifest.unwrap().version, 1);
        assert_eq!(source.tables[0].rows(), Some(5000));
    }
}

/// The names under the output.
fn s3_names(server: &TestS3) -> Vec<String> {
    let root = server.bucket("bucket").join("out");
    let mut names = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(path) = open.pop() {
        if let Ok(entries) = std::fs::read_dir(&path) {
            open.extend(entries.flatten().map(|entry| entry.path()));
        } else if let Ok(name) = path.strip_prefix(&root) {
            names.push(name.to_str().unwrap().to_owned());
        }
    }
    names
}
