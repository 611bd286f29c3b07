//! Statements of SQL in this process, on any stores.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use pleiad::error::{Error, Result};
use pleiad::event::Silent;
use pleiad::script::{Call, CallResult, Procedures, Script, StatementResult, Variables, split};
use pleiad::session::{Session, SessionOptions};
use pleiad::storage::Stores;
use pleiad::table::Mode;

pub(super) struct NoProcedures;

#[async_trait(?Send)]
impl Procedures for NoProcedures {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn call(&self, call: Call) -> Result<CallResult> {
        Err(Error::internal(format!("{} is not called here", call.name)))
    }
}

/// A script of two threads on `stores`, whose runs are called `name`.
pub(crate) fn script(stores: &Arc<Stores>, name: &str) -> Script {
    let threads = NonZeroUsize::new(2);
    let options = SessionOptions { threads, ..SessionOptions::default() };
    let session = Session::new(Arc::clone(stores), &options).unwrap();
    let arguments = vec![("name".to_owned(), name.to_owned())];
    Script::new(&session, Arc::new(NoProcedures), Mode::Error, arguments, Arc::new(Silent))
}

/// Runs statements to their ends.
pub(crate) async fn run(script: &Script, text: &str) -> Result<()> {
    for statement in split("test", text, &Variables::default())? {
        if let StatementResult::Rows(rows) = script.run(&statement).await? {
            rows.try_collect::<Vec<_>>().await?;
        }
    }
    Ok(())
}
