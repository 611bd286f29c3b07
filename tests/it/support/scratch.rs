//! Places to write to, one for each kind of store, and sessions that read and write there.

use std::sync::Arc;

use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use pleiad::storage::{Environment, Location, StorageOptions, Stores};

use crate::support::faults::Fault;
use crate::support::s3::TestS3;

/// The kinds of store every test of tables runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Memory,
    Files,
    S3,
}

/// An empty location, gone when dropped.
pub(crate) struct Scratch {
    pub(crate) stores: Arc<Stores>,
    pub(crate) out: Location,
    dir: Option<tempfile::TempDir>,
    server: Option<TestS3>,
}

impl Scratch {
    pub(crate) fn new(on: On) -> Self {
        let (dir, server) = match on {
            On::Memory => (None, None),
            On::Files => (Some(tempfile::tempdir().unwrap()), None),
            On::S3 => (None, Some(TestS3::new(&["bucket"]))),
        };
        let stores = match &server {
            Some(server) => server.stores(),
            None => Stores::new(StorageOptions::default()),
        };
        let out = match (&dir, on) {
            (Some(dir), _) => Location::parse(dir.path().to_str().unwrap()).unwrap().join("out"),
            (None, On::S3) => Location::parse("s3://bucket/some/out").unwrap(),
            (None, _) => Location::parse("memory://name/out").unwrap(),
        };
        Self { stores, out, dir, server }
    }

    /// Stores of another process on the same place. What is in memory has none.
    pub(crate) fn other_process(&self) -> Arc<Stores> {
        match (&self.server, &self.dir) {
            (Some(server), _) => server.stores(),
            (None, Some(_)) => Stores::new(StorageOptions::default()),
            (None, None) => Arc::clone(&self.stores),
        }
    }

    /// A location beside the output.
    pub(crate) fn beside(&self, name: &str) -> Location {
        let out = self.out.to_string();
        Location::parse(out.strip_suffix("/out").unwrap()).unwrap().join(name)
    }

    /// The server, if this is on S3.
    pub(crate) fn server(&self) -> &TestS3 {
        self.server.as_ref().unwrap()
    }

    /// The paths of all objects under the location, sorted.
    pub(crate) async fn objects(&self) -> Vec<String> {
        let store = self.stores.open(&self.out).unwrap();
        let listed = store.objects().list(Some(self.out.path()));
        let prefix = format!("{}/", self.out.path());
        let paths = listed.map_ok(|meta| meta.location.as_ref().replacen(&prefix, "", 1));
        let mut paths: Vec<_> = paths.try_collect().await.unwrap();
        paths.sort();
        paths
    }

    /// Stores of another process whose requests to S3 `under` lets through, or not.
    pub(crate) fn under(&self, fault: Fault) -> Arc<Stores> {
        let server = self.server.as_ref().unwrap();
        let options = StorageOptions::default();
        let options = options.with_environment(Environment::of(TestS3::variables()));
        Stores::with_http(options, Arc::new(fault.over(server.connector())))
    }

    /// The paths of all objects that some reader could take for data or for a finished job.
    pub(crate) async fn visible(&self) -> Vec<String> {
        let mut objects = self.objects().await;
        objects.retain(|path| !path.starts_with("_runs/"));
        objects
    }

    /// A session with `streams` streams.
    pub(crate) fn session(&self, streams: usize) -> SessionContext {
        session(&self.stores, streams, 8192)
    }
}

/// A session on `stores`.
pub(crate) fn session(stores: &Arc<Stores>, streams: usize, batch_rows: usize) -> SessionContext {
    build(RuntimeEnvBuilder::new(), stores, streams, batch_rows)
}

/// A session of two streams that share `bytes` of memory.
pub(crate) fn session_with_pool(stores: &Arc<Stores>, bytes: usize) -> SessionContext {
    build(RuntimeEnvBuilder::new().with_memory_limit(bytes, 1.0), stores, 2, 8192)
}

#[expect(clippy::disallowed_methods, reason = "tests of tables need no session of the library")]
fn build(
    runtime: RuntimeEnvBuilder,
    stores: &Arc<Stores>,
    streams: usize,
    batch_rows: usize,
) -> SessionContext {
    let stores: Arc<Stores> = Arc::clone(stores);
    let runtime = runtime.with_object_store_registry(stores).with_object_list_cache_limit(0);
    let runtime = runtime.build_arc().unwrap();
    let config = SessionConfig::new()
        .with_target_partitions(streams)
        .with_batch_size(batch_rows)
        .set_bool("datafusion.execution.parquet.schema_force_view_types", false)
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false);
    SessionContext::new_with_config_rt(config, runtime)
}
