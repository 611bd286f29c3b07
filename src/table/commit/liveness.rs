//! Whether the process of a run lives.
//!
//! A local run holds a lock, which the kernel frees when its process ends. Where the files may be on
//! several machines, a free lock says nothing of the others; there, and on an object store, a run rewrites
//! `alive` every minute, and is dead when the time of it is a quarter of an hour behind that of a file
//! just put. Both times are the server's: no clock of ours is asked. Then it is good manners only: a run
//! declared dead that lives fails when it decides, since a decision is taken once.

use std::collections::BTreeMap;

use datafusion::common::runtime::SpawnedTask;

use super::place::DatasetRoot;
use super::record::{self, Intent};
use super::{names, process};
use crate::error::Result;
use crate::storage::{BEAT, Lock, NotedUpload, SILENCE, blocking};

/// Whether a run that is not decided is alive.
#[derive(Debug)]
pub(super) enum Holder {
    /// Its process is alive, or that cannot be known.
    Alive,
    /// Its process is dead; the lock keeps others from finding the same.
    Dead(Option<Lock>),
}

/// Says that `run` lives, until it is dropped, where a lock does not.
pub(super) async fn beat(place: &DatasetRoot, run: &str) -> Result<Option<SpawnedTask<()>>> {
    if place.is_of_one_machine().await? {
        return Ok(None);
    }
    let (place, path) = (place.clone(), names::of_run(run, names::ALIVE));
    Ok(Some(SpawnedTask::spawn(async move {
        loop {
            place.store.pause(BEAT).await;
            if let Err(error) = say(&place, &path).await {
                tracing::debug!("'{}' was not written: {error}", place.location.join(&path));
            }
        }
    })))
}

/// Says for the first time that `run` lives, where files are shared: it is judged by what it says only if
/// it has said something.
pub(super) async fn begin(place: &DatasetRoot, run: &str) -> Result<()> {
    match !place.store.is_local() || place.is_of_one_machine().await? {
        true => Ok(()),
        false => say(place, &names::of_run(run, names::ALIVE)).await,
    }
}

async fn say(place: &DatasetRoot, path: &str) -> Result<()> {
    place.replace(path, b"alive\n".to_vec()).await
}

/// The server's time, by a file put for it, if one of `runs` may have to be judged by it.
pub(super) async fn now(
    place: &DatasetRoot,
    runs: &BTreeMap<String, Vec<String>>,
) -> Result<Option<i64>> {
    let are_over = !runs.values().any(|names| record::is_open(names));
    if are_over || place.is_of_one_machine().await? { Ok(None) } else { server_time(place).await }
}

/// The server's time, by a file put for it.
pub(super) async fn server_time(place: &DatasetRoot) -> Result<Option<i64>> {
    let path = names::probe();
    place.replace(&path, b"time".to_vec()).await?;
    let time = place.time_of(&path).await?;
    place.delete([path]).await?;
    if let Some((files, dir)) = place.local(names::PROBES) {
        blocking(move || files.remove_empty_dir(&dir)).await?;
    }
    Ok(time)
}

/// Whether the process of `run` lives, at the server's time `now`, where it is asked.
pub(super) async fn holder(place: &DatasetRoot, run: &str, now: Option<i64>) -> Result<Holder> {
    let mut held = None;
    if let Some((files, path)) = place.local(&names::of_run(run, names::LOCK)) {
        let Some(lock) = blocking(move || files.lock(&path)).await? else {
            return Ok(Holder::Alive);
        };
        let intent: Option<Intent> = record::read(place, run, names::INTENT).await?;
        let says = place.time_of(&names::of_run(run, names::ALIVE)).await?.is_some();
        // Without an intent the process died before it had one.
        let is_here = intent.map_or(!says, |intent| process::is_here(&intent.host));
        if lock.keeps_out() && (is_here || place.is_of_one_machine().await?) {
            return Ok(Holder::Dead(Some(lock)));
        }
        if !says {
            return Ok(Holder::Alive);
        }
        held = Some(lock);
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
        Some(last) if now - last > SILENCE => Holder::Dead(held),
        _ => Holder::Alive,
    })
}

/// The noted uploads of the location and below it whose processes are dead.
pub(super) async fn dead_uploads(place: &DatasetRoot) -> Result<Vec<NotedUpload>> {
    if place.store.uploads().is_none() {
        return Ok(Vec::new());
    }
    let noted = NotedUpload::all(&place.store, &place.location).await?;
    let now = match noted.first() {
        Some(upload) => upload.server_time(&place.store).await.ok(), // where nothing can be put there is none
        None => None,
    };
    let mut dead = Vec::new();
    for upload in noted {
        if upload.is_dead(now).await {
            dead.push(upload);
        }
    }
    Ok(dead)
}
