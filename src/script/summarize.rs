//! `SUMMARIZE t` and `SUMMARIZE SELECT …`: what columns hold, a row for each, under the names of DuckDB.

use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::compute::concat_batches;
use datafusion::common::DataFusionError;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use futures::TryStreamExt;

use super::dialect::{Form, form_of};
use super::run::{Script, StatementResult};
use super::statements::Statement;
use crate::error::Error;
use crate::inspect::column_sums::{ColumnSum, ColumnSums};

impl Statement {
    /// The query whose columns it wants summed up, if it is a SUMMARIZE.
    pub(super) fn summarized(&self) -> Option<Self> {
        let is_space = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
        let first = self.tokens.iter().position(|token| !is_space(token))?;
        let Token::Word(word) = &self.tokens[first].token else { return None };
        if word.quote_style.is_some() || !word.value.eq_ignore_ascii_case("SUMMARIZE") {
            return None;
        }
        let span = self.tokens[first].span;
        let of = &self.tokens[first + 1..];
        let is_query = match of.iter().find(|token| !is_space(token)).map(|token| &token.token) {
            Some(Token::LParen) => true,
            Some(Token::Word(word)) => {
                matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::FROM)
            }
            _ => false,
        };
        let from = (!is_query).then(|| TokenWithSpan::new(Token::make_keyword("FROM"), span));
        let mut query = self.clone();
        query.tokens = from.into_iter().chain(of.iter().cloned()).collect();
        Some(query)
    }
}

impl Script {
    /// The columns of a query, a row for each.
    ///
    /// # Errors
    /// What is no query, and what the engine reports.
    pub(super) async fn summarize(
        &self,
        query: &Statement,
    ) -> Result<StatementResult, DataFusionError> {
        let Form::Runs(parsed) = form_of(self.parse(query)?)? else { return Err(not_a_query()) };
        let plan = self.plan(parsed).await?;
        if let LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::Statement(_) = plan
        {
            return Err(not_a_query());
        }
        let names: Vec<String> =
            plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        // Two tables of a join may have columns of one name.
        let unique = |index: usize| format!("c{index}");
        let renamed = plan.schema().columns().into_iter().enumerate();
        let renamed: Vec<_> =
            renamed.map(|(index, column)| Expr::Column(column).alias(unique(index))).collect();
        let types = plan.schema().fields().iter().map(|field| field.data_type().clone());
        let columns = types.enumerate().map(|(index, of)| (unique(index), of)).collect();
        let sums = ColumnSums { columns, with_spread: true };
        let plan = LogicalPlanBuilder::from(plan).project(renamed)?.build()?;

        let session = self.session.child(|_| ());
        session.register(ColumnSums::TABLE, Arc::new(ViewTable::new(plan, None)))?;
        let plan = session.plan(&sums.statement(), &[], Vec::new()).await?;
        let rows = self.rows(DataFrame::new(session.state(), plan)).await?;
        let schema = rows.schema();
        let answer = concat_batches(&schema, &rows.try_collect::<Vec<_>>().await?)?;
        let mut found = sums.read(&answer)?;
        found.iter_mut().zip(names).for_each(|(sum, name)| sum.column = name);
        let rows = as_in_duckdb(&found)?;
        let schema = rows.schema();
        Ok(StatementResult::Rows(Box::pin(MemoryStream::try_new(vec![rows], schema, None)?)))
    }
}

fn not_a_query() -> DataFusionError {
    Error::usage("SUMMARIZE takes a table or a query: SUMMARIZE t, SUMMARIZE SELECT …").into()
}

fn as_in_duckdb(sums: &[ColumnSum]) -> Result<RecordBatch, DataFusionError> {
    let text =
        |of: fn(&ColumnSum) -> Option<&str>| -> StringArray { sums.iter().map(of).collect() };
    let float =
        |of: fn(&ColumnSum) -> Option<f64>| -> Float64Array { sums.iter().map(of).collect() };
    let count =
        |of: fn(&ColumnSum) -> Option<u64>| -> UInt64Array { sums.iter().map(of).collect() };
    let percentage = |sum: &ColumnSum| {
        let (nulls, rows) = (sum.nulls as f64, sum.rows.max(1) as f64);
        Some((nulls / rows * 1e4).round() / 100.)
    };
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("column_name", Arc::new(text(|sum| Some(&sum.column))) as _, false),
        ("column_type", Arc::new(text(|sum| Some(&sum.data_type))) as _, false),
        ("min", Arc::new(text(|sum| sum.min.as_deref())) as _, true),
        ("max", Arc::new(text(|sum| sum.max.as_deref())) as _, true),
        ("approx_unique", Arc::new(count(|sum| sum.approx_distinct)) as _, true),
        ("avg", Arc::new(float(|sum| sum.mean)) as _, true),
        ("std", Arc::new(float(|sum| sum.deviation)) as _, true),
        ("q25", Arc::new(float(|sum| sum.quartiles[0])) as _, true),
        ("q50", Arc::new(float(|sum| sum.quartiles[1])) as _, true),
        ("q75", Arc::new(float(|sum| sum.quartiles[2])) as _, true),
        ("count", Arc::new(count(|sum| Some(sum.rows))) as _, false),
        (
            "null_percentage",
            Arc::new(sums.iter().map(percentage).collect::<Float64Array>()) as _,
            false,
        ),
    ])?)
}
