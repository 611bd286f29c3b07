//! An access key, and where a setting was read.

use std::fmt;
use std::sync::Arc;

use object_store::aws::AwsCredential;
use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, Kind, Result};

/// A value and where it was read, for messages: `AWS_S3_ENDPOINT`, `--region`, a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) origin: String,
}

impl<T> Sourced<T> {
    pub(crate) fn new(value: T, origin: impl Into<String>) -> Self {
        Self { value, origin: origin.into() }
    }
}

/// `'value' (from origin)`.
impl<T: fmt::Display> fmt::Display for Sourced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' (from {})", self.value, self.origin)
    }
}

/// An access key. No `Debug`: there is nothing in it to show.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: SecretString,
    pub(crate) token: Option<SecretString>,
}

impl Keys {
    /// Keys without the blanks that copying leaves around them. All three end up in a header, so
    /// they must be visible ASCII.
    pub(crate) fn new(
        id: &str,
        secret: &str,
        token: Option<&str>,
        origin: &str,
    ) -> Result<Sourced<Self>> {
        let (id, secret, token) = (id.trim(), secret.trim(), token.map(str::trim));
        let visible = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
        if ![Some(id), Some(secret), token].into_iter().flatten().all(visible) {
            return Err(Error::new(
                Kind::Configuration,
                format!("the keys from {origin} contain a space or a character outside ASCII"),
            ));
        }
        let secret = SecretString::from(secret);
        Ok(Sourced::new(Self { id: id.to_owned(), secret, token: token.map(Into::into) }, origin))
    }

    /// As much of the key as messages may show.
    pub(crate) fn hint(&self) -> String {
        format!("…{}", &self.id[self.id.len().saturating_sub(4)..])
    }

    /// The key as the client wants it.
    pub(crate) fn credential(&self) -> Arc<AwsCredential> {
        Arc::new(AwsCredential {
            key_id: self.id.clone(),
            secret_key: self.secret.expose_secret().to_owned(),
            token: self.token.as_ref().map(|token| token.expose_secret().to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lose_the_blanks_around_them_and_refuse_others() {
        let keys = Keys::new(" AKID1234\n", "s/+=\n", Some("t "), "X").unwrap().value;
        assert_eq!((keys.id.as_str(), keys.secret.expose_secret()), ("AKID1234", "s/+="));
        assert_eq!(keys.hint(), "…1234");
        let error = Keys::new("AKID", "can\nary", None, "AWS_ACCESS_KEY_ID").err().unwrap();
        assert!(!error.to_string().contains("can"), "{error}");
    }
}
