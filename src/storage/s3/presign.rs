//! Links to objects that work without keys for a while.

use std::sync::Arc;
use std::time::Duration;

use object_store::signer::Signer;

use super::client::{client, patience};
use crate::error::{Error, Result};
use crate::storage::location::Location;
use crate::storage::registry::Stores;
use crate::storage::schemes::Scheme;

/// How long a link may work: servers refuse a signature that lasts longer.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkTo {
    /// The bytes of the object.
    Read,
    /// A new object in its place.
    Write,
}

impl Stores {
    /// A link to the object `location` that works for the time `expires`. It does not talk to the server.
    ///
    /// # Errors
    /// Of kind [`Kind::Usage`](crate::error::Kind::Usage) for what is no object on S3 and for a time that
    /// servers refuse; if the options give no keys.
    pub async fn link(&self, location: &Location, to: LinkTo, expires: Duration) -> Result<String> {
        if location.scheme() != Scheme::S3 {
            return Err(Error::usage(format!(
                "'{location}' is not on S3: only a server can give access to an object by a link"
            )));
        }
        if location.path().as_ref().is_empty() || location.glob().is_some() {
            return Err(Error::usage(format!("'{location}' is not one object: name its key")));
        }
        if expires.is_zero() || expires > LONGEST {
            return Err(Error::usage("a link works for at least 1s and at most 7d"));
        }
        let settings = self.options().settle(location.alias())?;
        if settings.keys.is_none() {
            return Err(Error::usage(
                "a link is signed with your keys, and --no-sign-request uses none",
            ));
        }
        let bucket = location.url().host_str().unwrap_or_default();
        let connector = self.counting(&settings, Arc::default());
        let client = client(bucket, settings, connector, patience(Duration::from_millis(100)))?;
        let method = match to {
            LinkTo::Read => "GET",
            LinkTo::Write => "PUT",
        };
        let method = method.parse().expect("a method of HTTP");
        Ok(client.signed_url(method, location.path(), expires).await?.into())
    }
}
