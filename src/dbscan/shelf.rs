//! Lists of 64-bit words, in memory while the pool has room for them and on disk from then on.
//!
//! Everything that a run keeps of each row stands here between its phases: coordinates as they were
//! read, the rows of each block, labels. A list is kept once and taken once. Coordinates are stored as
//! the bits of float64, so what comes back is what was given.
//!
//! On disk all lists share one temporary file of the engine, which `--disk-limit` bounds; its room is
//! free again when the shelf is dropped.

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

/// The number of a list on its shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slip(u32);

/// A shelf; shared by the threads of a phase.
pub(super) struct Shelf {
    /// What the lists are, for errors.
    name: &'static str,
    slots: Mutex<Vec<Slot>>,
    /// What the lists in memory take.
    reservation: MemoryReservation,
    /// Bytes that the lists may take in memory at most.
    most_bytes: usize,
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

impl Shelf {
    /// An empty shelf that holds up to a sixth of the session's pool in memory: two are in use at a
    /// time, and blocks in work need as much again.
    pub(super) fn new(session: &Session, name: &'static str) -> Self {
        let consumer = MemoryConsumer::new(format!("dbscan {name}")).with_can_spill(true);
        Self {
            name,
            slots: Mutex::default(),
            reservation: consumer.register(&session.memory_pool()),
            most_bytes: usize::try_from(session.pool_bytes() / 6).unwrap_or(usize::MAX),
            disk: Arc::clone(&session.context().runtime_env().disk_manager),
            file: Mutex::default(),
        }
    }

    /// Keeps a list here.
    pub(super) fn keep(&self, words: Vec<u64>) -> Result<Slip> {
        let bytes = words.len() * WORD;
        let fits = self.reservation.size() + bytes <= self.most_bytes
            && self.reservation.try_grow(bytes).is_ok();
        let slot = match fits {
            true => Slot::Memory(Arc::new(words)),
            false => self.spill(&words)?,
        };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slip = u32::try_from(slots.len());
        let slip = slip.map_err(|cause| Error::internal("too many lists").caused_by(cause))?;
        slots.push(slot);
        Ok(Slip(slip))
    }

    /// Reads a list that stays.
    pub(super) fn read(&self, slip: Slip) -> Result<Arc<Vec<u64>>> {
        let slot =
            self.slots.lock().unwrap_or_else(PoisonError::into_inner)[slip.0 as usize].clone();
        match slot {
            Slot::Memory(words) => Ok(words),
            Slot::Disk { from, words } => self.fetch(from, words).map(Arc::new),
            Slot::Taken => Err(Error::internal("a list was taken already")),
        }
    }

    /// Takes a list away.
    pub(super) fn take(&self, slip: Slip) -> Result<Vec<u64>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = std::mem::replace(&mut slots[slip.0 as usize], Slot::Taken);
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

/// Rows on their way to many piles, gathered so that a list on the shelf is not too short. One
/// thread's own.
pub(super) struct Gatherer<'a> {
    shelf: &'a Shelf,
    open: Vec<Vec<u64>>,
    /// Words that a list should have.
    enough: usize,
    /// The finished lists, with their piles.
    pub(super) lists: Vec<(usize, Slip)>,
}

impl<'a> Gatherer<'a> {
    /// For so many piles, of which all together hold at most a few million words here.
    pub(super) fn new(shelf: &'a Shelf, piles: usize) -> Self {
        let enough = ((2 << 20) / piles.max(1)).clamp(512, 64 << 10);
        Self { shelf, open: vec![Vec::new(); piles], enough, lists: Vec::new() }
    }

    /// Adds words to a pile.
    #[inline]
    pub(super) fn push(&mut self, pile: usize, words: &[u64]) -> Result<()> {
        let open = &mut self.open[pile];
        if open.capacity() == 0 {
            open.reserve_exact(self.enough + 16);
        }
        open.extend_from_slice(words);
        if open.len() >= self.enough {
            let words = std::mem::take(open);
            self.lists.push((pile, self.shelf.keep(words)?));
        }
        Ok(())
    }

    /// Puts away what is left; the lists with their piles.
    pub(super) fn finish(mut self) -> Result<Vec<(usize, Slip)>> {
        for (pile, mut words) in std::mem::take(&mut self.open).into_iter().enumerate() {
            if !words.is_empty() {
                words.shrink_to_fit();
                self.lists.push((pile, self.shelf.keep(words)?));
            }
        }
        Ok(self.lists)
    }
}
