//! An S3 server in process: s3s-fs over a temporary directory, signatures checked.
//!
//! [`TestS3::stores`] reaches it without a socket, through the client's own HTTP seam;
//! [`TestS3::serve`] puts the same server on a port for child processes. s3s-fs does a conditional
//! put as "look, then rename", so those calls take one lock per key here. It completes an upload in
//! steps, so that call goes on when its client is gone, as on a real server. It does not list uploads,
//! which is done here, answers 403 to an unknown upload, and counts its temporary files, so there is
//! one server per directory.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use pleiad::storage::{Environment, StorageOptions, Stores};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::runtime::Handle;
use tokio::sync::{OwnedMutexGuard, oneshot};

/// The key that the server knows.
pub(crate) const KEY: &str = "AKIDTEST4F2A";
/// Its secret, with the characters that break URL parsers.
pub(crate) const SECRET: &str = "test/secret+canary==";
/// Where the server is without a socket; nothing listens there.
pub(crate) const ENDPOINT: &str = "http://s3.test:9000";

/// A server and its directory, gone when dropped.
pub(crate) struct TestS3 {
    dir: tempfile::TempDir,
    server: Server,
}

impl TestS3 {
    /// A server with these buckets.
    pub(crate) fn new(buckets: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for bucket in buckets {
            std::fs::create_dir(dir.path().join(bucket)).unwrap();
        }
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let (service, root) = (builder.build(), dir.path().to_owned());
        Self { dir, server: Server { service, root, locks: Arc::default(), begun: Arc::default() } }
    }

    /// The files behind a bucket.
    pub(crate) fn bucket(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// How many uploads are begun and neither completed nor aborted.
    pub(crate) fn open_uploads(&self) -> usize {
        let names = std::fs::read_dir(self.dir.path()).unwrap().flatten();
        let names = names.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(".upload-") && name.ends_with(".json")).count()
    }

    /// The variables that lead to this server without a socket.
    pub(crate) fn variables() -> Vec<(String, String)> {
        variables(ENDPOINT)
    }

    /// Stores on this server.
    pub(crate) fn stores(&self) -> Arc<Stores> {
        self.stores_with(StorageOptions::default(), Self::variables())
    }

    /// Stores on this server with these flags and variables.
    pub(crate) fn stores_with(
        &self,
        options: StorageOptions,
        variables: Vec<(String, String)>,
    ) -> Arc<Stores> {
        let options = options.with_environment(Environment::of(variables));
        Stores::with_http(options, self.connector())
    }

    /// What puts this server under a client.
    pub(crate) fn connector(&self) -> Arc<dyn HttpConnector> {
        Arc::new(self.server.clone())
    }

    /// Serves on a port of 127.0.0.1 until the answer is dropped.
    pub(crate) fn serve(&self) -> Served {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = self.server.clone();
        let thread = std::thread::spawn(move || server.listen(listener, stopped));
        Served { address, stop: Some(stop), thread: Some(thread) }
    }
}

