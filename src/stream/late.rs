//! Rows that come when the window which they belong to is closed, as a table beside the answer.
//!
//! The aggregate leaves out what comes late by its keys. The rows are found by a plan of their own, which runs in
//! batches that have such rows only: the input of the aggregate with all its columns, and its keys.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampNanosecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Distinct, Expr, GroupingSet, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::collect;
use datafusion::physical_plan::execution_plan::reset_plan_states;

use super::closing::{Key, of_columns};
use super::event_time::in_units;
use super::last_rows::LastRows;
use super::slot::{Plan, SlotTable};
use super::state::{compact, split};
use super::watermark::Nanos;
use crate::error::Result;

/// Finds late rows.
pub(super) struct Late {
    plan: Plan,
    keys: Vec<Key>,
    columns: usize,
    rows: Arc<LastRows>,
    context: Arc<TaskContext>,
}

impl Late {
    /// By `plan`, which has `columns` columns of rows and behind them the keys of an aggregate.
    pub(super) fn new(plan: Plan, columns: usize, context: Arc<TaskContext>) -> Self {
        let known = of_columns(&plan).into_iter().enumerate().skip(columns);
        let keys = known.filter_map(|(column, closes)| Some((column, closes?))).collect();
        let rows = Arc::new(LastRows::new(schema(&plan.schema(), columns)));
        Self { plan, keys, columns, rows, context }
    }

    /// The last late rows.
    pub(super) fn rows(&self) -> &Arc<LastRows> {
        &self.rows
    }

    /// Keeps the rows of a batch that are late by `watermark`: how many there are, and of how many.
    pub(super) async fn take(&self, watermark: Nanos, batch: u64) -> Result<(u64, u64)> {
        let plan = reset_plan_states(Arc::clone(&self.plan))?;
        let (mut late, mut all) = (0, 0);
        for rows in collect(plan, Arc::clone(&self.context)).await? {
            all += rows.num_rows() as u64;
            let (Some(rows), _) = split(&rows, &self.keys, watermark)? else { continue };
            late += rows.num_rows() as u64;
            let times =
                TimestampNanosecondArray::from(vec![in_units(watermark, 1); rows.num_rows()]);
            let batches = UInt64Array::from(vec![batch; rows.num_rows()]);
            let rows = compact(&rows)?;
            let mut columns: Vec<ArrayRef> = rows.columns()[..self.columns].to_vec();
            columns.push(Arc::new(times));
            columns.push(Arc::new(batches));
            self.rows.push(RecordBatch::try_new(self.rows.schema(), columns)?)?;
        }
        Ok((late, all))
    }
}

/// Columns of rows, made to have different names, and what made them late.
fn schema(rows: &Schema, columns: usize) -> SchemaRef {
    let mut fields: Vec<Field> =
        rows.fields()[..columns].iter().map(|field| field.as_ref().clone()).collect();
    fields.push(Field::new("watermark", DataType::Timestamp(TimeUnit::Nanosecond, None), false));
    fields.push(Field::new("batch", DataType::UInt64, false));
    let mut names = HashSet::new();
    for field in &mut fields {
        let mut name = field.name().clone();
        while !names.insert(name.clone()) {
            name.push('_');
        }
        field.set_name(name);
    }
    Arc::new(Schema::new(fields))
}

/// The input of the aggregate over a stream with its keys behind its columns, and how many columns those are.
pub(super) fn input_with_keys(plan: &LogicalPlan) -> Result<Option<(LogicalPlan, usize)>> {
    let mut found = None;
    plan.apply(|node| {
        let below = match node {
            LogicalPlan::Aggregate(aggregate) => {
                Some((&aggregate.input, keys(&aggregate.group_expr)))
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let columns = input.schema().columns().into_iter().map(Expr::Column);
                Some((input, columns.collect()))
            }
            _ => None,
        };
        if let Some((input, keys)) = below
            && reads_stream(input)?
        {
            found = Some((input.as_ref().clone(), keys));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let Some((input, keys)) = found else { return Ok(None) };
    let columns: Vec<_> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let width = columns.len();
    let keys = keys.into_iter().enumerate();
    let keys = keys.map(|(number, key)| key.alias(format!("key {number}")));
    let plan = LogicalPlanBuilder::from(input).project(columns.into_iter().chain(keys))?;
    Ok(Some((plan.build()?, width)))
}

/// The expressions that each group has a value of.
fn keys(groups: &[Expr]) -> Vec<Expr> {
    let mut keys = Vec::new();
    for group in groups {
        match group {
            Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => {
                let Some((first, others)) = sets.split_first() else { continue };
                let in_all = first.iter().filter(|key| others.iter().all(|set| set.contains(key)));
                keys.extend(in_all.cloned());
            }
            Expr::GroupingSet(_) => {}
            key => keys.push(key.clone()),
        }
    }
    keys
}

fn reads_stream(plan: &LogicalPlan) -> Result<bool, datafusion::error::DataFusionError> {
    plan.exists(|node| {
        let LogicalPlan::TableScan(scan) = node else { return Ok(false) };
        Ok(source_as_provider(&scan.source).is_ok_and(|provider| provider.is::<SlotTable>()))
    })
}
