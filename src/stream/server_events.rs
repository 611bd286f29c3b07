//! A web server that sends events as a source. A connection that ends, breaks or is silent is made again, and
//! goes on behind the last event that came, if events have ids.

use std::time::Duration;

use futures::StreamExt;
use tokio::time::{sleep, timeout};

use super::events::Events;
use super::fed::{Piece, Pieces};
use crate::error::{Error, Kind, Result};
use crate::storage::{WebAnswer, WebClient};

/// How long the begin of an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a connection may be silent: servers send comments more often.
const SILENCE: Duration = Duration::from_secs(60);
/// The first and the longest wait before it connects again, unless the server says how long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The shortest wait, whatever the server says.
const LEAST_WAIT: Duration = Duration::from_millis(100);
/// After this long without an event there is no more for now.
const QUIET: Duration = Duration::from_secs(1);

/// How a connection came to its end.
enum End {
    /// The server has closed it.
    Closed,
    /// The server has no more, and says so.
    Over,
    /// It may be better the next time, after this long if the server says so.
    Passing(Error, Option<Duration>),
}

/// Reads the events at `address`; a connection that is closed is the end if it `ends` it.
pub(super) async fn read(address: String, ends: bool, pieces: Pieces) -> Result<()> {
    let client = WebClient::new()?;
    let (mut events, mut backoff, mut is_said) = (Events::default(), FIRST_WAIT, false);
    loop {
        events.restart();
        let (end, has_heard) = connection(&client, &address, ends, &mut events, &pieces).await?;
        if has_heard {
            let asked = events.retry_ms().map_or(FIRST_WAIT, Duration::from_millis);
            (backoff, is_said) = (asked.max(LEAST_WAIT), false);
        }
        let asked = match end {
            End::Over => return Ok(()),
            End::Closed if ends => return Ok(()),
            End::Closed => None,
            End::Passing(cause, _) if ends => return Err(cause),
            End::Passing(cause, asked) => {
                if !std::mem::replace(&mut is_said, true) {
                    pieces.bring(Piece::Warning(format!("{cause}: trying again"))).await;
                }
                asked
            }
        };
        pieces.bring(Piece::CaughtUp).await;
        sleep(asked.unwrap_or(backoff).max(backoff)).await;
        backoff = (backoff * 2).min(LONGEST_WAIT.max(backoff));
    }
}

/// Reads one connection to its end; whether an event came.
async fn connection(
    client: &WebClient,
    address: &str,
    ends: bool,
    events: &mut Events,
    pieces: &Pieces,
) -> Result<(End, bool)> {
    let mut headers = vec![("accept", "text/event-stream"), ("cache-control", "no-store")];
    let last = events.last_id().map(str::to_owned);
    headers.extend(last.as_deref().map(|id| ("last-event-id", id)));
    let silent = |time: Duration| {
        let seconds = time.as_secs();
        Error::new(Kind::Unreachable, format!("nothing came from '{address}' for {seconds} s"))
    };
    let answer = match timeout(ANSWER, client.get(address, &headers)).await {
        Err(_elapsed) => return Ok((End::Passing(silent(ANSWER), None), false)),
        Ok(Err(cause)) if cause.is_retryable() => return Ok((End::Passing(cause, None), false)),
        Ok(answer) => answer?,
    };
    if let Some(end) = refused(address, &answer)? {
        return Ok((end, false));
    }
    let (mut bytes, mut has_heard, mut silence) = (answer.bytes, false, Duration::ZERO);
    let end = loop {
        let heard = timeout(QUIET, bytes.next()).await;
        silence = if heard.is_err() { silence + QUIET } else { Duration::ZERO };
        match heard {
            Err(_elapsed) if silence >= SILENCE => break End::Passing(silent(SILENCE), None),
            // Where a connection is closed at the end, silence is not one.
            Err(_elapsed) if silence == QUIET && !ends => pieces.bring(Piece::CaughtUp).await,
            Err(_elapsed) => {}
            Ok(None) => break End::Closed,
            Ok(Some(Err(cause))) => {
                let what = format!("the connection to '{address}' broke");
                let broke = Error::new(Kind::Unreachable, what).caused_by(cause);
                break End::Passing(broke, None);
            }
            Ok(Some(Ok(bytes))) => {
                let lines = events.push(&bytes);
                if !lines.is_empty() {
                    has_heard = true;
                    pieces.bring(Piece::Bytes(lines.into())).await;
                }
            }
        }
    };
    Ok((end, has_heard))
}

/// Why there are no events in an answer.
fn refused(address: &str, answer: &WebAnswer) -> Result<Option<End>> {
    let said = |kind: Kind, what: &str| {
        Error::new(kind, format!("'{address}' answers {}: {what}", answer.status))
    };
    match answer.status {
        200 if answer.content_type.starts_with("text/event-stream") => Ok(None),
        200 => {
            let found = &answer.content_type;
            Err(Error::data(format!(
                "'{address}' answers with '{found}', expected text/event-stream: name an address that sends \
                 events"
            )))
        }
        204 => Ok(Some(End::Over)),
        401 | 403 => Err(said(Kind::Denied, "it lets this program not read")),
        404 | 410 => Err(said(Kind::InputMissing, "there is nothing at this address")),
        429 => {
            let busy = said(Kind::Retry, "it was asked too often, wait before you ask it again");
            Ok(Some(End::Passing(busy, answer.retry_after)))
        }
        408 | 500..600 => {
            let down = said(Kind::Unreachable, "the server is in trouble");
            Ok(Some(End::Passing(down, answer.retry_after)))
        }
        _ => Err(said(Kind::Data, "expected 200 and events")),
    }
}
