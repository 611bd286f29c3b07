//! Lists of 64-bit words, in memory while the pool has room for them and on disk from then on.
//!
//! Everything that a run keeps of each row between its phases is here: coordinates as they were read,
//! the rows of each block, labels. A list is stored once and taken once. Coordinates are stored as the
//! bits of float64, so what comes back is what was given.
//!
//! Storing and reading may wait for a disk, so both ask for a [`BlockingThread`]. No lock is held
//! meanwhile: a thread that spills takes a temporary file of the engine for itself, appends its list,
//! and puts the file back for the next one. There are as many files as threads spilled at a time;
//! `--disk-limit` bounds them together, and they are removed with the store.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::execution::disk_manager::DiskManager;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::{SpillFile, SpillWriter};

use super::threads::BlockingThread;
use crate::error::{Error, Kind, Result};
use crate::session::Session;

const WORD: usize = size_of::<u64>();
/// Words that are turned into bytes at a time.
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
    /// Bytes that the lists may take in memory.
    max_bytes: usize,
    disk: Arc<DiskManager>,
    /// The files that no thread is writing to.
    idle: Mutex<Vec<Spill>>,
}

#[derive(Clone)]
enum Slot {
    Memory(Arc<Vec<u64>>),
    Disk { file: Arc<dyn SpillFile>, from: u64, words: usize },
    Taken,
}

/// A temporary file, and where it ends.
struct Spill {
    file: Arc<dyn SpillFile>,
    writer: Box<dyn SpillWriter>,
    end: u64,
}

impl SpillStore {
    /// An empty store that holds up to a sixth of the session's pool in memory: two are in use at a
    /// time, and blocks in work need as much again.
    pub(crate) fn new(session: &Session, name: &'static str) -> Self {
        let disk = Arc::clone(&session.context().runtime_env().disk_manager);
        let max_bytes = usize::try_from(session.pool_bytes() / 6).unwrap_or(usize::MAX);
        Self::with(&session.memory_pool(), max_bytes, disk, name)
    }

    fn with(
        pool: &Arc<dyn MemoryPool>,
        max_bytes: usize,
        disk: Arc<DiskManager>,
        name: &'static str,
    ) -> Self {
        let consumer = MemoryConsumer::new(format!("dbscan {name}")).with_can_spill(true);
        let (reservation, slots, idle) =
            (consumer.register(pool), Mutex::default(), Mutex::default());
        Self { name, slots, reservation, max_bytes, disk, idle }
    }

    /// Stores a list.
    pub(crate) fn add(&self, words: Vec<u64>, thread: &BlockingThread) -> Result<ListId> {
        let bytes = words.len() * WORD;
        let fits = self.reservation.size() + bytes <= self.max_bytes
            && self.reservation.try_grow(bytes).is_ok();
        let slot = match fits {
            true => Slot::Memory(Arc::new(words)),
            false => self.spill(&words, thread)?,
        };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let number = u32::try_from(slots.len());
        let number = number.map_err(|cause| Error::internal("too many lists").caused_by(cause))?;
        slots.push(slot);
        Ok(ListId(number))
    }

