//! What the functions of a session share: constants that are costly to read, decoded once, and a flag
//! that ends them.
//!
//! The engine hands a constant over as bytes, with every batch and to every stream. A plan of blocks
//! or a model is found by its bytes and decoded by the first call that needs it; calls with other
//! bytes do not wait for it. What is decoded is accounted to the memory pool of the session and
//! dropped with it.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryPool, MemoryReservation, UnboundedMemoryPool,
};

use crate::cancel::CancelFlag;
use crate::centroids::model::ModelSet;
use crate::error::Result;
use crate::grid::{Assigner, Cells, Plan};

/// How many values of a kind are kept ready: the latest.
const KEPT: usize = 4;

/// What the functions of a session share.
#[derive(Debug, Clone)]
pub struct FunctionContext {
    decoded: Arc<Decoded>,
    cancelled: CancelFlag,
}

#[derive(Debug)]
struct Decoded {
    plans: Cache<Assigner>,
    cells: Cache<Cells>,
    models: Cache<ModelSet>,
}

impl FunctionContext {
    /// The context of a session whose memory is accounted to `pool`.
    pub fn new(pool: &Arc<dyn MemoryPool>) -> Self {
        let (plans, cells, models) = (Cache::new(pool), Cache::new(pool), Cache::new(pool));
        let decoded = Arc::new(Decoded { plans, cells, models });
        Self { decoded, cancelled: CancelFlag::default() }
    }

    /// The same for functions that end once `flag` is set.
    #[must_use]
    pub fn cancelled_by(&self, flag: &CancelFlag) -> Self {
        Self { cancelled: flag.clone(), ..self.clone() }
    }

    /// Ends the calls that no one waits for.
    pub(super) fn cancelled(&self) -> &CancelFlag {
        &self.cancelled
    }

    /// The plan of these bytes.
    pub(super) fn plan(&self, bytes: &[u8]) -> Result<Ready<Assigner>> {
        let decode = |bytes: &[u8]| Ok(Assigner::new(Plan::decode(bytes)?)?);
        self.decoded.plans.get(bytes, decode, Assigner::bytes)
    }

    /// The cells of these bytes, or the plan whose blocks are the cells.
    pub(super) fn cells(&self, bytes: &[u8]) -> Result<Ready<Cells>> {
        let decode = |bytes: &[u8]| match Plan::decode(bytes) {
            Ok(plan) => Ok(Cells::of_blocks(plan)),
            Err(_) => Ok(Cells::decode(bytes)?),
        };
        self.decoded.cells.get(bytes, decode, Cells::bytes)
    }

    /// The models of these bytes.
    pub(super) fn models(&self, bytes: &[u8]) -> Result<Ready<ModelSet>> {
        let decode = |bytes: &[u8]| Ok(ModelSet::decode(bytes)?);
        self.decoded.models.get(bytes, decode, ModelSet::bytes)
    }
}

/// For functions outside a session: nothing bounds their memory.
impl Default for FunctionContext {
    fn default() -> Self {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        Self::new(&pool)
    }
}

/// A decoded value, shared by those who use it.
pub(super) type Ready<T> = Arc<Accounted<T>>;

/// A value with the memory it is accounted for.
#[derive(Debug)]
pub(super) struct Accounted<T> {
    value: T,
    _memory: MemoryReservation,
}

impl<T> Deref for Accounted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// The latest decoded values of one kind.
struct Cache<T> {
    pool: Arc<dyn MemoryPool>,
    latest: Mutex<Vec<Arc<Entry<T>>>>,
}

/// The bytes of a value, and the value once somebody has decoded it.
struct Entry<T> {
    bytes: Box<[u8]>,
    value: OnceLock<Result<Ready<T>>>,
}

impl<T> fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("kept", &self.latest().len()).finish_non_exhaustive()
    }
}

impl<T> Cache<T> {
    fn new(pool: &Arc<dyn MemoryPool>) -> Self {
        Self { pool: Arc::clone(pool), latest: Mutex::default() }
    }

    fn latest(&self) -> MutexGuard<'_, Vec<Arc<Entry<T>>>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of `bytes`, decoded unless it is ready. A failure is not kept.
    fn get(
        &self,
        bytes: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T>,
        size: impl FnOnce(&T) -> usize,
    ) -> Result<Ready<T>> {
        let entry = self.entry(bytes);
        let value = entry.value.get_or_init(|| {
            let value = decode(bytes)?;
            let memory = self.reserve(&entry, bytes.len() + size(&value))?;
            Ok(Arc::new(Accounted { value, _memory: memory }))
        });
        if value.is_err() {
            self.latest().retain(|known| !Arc::ptr_eq(known, &entry));
        }
        value.clone()
    }

