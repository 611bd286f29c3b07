//! Which names are meant, of those below a folder: `--include` and `--exclude`.

use crate::error::{Error, Result};

/// Patterns that a name has to match, and such that it must not.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    include: Vec<glob::Pattern>,
    exclude: Vec<glob::Pattern>,
}

impl Filter {
    /// Reads patterns. One without `/` is for the last part of a name, one with it for the whole path.
    ///
    /// # Errors
    /// A pattern that is malformed.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self> {
        let pattern = |text: &String| {
            glob::Pattern::new(text).map_err(|cause| {
                Error::usage(format!("'{text}' is not a pattern: {}", cause.msg)).caused_by(cause)
            })
        };
        Ok(Self {
            include: include.iter().map(pattern).collect::<Result<_>>()?,
            exclude: exclude.iter().map(pattern).collect::<Result<_>>()?,
        })
    }

    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether the object at this path below its folder is meant.
    pub fn takes(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let matches = |pattern: &glob::Pattern| {
            pattern.matches(if pattern.as_str().contains('/') { path } else { name })
        };
        (self.include.is_empty() || self.include.iter().any(matches))
            && !self.exclude.iter().any(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let owned =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Filter::new(&owned(include), &owned(exclude)).expect("patterns")
    }

    #[test]
    fn names_are_included_then_excluded() {
        let paths = ["a.csv", "in/b.csv", "in/c.txt", "in/deep/d.csv"];
        let taken = |filter: &Filter| {
            paths.iter().filter(|path| filter.takes(path)).copied().collect::<Vec<_>>()
        };
        assert_eq!(taken(&filter(&[], &[])), paths);
        assert_eq!(taken(&filter(&["*.csv"], &[])), ["a.csv", "in/b.csv", "in/deep/d.csv"]);
        assert_eq!(taken(&filter(&["*.csv"], &["in/*"])), ["a.csv"]);
        assert_eq!(taken(&filter(&[], &["*.csv"])), ["in/c.txt"]);
        assert!(filter(&[], &[]).is_empty() && !filter(&["x"], &[]).is_empty());
        assert!(Filter::new(&["[".to_owned()], &[]).is_err());
    }
}
