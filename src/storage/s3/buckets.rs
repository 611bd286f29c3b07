//! The buckets of a server: one signed request of ours, as the client has none for it. It is sent once.

use std::sync::Arc;

use object_store::Error as StoreError;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpConnector, HttpRequest, HttpRequestBody};
use strsim::levenshtein;

use super::client::{backend, http_options};
use super::http::WEB_PAGE;
use super::mc;
use crate::error::{Error, Kind, Result};
use crate::storage::explain::Verb;
use crate::storage::location::Location;
use crate::storage::registry::Stores;
use crate::storage::schemes::Scheme;

/// An S3 server: that of an alias, or the one of the other settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    alias: Option<String>,
}

/// How many letters of a bucket's name may be wrong.
const NEAR: usize = 2;

impl Stores {
    /// The server that `text` names, if it names one and no bucket: `s3://`, or an alias alone.
    pub fn server(&self, text: &str) -> Option<Server> {
        if let Some((scheme, rest)) = text.split_once("://") {
            let is_s3 = Scheme::named(scheme) == Some(Scheme::S3);
            return (is_s3 && rest.is_empty()).then(Server::default);
        }
        let text = format!("{}/", text.strip_suffix('/').unwrap_or(text));
        let (alias, rest) = mc::split_alias(&text, &self.options().environment)?;
        rest.is_empty().then(|| Server { alias: Some(alias.to_owned()) })
    }

    /// The names of the buckets of a server, sorted.
    ///
    /// # Errors
    /// If the options give no keys, or the server cannot be reached or refuses.
    pub async fn buckets(&self, server: &Server) -> Result<Vec<String>> {
        let alias = server.alias.as_deref();
        let settings = self.options().settle(alias)?;
        let backend = backend(&settings, alias, "");
        let explained = |source| {
            let error = StoreError::Generic { store: "S3", source };
            Error::from(backend.explain(Verb::List, "", error))
        };
        let endpoint = settings.server().value;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = format!("{endpoint}/").parse().map_err(|cause| {
            let what = format!("the endpoint '{endpoint}' is not an address");
            Error::new(Kind::Configuration, what).caused_by(cause)
        })?;
        let client = self.counting(Arc::default()).connect(&http_options(&settings)?)?;
        if let Some(keys) = settings.keys {
            let credential = keys.provider().get_credential().await?;
            let region = &settings.region.value;
            AwsAuthorizer::new(&credential, "s3", region).authorize(&mut request, None);
        }
        let answer = client.execute(request).await.map_err(|cause| explained(cause.into()))?;
        let status = answer.status();
        let body = answer.into_body().bytes().await.map_err(|cause| explained(cause.into()))?;
        let body = String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(explained(format!("status code: {} {body}", status.as_u16()).into()));
        }
        if !body.contains("<ListAllMyBucketsResult") {
            return Err(explained(format!("<Code>{WEB_PAGE}</Code>").into()));
        }
        let name =
            |bucket: &str| Some(bucket.split_once("<Name>")?.1.split_once('<')?.0.to_owned());
        let mut names: Vec<_> = body.split("<Bucket>").skip(1).filter_map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Adds to the error of a missing bucket the names of buckets that are almost the same, if the
    /// server lists them.
    pub async fn with_near_buckets(&self, location: &Location, error: Error) -> Error {
        let bucket = location.url().host_str().unwrap_or_default();
        if error.kind() != Kind::InputMissing || location.scheme() != Scheme::S3 {
            return error;
        }
        let server = Server { alias: location.alias().map(str::to_owned) };
        let names = self.buckets(&server).await.unwrap_or_default();
        let near = names.iter().filter(|name| levenshtein(name, bucket) <= NEAR);
        let near: Vec<_> = near.map(|name| format!("'{name}'")).collect();
        if near.is_empty() || names.iter().any(|name| name == bucket) {
            return error;
        }
        Error::missing(format!("{error}: did you mean {}?", near.join(" or "))).caused_by(error)
    }
}
