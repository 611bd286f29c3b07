//! A statement that no one waits for ends within a batch, whatever its plan.
//!
//! Dropping a stream stops an operator where it yields. A join does not yield while an aggregate above it
//! takes its rows, nor while its filter lets none through: here every join yields now and then, and every
//! filter of a join looks at the flag of its statement.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, HashJoinExecBuilder, NestedLoopJoinExec,
    NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use futures::StreamExt;

use crate::cancel::{CancelFlag, CancelOnDrop};
use crate::error::Error;

/// Batches that wait for their reader.
const WAITING: usize = 2;

/// The rule that makes plans end when their statement is dropped. Statements run one after the other.
#[derive(Debug, Default)]
pub(super) struct Interruptible {
    current: Mutex<CancelFlag>,
}

impl Interruptible {
    /// A statement begins; what is planned from here on ends when the guard is dropped.
    pub(super) fn begin(&self) -> CancelOnDrop {
        let guard = CancelOnDrop::default();
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = guard.flag();
        guard
    }
}

impl PhysicalOptimizerRule for Interruptible {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let flag = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        plan.transform_up(|plan| interruptible(plan, &flag)).data()
    }

    fn name(&self) -> &'static str {
        "interruptible"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn interruptible(
    plan: Arc<dyn ExecutionPlan>,
    flag: &CancelFlag,
) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let join: Arc<dyn ExecutionPlan> = if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let filter = join.filter().map(|filter| watching(filter, flag));
        HashJoinExecBuilder::from(join).with_filter(filter).build_exec()?
    } else if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
        let filter = join.filter().map(|filter| watching(filter, flag));
        Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?)
    } else if plan.is::<CrossJoinExec>() || plan.is::<SortMergeJoinExec>() {
        plan
    } else {
        return Ok(Transformed::no(plan));
    };
    Ok(Transformed::yes(Arc::new(CooperativeExec::new(join))))
}

fn watching(filter: &JoinFilter, flag: &CancelFlag) -> JoinFilter {
    let inner = Arc::clone(filter.expression());
    let expression = Arc::new(Watching { inner, flag: flag.clone() });
    JoinFilter::new(expression, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
}

/// An expression that fails once no one waits.
#[derive(Debug, Clone)]
struct Watching {
    inner: Arc<dyn PhysicalExpr>,
    flag: CancelFlag,
}

impl fmt::Display for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PartialEq for Watching {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Watching {}

impl Hash for Watching {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl PhysicalExpr for Watching {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.flag.check().map_err(Error::from)?;
        self.inner.evaluate(batch)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let inner = children.pop().unwrap_or_else(|| Arc::clone(&self.inner));
        Ok(Arc::new(Self { inner, flag: self.flag.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

/// The same rows, made by a task of their own: a plan of one stream would keep whoever reads it from
/// hearing a signal.
pub(super) fn in_a_task(mut rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let mut task = RecordBatchReceiverStream::builder(rows.schema(), WAITING);
    let reader = task.tx();
    task.spawn(async move {
        while let Some(batch) = rows.next().await {
            if reader.send(batch).await.is_err() {
                break;
            }
        }
        Ok(())
    });
    task.build()
}

/// The same rows, whose statement goes on as long as they are read.
pub(super) fn guarded(
    rows: SendableRecordBatchStream,
    guard: CancelOnDrop,
) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let rows = rows.map(move |batch| {
        let _alive = &guard;
        batch
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}
