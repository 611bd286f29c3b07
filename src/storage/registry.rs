//! The stores of a process: opened once a bucket, then shared by the engine and by us.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::common::DataFusionError;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use object_store::client::{HttpConnector, SpawnedReqwestConnector};
use object_store::memory::InMemory;
use object_store::multipart::MultipartStore;
use tokio::runtime::Runtime;
use url::Url;

use super::explain::Backend;
use super::files_store::FilesStore;
use super::local::LocalFiles;
use super::location::{Location, credentials_in_location};
use super::s3::client::{backend, client, patience};
use super::s3::credentials::KeySource;
use super::s3::http::CountingConnector;
use super::s3::odd_keys::{OddKeys, OddKeysConnector, Signer, Skipped};
use super::s3::parts::PartList;
use super::s3::request::Lister;
use super::s3::settings::{Settings, StorageOptions};
use super::s3::shown::ShownSetting;
use super::schemes::Scheme;
use super::store::{Explained, Pause, Store};
use crate::error::{Error, Result};
use crate::event::{Event, Observer};

/// The S3 clients' own threads: on the engine's, a busy function would starve a connection until
/// the server gives up on it (apache/datafusion#12393). It lives as long as the process.
static IO: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("pleiad-io")
        .enable_all()
        .build()
        .expect("the system gives us two threads")
});

/// All stores of one set of options. The first use of a bucket opens it; `memory://name` is one
/// place per name and per `Stores`.
pub struct Stores {
    options: StorageOptions,
    connector: Option<Arc<dyn HttpConnector>>,
    /// Local files behave as those of several machines, for tests.
    shares_files: bool,
    opened: Mutex<HashMap<StoreKey, Store>>,
    skipped: Arc<Skipped>,
    calls: Arc<AtomicU64>,
    notes: Mutex<Notes>,
}

/// What was said to the user, and who says it.
#[derive(Default)]
struct Notes {
    said: HashSet<String>,
    listener: Option<Arc<dyn Observer>>,
}

impl Stores {
    /// Stores reached with `options`; nothing is opened yet.
    pub fn new(options: StorageOptions) -> Arc<Self> {
        Self::build(options, None)
    }

    /// Stores whose S3 requests go to `connector`, tried again without waiting: for tests that
    /// need no socket.
    #[doc(hidden)]
    pub fn with_http(options: StorageOptions, connector: Arc<dyn HttpConnector>) -> Arc<Self> {
        Self::build(options, Some(connector))
    }

    /// Stores whose `memory://<name>` is `store`, with `pause` for a clock: for tests that put
    /// faults under the commit.
    #[doc(hidden)]
    pub fn with_memory<S>(name: &str, store: S, pause: Pause) -> Arc<Self>
    where
        S: ObjectStore + MultipartStore,
    {
        let stores = Self::new(StorageOptions::default());
        let (backend, calls) = (Backend::Memory(name.to_owned()), Some(Arc::clone(&stores.calls)));
        let store = Store::remote(Explained::new(store, backend, calls)).pausing(pause);
        let key = format!("{}://{name}", Scheme::Memory);
        stores.opened().insert((OddKeys::Skipped, key), store);
        stores
    }

    /// Stores whose local files other machines may have too: for tests on one machine.
    #[doc(hidden)]
    pub fn with_shared_files(options: StorageOptions) -> Arc<Self> {
        Arc::new(Self { shares_files: true, ..Self::plain(options, None) })
    }

    fn build(options: StorageOptions, connector: Option<Arc<dyn HttpConnector>>) -> Arc<Self> {
        Arc::new(Self::plain(options, connector))
    }

    fn plain(options: StorageOptions, connector: Option<Arc<dyn HttpConnector>>) -> Self {
        Self {
            options,
            connector,
            shares_files: false,
            opened: Mutex::default(),
            skipped: Arc::default(),
            calls: Arc::default(),
            notes: Mutex::default(),
        }
    }

