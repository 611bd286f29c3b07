//! A server whose requests fail on plan, under the S3 client and its retries.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

/// What goes wrong, at the request of a number counted from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// This request and all later ones are refused, as if the process had died before it.
    DiesBefore(usize),
    /// This request is done, but the process dies before it hears of it.
    DiesAfter(usize),
    /// This request is done and answered with 500, so the client repeats it.
    DoneAndAnswered500(usize),
}

impl Fault {
    /// Puts the fault between a client and a server.
    pub(crate) fn over(self, server: Arc<dyn HttpConnector>) -> Faulty {
        Faulty { fault: self, server, requests: Arc::default() }
    }
}

/// A connector with a fault.
#[derive(Clone)]
pub(crate) struct Faulty {
    fault: Fault,
    server: Arc<dyn HttpConnector>,
    requests: Arc<AtomicUsize>,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

impl HttpConnector for Faulty {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let server = self.server.connect(options)?;
        let (fault, requests) = (self.fault, Arc::clone(&self.requests));
        Ok(HttpClient::new(Service { fault, server, requests }))
    }
}

#[derive(Debug)]
struct Service {
    fault: Fault,
    server: HttpClient,
    requests: Arc<AtomicUsize>,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::DiesBefore(at) if number >= at => Ok(answer(403)),
            Fault::DiesAfter(at) if number > at => Ok(answer(403)),
            Fault::DiesAfter(at) if number == at => {
                self.server.execute(request).await?;
                Ok(answer(403))
            }
            Fault::DoneAndAnswered500(at) if number == at => {
                self.server.execute(request).await?;
                Ok(answer(500))
            }
            _ => self.server.execute(request).await,
        }
    }
}

/// An empty answer: 403 is not repeated by the client, 500 is.
fn answer(status: u16) -> HttpResponse {
    let mut response = HttpResponse::new(HttpResponseBody::from(String::new()));
    *response.status_mut() = status.try_into().unwrap();
    response
}
