//! Lists of 64-bit words, in memory while the pool has room for them and on disk from then on.
//!
//! Everything that a run keeps of each row stands here between its phases: coordinates as they were
//! read, the rows of each block, labels. A list is kept once and taken once. Coordinates are stored as
//! the bits of float64, so what comes back is what was given.
//!
//! On disk all lists share one temporary file of the engine, which `--disk-limit` bounds; its room is
//! free again when the store is dropped.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::execution::disk_manager::DiskManager;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SpillFile, SpillWriter};

use crate::error::{Error, Kind, Result};
use crate::session::Session;

const WORD: usize = size_of::<u64>();
/// Words that are turned to bytes at a time.
const CHUNK: usize = 8192;

/// The number of a list in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListId(u32);

/// The lists of a phase, shared by its threads.
pub(crate) struct SpillStore {
    /// What the lists are, for errors.
    name: &'static str,
    slots: Mutex<Vec<Slot>>,
    /// What the lists in memory take.
    reservation: MemoryReservation,
    /// Bytes that the lists may take in memory at most.
    max_bytes: usize,
    disk: Arc<DiskManager>,
    file: Mutex<Option<Spill>>,
}

#[derive(Clone)]
enum Slot {
    Memory(Arc<Vec<u64>>),
    Disk { from: u64, words: usize },
    Taken,
}

/// The temporary file, and where it ends.
struct Spill {
    file: Arc<dyn SpillFile>,
    writer: Box<dyn SpillWriter>,
    end: u64,
}

impl SpillStore {
    /// An empty store that holds up to a sixth of the session's pool in memory: two are in use at a
    /// time, and blocks in work need as much again.
    pub(crate) fn new(session: &Session, name: &'static str) -> Self {
        let consumer = MemoryConsumer::new(format!("dbscan {name}")).with_can_spill(true);
        Self {
            name,
            slots: Mutex::default(),
            reservation: consumer.register(&session.memory_pool()),
            max_bytes: usize::try_from(session.pool_bytes() / 6).unwrap_or(usize::MAX),
            disk: Arc::clone(&session.context().runtime_env().disk_manager),
            file: Mutex::default(),
        }
    }

    /// Keeps a list here.
    pub(crate) fn keep(&self, words: Vec<u64>) -> Result<ListId> {
        let bytes = words.len() * WORD;
        let fits = self.reservation.size() + bytes <= self.max_bytes
            && self.reservation.try_grow(bytes).is_ok();
        let slot = match fits {
            true => Slot::Memory(Arc::new(words)),
            false => self.spill(&words)?,
        };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let list = u32::try_from(slots.len());
        let list = list.map_err(|cause| Error::internal("too many lists").caused_by(cause))?;
        slots.push(slot);
        Ok(ListId(list))
    }

    /// Reads a list that stays.
    pub(crate) fn read(&self, list: ListId) -> Result<Arc<Vec<u64>>> {
        let slot =
            self.slots.lock().unwrap_or_else(PoisonError::into_inner)[list.0 as usize].clone();
        match slot {
            Slot::Memory(words) => Ok(words),
            Slot::Disk { from, words } => self.fetch(from, words).map(Arc::new),
            Slot::Taken => Err(Error::internal("a list was taken already")),
        }
    }

    /// Takes a list away.
    pub(crate) fn take(&self, list: ListId) -> Result<Vec<u64>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = std::mem::replace(&mut slots[list.0 as usize], Slot::Taken);
        drop(slots);
        match slot {
            Slot::Memory(words) => {
                self.reservation.shrink(words.len() * WORD);
                Ok(Arc::unwrap_or_clone(words))
            }
            Slot::Disk { from, words } => self.fetch(from, words),
            Slot::Taken => Err(Error::internal("a list was taken already")),
        }
    }

    fn spill(&self, words: &[u64]) -> Result<Slot> {
        let mut open = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let spill = match &mut *open {
            Some(spill) => spill,
            None => {
                let file = self.disk.create_tmp_file(self.name)?;
                let writer = file.open_writer()?;
                open.insert(Spill { file, writer, end: 0 })
            }
        };
        let bytes = (words.len() * WORD) as u64;
        if self.disk.used_disk_space() + bytes > self.disk.max_temp_directory_size() {
            return Err(Error::new(
                Kind::Limit,
                format!(
                    "the disk limit of {} bytes is reached by the {}: raise --disk-limit or \
                     --memory-limit",
                    self.disk.max_temp_directory_size(),
                    self.name
                ),
            ));
        }
        let from = spill.end;
        for chunk in words.chunks(CHUNK) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|word| word.to_le_bytes()).collect();
            spill.writer.write_all(&bytes).map_err(|cause| self.failed(cause))?;
        }
        spill.end += bytes;
        Ok(Slot::Disk { from, words: words.len() })
    }

    fn fetch(&self, from: u64, words: usize) -> Result<Vec<u64>> {
        let open = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let path = open.as_ref().and_then(|spill| spill.file.path()).map(ToOwned::to_owned);
        drop(open);
        let path = path.ok_or_else(|| Error::internal("a temporary file without a path"))?;
        let read = || -> std::io::Result<Vec<u64>> {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(from))?;
            let mut all = Vec::with_capacity(words);
            let mut bytes = vec![0; words.min(CHUNK) * WORD];
            while all.len() < words {
                let wanted = (words - all.len()).min(CHUNK) * WORD;
                file.read_exact(&mut bytes[..wanted])?;
                let (words, _) = bytes[..wanted].as_chunks::<WORD>();
                all.extend(words.iter().map(|word| u64::from_le_bytes(*word)));
            }
            Ok(all)
        };
        read().map_err(|cause| self.failed(cause))
    }

    fn failed(&self, cause: std::io::Error) -> Error {
        Error::io(format!("cannot keep the {} on the disk for temporary files", self.name), cause)
    }
}

/// Rows on their way to many targets, gathered so that a list in the store is not too short. One
/// thread's own.
pub(crate) struct RowScatter<'a> {
    store: &'a SpillStore,
    open: Vec<Vec<u64>>,
    /// Words that a list should have.
    enough: usize,
    /// The finished lists, with their targets.
    pub(crate) lists: Vec<(usize, ListId)>,
}

impl<'a> RowScatter<'a> {
    /// For this many targets, which together hold at most a few million words here.
    pub(crate) fn new(store: &'a SpillStore, targets: usize) -> Self {
        let enough = ((2 << 20) / targets.max(1)).clamp(512, 64 << 10);
        Self { store, open: vec![Vec::new(); targets], enough, lists: Vec::new() }
    }

    /// Adds words to the list of a target.
    #[inline]
    pub(crate) fn push(&mut self, target: usize, words: &[u64]) -> Result<()> {
        let open = &mut self.open[target];
        if open.capacity() == 0 {
            open.reserve_exact(self.enough + 16);
        }
        open.extend_from_slice(words);
        if open.len() >= self.enough {
            let words = std::mem::take(open);
            self.lists.push((target, self.store.keep(words)?));
        }
        Ok(())
    }

    /// Puts away what is left; the lists with their targets.
    pub(crate) fn finish(mut self) -> Result<Vec<(usize, ListId)>> {
        for (target, mut words) in std::mem::take(&mut self.open).into_iter().enumerate() {
            if !words.is_empty() {
                words.shrink_to_fit();
                self.lists.push((target, self.store.keep(words)?));
            }
        }
        Ok(self.lists)
    }
}