    /// Reads a list that stays.
    pub(crate) fn read(&self, list: ListId, thread: &BlockingThread) -> Result<Arc<Vec<u64>>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots[list.0 as usize].clone();
        drop(slots);
        match slot {
            Slot::Memory(words) => Ok(words),
            Slot::Disk { file, from, words } => {
                self.fetch(file.as_ref(), from, words, thread).map(Arc::new)
            }
            Slot::Taken => Err(Error::internal("a list was taken already")),
        }
    }

    /// Takes a list away.
    pub(crate) fn take(&self, list: ListId, thread: &BlockingThread) -> Result<Vec<u64>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = std::mem::replace(&mut slots[list.0 as usize], Slot::Taken);
        drop(slots);
        match slot {
            Slot::Memory(words) => {
                self.reservation.shrink(words.len() * WORD);
                Ok(Arc::unwrap_or_clone(words))
            }
            Slot::Disk { file, from, words } => self.fetch(file.as_ref(), from, words, thread),
            Slot::Taken => Err(Error::internal("a list was taken already")),
        }
    }

    /// Appends a list to a file that no other thread is writing to.
    fn spill(&self, words: &[u64], thread: &BlockingThread) -> Result<Slot> {
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
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut spill = match idle {
            Some(spill) => spill,
            None => {
                let file = self.disk.create_tmp_file(self.name)?;
                Spill { writer: file.open_writer()?, file, end: 0 }
            }
        };
        let from = spill.end;
        for chunk in words.chunks(CHUNK) {
            thread.check()?;
            let bytes: Vec<u8> = chunk.iter().flat_map(|word| word.to_le_bytes()).collect();
            spill.writer.write_all(&bytes).map_err(|cause| self.failed(cause))?;
        }
        spill.end += bytes;
        let slot = Slot::Disk { file: Arc::clone(&spill.file), from, words: words.len() };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(spill);
        Ok(slot)
    }

    fn fetch(
        &self,
        file: &dyn SpillFile,
        from: u64,
        words: usize,
        thread: &BlockingThread,
    ) -> Result<Vec<u64>> {
        let path = file.path().ok_or_else(|| Error::internal("a temporary file without a path"))?;
        let open = || -> std::io::Result<File> {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(from))?;
            Ok(file)
        };
        let mut file = open().map_err(|cause| self.failed(cause))?;
        let mut all = Vec::with_capacity(words);
        let mut bytes = vec![0; words.min(CHUNK) * WORD];
        while all.len() < words {
            thread.check()?;
            let wanted = (words - all.len()).min(CHUNK) * WORD;
            file.read_exact(&mut bytes[..wanted]).map_err(|cause| self.failed(cause))?;
            let (words, _) = bytes[..wanted].as_chunks::<WORD>();
            all.extend(words.iter().map(|word| u64::from_le_bytes(*word)));
        }
        Ok(all)
    }

    fn failed(&self, cause: std::io::Error) -> Error {
        Error::io(
            format!("cannot write the {} to a temporary file, or read them back", self.name),
            cause,
        )
    }
}

/// Rows on their way to many targets, collected so that a list in the store is not too short. One
/// thread's own.
pub(crate) struct RowScatter<'a> {
    store: &'a SpillStore,
    thread: &'a BlockingThread,
    open: Vec<Vec<u64>>,
    /// Words that a list should have.
    enough: usize,
    /// The finished lists, with their targets.
    lists: Vec<(usize, ListId)>,
}

impl<'a> RowScatter<'a> {
    /// For this many targets, which together hold at most a few million words here.
    pub(crate) fn new(store: &'a SpillStore, targets: usize, thread: &'a BlockingThread) -> Self {
        let enough = ((2 << 20) / targets.max(1)).clamp(512, 64 << 10);
        Self { store, thread, open: vec![Vec::new(); targets], enough, lists: Vec::new() }
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
            self.lists.push((target, self.store.add(words, self.thread)?));
        }
        Ok(())
    }

    /// Stores what is left; the lists with their targets.
    pub(crate) fn finish(mut self) -> Result<Vec<(usize, ListId)>> {
        for (target, mut words) in std::mem::take(&mut self.open).into_iter().enumerate() {
            if !words.is_empty() {
                words.shrink_to_fit();
                self.lists.push((target, self.store.add(words, self.thread)?));
            }
        }
        Ok(self.lists)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::disk_manager::DiskManagerBuilder;
    use datafusion::execution::memory_pool::UnboundedMemoryPool;

    use super::*;
    use crate::dbscan::threads::parallel_for;

    #[tokio::test(flavor = "multi_thread")]
    async fn lists_that_threads_spill_at_once_come_back_whole() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let disk = Arc::new(DiskManagerBuilder::default().build().unwrap());
        let store = SpillStore::with(&pool, 9000, Arc::clone(&disk), "lists");
        let list = |number: usize| (0..(number * 977) as u64).map(move |k| k << 32 | number as u64);
        let parts = parallel_for(4, 40, move |queue| {
            let mut ids = Vec::new();
            while let Some(number) = queue.next() {
                ids.push((number, store.add(list(number).collect(), queue.thread())?));
            }
            for (number, id) in &ids {
                assert!(store.read(*id, queue.thread())?.iter().copied().eq(list(*number)));
                assert!(store.take(*id, queue.thread())?.into_iter().eq(list(*number)));
                assert!(store.take(*id, queue.thread()).is_err(), "a list is taken once");
            }
            Ok(ids.len())
        });
        assert_eq!(parts.await.unwrap().into_iter().sum::<usize>(), 40);
        assert_eq!(disk.used_disk_space(), 0, "files go with the store");
    }
}
