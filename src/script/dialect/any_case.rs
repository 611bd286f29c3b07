//! Columns without quotes in any letters, where one column only is meant.
//!
//! The engine takes names without quotes for small letters, as PostgreSQL does, so that `Num_Acc` of a file is not
//! found. DuckDB finds it. Where a column is unknown and one known column differs in the case of its letters
//! alone, that is taken.

use std::ops::ControlFlow;

use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::sql::parser::{CopyToSource, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{Expr, Ident, VisitMut, VisitorMut};

/// `parsed` with the name that the engine did not find as a column has it; `None` if no column, or
/// several, may be meant.
pub(in crate::script) fn in_the_case_of_its_column(
    parsed: &Parsed,
    cause: &DataFusionError,
) -> Option<Parsed> {
    let (unknown, known) = unknown_column(cause)?;
    let small = unknown.to_lowercase();
    let mut alike: Vec<&str> =
        known.iter().map(Column::name).filter(|name| name.to_lowercase() == small).collect();
    alike.sort_unstable();
    alike.dedup();
    let [meant] = alike[..] else { return None };
    let mut changed = parsed.clone();
    let mut renaming = Renaming { small, meant: meant.to_owned(), renamed: false };
    visit(&mut changed, &mut renaming);
    renaming.renamed.then_some(changed)
}

fn visit(parsed: &mut Parsed, renaming: &mut Renaming) {
    let done: ControlFlow<()> = match parsed {
        Parsed::Statement(statement) => statement.visit(renaming),
        Parsed::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => query.visit(renaming),
            CopyToSource::Relation(_) => ControlFlow::Continue(()),
        },
        Parsed::Explain(explain) => {
            visit(&mut explain.statement, renaming);
            ControlFlow::Continue(())
        }
        _ => ControlFlow::Continue(()),
    };
    debug_assert!(done.is_continue(), "names are changed in the whole statement");
}

/// The column that the engine does not know, and those that it does.
fn unknown_column(cause: &DataFusionError) -> Option<(String, &[Column])> {
    match cause {
        DataFusionError::SchemaError(error, _) => match error.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                Some((field.name.clone(), valid_fields))
            }
            _ => None,
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            unknown_column(inner)
        }
        DataFusionError::Collection(several) => several.first().and_then(unknown_column),
        DataFusionError::Shared(inner) => unknown_column(inner),
        _ => None,
    }
}

struct Renaming {
    small: String,
    meant: String,
    renamed: bool,
}

impl Renaming {
    fn requote(&mut self, ident: &mut Ident) {
        if ident.quote_style.is_none() && ident.value.to_lowercase() == self.small {
            ident.value.clone_from(&self.meant);
            ident.quote_style = Some('"');
            self.renamed = true;
        }
    }
}

impl VisitorMut for Renaming {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.requote(ident),
            Expr::CompoundIdentifier(parts) => parts.iter_mut().rev().take(1).for_each(|ident| {
                self.requote(ident);
            }),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
