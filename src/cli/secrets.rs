//! Secrets of a script: what is hidden from messages, logs and records, and how.
//!
//! A variable is a secret if it is set by `--set-secret`, or if its name says so. Its value is shown
//! nowhere but in the rows that the script itself prints. In SQL that is recorded, a literal behind a name
//! of this kind (`OPTIONS ('secret_key' '…')`) is one, too.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::script;

/// What stands in the place of a secret.
pub(super) const HIDDEN: &str = "***";

/// A name with one of these in it is that of a secret.
const WORDS: [&str; 6] = ["credential", "key", "passwd", "password", "secret", "token"];

/// Values of variables whose name says that they are secret are hidden in messages from this length on:
/// `--set key=id` would hide every `id`.
const MIN_BYTES: usize = 8;

/// Whether a name says that its value is a secret.
pub(super) fn names_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// SQL for a record: without the literals behind names of secrets, and without any text if it cannot be
/// taken apart.
pub(super) fn recorded_sql(text: &str) -> String {
    script::without_literals(text, names_secret, HIDDEN).unwrap_or_else(|| HIDDEN.to_owned())
}

/// Values that no one may read.
#[derive(Clone, Default)]
pub struct Secrets(Arc<[SecretString]>);

impl Secrets {
    /// The values that are `given` as secrets, and those of `variables` whose names say so.
    pub(super) fn of<'a>(
        given: impl Iterator<Item = SecretString>,
        variables: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let by_name =
            variables.filter(|(name, value)| names_secret(name) && value.len() >= MIN_BYTES);
        let by_name = by_name.map(|(_, value)| SecretString::from(value));
        let given = given.filter(|value| !value.expose_secret().is_empty());
        Self(given.chain(by_name).collect())
    }

    /// `text` without them.
    pub(super) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.iter().fold(Cow::Borrowed(text), |text, secret| {
            match text.contains(secret.expose_secret()) {
                true => Cow::Owned(text.replace(secret.expose_secret(), HIDDEN)),
                false => text,
            }
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_text() {
        let variables = [("api_token", "hunter2hunter2"), ("key", "id"), ("out", "somewhere")];
        let secrets = Secrets::of([SecretString::from("s")].into_iter(), variables.into_iter());
        assert_eq!(secrets.hide("hunter2hunter2 in somewhere, id"), "*** in ***omewhere, id");
        assert_eq!(format!("{secrets:?}"), "2 secrets");
        assert!(matches!(secrets.hide("a quiet night"), Cow::Borrowed(_)));
    }

    #[test]
    fn sql_is_recorded_without_the_literals_behind_names_of_secrets() {
        let cases = [
            ("SELECT 'a', 1 -- b\n", "SELECT 'a', 1 -- b\n"),
            ("OPTIONS ('aws.secret_access_key' 'x y')", "OPTIONS ('aws.secret_access_key' '***')"),
            (
                "WHERE token = 'x' AND \"Password\" <> $$y$$",
                "WHERE token = '***' AND \"Password\" <> '***'",
            ),
            ("CALL f(key => 12, k => 2)", "CALL f(key => '***', k => 2)"),
            ("SELECT 'secret', 'x'", "SELECT 'secret', 'x'"),
            ("password = 'no end", "***"),
        ];
        for (text, expected) in cases {
            assert_eq!(recorded_sql(text), expected);
        }
    }
}
