//! `CALL name(argument => value, …)`: what the command line runs, from SQL.
//!
//! Who runs the commands gives the [`Procedures`](super::Procedures); here their arguments become text, and what they
//! answer becomes tables. `into => 'm'` makes the tables of a result known as `m_<table>`: those that
//! were published, or else those in memory.

use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectNamePart, UnaryOperator,
    Value,
};

use super::procedure::{Call, CallResult};
use super::run::{Script, StatementResult};
use super::standing::OF_STANDING_QUERIES;
use super::statements::{is_name, unknown};
use crate::error::{Error, Result};
use crate::table::ExternalTable;

impl Script {
    /// `CALL`.
    pub(super) async fn call(&self, function: &Function) -> Result<StatementResult> {
        let mut call = read(function)?;
        if let Some(answer) = self.call_standing(&call).await? {
            return Ok(answer);
        }
        let mut known = self.procedures.names();
        known.extend(OF_STANDING_QUERIES.map(str::to_owned));
        if !known.contains(&call.name) {
            return Err(unknown("procedure", &call.name, &known));
        }
        let into = call.named.iter().position(|(name, _)| name == "into");
        let into = into.map(|at| call.named.remove(at).1.join(","));
        if let Some(prefix) = into.as_ref().filter(|prefix| !is_name(prefix)) {
            return Err(Error::usage(format!(
                "into is '{prefix}', expected letters, digits and '_', a letter first"
            )));
        }
        let called = self.procedures.call(call).await?;
        if let Some(prefix) = into {
            self.keep(&prefix, &called).await?;
        }
        Ok(StatementResult::Tables(called.answers))
    }

    /// Registers the tables of a result.
    async fn keep(&self, prefix: &str, called: &CallResult) -> Result<()> {
        let name_of = |table: &str| format!("{prefix}_{}", table.replace(['/', '-', '.'], "_"));
        for table in &called.tables {
            let memory = MemTable::try_new(table.rows.schema(), vec![vec![table.rows.clone()]])?;
            self.session.register(&name_of(&table.name), Arc::new(memory))?;
        }
        if let Some(location) = &called.published {
            for (name, table) in ExternalTable::all(self.session.stores(), location).await? {
                self.session.register(&name_of(&name), Arc::new(table))?;
            }
        }
        Ok(())
    }
}

/// The arguments as text.
fn read(function: &Function) -> Result<Call> {
    let name = match &function.name.0[..] {
        [ObjectNamePart::Identifier(name)] => name.value.to_lowercase(),
        _ => return Err(Error::usage(format!("procedure '{}' is not known", function.name))),
    };
    let mut call = Call { name, words: Vec::new(), named: Vec::new() };
    let arguments = match &function.args {
        FunctionArguments::List(list) => &list.args[..],
        FunctionArguments::None | FunctionArguments::Subquery(_) => &[],
    };
    for argument in arguments {
        match argument {
            FunctionArg::Unnamed(value) => call.words.extend(values(value)?),
            FunctionArg::Named { name, arg, .. } => {
                call.named.push((name.value.to_lowercase(), values(arg)?));
            }
            FunctionArg::ExprNamed { name: Expr::Identifier(name), arg, .. } => {
                call.named.push((name.value.to_lowercase(), values(arg)?));
            }
            FunctionArg::ExprNamed { name, .. } => {
                return Err(Error::usage(format!("'{name}' is not the name of an argument")));
            }
        }
    }
    let mut names: Vec<_> = call.named.iter().map(|(name, _)| name).collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::usage(format!("argument '{}' is given twice", pair[0]))),
        None => Ok(call),
    }
}

/// A constant, a bare word, or a list of these.
fn values(argument: &FunctionArgExpr) -> Result<Vec<String>> {
    let FunctionArgExpr::Expr(expression) = argument else {
        return Err(Error::usage(format!("'{argument}' is not a value, expected a constant")));
    };
    match expression {
        Expr::Array(list) => list.elem.iter().map(value).collect(),
        Expr::Tuple(list) => list.iter().map(value).collect(),
        one => Ok(vec![value(one)?]),
    }
}

fn value(expression: &Expr) -> Result<String> {
    match expression {
        Expr::Value(constant) => match &constant.value {
            Value::Number(text, _) => Ok(text.clone()),
            Value::Boolean(yes) => Ok(yes.to_string()),
            other => other.clone().into_string().ok_or_else(|| no_constant(expression)),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Ok(format!("-{}", value(expr)?)),
        Expr::Identifier(word) => Ok(word.value.clone()),
        Expr::Nested(inner) => value(inner),
        _ => Err(no_constant(expression)),
    }
}

fn no_constant(expression: &Expr) -> Error {
    Error::usage(format!(
        "'{expression}' is not a constant: arguments of CALL are strings and numbers"
    ))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::{DFParser, Statement};
    use datafusion::sql::sqlparser::ast;

    use super::*;

    fn call(sql: &str) -> Result<Call> {
        let Some(Statement::Statement(parsed)) = DFParser::parse_sql(sql).unwrap().pop_front()
        else {
            panic!("a statement of SQL");
        };
        let ast::Statement::Call(function) = *parsed else { panic!("a call") };
        read(&function)
    }

    #[test]
    fn arguments_are_constants_words_and_lists() {
        let call = call(
            "CALL KMeans('in', K => 7, tolerance => -1.5, start => random, \
                         columns => ['a b', 'c'], resume => true)",
        );
        let named = |name: &str, values: &[&str]| {
            (name.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
        };
        let expected = Call {
            name: "kmeans".to_owned(),
            words: vec!["in".to_owned()],
            named: vec![
                named("k", &["7"]),
                named("tolerance", &["-1.5"]),
                named("start", &["random"]),
                named("columns", &["a b", "c"]),
                named("resume", &["true"]),
            ],
        };
        assert_eq!(call.unwrap(), expected);
    }

    #[test]
    fn what_is_computed_or_given_twice_is_refused() {
        let error = call("CALL f(k => 1 + 1)").unwrap_err().to_string();
        assert_eq!(error, "'1 + 1' is not a constant: arguments of CALL are strings and numbers");
        let error = call("CALL f(k => 1, K => 2)").unwrap_err().to_string();
        assert_eq!(error, "argument 'k' is given twice");
    }
}
