//! `FROM 'hip'` where a folder here has that name: a location, as `'./hip'` is. A table of that name comes first.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::{CopyToSource, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{ObjectNamePart, TableFactor, VisitMut, VisitorMut};

/// The names in single quotes after FROM that have no slash, put at `./` where `is_folder` says so.
///
/// Called with a function that is never true, it only gathers the names.
pub(in crate::script) fn folders_by_location(
    parsed: &mut Parsed,
    is_folder: &dyn Fn(&str) -> bool,
) -> BTreeSet<String> {
    let mut folders = Folders { is_folder, names: BTreeSet::new() };
    let done: ControlFlow<()> = match parsed {
        Parsed::Statement(statement) => statement.visit(&mut folders),
        Parsed::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => query.visit(&mut folders),
            CopyToSource::Relation(_) => ControlFlow::Continue(()),
        },
        Parsed::Explain(explain) => return folders_by_location(&mut explain.statement, is_folder),
        _ => ControlFlow::Continue(()),
    };
    debug_assert!(done.is_continue(), "all names are looked at");
    folders.names
}

struct Folders<'a> {
    is_folder: &'a dyn Fn(&str) -> bool,
    names: BTreeSet<String>,
}

impl VisitorMut for Folders<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: None, .. } = table
            && let [ObjectNamePart::Identifier(ident)] = &mut name.0[..]
            && ident.quote_style == Some('\'')
            && !ident.value.contains(['/', '@'])
        {
            if (self.is_folder)(&ident.value) {
                ident.value.insert_str(0, "./");
            }
            self.names.insert(ident.value.clone());
        }
        ControlFlow::Continue(())
    }
}
