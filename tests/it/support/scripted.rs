//! An HTTP server whose answers are written down, under the S3 client.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};

type Script = dyn Fn(&HttpRequest) -> Result<(u16, String), HttpError> + Send + Sync;

/// A server whose answers are written down.
#[derive(Clone)]
pub(crate) struct Scripted(Arc<Script>);

impl Scripted {
    /// A server that answers each request with a status and a body, or not at all.
    pub(crate) fn new(
        script: impl Fn(&HttpRequest) -> Result<(u16, String), HttpError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(script))
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl HttpConnector for Scripted {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Scripted {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (status, body) = (self.0)(&request)?;
        let html = body.starts_with("<html");
        let mut response = HttpResponse::new(HttpResponseBody::from(body));
        *response.status_mut() = status.try_into().unwrap();
        let header = match status {
            301 => ("x-amz-bucket-region", "eu-west-3"),
            _ if html => ("content-type", "text/html; charset=utf-8"),
            _ => ("content-type", "application/xml"),
        };
        response.headers_mut().insert(header.0, header.1.parse().unwrap());
        Ok(response)
    }
}
