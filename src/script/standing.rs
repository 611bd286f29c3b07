//! Tables without an end and the queries that stand over them: `CREATE UNBOUNDED EXTERNAL TABLE`, `CREATE` and
//! `DROP MATERIALIZED VIEW`, `CALL wait`, `watch` and `stop`, `standing_queries()`. `INSERT INTO` is in `sinks.rs`.
//!
//! In a batch a table without an end is what is there now, each of these runs once and to its end, and
//! answers what it would have answered after all its rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{CreateExternalTable, LogicalPlan};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    self, CreateTableOptions, CreateView, ObjectName, SqlOption, Value,
};

use super::procedure::Call;
use super::run::{Script, StatementResult, Watch};
use super::statements::{Variables, split};
use crate::error::{Error, Result};
use crate::intervals;
use crate::stream::{QueryOptions, StandingQueries, StandingView, Start, StreamTable};

/// The procedures of standing queries.
pub(super) const OF_STANDING_QUERIES: [&str; 3] = ["wait", "watch", "stop"];

impl Script {
    /// `CREATE UNBOUNDED EXTERNAL TABLE`.
    pub(super) fn create_stream(&self, create: &CreateExternalTable) -> Result<StatementResult> {
        let (stores, state) = (self.session.stores(), self.session.state());
        self.create_table(create, || {
            let stream = StreamTable::create(stores, &state, create, self.is_batch)?;
            self.register_beside(&create.name, "bad", Some(stream.bad()))?;
            Ok(Arc::new(stream))
        })
    }

    /// Makes `table` known as a statement says.
    pub(super) fn create_table(
        &self,
        create: &CreateExternalTable,
        table: impl FnOnce() -> Result<Arc<dyn TableProvider>>,
    ) -> Result<StatementResult> {
        let context = self.session.context();
        if context.table_exist(create.name.clone())? {
            if create.if_not_exists {
                return Ok(StatementResult::Nothing);
            }
            if !create.or_replace {
                return Err(Error::usage(format!("table '{}' already exists", create.name)));
            }
            context.deregister_table(create.name.clone())?;
        }
        context.register_table(create.name.clone(), table()?)?;
        Ok(StatementResult::Nothing)
    }

    /// `CREATE MATERIALIZED VIEW`.
    pub(super) async fn create_view(
        &self,
        view: CreateView,
    ) -> Result<StatementResult, DataFusionError> {
        let name = reference(&view.name)?;
        let context = self.session.context();
        let is_known = context.table_exist(name.clone())?;
        if is_known && view.if_not_exists {
            return Ok(StatementResult::Nothing);
        }
        if is_known && !view.or_replace {
            return Err(Error::usage(format!("table '{name}' already exists")).into());
        }
        let options = QueryOptions::new("a materialized view", &with_options(&view.options)?)?;
        let plan = self.planned(*view.query).await?;
        if is_known {
            self.standing.stop(name.table()).await?;
            context.deregister_table(name.clone())?;
        }
        let table = match self.is_batch {
            true => {
                let start = self.start(name.table(), plan.clone(), options);
                self.register_beside(&name, "late", StandingQueries::late_in_batch(&start).await)?;
                let schema: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
                let rows = self.session.collect(plan).await?;
                let schema = rows.first().map_or(schema, |rows| rows.schema());
                Arc::new(MemTable::try_new(schema, vec![rows])?)
            }
            false => {
                let view = self.standing.view(self.start(name.table(), plan, options)).await?;
                self.register_beside(&name, "late", self.standing.late(name.table()))?;
                view
            }
        };
        context.register_table(name, table)?;
        Ok(StatementResult::Nothing)
    }

    /// `DROP MATERIALIZED VIEW`.
    pub(super) async fn drop_views(
        &self,
        names: &[ObjectName],
        if_exists: bool,
    ) -> Result<StatementResult> {
        for name in names {
            let name = reference(name)?;
            let context = self.session.context();
            let is_view = match context.table_provider(name.clone()).await {
                Ok(table) => self.is_batch || table.is::<StandingView>(),
                Err(_unknown) => false,
            };
            if !is_view && if_exists {
                continue;
            }
            if !is_view {
                return Err(Error::usage(format!("'{name}' is not a materialized view")));
            }
            context.deregister_table(name.clone())?;
            self.register_beside(&name, "late", None)?;
            self.standing.stop(name.table()).await?;
        }
        Ok(StatementResult::Nothing)
    }

    /// Puts a table beside the one of that name, such as `iot$bad` beside `iot`, in place of what is there.
    pub(super) fn register_beside(
        &self,
        name: &TableReference,
        what: &str,
        table: Option<Arc<dyn TableProvider>>,
    ) -> Result<()> {
        let context = self.session.context();
        let beside = TableReference::bare(format!("{}${what}", name.table()));
        context.deregister_table(beside.clone())?;
        if let Some(table) = table {
            context.register_table(beside, table)?;
        }
        Ok(())
    }

