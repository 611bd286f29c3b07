//! Standing queries in this process: scripts, what their consoles show, servers of lines.

use std::io::Write;
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use pleiad::error::Result;
use pleiad::event::Silent;
use pleiad::script::{Script, StatementResult, Variables, split};
use pleiad::session::{Session, SessionOptions};
use pleiad::storage::{StorageOptions, Stores};
use pleiad::stream::Console;
use pleiad::table::Mode;

use super::sql::NoProcedures;

/// What consoles have shown: the name, the number of the batch, its rows.
#[derive(Default)]
pub(crate) struct Shown(pub(crate) Mutex<Vec<(String, u64, Vec<String>)>>);

impl Console for Shown {
    fn show(&self, name: &str, batch: u64, _: SchemaRef, rows: Vec<RecordBatch>) -> Result<()> {
        self.0.lock().unwrap().push((name.to_owned(), batch, texts(&rows)));
        Ok(())
    }
}

/// A script, and what it shows.
pub(crate) fn script(is_batch: bool) -> (Script, Arc<Shown>) {
    script_with(is_batch, None)
}

/// A script that has so many bytes of memory.
pub(crate) fn script_with(is_batch: bool, memory_limit: Option<u64>) -> (Script, Arc<Shown>) {
    of_stores(Stores::new(StorageOptions::default()), is_batch, memory_limit, 2)
}

/// A script that has so many threads, and as many engine streams.
pub(crate) fn script_of_threads(is_batch: bool, threads: usize) -> (Script, Arc<Shown>) {
    of_stores(Stores::new(StorageOptions::default()), is_batch, None, threads)
}

/// A script on `stores`, and what it shows.
pub(crate) fn script_on(stores: Arc<Stores>, is_batch: bool) -> (Script, Arc<Shown>) {
    of_stores(stores, is_batch, None, 2)
}

fn of_stores(
    stores: Arc<Stores>,
    is_batch: bool,
    memory_limit: Option<u64>,
    threads: usize,
) -> (Script, Arc<Shown>) {
    let threads = NonZeroUsize::new(threads);
    let options = SessionOptions { threads, memory_limit, ..SessionOptions::default() };
    let session = Session::new(stores, &options).unwrap();
    let shown = Arc::new(Shown::default());
    let (procedures, watch) = (Arc::new(NoProcedures), Arc::new(Silent));
    let script = Script::new(&session, procedures, Mode::Error, Vec::new(), watch);
    (script.showing(Arc::clone(&shown) as _).in_batch(is_batch), shown)
}

/// Runs statements; the rows of the last, sorted.
pub(crate) async fn rows(script: &Script, text: &str, set: &[(&str, &str)]) -> Result<Vec<String>> {
    let variables: Variables =
        set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut last = Vec::new();
    for statement in split("test", text, &variables)? {
        last.clear();
        if let StatementResult::Rows(rows) = script.run(&statement).await? {
            let rows: Vec<_> = rows.try_collect().await.map_err(|e| statement.failed(e))?;
            last = texts(&rows);
        }
    }
    last.sort();
    Ok(last)
}

/// Rows as texts, floats to nine digits.
pub(crate) fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let mut texts = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter();
        let columns: Vec<_> =
            columns.map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cell = |column: &ArrayFormatter<'_>| {
                let text = column.value(row).to_string();
                match text.parse::<f64>() {
                    Ok(number) if text.contains('.') => format!("{number:.8e}"),
                    _ => text,
                }
            };
            texts.push(columns.iter().map(cell).collect::<Vec<_>>().join(" "));
        }
    }
    texts
}

/// A server that sends these lines to each client, so many at once, and closes; its location.
pub(crate) fn serve(text: Vec<u8>, lines_at_once: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("tcp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            client.set_nodelay(true).unwrap();
            let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
            for piece in lines.chunks(lines_at_once) {
                if client.write_all(&piece.concat()).is_err() {
                    break; // the client has left
                }
            }
        }
    });
    location
}

/// A server that sends this text to each client and is silent then; its location.
pub(crate) fn silent(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("tcp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut clients = Vec::new();
        for client in listener.incoming() {
            let mut client = client.unwrap();
            client.write_all(text.as_bytes()).unwrap();
            clients.push(client);
        }
    });
    location
}
