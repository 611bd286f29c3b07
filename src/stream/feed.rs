//! A server of lines: each client has a place with lines of its own, and who leaves frees it.
//!
//! Line `n` is due `n / rate` seconds after a client has come. What is due goes out in one write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use datafusion::common::runtime::JoinSet;
use futures::stream::{BoxStream, TryStreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::{Error, Result};

/// Bytes that are gathered before they are written.
const WRITE_BYTES: usize = 64 << 10;

/// How long a server that cannot take a client waits before the next.
const PAUSE: Duration = Duration::from_millis(100);

/// Lines, each without its LF.
pub type FeedLines = BoxStream<'static, Result<Bytes>>;

/// How many clients are served at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clients {
    /// All that come.
    #[default]
    Many,
    /// One; others wait.
    One,
}

/// What happens to a client when there are no lines left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// The connection ends.
    Close,
    /// It stays, and is silent.
    Stay,
}

/// What a server serves, and how.
pub struct Feed {
    /// The lines of a place.
    pub lines: Box<dyn Fn(u64) -> FeedLines + Send + Sync>,
    /// Whether who comes to a place goes on where the last one there stopped.
    pub goes_on: bool,
    /// Lines a second; as fast as they are taken without it.
    pub rate: Option<f64>,
    /// Lines after which a connection ends.
    pub count: Option<u64>,
    /// How many clients there may be.
    pub clients: Clients,
    /// What follows the last line.
    pub at_end: AtEnd,
}

/// Serves `feed` at `listener` for ever. What has been sent goes to `sent` as well.
///
/// # Errors
/// Lines that cannot be read.
pub async fn serve(
    feed: Arc<Feed>,
    listener: TcpListener,
    sent: Option<Sender<Bytes>>,
) -> Result<()> {
    let mut clients = JoinSet::new();
    let mut free = BTreeMap::new();
    let mut places = 0;
    loop {
        let may_come = feed.clients == Clients::Many || clients.is_empty();
        tokio::select! {
            accepted = listener.accept(), if may_come => {
                let Ok((socket, _)) = accepted else {
                    sleep(PAUSE).await; // no file descriptors are left
                    continue;
                };
                let (place, lines) = free.pop_first().unwrap_or_else(|| {
                    places += 1;
                    (places - 1, (feed.lines)(places - 1))
                });
                let (feed, sent) = (Arc::clone(&feed), sent.clone());
                clients.spawn(async move {
                    Ok::<_, Error>((place, send(&feed, socket, lines, sent.as_ref()).await?))
                });
            }
            Some(left) = clients.join_next(), if !clients.is_empty() => {
                let left = left.map_err(|e| Error::internal("a client panicked").caused_by(e))?;
                let (place, lines) = left?;
                free.insert(place, if feed.goes_on { lines } else { (feed.lines)(place) });
            }
        }
    }
}

/// Sends lines until they end or the client leaves; the lines that are left.
async fn send(
    feed: &Feed,
    mut socket: TcpStream,
    mut lines: FeedLines,
    sent: Option<&Sender<Bytes>>,
) -> Result<FeedLines> {
    socket.set_nodelay(true).ok(); // a delay is no failure
    let mut paced = Paced::new(feed.rate, feed.count);
    while let Some(piece) = paced.next(&mut lines).await? {
        if socket.write_all(&piece).await.is_err() {
            return Ok(lines);
        }
        if let Some(sent) = sent {
            sent.send(piece).await.ok(); // nobody looks
        }
    }
    let stays = feed.at_end == AtEnd::Stay && !paced.has_counted();
    let mut said = [0; 64];
    while stays && matches!(socket.read(&mut said).await, Ok(1..)) {}
    socket.shutdown().await.ok(); // the client may have left
    Ok(lines)
}

/// Lines in pieces, when they are due.
pub struct Paced {
    rate: Option<f64>,
    count: Option<u64>,
    start: Instant,
    given: u64,
}

impl Paced {
    /// From now on.
    pub fn new(rate: Option<f64>, count: Option<u64>) -> Self {
        Self { rate, count, start: Instant::now(), given: 0 }
    }

    fn has_counted(&self) -> bool {
        self.count == Some(self.given)
    }

    /// When the next line is due, unless it is now.
    #[expect(clippy::cast_precision_loss, reason = "a moment in the far future")]
    fn due(&self) -> Option<Instant> {
        let after = Duration::try_from_secs_f64(self.given as f64 / self.rate?).ok()?;
        self.start.checked_add(after).filter(|due| *due > Instant::now())
    }

    /// Waits until a line is due, then takes all that are, each with an LF; `None` after the last.
    ///
    /// # Errors
    /// Lines that cannot be read.
    pub async fn next(&mut self, lines: &mut FeedLines) -> Result<Option<Bytes>> {
        if let Some(due) = self.due().filter(|_| !self.has_counted()) {
            sleep_until(due).await;
        }
        let mut piece = BytesMut::new();
        while !self.has_counted() && piece.len() < WRITE_BYTES && self.due().is_none() {
            let Some(line) = lines.try_next().await? else { break };
            piece.reserve(line.len() + 1);
            piece.extend_from_slice(&line);
            piece.extend_from_slice(b"\n");
            self.given += 1;
        }
        Ok(Some(piece.freeze()).filter(|piece| !piece.is_empty()))
    }
}
