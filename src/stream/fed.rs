//! Sources that wait for a network or list a folder: a task of the runtime reads them, and the reader's
//! thread, which may wait for room, takes what it brings.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::shared::Buffer;
use crate::error::Result;

/// Pieces that wait for the thread.
const WAITING: usize = 2;

/// What a task brings.
pub(super) enum Piece {
    /// The name of a file that begins.
    Begin(String),
    /// Bytes of lines, cut anywhere.
    Bytes(Bytes),
    /// The end of a file.
    End,
    /// There is no more for now.
    CaughtUp,
    /// What the user should know.
    Warning(String),
    /// There will never be more.
    Ended(Result<()>),
}

/// Where a task brings pieces; who takes them may have left, then the task ends at its next wait.
#[derive(Clone)]
pub(super) struct Pieces(Sender<Piece>);

impl Pieces {
    /// Waits until there is room.
    pub(super) async fn bring(&self, piece: Piece) {
        self.0.send(piece).await.ok();
    }
}

/// A task, and what it has brought.
pub(super) struct Fed {
    _task: SpawnedTask<()>,
    pieces: Receiver<Piece>,
}

impl Fed {
    /// Begins to read; no longer than someone reads `buffer`.
    pub(super) fn begin<F>(buffer: &Arc<Buffer>, read: impl FnOnce(Pieces) -> F) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (brings, pieces) = channel(WAITING);
        let (work, buffer) = (read(Pieces(brings.clone())), Arc::clone(buffer));
        let task = SpawnedTask::spawn(async move {
            tokio::select! {
                ended = work => drop(brings.send(Piece::Ended(ended)).await),
                () = buffer.left() => {}
            }
        });
        Self { _task: task, pieces }
    }

    /// Waits for the next piece, on a thread that may; `None` if the task was dropped.
    pub(super) fn next(&mut self) -> Option<Piece> {
        self.pieces.blocking_recv()
    }
}
