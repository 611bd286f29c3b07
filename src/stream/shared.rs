//! The one read of a stream: decoded rows wait in a buffer until each query that reads it has taken them.
//!
//! A query has a [`Cursor`], which begins at the next rows to come. The reader waits while the slowest query
//! leaves no room, and ends when the last query has left.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use tokio::sync::watch;

use super::event_time::Times;
use crate::error::{Error, Result};

/// Rows that came together.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) rows: RecordBatch,
    /// Bytes of their lines.
    pub(super) bytes: usize,
    /// Bytes that they take here.
    pub(super) held: usize,
    /// Lines among them that could not be read.
    pub(super) bad: u64,
    /// Integers in them that may not be exact.
    pub(super) inexact: u64,
    /// The times of the rows.
    pub(super) times: Times,
    /// Whether a file ends behind them.
    pub(super) ends_file: bool,
}

/// What a reader has read and a query has not taken.
#[derive(Debug)]
pub(super) struct Buffer {
    waiting: Mutex<Waiting>,
    room: Condvar,
    changed: watch::Sender<()>,
    limit: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    chunks: VecDeque<Chunk>,
    /// The number of the first chunk.
    first: u64,
    held: usize,
    /// The next chunk of each query.
    cursors: BTreeMap<u64, u64>,
    begun: u64,
    is_caught_up: bool,
    ended: Option<Result<()>>,
    warnings: Vec<String>,
}

impl Waiting {
    /// Forgets what all queries have taken.
    fn forget(&mut self) {
        let needed = self.cursors.values().min().copied().unwrap_or(u64::MAX);
        while self.first < needed
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.first += 1;
            self.held -= chunk.held;
        }
    }
}

/// How much a query takes at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) files: Option<usize>,
    /// Bytes of lines, one chunk at least.
    pub(super) bytes: Option<usize>,
}

/// What a query takes at once.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) chunks: Vec<Chunk>,
    /// Whether there is more to take at once.
    pub(super) has_more: bool,
    /// Whether nothing was left, and the source had no more at that time.
    pub(super) is_drained: bool,
    /// Whether nothing will come any more.
    pub(super) is_ended: bool,
}

impl Buffer {
    /// For rows of `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            room: Condvar::new(),
            changed: watch::Sender::new(()),
            limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A cursor at the next rows.
    pub(super) fn cursor(self: &Arc<Self>) -> Cursor {
        let mut waiting = self.lock();
        let number = waiting.begun;
        waiting.begun += 1;
        let next = waiting.first + waiting.chunks.len() as u64;
        waiting.cursors.insert(number, next);
        Cursor { buffer: Arc::clone(self), number, changed: self.changed.subscribe() }
    }

    /// Whether no query reads it, and none will.
    pub(super) fn is_left(&self) -> bool {
        let waiting = self.lock();
        waiting.begun > 0 && waiting.cursors.is_empty()
    }

    /// Waits until no query reads it. It can be dropped.
    pub(super) async fn left(&self) {
        let mut changed = self.changed.subscribe();
        while !self.is_left() {
            changed.changed().await.ok(); // the sender is here
        }
    }

    /// Whether nothing will come any more.
    pub(super) fn is_ended(&self) -> bool {
        self.lock().ended.is_some()
    }

