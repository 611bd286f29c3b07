//! A statement that is dropped, as Ctrl-C at the prompt drops it, ends whatever its plan.
//!
//! Each would run for hours. It is dropped when its join has begun, and then the runtime: that waits for
//! its threads, so a join that goes on never lets the test end.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use futures::TryStreamExt;
use pleiad::script::{StatementResult, Variables, split};
use pleiad::storage::{StorageOptions, Stores};
use rstest::rstest;
use tokio::sync::Notify;

use crate::support::sql::script;

/// `begun(x)` is x; whoever calls it first is noticed.
#[derive(Debug)]
struct Begun {
    signature: Signature,
    begun: Arc<Notify>,
}

impl PartialEq for Begun {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Begun {}

impl Hash for Begun {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl ScalarUDFImpl for Begun {
    fn name(&self) -> &'static str {
        "begun"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.begun.notify_one();
        let first = arguments.args.into_iter().next();
        Ok(first.unwrap_or(ColumnarValue::Scalar(ScalarValue::Int64(None))))
    }
}

const MANY: &str = "generate_series(1, 3000000)";

#[rstest]
#[case::a_filter_that_lets_nothing_through(
    "a.value % 10 = b.value % 10 AND begun(a.value + b.value) < 0",
    "count(*)"
)]
#[case::no_equality("begun(a.value + b.value) < 0", "count(*)")]
#[case::rows_for_an_aggregate("a.value % 10 = b.value % 10", "sum(begun(a.value + b.value))")]
#[case::all_pairs("true", "sum(begun(a.value + b.value))")]
#[case::groups("true", "begun(a.value % 100), count(DISTINCT b.value)")]
fn a_dropped_statement_ends(#[case] on: &str, #[case] what: &str) {
    let grouped = if what.contains(", ") { "GROUP BY 1" } else { "" };
    for write in ["", "CREATE TABLE t AS "] {
        let text = format!(
            "{write}SELECT {what} AS x FROM {MANY} AS a(value) JOIN {MANY} AS b(value) ON {on} {grouped}"
        );
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
        let runtime = runtime.expect("two threads");
        runtime.block_on(async {
            let script = script(&Stores::new(StorageOptions::default()), "test");
            let begun = Arc::new(Notify::new());
            let signature = Signature::exact(vec![DataType::Int64], Volatility::Volatile);
            let function = Begun { signature, begun: Arc::clone(&begun) };
            script.session().context().register_udf(ScalarUDF::from(function));
            let statements = split("test", &text, &Variables::default()).expect("a statement");
            let run = async {
                if let StatementResult::Rows(rows) = script.run(&statements[0]).await? {
                    rows.try_collect::<Vec<_>>().await?;
                }
                Ok::<_, pleiad::error::Error>(())
            };
            tokio::select! {
                ended = run => panic!("it ended before it was dropped: {ended:?}"),
                () = begun.notified() => {}
            }
        });
        drop(runtime);
    }
}
