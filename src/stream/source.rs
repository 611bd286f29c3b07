//! Where the lines of a stream come from, read by a thread of its own that may block.
//!
//! | location | ends |
//! |---|---|
//! | `tcp://host:port` | with `'on_close' 'end'` when the connection is closed; else it connects again |
//! | `stdin` | with the input |
//! | a file, also `.gz` | with the file |
//! | a directory | never: files that are added are read, each once, the oldest first |

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use flate2::read::MultiGzDecoder;
use memchr::memchr_iter;

use super::bad::BadLines;
use super::decode::{BadLine, Decoder};
use super::event_time::{EventTime, Times};
use super::lines::{Lines, ranges};
use super::shared::{Buffer, Chunk};
use crate::error::{Error, Kind, Result};
use crate::storage::Location;

/// Bytes that are decoded at once.
const PIECE: usize = 1 << 20;
/// How long a connection may be silent until it is seen whether anyone reads it.
const SILENCE: Duration = Duration::from_millis(200);
/// The first and the longest wait before it connects again.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often a directory is listed.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// A source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(String),
    Stdin,
    Files(PathBuf),
}

impl Place {
    /// What `location` names.
    pub(super) fn of(location: &str) -> Result<Self> {
        let expected = "expected tcp://host:port, a local file or directory, or 'stdin'";
        match location.split_once("://") {
            _ if location == "stdin" => Ok(Self::Stdin),
            Some(("tcp", address)) => {
                let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
                match port {
                    Some(Ok(_)) => Ok(Self::Tcp(address.to_owned())),
                    _ => Err(Error::usage(format!("'{location}' has no port, {expected}"))),
                }
            }
            Some(("file", _)) | None => match Location::parse(location)?.local_path() {
                Some(path) => Ok(Self::Files(path.to_owned())),
                None => Err(Error::usage(format!("'{location}' is not a local file, {expected}"))),
            },
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
        let chunk = Chunk { rows, bytes, bad, inexact, times, ends_file: false };
        Ok((chunk, decoded.lines, decoded.bad))
    }
}

/// Reads a source into a buffer until it ends or no one reads it.
pub(super) struct Reader {
    pub(super) place: Place,
    pub(super) rows: Rows,
    pub(super) buffer: Arc<Buffer>,
    /// Where the lines are kept that cannot be read.
    pub(super) bad: Arc<BadLines>,
    /// Whether what is there now is all.
    pub(super) ends: bool,
    /// Whether it has warned of a line that cannot be read.
    pub(super) has_warned: Cell<bool>,
}

impl Reader {
    /// Starts the thread.
    pub(super) fn start(self) -> Result<()> {
        let work = move || {
            let read = match &self.place {
                Place::Tcp(address) => self.connections(address),
                Place::Stdin => self.text(std::io::stdin().lock(), None),
                Place::Files(path) => self.files(path),
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

    /// Reads one text to its end, that of a file or of standard input.
    fn text(&self, mut text: impl Read, file: Option<&str>) -> Result<()> {
        let (mut lines, mut number) = (Lines::new(), 0);
        let pieces = if file.is_some() { cores() } else { 1 };
        let mut bytes = vec![0; pieces * PIECE];
        while !self.is_left() {
            let read = match file {
                Some(_) => fill(&mut text, &mut bytes),
                None => fill_once(&mut text, &mut bytes),
            };
            let read =
                read.map_err(|cause| Error::io("cannot read the lines of a stream", cause))?;
            if read == 0 {
                self.push(&lines.end(), number, file, file.is_some())?;
                return Ok(());
            }
            lines.push(&bytes[..read]);
            if lines.len() > 0 {
                number += self.push(&lines.take(), number, file, false)?;
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
                    wait = FIRST_WAIT;
                    is_said = false;
                    let (count, end) = self.connection(connection, number)?;
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
                            self.buffer.warn(format!("{what}: connecting again"));
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
        let mut end = Ok(());
        while !self.is_left() {
            match connection.read(&mut bytes) {
                Ok(read) if read > 0 => {
                    lines.push(&bytes[..read]);
                    if lines.len() > 0 {
                        number += self.push(&lines.take(), number, None, false)?;
                    }
                }
                Err(cause)
                    if matches!(
                        cause.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
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

    fn files(&self, path: &Path) -> Result<()> {
        if path.is_file() {
            return self.file(path);
        }
        let mut seen = HashSet::new();
        while !self.is_left() {
            for file in listed(path)? {
                if self.is_left() {
                    return Ok(());
                }
                if seen.insert(file.clone()) {
                    self.file(&file)?;
                }
            }
            if self.ends {
                return Ok(());
            }
            self.buffer.catch_up();
            self.buffer.pause(LIST_EVERY);
        }
        Ok(())
    }

    fn file(&self, path: &Path) -> Result<()> {
        let cannot = |cause| Error::io(format!("cannot read '{}'", path.display()), cause);
        let file = File::open(path).map_err(cannot)?;
        let name = path.to_string_lossy();
        match path.extension().is_some_and(|ending| ending == "gz") {
            true => self.text(MultiGzDecoder::new(file), Some(&name)),
            false => self.text(file, Some(&name)),
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Reads what is there, at least a byte but at the end.
fn fill_once(text: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match text.read(bytes) {
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Reads until `bytes` are full, or to the end.
fn fill(text: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<usize> {
    let mut all = 0;
    while all < bytes.len() {
        match fill_once(text, &mut bytes[all..])? {
            0 => break,
            read => all += read,
        }
    }
    Ok(all)
}

/// The files of a directory, the oldest first; names that begin with `_` or `.` are left out.
fn listed(path: &Path) -> Result<Vec<PathBuf>> {
    let cannot = |cause: std::io::Error| match cause.kind() {
        ErrorKind::NotFound => Error::missing(format!("'{}' not found", path.display())),
        _ => Error::io(format!("cannot list '{}'", path.display()), cause),
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        if entry.file_name().to_string_lossy().starts_with(['_', '.']) {
            continue;
        }
        let facts = entry.metadata().map_err(cannot)?;
        if facts.is_file() {
            files.push((facts.modified().map_err(cannot)?, entry.path()));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}
