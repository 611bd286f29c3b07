//! Forms of SQL that the engine plans as something else, or refuses by printing its syntax tree.

use std::ops::ControlFlow;

use datafusion::sql::parser::{CopyToSource, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{
    Expr, Fetch, LimitClause, Query, Select, SelectFlavor, SelectItem, Statement, TableFactor,
    Value, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Error, Result};
use crate::functions::table_as_query;

/// What a statement is.
#[derive(Debug)]
pub(in crate::script) enum Form {
    /// One that the engine or a script runs.
    Runs(Parsed),
    /// `BEGIN` or `COMMIT`.
    Transaction,
}

/// The form of a statement, put so that the engine plans what is meant.
///
/// # Errors
/// If no one runs such a statement.
pub(in crate::script) fn form_of(mut parsed: Parsed) -> Result<Form> {
    if let Parsed::Statement(statement) = &parsed {
        match statement.as_ref() {
            Statement::StartTransaction { .. } | Statement::Commit { .. } => {
                return Ok(Form::Transaction);
            }
            Statement::Rollback { .. } | Statement::Savepoint { .. } => {
                return Err(Error::usage(
                    "there are no transactions: what a statement has written stays, and cannot be \
                     rolled back",
                ));
            }
            _ => {}
        }
    }
    match plainly(&mut parsed) {
        ControlFlow::Continue(()) => Ok(Form::Runs(parsed)),
        ControlFlow::Break(error) => Err(error),
    }
}

fn plainly(parsed: &mut Parsed) -> ControlFlow<Error> {
    match parsed {
        Parsed::Statement(statement) => statement.visit(&mut Forms),
        Parsed::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => query.visit(&mut Forms),
            CopyToSource::Relation(_) => ControlFlow::Continue(()),
        },
        Parsed::Explain(explain) => plainly(&mut explain.statement),
        _ => ControlFlow::Continue(()),
    }
}

/// The tokens of a statement with `SELECT *` before a `FROM` that has no SELECT behind it: the parser takes
/// no WHERE there.
pub(in crate::script) fn with_select(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let is_word = |token: &Token, word| matches!(token, Token::Word(w) if w.keyword == word);
    let mut depth = 0_usize;
    let mut has_select = false;
    for TokenWithSpan { token, .. } in tokens {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            token => has_select |= depth == 0 && is_word(token, Keyword::SELECT),
        }
    }
    let first = tokens.iter().find(|spanned| !matches!(spanned.token, Token::Whitespace(_)));
    let start = first.filter(|first| is_word(&first.token, Keyword::FROM) && !has_select);
    let select = start.map(|first| {
        let added = [Token::make_keyword("SELECT"), Token::Mul];
        added.map(|token| TokenWithSpan::new(token, first.span))
    });
    select.into_iter().flatten().chain(tokens.iter().cloned()).collect()
}

struct Forms;

impl VisitorMut for Forms {
    type Break = Error;

    /// `FETCH FIRST n ROWS ONLY` is `LIMIT n`.
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let is_limit = |fetch: &Fetch| !fetch.with_ties && !fetch.percent;
        let Some(fetch) = query.fetch.take_if(|fetch| is_limit(fetch)) else {
            return ControlFlow::Continue(());
        };
        let rows = fetch.quantity.unwrap_or_else(|| Expr::value(Value::Number("1".into(), false)));
        match query.limit_clause.get_or_insert(LimitClause::LimitOffset {
            limit: None,
            offset: None,
            limit_by: Vec::new(),
        }) {
            LimitClause::LimitOffset { limit: limit @ None, .. } => *limit = Some(rows),
            _ => return ControlFlow::Break(Error::usage("LIMIT and FETCH say the same: use one")),
        }
        ControlFlow::Continue(())
    }

    /// `FROM t` alone is all of `t`.
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        if select.flavor == SelectFlavor::FromFirstNoSelect {
            select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        }
        let refused = match () {
            () if !select.connect_by.is_empty() => {
                "CONNECT BY is not supported: use WITH RECURSIVE"
            }
            () if select.prewhere.is_some() => "PREWHERE is not supported: use WHERE",
            () => return ControlFlow::Continue(()),
        };
        ControlFlow::Break(Error::usage(refused))
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<Error> {
        table_as_query(table);
        let message = match table {
            TableFactor::Pivot { .. } => {
                "PIVOT is not supported: write one aggregate per value, as in \
                 sum(x) FILTER (WHERE k = 1) AS k1"
            }
            TableFactor::Unpivot { .. } => {
                "UNPIVOT is not supported: write one SELECT per column, with UNION ALL between them"
            }
            TableFactor::MatchRecognize { .. } => {
                "MATCH_RECOGNIZE is not supported: use window functions such as lag and lead"
            }
            TableFactor::Table { sample: Some(_), .. }
            | TableFactor::Derived { sample: Some(_), .. } => {
                "TABLESAMPLE is not supported: write WHERE random() < 0.1 for a tenth of the rows"
            }
            _ => return ControlFlow::Continue(()),
        };
        ControlFlow::Break(Error::usage(message))
    }
}
