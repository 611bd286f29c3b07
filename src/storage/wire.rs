//! Between the S3 client and HTTP: counts requests, and decides what is worth trying again.
//!
//! The client tries again for up to three minutes whatever looks like a passing trouble. That is
//! right for a server that has answered before, and wrong for an address that never did. So:
//! - until the first answer, a refused connection or an unknown name is tried three times (about
//!   half a second), a timeout once; then it is final;
//! - 501 "not implemented" is final, not a server in trouble;
//! - a redirect is an error that keeps the region the server named, which the client would drop.

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

/// Makes clients that go through [`Wire`].
#[derive(Debug)]
pub(crate) struct Wiring {
    pub(crate) base: Arc<dyn HttpConnector>,
    pub(crate) calls: Arc<AtomicU64>,
}

impl HttpConnector for Wiring {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Wire {
            client: self.base.connect(options)?,
            calls: Arc::clone(&self.calls),
            answered: AtomicBool::new(false),
            failures: AtomicU32::new(0),
        }))
    }
}

/// One server as seen through its answers.
#[derive(Debug)]
struct Wire {
    client: HttpClient,
    calls: Arc<AtomicU64>,
    answered: AtomicBool,
    failures: AtomicU32,
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.client.execute(request).await {
            Ok(response) => {
                self.answered.store(true, Ordering::Relaxed);
                Ok(final_answer(response))
            }
            Err(error) if self.answered.load(Ordering::Relaxed) => Err(error),
            Err(error) => Err(self.unanswered(error)),
        }
    }
}

impl Wire {
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
fn final_answer(mut response: HttpResponse) -> HttpResponse {
    let status = response.status();
    let unchanged = status.as_u16() == 304;
    let redirect = status.is_redirection() && !unchanged;
    if !redirect && status.as_u16() != 501 {
        return response;
    }
    if redirect {
        let region = response.headers().get("x-amz-bucket-region").and_then(|r| r.to_str().ok());
        let region = region.map(|region| format!("<Region>{region}</Region>")).unwrap_or_default();
        let body = format!("<Error><Code>PermanentRedirect</Code>{region}</Error>");
        *response.body_mut() = HttpResponseBody::from(body);
    }
    *response.status_mut() = 400u16.try_into().expect("400 is a status");
    response
}
