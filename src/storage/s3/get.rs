//! Signed GET requests of ours, for questions that the client has no call for. Each is sent once.

use object_store::Error as StoreError;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpConnector, HttpRequest, HttpRequestBody};

use super::client::{backend, http_options};
use super::http::CountingConnector;
use super::settings::Settings;
use crate::error::{Error, Kind, Result};
use crate::storage::explain::{Backend, Verb};

/// Asks a server, or about a bucket of it.
pub(crate) struct SignedGet {
    settings: Settings,
    bucket: String,
    connector: CountingConnector,
    backend: Backend,
}

impl SignedGet {
    /// Asks about `bucket`; without a name about the server.
    pub(crate) fn new(
        settings: Settings,
        alias: Option<&str>,
        bucket: &str,
        connector: CountingConnector,
    ) -> Self {
        let backend = backend(&settings, alias, bucket);
        Self { settings, bucket: bucket.to_owned(), connector, backend }
    }

    /// The status and text of the answer about `key` with a query.
    pub(crate) async fn get(&self, key: &str, query: &str) -> Result<(u16, String)> {
        let failed = |cause| self.explained(key, cause);
        let address = self.address(key, query);
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = address.parse().map_err(|cause| {
            let endpoint = self.settings.server().value;
            let what = format!("the endpoint '{endpoint}' is not an address");
            Error::new(Kind::Configuration, what).caused_by(cause)
        })?;
        let client = self.connector.connect(&http_options(&self.settings)?)?;
        if let Some(keys) = self.settings.keys.clone() {
            let credential = keys.provider().get_credential().await?;
            let region = &self.settings.region.value;
            AwsAuthorizer::new(&credential, "s3", region).authorize(&mut request, None);
        }
        let answer = client.execute(request).await.map_err(|cause| failed(cause.into()))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().bytes().await.map_err(|cause| failed(cause.into()))?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    fn address(&self, key: &str, query: &str) -> String {
        let endpoint = self.settings.server().value;
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        let key = encoded(key);
        match (self.bucket.as_str(), self.settings.virtual_host) {
            ("", _) => format!("{endpoint}/{query}"),
            (bucket, false) => format!("{endpoint}/{bucket}/{key}{query}"),
            (bucket, true) => {
                let host = endpoint.replacen("://", &format!("://{bucket}."), 1);
                format!("{host}/{key}{query}")
            }
        }
    }

    /// The error of an answer that is none.
    pub(crate) fn refused(&self, key: &str, status: u16, body: &str) -> Error {
        self.explained(key, format!("status code: {status} {body}").into())
    }

    fn explained(&self, key: &str, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        let error = StoreError::Generic { store: "S3", source };
        self.backend.explain(Verb::List, key, error).into()
    }
}

/// A key or value as a signature wants it: all but letters, digits, `-._~` and `/` as `%XX`.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'/' => encoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
