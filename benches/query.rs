//! Queries over a folder of Parquet files: our session, in which a location in quotes is a table,
//! beside a session of the engine as it comes. Both print what they answer, so that it is the same.
//!
//!     cargo bench --bench query -- DIR
//!
//! DIR holds the sources that `make_data.py --only sky` wrote; five rounds in turn.

use std::io::Write;
use std::time::Instant;

use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use pleiad::session::{Session, SessionOptions};
use pleiad::storage::{StorageOptions, Stores};

type Done<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const QUERIES: [&str; 3] = [
    "SELECT count(*) FROM t",
    "SELECT floor(decl / 10) AS band, count(*) AS n, avg(snr) AS snr FROM t GROUP BY 1 ORDER BY 1",
    "SELECT count(*) AS n, max(ra) AS ra FROM t WHERE snr > 50",
];

fn main() -> Done<()> {
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    let Some(dir) = arguments.next() else { return Ok(()) }; // `cargo test` runs benches, too
    let runtime = tokio::runtime::Runtime::new()?;
    let mut told = std::io::stdout();
    for query in QUERIES {
        let mut answers = Vec::new();
        for round in 1..=5 {
            for who in ["pleiad", "datafusion"] {
                let started = Instant::now();
                let rows = runtime.block_on(async {
                    let frame = match who {
                        "pleiad" => {
                            ours()?.sql(&query.replace("FROM t", &format!("FROM '{dir}'"))).await?
                        }
                        _ => as_it_comes(&dir).await?.sql(query).await?,
                    };
                    Done::Ok(frame.collect().await?)
                })?;
                let seconds = started.elapsed().as_secs_f64();
                writeln!(told, "{query}: round {round}, {who}: {seconds:.3} s")?;
                answers.push(pretty_format_batches(&rows)?.to_string());
            }
        }
        answers.dedup();
        answers.iter().try_for_each(|answer| writeln!(told, "{answer}"))?;
    }
    Ok(())
}

/// A new session of ours.
fn ours() -> Done<SessionContext> {
    let stores = Stores::new(StorageOptions::default());
    let session = Session::new(stores, &SessionOptions::default())?;
    Ok(session.scripting().context().clone())
}

/// A new session of the engine, with the files as table `t`.
#[expect(clippy::disallowed_methods, reason = "the peer is the engine with its own defaults")]
async fn as_it_comes(dir: &str) -> Done<SessionContext> {
    let session = SessionContext::new();
    session.register_parquet("t", dir, ParquetReadOptions::default()).await?;
    Ok(session)
}
