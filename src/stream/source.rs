//! Where the lines of a stream come from, read by a thread of its own that may block.
//!
//! | location | ends |
//! |---|---|
//! | `tcp://host:port` | with `'on_close' 'end'` when the connection is closed; else it connects again |
//! | `https://…` | the same |
//! | `stdin` | with the input |
//! | a file, also compressed | with the file |
//! | a folder, a prefix on S3 | never: files that are added are read, each once, the oldest first |
//! | `rate://` | with `'rows'` rows |

use std::cell::Cell;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use memchr::memchr_iter;

use super::bad::BadLines;
use super::decode::{BadLine, Decoder};
use super::event_time::{EventTime, Times};
use super::fed::{Fed, Piece};
use super::lines::{Lines, ranges};
use super::options::Listing;
use super::rate::{Rate, Ticks};
use super::shared::{Buffer, Chunk};
use super::{folder, server_events, state};
use crate::error::{Error, Kind, Result};
use crate::storage::{Location, Stores};
use crate::table::Folder;

/// Bytes that are decoded at once.
const PIECE: usize = 1 << 20;
/// How long a connection may be silent until it is seen whether anyone reads it.
const SILENCE: Duration = Duration::from_millis(200);
/// The first and the longest wait before it connects again.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often a folder is listed: on this machine, and where a listing costs.
const LIST_EVERY: Duration = Duration::from_secs(1);
const LIST_FAR_EVERY: Duration = Duration::from_secs(10);

/// A source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(String),
    /// The address of a server of events.
    Events(String),
    Stdin,
    Files(Location),
    Rate,
}

impl Place {
    /// What `location` names.
    pub(super) fn of(stores: &Stores, location: &str) -> Result<Self> {
        let expected =
            "expected tcp://host:port, https://…, a file or folder, s3://…, rate:// or 'stdin'";
        match location.split_once("://") {
            _ if location == "stdin" => Ok(Self::Stdin),
            Some(("tcp", address)) => {
                let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
                match port {
                    Some(Ok(_)) => Ok(Self::Tcp(address.to_owned())),
                    _ => Err(Error::usage(format!("'{location}' has no port, {expected}"))),
                }
            }
            Some(("http" | "https", _)) => Ok(Self::Events(location.to_owned())),
            Some(("rate", "")) => Ok(Self::Rate),
            Some(("file" | "s3" | "s3a" | "s3n" | "memory", _)) | None => {
                stores.parse_existing(location).map(Self::Files)
            }
            Some((scheme, _)) => Err(Error::usage(format!(
                "a stream is not read from '{scheme}://' locations, {expected}"
            ))),
        }
    }

    /// Whether each query reads it from its start, by itself.
    pub(super) fn is_replayed(&self) -> bool {
        matches!(self, Self::Files(_))
    }
}

/// Lines to rows, and their time.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) decoder: Decoder,
    pub(super) schema: SchemaRef,
    /// The expression that is the last column.
    pub(super) event_time: Option<Arc<dyn PhysicalExpr>>,
    /// The column that is the time of a row.
    pub(super) time: Option<EventTime>,
}

/// The rows of lines, how many lines they were, and those that could not be read.
type Decoded = (Chunk, u64, Vec<BadLine>);

impl Rows {
    /// Lines in pieces, in order; those of several pieces on several cores.
    fn decode_at_once(&self, lines: &[u8], first: u64) -> Vec<Result<Decoded>> {
        let pieces = ranges(lines, PIECE);
        if let [piece] = &pieces[..] {
            return vec![self.decode(&lines[piece.clone()], first)];
        }
        std::thread::scope(|scope| {
            let mut first = first;
            let begun = pieces.into_iter().map(|piece| {
                let (piece, number) = (&lines[piece], first);
                first += memchr_iter(b'\n', piece).count() as u64;
                scope.spawn(move || self.decode(piece, number))
            });
            let begun: Vec<_> = begun.collect();
            let ends = begun.into_iter().map(|thread| thread.join());
            ends.map(|end| end.unwrap_or_else(|panic| resume_unwind(panic))).collect()
        })
    }