    /// Sends what is found in files from now on to `listener`.
    pub fn listen(&self, listener: Arc<dyn Observer>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).listener = Some(listener);
    }

    /// Tells the listener what was found in a file: each sentence once.
    pub(crate) fn note(&self, message: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = notes.listener.clone();
        let is_new = notes.said.insert(message.clone());
        drop(notes);
        if let Some(listener) = listener.filter(|_| is_new) {
            listener.report(Event::Note(message));
        }
    }

    /// Reads a location with the variables of these options.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub fn parse(&self, text: &str) -> Result<Location> {
        Location::parse_in(text, &self.options.environment)
    }

    /// Reads the location of something that is there: on S3 also one that [`Self::parse`] refuses, as other
    /// programs make them, such as `s3://bucket/a//b`.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub fn parse_existing(&self, text: &str) -> Result<Location> {
        Location::parse_existing_in(text, &self.options.environment)
    }

    /// How the server of `location` is reached; nothing if it is not on S3.
    pub fn show(&self, location: &Location) -> Vec<ShownSetting> {
        match location.scheme() {
            Scheme::S3 => self.options.show(location.alias()),
            Scheme::File | Scheme::Memory => Vec::new(),
        }
    }

    /// The store that holds `location`. It does not talk to the server.
    ///
    /// # Errors
    /// If the options and the environment make no sense together or give no keys.
    pub fn open(&self, location: &Location) -> Result<Store> {
        self.open_url(location.url(), OddKeys::Skipped)
    }

    /// The store that holds `location`, whose listings leave nothing out that a request can name.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_every(&self, location: &Location) -> Result<Store> {
        let how = match location.scheme() {
            Scheme::S3 => OddKeys::Kept,
            Scheme::File | Scheme::Memory => OddKeys::Skipped,
        };
        self.open_url(location.url(), how)
    }

    /// What listings left out, as its name cannot be used: how many, and one of them.
    pub fn skipped(&self) -> Option<(usize, String)> {
        self.skipped.noted()
    }

    /// Whether two locations are in the same store: two aliases may stand for one server.
    pub(crate) fn are_in_one_store(&self, one: &Location, other: &Location) -> bool {
        let bucket = |location: &Location| {
            let settings = self.options.settle(location.alias()).ok()?;
            let server = Url::parse(&settings.server().value).ok()?;
            Some((server, location.url().host_str()?.to_owned()))
        };
        let are_on_s3 = [one, other].iter().all(|location| location.scheme() == Scheme::S3);
        one.store_url() == other.store_url()
            || are_on_s3 && bucket(one).is_some_and(|one| Some(one) == bucket(other))
    }

    /// Requests sent so far: HTTP requests to S3, retries included; calls of other stores.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn open_url(&self, url: &Url, how: OddKeys) -> Result<Store> {
        if url.password().is_some() {
            return Err(credentials_in_location());
        }
        let key = (how, store_key(url));
        if let Some(store) = self.opened().get(&key) {
            return Ok(store.clone());
        }
        // Files of settings are read here, and the lock is free while they are.
        let store = match Scheme::of(url) {
            Some(Scheme::File) => {
                let calls = Arc::clone(&self.calls);
                let (files, skipped) = (Arc::default(), Arc::clone(&self.skipped));
                let files = FilesStore { files, skipped };
                let explained = Explained::new(files, Backend::Files, Some(Arc::clone(&calls)));
                let files = LocalFiles::counted_by(calls);
                let files = if self.shares_files { files.shared() } else { files };
                Store::local(explained, files)
            }
            Some(Scheme::Memory) => {
                let backend = Backend::Memory(url.host_str().unwrap_or_default().to_owned());
                let calls = Some(Arc::clone(&self.calls));
                Store::remote(Explained::new(InMemory::new(), backend, calls))
            }
            Some(Scheme::S3) => self.open_bucket(url, how)?,
            None => {
                let scheme = url.scheme();
                return Err(Error::usage(format!("no store is known for '{scheme}://'")));
            }
        };
        Ok(self.opened().entry(key).or_insert(store).clone())
    }

    fn open_bucket(&self, url: &Url, how: OddKeys) -> Result<Store> {
        let alias = Some(url.username()).filter(|alias| !alias.is_empty());
        let bucket = url.host_str().unwrap_or_default();
        let settings = self.options.settle(alias)?;
        let backend = backend(&settings, alias, bucket);
        if !settings.verify_tls {
            tracing::warn!("--no-verify-ssl: the certificate of the S3 server is not checked");
        }
        let retries = Arc::new(AtomicU64::new(0));
        let connector = self.counting(&settings, Arc::clone(&retries));
        let first_wait = match self.connector {
            Some(_) => Duration::from_micros(100),
            None => Duration::from_millis(100),
        };
        let parts = PartList {
            settings: settings.clone(),
            alias: alias.map(str::to_owned),
            bucket: bucket.to_owned(),
            connector: self.counting(&settings, Arc::clone(&retries)),
        };
        let signer = Signer {
            bucket: backend.shown(),
            region: settings.region.value.clone(),
            keys: settings.keys.clone().map(KeySource::provider),
        };
        let skipped = Arc::clone(&self.skipped);
        let connector = OddKeysConnector { base: connector, how, skipped, signer };
        let client = client(bucket, settings, connector, patience(first_wait))?;
        let store = Store::remote(Explained::new(client, backend, None));
        Ok(store.counting(retries).asking(Arc::new(parts)))
    }

    /// Asks a bucket for lists that the client does not offer, or without a name the server.
    pub(crate) fn lister(&self, alias: Option<&str>, bucket: &str) -> Result<Lister> {
        let settings = self.options.settle(alias)?;
        let connector = self.counting(&settings, Arc::default());
        Lister::of(settings, alias, bucket, &connector)
    }

    /// What makes clients whose requests are counted.
    pub(crate) fn counting(
        &self,
        settings: &Settings,
        retries: Arc<AtomicU64>,
    ) -> CountingConnector {
        let base = match &self.connector {
            Some(connector) => Arc::clone(connector),
            None => Arc::new(SpawnedReqwestConnector::new(IO.handle().clone())),
        };
        CountingConnector {
            base,
            calls: Arc::clone(&self.calls),
            retries,
            server: settings.server().to_string(),
            timeout: settings.timeout,
        }
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<StoreKey, Store>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn options(&self) -> &StorageOptions {
        &self.options
    }
}

