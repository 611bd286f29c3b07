//! A plan whose tables stay as they are: what is written from it follows from one version of each dataset.

use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{LogicalPlan, TableScan, TableSource};

use crate::table::{ExternalTable, ReadFrom, SourceTable};

/// `plan` with each table of the session as it is now, and what the plan reads.
pub(super) async fn pinned(
    plan: LogicalPlan,
) -> Result<(LogicalPlan, Vec<ReadFrom>), DataFusionError> {
    let mut sources: Vec<Arc<dyn TableSource>> = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && !sources.iter().any(|known| Arc::ptr_eq(known, &scan.source))
        {
            sources.push(Arc::clone(&scan.source));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut tables: Vec<(Arc<dyn TableSource>, SourceTable)> = Vec::new();
    for source in sources {
        let Ok(provider) = source_as_provider(&source) else { continue };
        if let Some(table) = ExternalTable::now(provider.as_ref()).await? {
            tables.push((source, table));
        }
    }
    let plan = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = node else { return Ok(Transformed::no(node)) };
        let found = tables.iter().find(|(source, _)| Arc::ptr_eq(source, &scan.source));
        Ok(match found {
            None => Transformed::no(LogicalPlan::TableScan(scan)),
            Some((_, table)) => Transformed::yes(LogicalPlan::TableScan(TableScan {
                source: provider_as_source(table.provider()),
                ..scan
            })),
        })
    })?;
    let reads = tables.iter().map(|(_, table)| table.reads()).collect();
    Ok((plan.data, reads))
}
