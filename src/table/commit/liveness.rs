//! Whether the process of a run lives.
//!
//! A local run holds a lock, which the kernel frees when its process ends. On an object store a run
//! rewrites `alive` every minute, and is dead when the server's time of it is a quarter of an hour
//! behind the server's time of a file just put. No clock of ours is asked. There it is good manners
//! only: a run declared dead that lives fails when it decides, since a decision is taken once.

use std::time::Duration;

use datafusion::common::runtime::SpawnedTask;

use super::place::DatasetRoot;
use super::record::{self, Intent};
use super::{names, process};
use crate::error::Result;
use crate::storage::{Lock, blocking};

/// How often a run says that it lives, at most.
const BEAT: Duration = Duration::from_secs(60);

/// How long a run on an object store may be silent, in seconds.
const SILENCE: i64 = 15 * 60;

/// Whether a run that is not decided is alive.
#[derive(Debug)]
pub(super) enum Holder {
    /// Its process is alive, or that cannot be known.
    Alive,
    /// Its process is dead; the lock keeps others from finding the same.
    Dead(Option<Lock>),
}

/// Says that `run` lives, until it is dropped.
pub(super) fn beat(place: DatasetRoot, run: &str) -> SpawnedTask<()> {
    let path = names::of_run(run, names::ALIVE);
    SpawnedTask::spawn(async move {
        loop {
            place.store.pause(BEAT).await;
            if let Err(error) = place.replace(&path, b"alive\n".to_vec()).await {
                tracing::debug!("'{}' was not written: {error}", place.location.join(&path));
            }
        }
    })
}

/// Whether the process of `run` lives, at the server's time `now`, where there is a server.
pub(super) async fn holder(place: &DatasetRoot, run: &str, now: Option<i64>) -> Result<Holder> {
    if let Some((files, path)) = place.local(&names::of_run(run, names::LOCK)) {
        let lock = blocking(move || files.lock(&path)).await?;
        let intent: Option<Intent> = record::read(place, run, names::INTENT).await?;
        // Without an intent the process died before it had one.
        let is_here = intent.is_none_or(|intent| process::is_here(&intent.host));
        return Ok(match lock {
            Some(lock) if is_here => Holder::Dead(Some(lock)),
            _ => Holder::Alive,
        });
    }
    let Some(now) = now else { return Ok(Holder::Alive) };
    let mut last = None;
    for name in [names::ALIVE, names::INTENT] {
        last = last.max(place.time_of(&names::of_run(run, name)).await?);
    }
    if last.is_none() {
        // What was on its way when its sender died came after the rest was removed.
        for path in place.list(&names::of_run(run, "")).await? {
            last = last.max(place.time_of(&path).await?);
        }
    }
    Ok(match last {
        Some(last) if now - last > SILENCE => Holder::Dead(None),
        _ => Holder::Alive,
    })
}
