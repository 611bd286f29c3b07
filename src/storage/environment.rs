//! Where settings of the environment come from: the process, or a map that a test hands in.
//!
//! An empty variable counts as unset: a data-lab pod may carry `AWS_SESSION_TOKEN=""`, and an
//! empty token header makes static keys fail.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Variables by name. The default reads those of the process.
#[derive(Clone, Default)]
pub struct Environment {
    given: Option<Arc<BTreeMap<String, String>>>,
}

impl Environment {
    /// These variables and no others.
    pub fn of<K: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let given = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { given: Some(Arc::new(given.collect())) }
    }

    /// The value of a variable that is set, is not empty and is Unicode.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let value = match &self.given {
            Some(given) => given.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The first of these variables that is set: its name and its value.
    pub(crate) fn first<'a>(&self, names: &[&'a str]) -> Option<(&'a str, String)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    /// The names of all variables that begin with `prefix` and are not empty, sorted.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> = match &self.given {
            Some(given) => given.keys().cloned().collect(),
            None => std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect(),
        };
        names.retain(|name| name.starts_with(prefix) && self.get(name).is_some());
        names.sort_unstable();
        names
    }

    /// A file below the user's home directory.
    pub(crate) fn below_home(&self, relative: &str) -> Option<PathBuf> {
        Some(PathBuf::from(self.get("HOME")?).join(relative))
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.given {
            Some(given) => f.debug_set().entries(given.keys()).finish(),
            None => f.write_str("Environment of the process"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let environment = Environment::of([("A", ""), ("B", "1"), ("AB", "2")]);
        assert_eq!(environment.get("A"), None);
        assert_eq!(environment.first(&["A", "B"]), Some(("B", "1".to_owned())));
        assert_eq!(environment.names("A"), ["AB"]);
    }

    #[test]
    fn debug_shows_no_value() {
        let environment = Environment::of([("AWS_SECRET_ACCESS_KEY", "canary")]);
        assert_eq!(format!("{environment:?}"), r#"{"AWS_SECRET_ACCESS_KEY"}"#);
    }
}