    fn decode(&self, lines: &[u8], first: u64) -> Result<Decoded> {
        let decoded = self.decoder.decode(lines, first)?;
        let mut rows = decoded.batch;
        if let Some(event_time) = &self.event_time {
            let time = event_time.evaluate(&rows)?.into_array(rows.num_rows())?;
            let columns: Vec<ArrayRef> = rows.columns().iter().cloned().chain([time]).collect();
            rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        }
        let bad = decoded.bad.len() as u64;
        let (bytes, inexact) = (lines.len(), decoded.inexact);
        let times = match &self.time {
            Some(time) => time.times(&rows, jiff::Timestamp::now().as_nanosecond())?,
            None => Times::default(),
        };
        let held = bytes.max(state::bytes(std::slice::from_ref(&rows))?);
        let chunk = Chunk { rows, bytes, held, bad, inexact, times, ends_file: false };
        Ok((chunk, decoded.lines, decoded.bad))
    }
}

/// Ends a buffer whose reader has died.
struct LastWord(Arc<Buffer>);

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.end(Err(Error::internal("the reader of a stream died")));
    }
}

/// Reads a source into a buffer until it ends or no one reads it.
pub(super) struct Reader {
    pub(super) place: Place,
    pub(super) rows: Rows,
    pub(super) buffer: Arc<Buffer>,
    /// Where the lines are kept that cannot be read.
    pub(super) bad: Arc<BadLines>,
    pub(super) stores: Arc<Stores>,
    /// Whether what is there now is all.
    pub(super) ends: bool,
    /// Which files of a folder are read, and when.
    pub(super) listing: Listing,
    pub(super) rate: Rate,
    /// Whether it has warned of a line that cannot be read.
    pub(super) has_warned: Cell<bool>,
}

impl Reader {
    /// Starts the thread, and the task that brings it what it does not read itself.
    pub(super) fn start(self) -> Result<()> {
        let ends = self.ends;
        let fed = match &self.place {
            Place::Files(location) => {
                let folder = Folder::open(&self.stores, location)?;
                let every = if folder.is_local() { LIST_EVERY } else { LIST_FAR_EVERY };
                let poll = Some(self.listing.poll.unwrap_or(every));
                let listing = Listing { poll, ..self.listing };
                Some(Fed::begin(&self.buffer, |pieces| folder::read(folder, listing, ends, pieces)))
            }
            Place::Events(address) => {
                let address = address.clone();
                let read = |pieces| server_events::read(address, ends, pieces);
                Some(Fed::begin(&self.buffer, read))
            }
            Place::Tcp(_) | Place::Stdin | Place::Rate => None,
        };
        let work = move || {
            let _last_word = LastWord(Arc::clone(&self.buffer));
            let read = match (&self.place, fed) {
                (_, Some(fed)) => self.brought(fed),
                (Place::Tcp(address), _) => self.connections(address),
                (Place::Rate, _) => self.ticks(),
                (_, None) => self.stdin(),
            };
            self.buffer.end(read);
        };
        let thread = std::thread::Builder::new().name("stream".to_owned()).spawn(work);
        thread.map(drop).map_err(|cause| Error::io("start a thread that reads a stream", cause))
    }

    fn is_left(&self) -> bool {
        self.buffer.is_left()
    }

    /// Pushes whole lines, the first of which has the number `first` in `file`; how many they were.
    fn push(&self, lines: &[u8], first: u64, file: Option<&str>, ends_file: bool) -> Result<u64> {
        let mut number = first;
        let decoded = self.rows.decode_at_once(lines, first);
        let last = decoded.len();
        for (at, decoded) in decoded.into_iter().enumerate() {
            let (mut chunk, count, bad) = decoded?;
            if let Some(bad) = bad.first()
                && !self.has_warned.replace(true)
            {
                self.buffer.warn(format!(
                    "line {} of a stream cannot be read: {}; option 'on_error' of the table says what becomes \
                     of such lines",
                    bad.position + 1,
                    bad.reason
                ));
            }
            if !bad.is_empty() {
                self.bad.push(file, jiff::Timestamp::now().as_microsecond(), bad);
            }
            chunk.ends_file = ends_file && at + 1 == last;
            number += count;
            self.buffer.push(chunk);
        }
        if last == 0 && ends_file {
            let (chunk, ..) = self.rows.decode(&[], first)?;
            self.buffer.push(Chunk { ends_file, ..chunk });
        }
        Ok(number - first)
    }