/// What an Onyxia pod sets, for a server at `endpoint`.
pub(crate) fn variables(endpoint: &str) -> Vec<(String, String)> {
    let pairs = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", ""),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_S3_ENDPOINT", endpoint),
        ("HOME", "/nonexistent"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// A server on a port.
pub(crate) struct Served {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    /// `http://127.0.0.1:port`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The variables a child process needs.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        variables(&self.endpoint())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[derive(Clone)]
struct Server {
    service: S3Service,
    root: PathBuf,
    /// Address and id of each upload that was begun.
    begun: Arc<Mutex<Vec<(String, String)>>>,
    locks: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestS3")
    }
}

impl Server {
    async fn answer(&self, request: s3s::HttpRequest) -> io::Result<s3s::HttpResponse> {
        let turn = self.turn(&request).await;
        self.answer_in_turn(request, turn).await
    }

    /// Waits for what is under way on the key: conditional requests, and uploads that are completed.
    async fn turn(&self, request: &s3s::HttpRequest) -> Option<OwnedMutexGuard<()>> {
        let headers = request.headers();
        let is_conditional =
            headers.contains_key("if-none-match") || headers.contains_key("if-match");
        let path = request.uri().path().to_owned();
        let lock = {
            let mut locks = self.locks.lock().unwrap();
            match is_conditional || completes_upload(request) {
                true => Some(Arc::clone(locks.entry(path).or_default())),
                false => locks.get(&path).map(Arc::clone),
            }
        };
        Some(lock?.lock_owned().await)
    }

    async fn answer_in_turn(
        &self,
        request: s3s::HttpRequest,
        _turn: Option<OwnedMutexGuard<()>>,
    ) -> io::Result<s3s::HttpResponse> {
        let (address, query) = (request.uri().path().to_owned(), request.uri().query());
        let begins = request.method() == "POST" && query.is_some_and(|q| q.starts_with("uploads"));
        if request.method() == "GET" && query.is_some_and(|query| query.starts_with("uploads")) {
            return Ok(s3s::HttpResponse::new(self.list_uploads(&address).into()));
        }
        let answer = self.service.call(request).await;
        let answer = answer.map_err(|error| io::Error::other(format!("{error:?}")))?;
        if !begins {
            return Ok(answer);
        }
        let (parts, mut body) = answer.into_parts();
        let body = body.store_all_limited(1 << 20).await.map_err(io::Error::other)?;
        let text = String::from_utf8_lossy(&body);
        if let Some((_, rest)) = text.split_once("<UploadId>") {
            let id = rest.split_once('<').unwrap().0.to_owned();
            self.begun.lock().unwrap().push((address, id));
        }
        Ok(s3s::HttpResponse::from_parts(parts, body.into()))
    }

    /// The uploads of a bucket that are neither completed nor aborted, as S3 lists them.
    fn list_uploads(&self, bucket: &str) -> String {
        let begun = self.begun.lock().unwrap();
        let is_open = |id: &str| self.root.join(format!(".upload-{id}.json")).exists();
        let uploads = begun.iter().filter_map(|(address, id)| {
            let key = address.strip_prefix(bucket)?.trim_start_matches('/');
            let key = object_store::path::Path::from_url_path(key).unwrap();
            let key = key.as_ref().replace('&', "&amp;");
            let upload = format!(
                "<Upload><Key>{key}</Key><UploadId>{id}</UploadId>\
                 <Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>"
            );
            is_open(id).then_some(upload)
        });
        let uploads: String = uploads.collect();
        format!("<ListMultipartUploadsResult>{uploads}</ListMultipartUploadsResult>")
    }

    fn listen(&self, listener: std::net::TcpListener, stopped: oneshot::Receiver<()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let tasks = runtime.handle();
        let accept = async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (server, tasks) = (self.clone(), tasks.clone());
                let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
                    let server = server.clone();
                    // A task of its own: as on a real server, what was asked for is done to its end
                    // although the client that asked has died.
                    let answer = async move { server.answer(request.map(s3s::Body::from)).await };
                    let answer = tasks.spawn(answer);
                    async move { answer.await.expect("answers do not panic") }
                });
                drop(runtime.spawn(async move {
                    let http = auto::Builder::new(TokioExecutor::new());
                    // A client that hangs up is no matter of ours.
                    drop(http.serve_connection(TokioIo::new(socket), service).await);
                }));
            }
        };
        runtime.block_on(async {
            tokio::select! {
                () = accept => {}
                _ = stopped => {}
            }
        });
    }
}

impl HttpConnector for Server {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Server {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (mut parts, body) = request.into_parts();
        // What an HTTP client adds on its way to a socket.
        let length = body.content_length();
        parts.headers.entry("content-length").or_insert(length.into());
        let host = Path::new(ENDPOINT).file_name().unwrap().to_str().unwrap();
        parts.headers.entry("host").or_insert(host.parse().unwrap());
        let request = s3s::HttpRequest::from_parts(parts, s3s::Body::http_body(body));
        let wrong = |cause| HttpError::new(HttpErrorKind::Unknown, cause);
        let answer = if completes_upload(&request) {
            // This server forgets the upload before it has the object: half of it must not be done.
            let (server, turn) = (self.clone(), self.turn(&request).await);
            let answer = async move { server.answer_in_turn(request, turn).await };
            Handle::current().spawn(answer).await.expect("answers do not panic")
        } else {
            self.answer(request).await
        };
        let (parts, mut body) = answer.map_err(wrong)?.into_parts();
        let body = body.store_all_limited(1 << 30).await.map_err(|e| wrong(io::Error::other(e)))?;
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::from(body)))
    }
}

/// Whether a request makes an object of the parts of an upload.
fn completes_upload(request: &s3s::HttpRequest) -> bool {
    let ids = request.uri().query().is_some_and(|query| query.contains("uploadId="));
    request.method() == "POST" && ids
}
