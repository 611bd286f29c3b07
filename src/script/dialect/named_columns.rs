//! The names that a query says: of all columns of its tables, only those can matter to it.
//!
//! A file of text shows the types of its columns only when it is read through; which of them a query needs
//! is known before.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Select, SelectItem, Statement, Visit, Visitor};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Every name in a query, in small letters; more than columns are among them. `None` if it may mean columns
/// that it does not name, or is no query.
pub(in crate::script) fn named_columns(
    parsed: &Parsed,
    tokens: &[TokenWithSpan],
) -> Option<BTreeSet<String>> {
    let Parsed::Statement(statement) = parsed else { return None };
    let Statement::Query(query) = statement.as_ref() else { return None };
    if query.visit(&mut Wildcards).is_break() {
        return None;
    }
    let words = tokens.iter().filter_map(|spanned| match &spanned.token {
        Token::Word(word) => Some(word),
        _ => None,
    });
    // `NATURAL JOIN t` and `TABLE t` mean columns that they do not name.
    let means_others =
        |keyword: Keyword| matches!(keyword, Keyword::NATURAL | Keyword::TABLE | Keyword::COLUMNS);
    match words.clone().any(|word| means_others(word.keyword)) {
        true => None,
        false => Some(words.map(|word| word.value.to_lowercase()).collect()),
    }
}

/// Stops at `*` in the place of columns.
struct Wildcards;

impl Visitor for Wildcards {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let is_wildcard = |item: &SelectItem| {
            matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
        };
        match select.projection.is_empty() || select.projection.iter().any(is_wildcard) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::DFParser;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;
    use rstest::rstest;

    use super::*;
    use crate::script::dialect::{Form, form_of, with_select};

    fn named(sql: &str) -> Option<BTreeSet<String>> {
        let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().unwrap();
        let tokens = with_select(&tokens);
        let parsed = DFParser::parse_sql(sql).unwrap().pop_front().unwrap();
        let Form::Runs(parsed) = form_of(parsed).unwrap() else { panic!("a statement") };
        named_columns(&parsed, &tokens)
    }

    #[rstest]
    #[case("SELECT count(*) FROM 'x.csv'", &["select", "count", "from"])]
    #[case(
        "SELECT City, avg(\"Pri ce\") * 2 FROM 'x.csv' GROUP BY 1",
        &["select", "city", "avg", "pri ce", "from", "group", "by"]
    )]
    #[case(
        "WITH t AS (SELECT a FROM 'x.csv') SELECT a FROM t JOIN 'y.csv' USING (k)",
        &["with", "t", "as", "select", "a", "from", "join", "using", "k"]
    )]
    fn a_query_names_its_columns(#[case] sql: &str, #[case] expected: &[&str]) {
        let expected = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(named(sql), Some(expected), "{sql}");
    }

    #[rstest]
    #[case("SELECT * FROM 'x.csv'")]
    #[case("SELECT x.* FROM 'x.csv' AS x")]
    #[case("SELECT a FROM (SELECT * FROM 'x.csv')")]
    #[case("SELECT a FROM 'x.csv' WHERE EXISTS (SELECT * FROM 'y.csv')")]
    #[case("SELECT count(*) FROM 'x.csv' NATURAL JOIN 'y.csv'")]
    #[case("SELECT 1 UNION ALL TABLE x")]
    #[case("CREATE TABLE t AS SELECT a FROM 'x.csv'")]
    #[case("EXPLAIN SELECT a FROM 'x.csv'")]
    #[case("INSERT INTO t SELECT a FROM 'x.csv'")]
    fn what_is_not_named_may_be_meant(#[case] sql: &str) {
        assert_eq!(named(sql), None, "{sql}");
    }
}
