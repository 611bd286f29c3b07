//! All S3 servers that a suite can run on: the one in process, moto, and any other by hand.
//!
//! `PLEIAD_TEST_S3_ENDPOINT`, `_KEY`, `_SECRET`, `_BUCKET` and, if it is not us-east-1, `_REGION` name
//! the other. Each test writes below a prefix of its own there and removes it in the end.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::client::{HttpConnector, ReqwestConnector};
use object_store::{Error, ObjectMeta, ObjectStoreExt, PutMode};
use pleiad::cli::terminal::variable;
use pleiad::storage::{Environment, Location, StorageOptions, Stores};

use super::fault_http::FaultHttp;
use super::moto::Moto;
use super::s3::{self, TestS3};
use super::seeded::CreateOnly;

/// A server, a bucket in it and a prefix to write under.
pub(crate) struct Endpoint {
    pub(crate) name: String,
    pub(crate) base: Location,
    /// What leads there, in the environment of a process.
    variables: Vec<(String, String)>,
    /// The secret key of the variables.
    pub(crate) secret: String,
    server: Server,
}

enum Server {
    InProcess(TestS3),
    Moto { _process: Moto },
    Other,
}

/// Every server there is, the fastest first.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    [Some(Endpoint::in_process()), Endpoint::moto(), Endpoint::other()]
        .into_iter()
        .flatten()
        .collect()
}

impl Endpoint {
    /// s3s-fs, without a socket.
    pub(crate) fn in_process() -> Self {
        let server = Server::InProcess(TestS3::new(&["bucket"]));
        Self::new("s3s-fs", "bucket", s3::variables(s3::ENDPOINT), server)
    }

    /// moto, where Python has it.
    pub(crate) fn moto() -> Option<Self> {
        let process = Moto::start("bucket")?;
        let variables = s3::variables(process.endpoint());
        Some(Self::new("moto", "bucket", variables, Server::Moto { _process: process }))
    }

    /// The one that `PLEIAD_TEST_S3_*` names.
    pub(crate) fn other() -> Option<Self> {
        let endpoint = variable("PLEIAD_TEST_S3_ENDPOINT")?;
        let of = |name: &str| variable(&format!("PLEIAD_TEST_S3_{name}"));
        let needed = |name| of(name).unwrap_or_else(|| panic!("PLEIAD_TEST_S3_{name} is not set"));
        let mut variables = s3::variables(&endpoint);
        for (name, value) in &mut variables {
            match name.as_str() {
                "AWS_ACCESS_KEY_ID" => *value = needed("KEY"),
                "AWS_SECRET_ACCESS_KEY" => *value = needed("SECRET"),
                "AWS_DEFAULT_REGION" => *value = of("REGION").unwrap_or("us-east-1".to_owned()),
                _ => {}
            }
        }
        Some(Self::new(&endpoint, &needed("BUCKET"), variables, Server::Other))
    }

    fn new(name: &str, bucket: &str, variables: Vec<(String, String)>, server: Server) -> Self {
        let prefix = uuid::Uuid::now_v7().simple();
        let base = Location::parse(&format!("s3://{bucket}/pleiad-test-{prefix}")).unwrap();
        let secret = variables.iter().find(|(name, _)| name == "AWS_SECRET_ACCESS_KEY");
        let secret = secret.unwrap().1.clone();
        Self { name: name.to_owned(), base, variables, secret, server }
    }

    fn options(&self) -> StorageOptions {
        let environment = Environment::of(self.variables.clone());
        StorageOptions::default().with_environment(environment)
    }

    fn connector(&self) -> Arc<dyn HttpConnector> {
        match &self.server {
            Server::InProcess(server) => server.connector(),
            Server::Moto { .. } | Server::Other => Arc::new(ReqwestConnector::default()),
        }
    }

    /// Stores on this server, as users have them but for the waits between tries.
    pub(crate) fn stores(&self) -> Arc<Stores> {
        Stores::with_http(self.options(), self.connector())
    }

    /// A client of this server to put faults into.
    pub(crate) fn faults(&self) -> FaultHttp {
        FaultHttp::over(self.connector())
    }

    /// Stores on this server through `faults`.
    pub(crate) fn stores_through(&self, faults: &FaultHttp) -> Arc<Stores> {
        Stores::with_http(self.options(), Arc::new(faults.clone()))
    }

    /// What this server makes of create-only puts.
    pub(crate) async fn create_only(&self) -> CreateOnly {
        let (stores, probe) = (self.stores(), self.base.join("create-only"));
        let store = stores.open(&probe).unwrap();
        let put = |text: &'static str| {
            store.objects().put_opts(probe.path(), text.into(), PutMode::Create.into())
        };
        let answers = [put("first").await, put("second").await];
        let left = store.objects().delete(probe.path()).await;
        match answers {
            [Ok(_), Err(Error::AlreadyExists { .. })] => CreateOnly::Enforced,
            [Ok(_), Ok(_)] => CreateOnly::Ignored,
            [Err(Error::NotSupported { .. }), _] => CreateOnly::Refused,
            other => panic!("{}: {other:?}, then {left:?}", self.name),
        }
    }

    async fn clear(&self) {
        let store = self.stores().open(&self.base).unwrap();
        let listed = store.objects().list(Some(self.base.path()));
        let paths = listed.map_ok(|meta: ObjectMeta| meta.location).boxed();
        let deleted: Result<Vec<_>, _> = store.objects().delete_stream(paths).try_collect().await;
        if let Err(error) = deleted {
            println!("'{}' at {} is not removed: {error}", self.base, self.name);
        }
    }
}

/// Servers that stay are left as they were.
impl Drop for Endpoint {
    fn drop(&mut self) {
        if !matches!(self.server, Server::Other) {
            return;
        }
        std::thread::scope(|scope| {
            let clearing = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(self.clear());
            });
            clearing.join().ok();
        });
    }
}
