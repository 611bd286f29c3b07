//! SQL as people know it: where the engine has another habit, or stops with words of its own, a script
//! follows PostgreSQL and DuckDB. docs/sql.md has the whole list.

mod any_case; // columns without quotes in any letters
mod arithmetic; // +, - and * of integers that do not fit
mod folders; // FROM 'x' where x is a folder here
mod forms; // FROM first; what no engine of ours does
mod named_columns; // the names that a query says
mod instants; // timestamps beyond nanoseconds beside text
mod overflow; // where these and SIMILAR TO are put into a plan
mod said; // sentences of the engine in our words
mod similar_to; // a pattern of the SQL standard as a regular expression
mod sum; // a sum of integers that does not fit

use std::sync::Arc;

use crate::session::Session;

pub(super) use any_case::in_the_case_of_its_column;
pub(super) use folders::folders_by_location;
pub(super) use forms::{Form, form_of, with_select};
pub(super) use named_columns::named_columns;
pub(super) use said::in_our_words;

/// Teaches a session of a script.
pub(super) fn teach(session: &Session) {
    let context = session.context();
    context.add_analyzer_rule(Arc::new(overflow::Checked));
    context.register_udaf(sum::checked_sum());
    // No table holds a union, so no one can call them.
    for function in ["union_extract", "union_tag"] {
        context.deregister_udf(function);
    }
}
