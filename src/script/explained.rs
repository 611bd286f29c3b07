//! Errors of statements with their place; a name that is not known with the one that may be meant.

use std::collections::BTreeSet;

use datafusion::common::DataFusionError;

use super::run::Script;
use super::statements::Statement;
use crate::error::Error;

impl Script {
    /// An error with its place; an unknown table or function with what is known instead.
    pub(super) fn explained(
        &self,
        statement: &Statement,
        cause: impl Into<DataFusionError>,
    ) -> Error {
        let cause = cause.into();
        let text = cause.find_root().message().into_owned();
        let message = match Unknown::of(&text) {
            None => return statement.failed(cause),
            Some(Unknown::Table(name)) => {
                self.unknown_table(name.trim_start_matches("datafusion.public."))
            }
            Some(Unknown::Function(name)) => self.unknown_function(name),
            Some(Unknown::TableFunction(name)) => self.unknown_table_function(name),
        };
        let place = cause.diagnostic().and_then(|diagnostic| diagnostic.span);
        statement.failed_in(place, Error::usage(message))
    }

    fn unknown_table(&self, name: &str) -> String {
        let known = self.table_names();
        let near = nearest(name, &known);
        let near = near.map_or_else(String::new, |near| format!("did you mean '{near}'? "));
        let known = match known.is_empty() {
            true => "no table has been created yet".to_owned(),
            false => format!("known are {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        };
        format!(
            "table '{name}' not found, {known}: {near}create it, or write a location with a slash, as in \
             FROM './{name}'"
        )
    }

    fn unknown_function(&self, name: &str) -> String {
        let state = self.session.state();
        let mut known: BTreeSet<String> = state.scalar_functions().keys().cloned().collect();
        known.extend(state.aggregate_functions().keys().cloned());
        known.extend(state.window_functions().keys().cloned());
        match nearest(name, &known) {
            Some(near) => format!("function '{name}' not found: did you mean '{near}'?"),
            None => {
                format!("function '{name}' not found: SHOW FUNCTIONS lists those that are there")
            }
        }
    }

    fn unknown_table_function(&self, name: &str) -> String {
        let known = self.session.state().table_functions().keys().cloned().collect();
        match nearest(name, &known) {
            Some(near) => format!("table function '{name}' not found: did you mean '{near}'?"),
            None => format!(
                "table function '{name}' not found, expected {}",
                known.into_iter().collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

/// A name that the engine does not know.
enum Unknown<'a> {
    Table(&'a str),
    Function(&'a str),
    TableFunction(&'a str),
}

impl<'a> Unknown<'a> {
    /// What the engine says, as `table 'x' not found`.
    fn of(sentence: &'a str) -> Option<Self> {
        let name = |before: &str, after: &str| sentence.strip_prefix(before)?.split_once(after);
        if let Some((name, "")) = name("table '", "' not found") {
            return Some(Self::Table(name));
        }
        if let Some((name, "")) = name("table function '", "' not found") {
            return Some(Self::TableFunction(name));
        }
        let (name, _suggestion) = name("Invalid function '", "'")?;
        Some(Self::Function(name))
    }
}

/// The name that differs least from `name`, if a slip of the fingers explains it.
fn nearest(name: &str, known: &BTreeSet<String>) -> Option<String> {
    let slips = |other: &&String| strsim::osa_distance(&name.to_lowercase(), &other.to_lowercase());
    let near = known.iter().min_by_key(slips)?;
    (slips(&near) <= 1 + name.chars().count() / 4).then(|| near.clone())
}