    /// Takes what a task brings.
    fn brought(&self, mut fed: Fed) -> Result<()> {
        let (mut lines, mut number, mut file) = (Lines::new(), 0, None);
        // Of a file as much as all cores decode at once; an event is shown when it comes.
        let enough = if matches!(self.place, Place::Files(_)) { cores() * PIECE } else { 1 };
        while let Some(piece) = fed.next() {
            match piece {
                Piece::Begin(name) => (file, number) = (Some(name), 0),
                Piece::Bytes(bytes) => {
                    lines.push(&bytes);
                    if lines.len() >= enough {
                        number += self.push(&lines.take(), number, file.as_deref(), false)?;
                    }
                }
                Piece::End => drop(self.push(&lines.end(), number, file.as_deref(), true)?),
                Piece::CaughtUp => self.buffer.catch_up(),
                Piece::Warning(warning) => self.buffer.warn(warning),
                Piece::Ended(how) => return how,
            }
        }
        Ok(())
    }

    fn stdin(&self) -> Result<()> {
        let (mut lines, mut number) = (Lines::new(), 0);
        let mut bytes = vec![0; PIECE];
        let mut text = std::io::stdin().lock();
        while !self.is_left() {
            match text.read(&mut bytes) {
                Ok(0) => {
                    self.push(&lines.end(), number, None, false)?;
                    return Ok(());
                }
                Ok(read) => {
                    lines.push(&bytes[..read]);
                    if lines.len() > 0 {
                        number += self.push(&lines.take(), number, None, false)?;
                    }
                }
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(Error::io("cannot read the lines of a stream", cause)),
            }
        }
        Ok(())
    }

    fn ticks(&self) -> Result<()> {
        let (mut ticks, mut number) = (Ticks::new(self.rate.clone()), 0);
        while !self.is_left() && !ticks.is_over() {
            match ticks.take(self.ends) {
                Ok(lines) => number += self.push(lines.as_bytes(), number, None, false)?,
                Err(wait) => {
                    self.buffer.catch_up();
                    self.buffer.pause(wait);
                }
            }
        }
        Ok(())
    }

    fn connections(&self, address: &str) -> Result<()> {
        let (mut wait, mut number) = (FIRST_WAIT, 0);
        let mut is_said = false;
        while !self.is_left() {
            match TcpStream::connect(address) {
                Ok(connection) => {
                    let (count, end) = self.connection(connection, number)?;
                    if count > 0 {
                        (wait, is_said) = (FIRST_WAIT, false);
                    }
                    number += count;
                    match end {
                        Ok(()) if self.ends => return Ok(()),
                        Ok(()) => {}
                        Err(cause) => {
                            let what =
                                format!("the connection to 'tcp://{address}' broke: {cause}");
                            if self.ends {
                                return Err(Error::new(Kind::Unreachable, what));
                            }
                            if !std::mem::replace(&mut is_said, true) {
                                self.buffer.warn(format!("{what}: connecting again"));
                            }
                        }
                    }
                }
                Err(cause) => {
                    let what = format!("cannot connect to 'tcp://{address}': {cause}");
                    if self.ends {
                        return Err(Error::new(Kind::Unreachable, what));
                    }
                    if !std::mem::replace(&mut is_said, true) {
                        self.buffer.warn(format!("{what}: trying again"));
                    }
                }
            }
            self.buffer.catch_up();
            self.buffer.pause(wait);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        Ok(())
    }

    /// Reads to the end of a connection: how many lines there were, and whether it was closed or broke.
    fn connection(
        &self,
        mut connection: TcpStream,
        first: u64,
    ) -> Result<(u64, std::io::Result<()>)> {
        let failed = |cause| Error::io("cannot read from a connection", cause);
        connection.set_read_timeout(Some(SILENCE)).map_err(failed)?;
        let (mut lines, mut number) = (Lines::new(), first);
        let mut bytes = vec![0; PIECE];
        let (mut end, mut is_silent) = (Ok(()), false);
        while !self.is_left() {
            match connection.read(&mut bytes) {
                Ok(read) if read > 0 => {
                    is_silent = false;
                    lines.push(&bytes[..read]);
                    if lines.len() > 0 {
                        number += self.push(&lines.take(), number, None, false)?;
                    }
                }
                Err(cause)
                    if matches!(
                        cause.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) =>
                {
                    // Where a connection is closed at the end, silence is not one.
                    if !self.ends && !std::mem::replace(&mut is_silent, true) {
                        self.buffer.catch_up();
                    }
                }
                // What has come is read.
                last => {
                    number += self.push(&lines.end(), number, None, false)?;
                    end = last.map(drop);
                    break;
                }
            }
        }
        Ok((number - first, end))
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
