//! Between the S3 client and HTTP: counts requests and those that failed in passing, and decides what
//! is worth trying again.
//!
//! The client tries again for up to three minutes whatever looks like a passing trouble. That is
//! right for a server that has answered before, and wrong for an address that never did. So:
//! - until the first answer, a refused connection or an unknown name is tried three times (about
//!   half a second), a timeout once; then it is final;
//! - 501 "not implemented" is final, not a server in trouble;
//! - a redirect is an error that keeps the region the server named, which the client would drop;
//! - a web page in place of a listing is an error: the client would read it as an empty listing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};

/// How often an address that never answered is tried.
const FIRST_TRIES: u32 = 3;

/// The error code, of our making, of a web page in place of a listing.
pub(crate) const WEB_PAGE: &str = "WebPage";

/// Makes clients that go through [`CountingHttp`].
#[derive(Debug)]
pub(crate) struct CountingConnector {
    pub(crate) base: Arc<dyn HttpConnector>,
    pub(crate) calls: Arc<AtomicU64>,
    /// Requests that failed in passing: the client sends them again.
    pub(crate) retries: Arc<AtomicU64>,
}

impl HttpConnector for CountingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(CountingHttp {
            client: self.base.connect(options)?,
            calls: Arc::clone(&self.calls),
            retries: Arc::clone(&self.retries),
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
    answered: AtomicBool,
    failures: AtomicU32,
}

#[async_trait]
impl HttpService for CountingHttp {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let listing = request.uri().query().is_some_and(|query| query.contains("list-type="));
        let answer = match self.client.execute(request).await {
            Ok(response) => {
                self.answered.store(true, Ordering::Relaxed);
                Ok(final_answer(response, listing))
            }
            Err(error) if self.answered.load(Ordering::Relaxed) => Err(error),
            Err(error) => Err(self.unanswered(error)),
        };
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

/// The answer in a form that the client hands on at once and whole.
fn final_answer(mut response: HttpResponse, listing: bool) -> HttpResponse {
    let status = response.status();
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let body = if status.is_redirection() && status.as_u16() != 304 {
        let region = header("x-amz-bucket-region");
        let region = region.map(|region| format!("<Region>{region}</Region>")).unwrap_or_default();
        Some(format!("<Error><Code>PermanentRedirect</Code>{region}</Error>"))
    } else if listing && header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
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