/// What its listings do with odd keys; scheme, alias and bucket.
type StoreKey = (OddKeys, String);

/// Scheme, alias and bucket.
fn store_key(url: &Url) -> String {
    let scheme = match Scheme::of(url) {
        Some(scheme) => scheme.name(),
        None => url.scheme(),
    };
    let user = Some(url.username()).filter(|user| !user.is_empty());
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{user}{}{port}", url.host_str().unwrap_or_default())
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.opened().keys().map(|(_, name)| name)).finish()
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(
        &self,
        url: &Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        let key = (OddKeys::Skipped, store_key(url));
        let replaced = self.opened().insert(key, Store::foreign(store));
        replaced.map(|store| Arc::clone(store.objects()))
    }

    fn deregister_store(&self, url: &Url) -> datafusion::common::Result<Arc<dyn ObjectStore>> {
        let removed = self.opened().remove(&(OddKeys::Skipped, store_key(url)));
        match removed {
            Some(store) => Ok(Arc::clone(store.objects())),
            None => Err(DataFusionError::from(Error::internal(format!(
                "no store '{}' to remove",
                store_key(url)
            )))),
        }
    }

    fn get_store(&self, url: &Url) -> datafusion::common::Result<Arc<dyn ObjectStore>> {
        Ok(Arc::clone(self.open_url(url, OddKeys::Skipped)?.objects()))
    }
}