    pub(super) async fn planned(&self, query: ast::Query) -> Result<LogicalPlan, DataFusionError> {
        let query = Box::new(ast::Statement::Query(Box::new(query)));
        self.session.state().statement_to_plan(Parsed::Statement(query)).await
    }

    pub(super) fn start<'a>(
        &'a self,
        name: &'a str,
        plan: LogicalPlan,
        options: QueryOptions,
    ) -> Start<'a> {
        let (observer, follower) = (Arc::clone(&self.watch), self.follower.clone());
        Start { name, session: &self.session, plan, options, observer, follower }
    }

    /// `CALL wait`, `watch` or `stop`; nothing if it is another procedure.
    pub(super) async fn call_standing(&self, call: &Call) -> Result<Option<StatementResult>> {
        match call.name.as_str() {
            "wait" => self.wait(call).await.map(Some),
            "watch" => self.watched(call).map(Some),
            "stop" => self.stop(call).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn wait(&self, call: &Call) -> Result<StatementResult> {
        let usage = || Error::usage("write CALL wait('10 seconds') or CALL wait(drained => true)");
        let drained = argument(call, "drained", &["drained"])?;
        match (&call.words[..], drained.as_deref()) {
            _ if self.is_batch => {}
            ([], Some("true")) => self.standing.drained().await?,
            ([time], None) => self.standing.wait(intervals::parse(time).ok_or_else(usage)?).await?,
            _ => return Err(usage()),
        }
        Ok(StatementResult::Nothing)
    }

    fn watched(&self, call: &Call) -> Result<StatementResult> {
        let usage = || {
            Error::usage(
                "write CALL watch('SELECT …', every => '1 second', times => 10), with one query",
            )
        };
        let [sql] = &call.words[..] else { return Err(usage()) };
        let known = ["every", "times"];
        let every = argument(call, "every", &known)?.unwrap_or_else(|| "1 second".to_owned());
        let every = intervals::parse(&every).ok_or_else(usage)?;
        let times = argument(call, "times", &known)?.unwrap_or_else(|| "10".to_owned());
        let times = times.parse().ok().filter(|times| *times > 0).ok_or_else(usage)?;
        let mut statements = split("watch", sql, &Variables::new())?;
        let (Some(query), true) = (statements.pop(), statements.is_empty()) else {
            return Err(usage());
        };
        let times = if self.is_batch { 1 } else { times };
        Ok(StatementResult::Watch(Watch { query, every, times }))
    }

    async fn stop(&self, call: &Call) -> Result<StatementResult> {
        let ([name], []) = (&call.words[..], &call.named[..]) else {
            return Err(Error::usage(
                "write CALL stop(name), with the name of a view or of a table that rows go to",
            ));
        };
        if !self.standing.stop(name).await? && !self.is_batch {
            return Err(Error::usage(format!(
                "no standing query has the name '{name}': SELECT * FROM standing_queries() lists them"
            )));
        }
        Ok(StatementResult::Nothing)
    }
}

/// The value of a named argument.
fn argument(call: &Call, name: &str, known: &[&str]) -> Result<Option<String>> {
    if let Some((other, _)) = call.named.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        return Err(Error::usage(format!(
            "argument '{other}' of {} is not known, expected {}",
            call.name,
            known.join(", ")
        )));
    }
    let found = call.named.iter().find(|(known, _)| known == name);
    Ok(found.map(|(_, values)| values.join(",")))
}

/// The name of a view or table as the engine knows it.
pub(super) fn reference(name: &ObjectName) -> Result<TableReference> {
    match &name.0[..] {
        [ast::ObjectNamePart::Identifier(name)] => {
            let name = match name.quote_style {
                Some(_) => name.value.clone(),
                None => name.value.to_lowercase(),
            };
            Ok(TableReference::bare(name))
        }
        _ => Err(Error::usage(format!("'{name}' is not a name: write it without dots"))),
    }
}

/// What `WITH (…)` says.
fn with_options(options: &CreateTableOptions) -> Result<BTreeMap<String, String>> {
    let usage = || Error::usage("write the options of a view as in WITH (trigger = '2 seconds')");
    let given = match options {
        CreateTableOptions::None => return Ok(BTreeMap::new()),
        CreateTableOptions::With(given) => given,
        _ => return Err(usage()),
    };
    let pair = |option: &SqlOption| match option {
        SqlOption::KeyValue { key, value: ast::Expr::Value(value) } => {
            let text = match &value.value {
                Value::Number(text, _) => text.clone(),
                other => other.clone().into_string().ok_or_else(usage)?,
            };
            Ok((key.value.to_lowercase(), text))
        }
        _ => Err(usage()),
    };
    given.iter().map(pair).collect()
}
