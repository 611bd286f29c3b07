//! Rows with their clusters: those that were clustered, and those of another table.
//!
//! `nearest_centroid` reads the numbers of a row in the places in which they were summed, so a row has the
//! same cluster, to the bit, wherever it is found.

use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::scalar::ScalarValue;

use super::steps::ASSIGN;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::table::SourceTable;

/// A model as rows meet it.
pub(super) struct Assigner {
    /// The model as a value, over columns in their places.
    pub(super) model: Vec<u8>,
    /// The columns in their places, as SQL over a table as it is stored.
    pub(super) columns: Vec<String>,
    /// What distances are multiplied by for the user, where it is not 1.
    pub(super) distance_factor: Option<f64>,
}

impl Assigner {
    /// Every row of `tables` with its cluster and distance, and the keys it is filed by: those of its
    /// table, and the table where there are several.
    pub(super) async fn rows(
        &self,
        session: &Session,
        tables: &[SourceTable],
    ) -> Result<(LogicalPlan, Vec<String>)> {
        let model = ScalarValue::BinaryView(Some(self.model.clone()));
        let keys = |table: &SourceTable| -> Vec<String> {
            table.keys.iter().map(|key| key.name().clone()).collect()
        };
        let first = tables.first().ok_or_else(|| Error::internal("a run without a table"))?;
        let columns = self.columns.join(", ");
        let unit = self.distance_factor.map(|factor| format!(" * CAST('{factor:?}' AS DOUBLE)"));
        let unit = unit.unwrap_or_default();
        let table_key = if tables.len() > 1 { "$table AS \"table\"," } else { "" };
        let mut whole: Option<LogicalPlanBuilder> = None;
        for (number, table) in tables.iter().enumerate() {
            if keys(table) != keys(first) || table.schema.fields() != first.schema.fields() {
                return Err(Error::data(format!(
                    "'{}' and '{}' have different columns: assign them one by one",
                    first.name, table.name
                )));
            }
            if let Some(taken) = ["cluster", "distance"]
                .into_iter()
                .find(|name| table.schema.field_with_name(name).is_ok())
            {
                return Err(Error::data(format!(
                    "'{}' has a column '{taken}', which is what the result is called: rename it",
                    table.name
                )));
            }
            let source = format!("source_{number}");
            session.register(&source, table.provider())?;
            let parts =
                [("keys", table_key), ("columns", &columns), ("unit", &unit), ("source", &source)];
            let mut values = vec![("model", model.clone())];
            if tables.len() > 1 {
                values.push(("table", ScalarValue::Utf8(Some(table.name.clone()))));
            }
            let plan = session.plan(ASSIGN, &parts, values).await?;
            whole = Some(match whole {
                Some(before) => before.union(plan)?,
                None => LogicalPlanBuilder::from(plan),
            });
        }
        let whole = whole.ok_or_else(|| Error::internal("a run without a table"))?.build()?;
        let table = (tables.len() > 1).then(|| "table".to_owned());
        Ok((whole, table.into_iter().chain(keys(first)).collect()))
    }
}
