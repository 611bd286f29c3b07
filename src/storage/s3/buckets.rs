//! The buckets of a server.

use strsim::levenshtein;

use super::mc;
use super::request::text_of;
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

impl Server {
    /// The server of a location.
    fn of(location: &Location) -> Self {
        Self { alias: location.alias().map(str::to_owned) }
    }
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
        let lister = self.lister(server.alias.as_deref(), "")?;
        let body = lister.list("", "ListAllMyBucketsResult").await?;
        let name = |bucket: &str| text_of(bucket, "Name");
        let mut names: Vec<_> = body.split("<Bucket>").skip(1).filter_map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Makes a bucket; `false` if it is there already and belongs to who asks.
    ///
    /// # Errors
    /// Of kind [`Kind::Usage`] for what names no bucket on S3, of kind [`Kind::OutputExists`] for a bucket of
    /// someone else; if the server cannot be reached or refuses.
    pub async fn make_bucket(&self, location: &Location) -> Result<bool> {
        if location.scheme() != Scheme::S3 {
            return Err(Error::usage(format!(
                "'{location}' is not on S3, so it needs no bucket: a folder is made when something is \
                 written into it"
            )));
        }
        if !location.path().as_ref().is_empty() {
            return Err(Error::usage(format!(
                "'{location}' is not the name of a bucket alone: expected {}://NAME",
                Scheme::S3
            )));
        }
        let bucket = location.url().host_str().unwrap_or_default();
        let lister = self.lister(location.alias(), bucket)?;
        let (status, body) = lister.make_bucket().await?;
        match text_of(&body, "Code").as_deref() {
            Some("BucketAlreadyOwnedByYou") => Ok(false),
            Some("BucketAlreadyExists") => {
                // Some servers say so of one's own, too.
                let is_ours = self.buckets(&Server::of(location)).await;
                match is_ours.is_ok_and(|names| names.iter().any(|name| name == bucket)) {
                    true => Ok(false),
                    false => Err(Error::new(
                        Kind::OutputExists,
                        format!(
                            "bucket '{location}' exists already, and belongs to someone else: choose \
                             another name"
                        ),
                    )),
                }
            }
            _ if (200..300).contains(&status) => Ok(true),
            _ => Err(lister.refused(Verb::Make, status, &body)),
        }
    }

    /// Adds to the error of a missing bucket the names of buckets that are almost the same, if the
    /// server lists them.
    pub async fn with_near_buckets(&self, location: &Location, error: Error) -> Error {
        let bucket = location.url().host_str().unwrap_or_default();
        if error.kind() != Kind::InputMissing || location.scheme() != Scheme::S3 {
            return error;
        }
        let names = self.buckets(&Server::of(location)).await.unwrap_or_default();
        let near = names.iter().filter(|name| levenshtein(name, bucket) <= NEAR);
        let near: Vec<_> = near.map(|name| format!("'{name}'")).collect();
        if near.is_empty() || names.iter().any(|name| name == bucket) {
            return error;
        }
        Error::missing(format!("{error}: did you mean {}?", near.join(" or "))).caused_by(error)
    }
}