    /// Adds rows once there is room for them.
    pub(super) fn push(&self, chunk: Chunk) {
        let mut waiting = self.lock();
        while waiting.held >= self.limit && !(waiting.begun > 0 && waiting.cursors.is_empty()) {
            waiting = self.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.held += chunk.held;
        waiting.is_caught_up = false;
        waiting.chunks.push_back(chunk);
        drop(waiting);
        self.changed.send_replace(());
    }

    /// Says that the source has no more for now.
    pub(super) fn catch_up(&self) {
        self.lock().is_caught_up = true;
        self.changed.send_replace(());
    }

    /// Says that the source has ended, unless that was said.
    pub(super) fn end(&self, how: Result<()>) {
        let mut waiting = self.lock();
        waiting.is_caught_up = true;
        waiting.ended.get_or_insert(how);
        drop(waiting);
        self.changed.send_replace(());
    }

    /// Keeps something that the user should know until a query says it.
    pub(super) fn warn(&self, warning: String) {
        self.lock().warnings.push(warning);
        self.changed.send_replace(());
    }

    /// Waits, but not after the last query has left.
    pub(super) fn pause(&self, time: Duration) {
        let waiting = self.lock();
        let is_read = |waiting: &mut Waiting| waiting.begun == 0 || !waiting.cursors.is_empty();
        let waited = self.room.wait_timeout_while(waiting, time, is_read);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Where a query is in a stream.
#[derive(Debug)]
pub(super) struct Cursor {
    buffer: Arc<Buffer>,
    number: u64,
    changed: watch::Receiver<()>,
}

impl Cursor {
    /// Takes what is there, within `limits`; an error of the source after all that came before it.
    pub(super) fn take(&mut self, limits: Limits) -> Result<Taken> {
        self.changed.mark_unchanged();
        let mut waiting = self.buffer.lock();
        let next = waiting.cursors.get(&self.number).copied().unwrap_or(waiting.first);
        let skipped = usize::try_from(next - waiting.first).unwrap_or(usize::MAX);
        let mut taken = Taken::default();
        let (mut files, mut bytes) = (0, 0);
        for chunk in waiting.chunks.iter().skip(skipped) {
            bytes += chunk.bytes;
            let is_full = limits.bytes.is_some_and(|limit| bytes > limit);
            if limits.files == Some(files) || (is_full && !taken.chunks.is_empty()) {
                break;
            }
            files += usize::from(chunk.ends_file);
            taken.chunks.push(chunk.clone());
        }
        let next = next + taken.chunks.len() as u64;
        let is_all = next == waiting.first + waiting.chunks.len() as u64;
        taken.has_more = !is_all;
        taken.is_drained = is_all && waiting.is_caught_up;
        taken.is_ended = is_all && waiting.ended.is_some();
        if taken.chunks.is_empty()
            && is_all
            && let Some(Err(cause)) = &waiting.ended
        {
            return Err(Error::clone(cause));
        }
        // What came before an error is shown before it.
        let has_failed = matches!(waiting.ended, Some(Err(_)));
        taken.has_more |= has_failed;
        taken.is_drained &= !has_failed;
        taken.is_ended &= !has_failed;
        waiting.cursors.insert(self.number, next);
        waiting.forget();
        drop(waiting);
        self.buffer.room.notify_all();
        Ok(taken)
    }

    /// Whether the source has ended, well or not.
    pub(super) fn is_ended(&self) -> bool {
        self.buffer.is_ended()
    }

    /// Whether the source has ended with an error.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.buffer.lock().ended, Some(Err(_)))
    }

    /// What the user should know of the source.
    pub(super) fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.buffer.lock().warnings)
    }

    /// Waits until there is something to take, or to know. It can be dropped.
    pub(super) async fn changed(&mut self) {
        // The sender is in the buffer, which the cursor holds.
        self.changed.changed().await.ok();
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let mut waiting = self.buffer.lock();
        waiting.cursors.remove(&self.number);
        waiting.forget();
        drop(waiting);
        self.buffer.room.notify_all();
        self.buffer.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    fn chunk(value: i64, ends_file: bool) -> Chunk {
        let column: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![value]));
        let rows = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let times = Times::default();
        Chunk { rows, bytes: 10, held: 10, bad: 0, inexact: 0, times, ends_file }
    }

    #[test]
    fn each_query_takes_all_that_comes_after_it_began() {
        let buffer = Arc::new(Buffer::new(100));
        let mut first = buffer.cursor();
        buffer.push(chunk(1, false));
        let mut second = buffer.cursor();
        buffer.push(chunk(2, false));
        assert_eq!(first.take(Limits::default()).unwrap().chunks.len(), 2);
        assert_eq!(second.take(Limits::default()).unwrap().chunks.len(), 1);
        assert_eq!(buffer.lock().held, 0);
        drop((first, second));
        assert!(buffer.is_left());
    }

    #[test]
    fn files_are_taken_as_many_as_are_asked_for() {
        let buffer = Arc::new(Buffer::new(100));
        let mut cursor = buffer.cursor();
        for (value, ends) in [(1, false), (2, true), (3, true), (4, true)] {
            buffer.push(chunk(value, ends));
        }
        buffer.catch_up();
        let sizes = [2, 1, 1].map(|size| {
            (size, cursor.take(Limits { files: Some(1), ..Limits::default() }).unwrap())
        });
        for (size, taken) in &sizes {
            assert_eq!(taken.chunks.len(), *size);
        }
        assert!(!sizes[1].1.is_drained && sizes[2].1.is_drained);
    }

    #[test]
    fn an_error_comes_after_what_was_read_before_it() {
        let buffer = Arc::new(Buffer::new(100));
        let mut cursor = buffer.cursor();
        buffer.push(chunk(1, false));
        buffer.end(Err(Error::data("broken")));
        let taken = cursor.take(Limits::default()).unwrap();
        assert!(taken.chunks.len() == 1 && !taken.is_ended);
        assert_eq!(cursor.take(Limits::default()).unwrap_err().to_string(), "broken");
    }

    #[test]
    fn a_reader_waits_for_room() {
        let buffer = Arc::new(Buffer::new(15));
        let mut cursor = buffer.cursor();
        std::thread::scope(|scope| {
            let reader =
                scope.spawn(|| (0..100).for_each(|value| buffer.push(chunk(value, false))));
            let mut taken = 0;
            while taken < 100 {
                assert!(buffer.lock().held <= 20);
                taken += cursor.take(Limits::default()).unwrap().chunks.len();
            }
            reader.join().unwrap();
        });
    }
}