    /// The entry of `bytes`; the lock is held to look it up only, not while it is decoded.
    fn entry(&self, bytes: &[u8]) -> Arc<Entry<T>> {
        let mut latest = self.latest();
        if let Some(known) = latest.iter().find(|entry| *entry.bytes == *bytes) {
            return Arc::clone(known);
        }
        if latest.len() == KEPT {
            latest.remove(0);
        }
        let entry = Arc::new(Entry { bytes: bytes.into(), value: OnceLock::new() });
        latest.push(Arc::clone(&entry));
        entry
    }

    /// Memory for `entry`; if the pool has none left, the others make room.
    fn reserve(&self, entry: &Arc<Entry<T>>, bytes: usize) -> Result<MemoryReservation> {
        let memory = MemoryConsumer::new("decoded constants").register(&self.pool);
        if memory.try_grow(bytes).is_err() {
            let others = {
                let mut latest = self.latest();
                let (own, others) = latest.drain(..).partition(|known| Arc::ptr_eq(known, entry));
                *latest = own;
                others
            };
            drop::<Vec<_>>(others);
            memory.try_grow(bytes)?;
        }
        Ok(memory)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;
    use crate::error::{Error, Kind};

    fn cache(pool_bytes: usize) -> (Arc<dyn MemoryPool>, Cache<usize>) {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(pool_bytes));
        let cache = Cache::new(&pool);
        (pool, cache)
    }

    #[test]
    fn two_values_are_decoded_at_the_same_time() {
        let (_, cache) = cache(1000);
        let both_decode = Barrier::new(2);
        thread::scope(|scope| {
            for bytes in [[1], [2]] {
                let (cache, both_decode) = (&cache, &both_decode);
                scope.spawn(move || {
                    let decode = |bytes: &[u8]| {
                        both_decode.wait(); // for ever, if one waited for the other
                        Ok(usize::from(bytes[0]))
                    };
                    let value = cache.get(&bytes, decode, |_| 10).unwrap();
                    assert_eq!(**value, usize::from(bytes[0]));
                });
            }
        });
    }

    #[test]
    fn a_value_is_decoded_once_however_many_ask_for_it() {
        let (_, cache) = cache(1000);
        let decoded = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                let (cache, decoded) = (&cache, &decoded);
                scope.spawn(move || {
                    for _ in 0..100 {
                        let decode = |_: &[u8]| Ok(decoded.fetch_add(1, Ordering::Relaxed));
                        assert_eq!(**cache.get(b"plan", decode, |_| 10).unwrap(), 0);
                    }
                });
            }
        });
        assert_eq!(decoded.into_inner(), 1);
    }

    #[test]
    fn ready_values_are_accounted_until_no_one_keeps_them() {
        let (pool, cache) = cache(1000);
        let used = cache.get(b"used", |_| Ok(7), |_| 96).unwrap();
        for byte in 0..6 {
            cache.get(&[byte], |_| Ok(0), |_| 99).unwrap();
        }
        assert_eq!(pool.reserved(), 100 + 4 * 100, "the one in use and the latest four");
        drop(used);
        assert_eq!(pool.reserved(), 400);
        drop(cache);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn where_memory_is_short_older_values_make_room() {
        let (pool, cache) = cache(250);
        cache.get(b"a", |_| Ok(0), |_| 99).unwrap();
        cache.get(b"b", |_| Ok(0), |_| 99).unwrap();
        cache.get(b"c", |_| Ok(0), |_| 199).unwrap();
        assert_eq!(pool.reserved(), 200);
        let refused = cache.get(b"d", |_| Ok(0), |_| 299).unwrap_err();
        assert_eq!(refused.kind(), Kind::Limit);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn a_failure_is_not_kept() {
        let (_, cache) = cache(1000);
        let failed = cache.get(b"x", |_| Err(Error::data("broken")), |_: &usize| 1);
        assert_eq!(failed.unwrap_err().to_string(), "broken");
        assert_eq!(**cache.get(b"x", |_| Ok(3), |_| 1).unwrap(), 3);
    }
}
