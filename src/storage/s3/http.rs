//! Between the S3 client and HTTP: counts requests and those that failed in passing, and decides what
//! is worth trying again.
//!
//! The client tries again for up to three minutes whatever looks like a passing trouble. That is
//! right for a server that has answered before, and wrong for an address that never did. So:
//! - until the first answer, a refused connection or an unknown name is tried three times (about
//!   half a second), a timeout once; then it is final;
//! - an answer is taken when its body is there: one that is cut short is tried again like one that is
//!   lost. Only the bytes of objects are passed on as they come; the client asks for the rest of them;
//! - what removes something is tried again too: doing it twice does no harm;
//! - a server that falls silent is given up ([`Silence`]);
//! - 501 "not implemented" is final, not a server in trouble;
//! - a redirect is an error that keeps the region the server named, which the client would drop;
//! - a web page in place of a listing is an error: the client would read it as an empty listing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hyper::HeaderMap;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};

use super::silence::{Silence, Waiting, WatchedBody};

/// How often an address that never answered is tried.
const FIRST_TRIES: u32 = 3;

/// The error code, of our making, of a web page in place of a listing.
pub(crate) const WEB_PAGE: &str = "WebPage";

/// How a page of a listing ends, whatever prefix its names have.
const END_OF_PAGE: &[u8] = b"ListBucketResult>";

/// Makes clients that go through [`CountingHttp`].
#[derive(Debug)]
pub(crate) struct CountingConnector {
    pub(crate) base: Arc<dyn HttpConnector>,
    pub(crate) calls: Arc<AtomicU64>,
    /// Requests that failed in passing: the client sends them again.
    pub(crate) retries: Arc<AtomicU64>,
    /// The server, and how long nothing may come from it.
    pub(crate) server: String,
    pub(crate) timeout: Duration,
}

impl HttpConnector for CountingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(CountingHttp {
            client: self.base.connect(options)?,
            calls: Arc::clone(&self.calls),
            retries: Arc::clone(&self.retries),
            silence: Silence::of(self.server.clone(), self.timeout),
            answered: AtomicBool::new(false),
            failures: AtomicU32::new(0),
        }))
    }
}

/// One server as seen through its answers.
#[derive(Debug)]
struct CountingHttp {
    client: HttpClient,
    calls: Arc<AtomicU64>,
    retries: Arc<AtomicU64>,
    silence: Arc<Silence>,
    answered: AtomicBool,
    failures: AtomicU32,
}

#[async_trait]
impl HttpService for CountingHttp {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let asked = Asked::by(&request);
        let answer = match self.watched(request, asked).await {
            Ok(answer) => {
                self.answered.store(true, Ordering::Relaxed);
                Ok(final_answer(answer, asked))
            }
            Err(error) if self.answered.load(Ordering::Relaxed) => Err(error),
            Err(error) => Err(self.unanswered(error)),
        };
        let answer = answer.map_err(|error| match (asked, error.kind()) {
            // Of this kind the client tries again whatever was asked.
            (Asked::Removal, HttpErrorKind::Timeout | HttpErrorKind::Interrupted) => {
                HttpError::new(HttpErrorKind::Request, error)
            }
            _ => error,
        });
        let is_passing = match &answer {
            Ok(response) => {
                let status = response.status();
                status.is_server_error() || [408, 429].contains(&status.as_u16())
            }
            Err(error) => error.kind() != HttpErrorKind::Unknown,
        };
        self.retries.fetch_add(u64::from(is_passing), Ordering::Relaxed);
        answer
    }
}

impl CountingHttp {
    /// Sends a request and waits for its answer, as long as there may be one: with its body, but for
    /// the bytes of an object.
    async fn watched(&self, request: HttpRequest, asked: Asked) -> Result<HttpResponse, HttpError> {
        let waiting = match asked {
            Asked::Bytes | Asked::Page => Waiting::Read,
            _ if request.method() == "HEAD" => Waiting::Read,
            Asked::Removal | Asked::Other => {
                Waiting::Written(request.body().content_length() as u64)
            }
        };
        let silent = self.silence.watch(waiting)?;
        let answer = tokio::select! {
            biased;
            answer = self.client.execute(request) => answer?,
            error = silent => return Err(error),
        };
        let (head, body) = answer.into_parts();
        let body = HttpResponseBody::new(WatchedBody::over(body, Arc::clone(&self.silence)));
        let answer = HttpResponse::from_parts(head, body);
        if asked == Asked::Bytes && answer.status().is_success() {
            // Its first bytes count as heard: the client asks for the rest of an answer again and again.
            return Ok(answer);
        }
        whole(answer, asked).await
    }

    /// Says when to stop trying: the client does not try again after an error of unknown kind.
    fn unanswered(&self, error: HttpError) -> HttpError {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        match error.kind() {
            HttpErrorKind::Timeout => HttpError::new(HttpErrorKind::Unknown, error),
            _ if failures >= FIRST_TRIES => HttpError::new(HttpErrorKind::Unknown, error),
            _ => error,
        }
    }
}

/// What a request asks for, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// The bytes of an object.
    Bytes,
    /// A page of a listing.
    Page,
    /// That an object, several or an upload be removed.
    Removal,
    /// Anything else.
    Other,
}

impl Asked {
    fn by(request: &HttpRequest) -> Self {
        let query = request.uri().query().unwrap_or_default();
        match request.method().as_str() {
            "GET" if query.contains("list-type=") => Self::Page,
            "GET" if request.uri().path() != "/" && !query.starts_with("uploads") => Self::Bytes,
            "DELETE" => Self::Removal,
            "POST" if query == "delete" || query == "delete=" => Self::Removal,
            _ => Self::Other,
        }
    }
}

/// The answer when its body is there.
async fn whole(response: HttpResponse, asked: Asked) -> Result<HttpResponse, HttpError> {
    let (head, body) = response.into_parts();
    let cut = |error: HttpError| match error.kind() {
        // A server that is silent was given up.
        HttpErrorKind::Timeout | HttpErrorKind::Unknown => error,
        _ => HttpError::new(HttpErrorKind::Interrupted, error),
    };
    let body = body.bytes().await.map_err(cut)?;
    let is_page = asked == Asked::Page && head.status.is_success() && !is_web_page(&head.headers);
    if is_page && !body.trim_ascii_end().ends_with(END_OF_PAGE) {
        let cause = io::Error::new(io::ErrorKind::UnexpectedEof, "a listing was cut short");
        return Err(HttpError::new(HttpErrorKind::Interrupted, cause));
    }
    Ok(HttpResponse::from_parts(head, body.into()))
}

fn is_web_page(headers: &HeaderMap) -> bool {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/html"))
}

/// The answer in a form that the client hands on at once and whole.
fn final_answer(mut response: HttpResponse, asked: Asked) -> HttpResponse {
    let status = response.status();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let body = if status.is_redirection() && status.as_u16() != 304 {
        let region = header("x-amz-bucket-region");
        let region = region.map(|region| format!("<Region>{region}</Region>")).unwrap_or_default();
        Some(format!("<Error><Code>PermanentRedirect</Code>{region}</Error>"))
    } else if asked == Asked::Page && is_web_page(response.headers()) {
        Some(format!("<Error><Code>{WEB_PAGE}</Code></Error>"))
    } else if status.as_u16() == 501 {
        None
    } else {
        return response;
    };
    if let Some(body) = body {
        *response.body_mut() = HttpResponseBody::from(body);
    }
    *response.status_mut() = 400u16.try_into().expect("400 is a status");
    response
}
