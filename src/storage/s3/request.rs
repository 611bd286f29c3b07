//! Requests of our own, which the client has no call for: what a server, or a bucket, lists; a new bucket.

use bytes::Bytes;
use object_store::Error as StoreError;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
};

use super::client::{backend, http_options};
use super::credentials::KeySource;
use super::http::{CountingConnector, WEB_PAGE};
use super::settings::Settings;
use crate::error::{Error, Kind, Result};
use crate::storage::explain::{Backend, Verb};

/// How often a request is sent whose answer is lost or cut short.
const TRIES: usize = 3;

/// A server, or a bucket of it, that is asked for lists, or shall be made.
pub(crate) struct Lister {
    region: String,
    keys: Option<AwsCredentialProvider>,
    backend: Backend,
    client: HttpClient,
    /// The address of the server or bucket.
    address: String,
}

impl Lister {
    /// Asks a bucket, or without a name the server.
    pub(crate) fn of(
        settings: Settings,
        alias: Option<&str>,
        bucket: &str,
        connector: &CountingConnector,
    ) -> Result<Self> {
        let backend = backend(&settings, alias, bucket);
        let client = connector.connect(&http_options(&settings)?)?;
        let endpoint = settings.server().value;
        let address = match (bucket, settings.virtual_host) {
            ("", _) => format!("{endpoint}/"),
            (bucket, true) => endpoint.replacen("://", &format!("://{bucket}."), 1) + "/",
            (bucket, false) => format!("{endpoint}/{bucket}"),
        };
        let (region, keys) = (settings.region.value, settings.keys.map(KeySource::provider));
        Ok(Self { region, keys, backend, client, address })
    }

    /// The list that answers `query`, whose element is `name`.
    pub(super) async fn list(&self, query: &str, name: &str) -> Result<String> {
        let (status, body) = self.answer(query).await?;
        if !(200..300).contains(&status) {
            return Err(self.refused(Verb::List, status, &body));
        }
        if !body.contains(&format!("<{name}")) {
            let page = format!("<Code>{WEB_PAGE}</Code>");
            return Err(self.explained(Verb::List, page.into()));
        }
        Ok(body)
    }

    /// Status and body of the answer about the object `key`.
    pub(super) async fn about(&self, key: &str, query: &str) -> Result<(u16, String)> {
        let slash = if self.address.ends_with('/') { "" } else { "/" };
        self.answer(&format!("{slash}{key}{query}")).await
    }

    /// Status and body of the answer to the wish that the bucket be made. It is sent once: after a lost answer
    /// the bucket may be there.
    pub(super) async fn make_bucket(&self) -> Result<(u16, String)> {
        let body = match self.region.as_str() {
            // The region in which a bucket is made that names none.
            "us-east-1" => String::new(),
            region => format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                 <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            ),
        };
        let answer = self.ask("PUT", &self.address, body.into()).await?;
        answer.map_err(|error| self.explained(Verb::Make, error.into()))
    }

    /// The error of an answer that is none.
    pub(super) fn refused(&self, verb: Verb, status: u16, body: &str) -> Error {
        self.explained(verb, format!("status code: {status} {body}").into())
    }

    fn explained(&self, verb: Verb, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        let error = StoreError::Generic { store: "S3", source };
        self.backend.explain(verb, "", error).into()
    }

    async fn answer(&self, query: &str) -> Result<(u16, String)> {
        let address = format!("{}{query}", self.address);
        let mut others = 1..TRIES;
        loop {
            match self.ask("GET", &address, Bytes::new()).await? {
                Ok(answer) => return Ok(answer),
                Err(error) if error.kind() != HttpErrorKind::Unknown && others.next().is_some() => {
                    tracing::debug!("'{address}' is asked again: {error}");
                }
                Err(error) => return Err(self.explained(Verb::List, error.into())),
            }
        }
    }

    /// Sends one request; status and body of its answer.
    async fn ask(
        &self,
        method: &str,
        address: &str,
        body: Bytes,
    ) -> Result<Result<(u16, String), HttpError>> {
        let mut request = HttpRequest::new(HttpRequestBody::from(body));
        *request.method_mut() = method.parse().expect("a method of HTTP");
        *request.uri_mut() = address.parse().map_err(|cause| {
            let what = format!("'{address}' is not an address");
            Error::new(Kind::Configuration, what).caused_by(cause)
        })?;
        if let Some(keys) = &self.keys {
            let credential = keys.get_credential().await?;
            AwsAuthorizer::new(&credential, "s3", &self.region).authorize(&mut request, None);
        }
        let answered = async {
            let answer = self.client.execute(request).await?;
            let status = answer.status().as_u16();
            let body = answer.into_body().bytes().await?;
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        Ok(answered.await)
    }
}

/// The text of the first element `name` in `xml`, as a person would write it.
pub(super) fn text_of(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let marks = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'")];
    let text = marks.iter().fold(text.to_owned(), |text, (mark, sign)| text.replace(mark, sign));
    Some(text.replace("&#13;", "\r").replace("&#10;", "\n").replace("&amp;", "&"))
}
