//! What a standing query has published, beside the answer of a batch to the same input.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit, when};

use super::procedure::NamedTable;
use super::run::{Script, StatementResult};
use crate::error::{Error, Result};
use crate::stream::FileTarget;
use crate::table::{Source, SourceOptions};

/// How often a row is in the answer, and how often it is published.
const ANSWERED: &str = "pleiad answered";
const PUBLISHED: &str = "pleiad published";

impl Script {
    /// Compares the rows of `answer` with those at `target`, each as often as it is there.
    ///
    /// # Errors
    /// If there is nothing at `target`, or other rows.
    pub(super) async fn compare(
        &self,
        answer: LogicalPlan,
        target: &FileTarget,
    ) -> Result<StatementResult> {
        let location = match target.table.as_str() {
            "" => target.location.clone(),
            table => target.location.join(table),
        };
        let (stores, options) = (self.session.stores(), SourceOptions::default());
        let source = Source::open(stores, &location.to_string(), &options).await?;
        let [table] = &source.tables[..] else {
            return Err(Error::usage(format!("'{location}' has several tables")));
        };
        self.stage(&format!("comparing {location}"));
        let published = provider_as_source(table.provider());
        let published = LogicalPlanBuilder::scan("published", published, None)?.build()?;
        let rows = self.session.collect(differences(answer, published)?).await?;
        let count = |column: usize| {
            let counts = rows.iter().map(|rows| rows.column(column).as_primitive::<Int64Type>());
            counts.flat_map(|counts| counts.iter().flatten()).sum::<i64>()
        };
        let (answered, published, missing, extra) = (count(0), count(1), count(2), count(3));
        if missing + extra > 0 {
            return Err(Error::data(format!(
                "'{location}' is not what a batch answers: it has {published} rows, {extra} of them are not in the \
                 answer, and {missing} of the {answered} rows of the answer are not in it"
            )));
        }
        let columns: [(&str, ArrayRef); 2] = [
            ("equals_the_batch", Arc::new(StringArray::from(vec![location.to_string()]))),
            ("rows", Arc::new(Int64Array::from(vec![published]))),
        ];
        let (name, rows) = ("compared".to_owned(), RecordBatch::try_from_iter(columns)?);
        Ok(StatementResult::Tables(vec![NamedTable { name, rows }]))
    }
}

/// How many rows there are of each, and how many of one are not in the other.
fn differences(answer: LogicalPlan, published: LogicalPlan) -> Result<LogicalPlan> {
    let of_answer = answer.schema().columns();
    let names: Vec<Expr> = of_answer.iter().map(|column| named(column.name())).collect();
    let counted = |answered: i64, published: i64| {
        [lit(answered).alias(ANSWERED), lit(published).alias(PUBLISHED)]
    };
    let columns = of_answer.iter().map(|column| Expr::Column(column.clone()).alias(column.name()));
    let columns: Vec<_> = columns.chain(counted(1, 0)).collect();
    // Text has no types, and directories have those of their names.
    let written = answer
        .schema()
        .fields()
        .iter()
        .map(|field| cast(named(field.name()), field.data_type().clone()).alias(field.name()));
    let written: Vec<_> = written.chain(counted(0, 1)).collect();
    let published = LogicalPlanBuilder::from(published).project(written)?.build()?;
    let of_row = [sum(named(ANSWERED)).alias(ANSWERED), sum(named(PUBLISHED)).alias(PUBLISHED)];
    let more = |one, other| {
        let (one, other) = (named(one), named(other));
        when(one.clone().gt(other.clone()), one - other).otherwise(lit(0_i64))
    };
    let all = [
        sum(named(ANSWERED)).alias("answered"),
        sum(named(PUBLISHED)).alias("published"),
        sum(more(ANSWERED, PUBLISHED)?).alias("missing"),
        sum(more(PUBLISHED, ANSWERED)?).alias("extra"),
    ];
    let both = LogicalPlanBuilder::from(answer).project(columns)?.union(published)?;
    Ok(both.aggregate(names, of_row)?.aggregate(Vec::<Expr>::new(), all)?.build()?)
}

fn named(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}
