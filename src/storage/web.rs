//! An answer of a web server that may never end, as its bytes come: no more of them are taken than are asked
//! for.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use hyper::{HeaderMap, Request};
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody, ReqwestConnector};

use crate::error::{Error, Kind, Result};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Who asks.
const USER_AGENT: &str = concat!("pleiad/", env!("CARGO_PKG_VERSION"));

/// A client of web servers.
#[derive(Debug)]
pub(crate) struct WebClient(HttpClient);

/// The begin of an answer, and its bytes.
pub(crate) struct WebAnswer {
    pub(crate) status: u16,
    /// What the bytes are, as `text/event-stream`.
    pub(crate) content_type: String,
    /// How long to wait before asking again.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) bytes: BoxStream<'static, Result<Bytes>>,
}

impl WebClient {
    /// A client with the proxies and certificates of this machine.
    pub(crate) fn new() -> Result<Self> {
        let options = ClientOptions::new()
            .with_user_agent(USER_AGENT.parse().expect("it is ASCII"))
            .with_allow_http(true)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout_disabled();
        let client = ReqwestConnector::default().connect(&options);
        client.map(Self).map_err(|cause| {
            Error::new(Kind::Configuration, format!("cannot make a client for HTTP: {cause}"))
        })
    }

    /// Asks for `address`.
    pub(crate) async fn get(&self, address: &str, headers: &[(&str, &str)]) -> Result<WebAnswer> {
        let mut request = Request::get(address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(HttpRequestBody::empty()).map_err(|cause| {
            Error::usage(format!("'{address}' is not an address to ask: {cause}"))
        })?;
        let shown = address.to_owned();
        let failed = move |cause: object_store::client::HttpError| {
            Error::new(Kind::Unreachable, format!("no answer from '{shown}'")).caused_by(cause)
        };
        let answer = self.0.execute(request).await.map_err(&failed)?;
        let (head, body) = answer.into_parts();
        let bytes = body.bytes_stream().map(move |bytes| bytes.map_err(&failed)).boxed();
        let content_type = header(&head.headers, "content-type").unwrap_or_default().to_owned();
        let retry_after = header(&head.headers, "retry-after").and_then(|text| text.parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        Ok(WebAnswer { status: head.status.as_u16(), content_type, retry_after, bytes })
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
