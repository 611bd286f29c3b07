//! The table function `standing_queries()`.

use std::sync::{Arc, Weak};

use datafusion::catalog::{TableFunctionImpl, TableProvider};
use datafusion::common::Result as EngineResult;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::Expr;

use crate::error::Error;
use crate::stream::StandingQueries;

/// `standing_queries()`.
#[derive(Debug)]
pub(super) struct ListStanding {
    queries: Weak<StandingQueries>,
}

impl ListStanding {
    pub(super) fn new(queries: &Arc<StandingQueries>) -> Self {
        Self { queries: Arc::downgrade(queries) }
    }
}

impl TableFunctionImpl for ListStanding {
    fn call(&self, arguments: &[Expr]) -> EngineResult<Arc<dyn TableProvider>> {
        if !arguments.is_empty() {
            return Err(Error::usage("standing_queries() takes no arguments").into());
        }
        let queries = self.queries.upgrade();
        let queries = queries.ok_or_else(|| Error::internal("the script is over"))?;
        let rows = queries.rows()?;
        Ok(Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]])?))
    }
}
