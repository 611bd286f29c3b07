//! What a store makes of "put this only if the name is free": tried once, before the first such put.
//!
//! Most servers refuse the second put of a name. Some take it and say so (Garage 2.5), some answer
//! that they cannot do this; there [claims](super::claims) decide who publishes. A wrong answer would
//! let two writers use two ways at once, so only a plain answer counts: any other trouble is tried
//! again and then ends the run.

use bytes::Bytes;
use object_store::{Error as StoreError, PutMode, PutOptions};

use super::names;
use super::place::DatasetRoot;
use crate::error::{Error, Kind, Result};
use crate::storage::CreateOnly;

/// How often a call of the probe is tried.
const TRIES: u32 = 5;

/// How the store of `place` treats create-only puts; asked once a process and bucket.
pub(crate) async fn create_only(place: &DatasetRoot) -> Result<CreateOnly> {
    if place.store.is_local() {
        return Ok(CreateOnly::Enforced); // by a hard link, or a claim file where there are none
    }
    place.store.create_only().get_or_try_init(|| ask(place)).await.copied()
}

/// Whether an upload in parts can be begun and given up; `false` where there are none. It gets no
/// part: if this process dies in between, what is left holds no bytes.
///
/// # Errors
/// What the store answers if it cannot.
pub(crate) async fn multipart(place: &DatasetRoot) -> Result<bool> {
    let Some(uploads) = place.store.uploads() else { return Ok(false) };
    let key = place.key(&names::probe());
    let id = uploads.create_multipart(&key).await?;
    uploads.abort_multipart(&key, &id).await?;
    Ok(true)
}

/// Puts one name twice and looks whose bytes stay.
async fn ask(place: &DatasetRoot) -> Result<CreateOnly> {
    let path = names::probe();
    let answer = match try_to_create(place, &path, b"first").await? {
        Put::Unsupported => CreateOnly::Refused,
        Put::Taken => return Err(trouble(place, "says that a new name is taken")),
        Put::Accepted => {
            let second = try_to_create(place, &path, b"second").await?;
            let stays = place.read(&path).await?;
            match (second, stays.as_deref()) {
                (Put::Taken, Some(b"first")) => CreateOnly::Enforced,
                (Put::Accepted, Some(b"second")) => CreateOnly::Ignored,
                (Put::Unsupported, Some(b"first")) => CreateOnly::Refused,
                _ => return Err(trouble(place, "does not give back what was put last")),
            }
        }
    };
    if answer != CreateOnly::Enforced {
        if answer == CreateOnly::Refused {
            place.replace(&path, b"plain".to_vec()).await?;
        }
        if place.list(names::PROBES).await?.iter().all(|listed| *listed != path) {
            return Err(trouble(place, "does not list what was put"));
        }
        tracing::info!(
            "the store of '{}' does not keep two writers apart, so claims do",
            place.location
        );
    }
    place.delete([path]).await?;
    Ok(answer)
}

enum Put {
    Accepted,
    Taken,
    Unsupported,
}

/// Puts create-only until there is a plain answer. A put that was done although its answer was lost
/// counts as accepted.
async fn try_to_create(place: &DatasetRoot, path: &str, bytes: &'static [u8]) -> Result<Put> {
    let mut last = None;
    for attempt in 0..TRIES {
        let options = PutOptions::from(PutMode::Create);
        let put = Bytes::from_static(bytes).into();
        match place.store.objects().put_opts(&place.key(path), put, options).await {
            Ok(_) => return Ok(Put::Accepted),
            Err(StoreError::NotSupported { .. } | StoreError::NotImplemented { .. }) => {
                return Ok(Put::Unsupported);
            }
            Err(StoreError::AlreadyExists { .. }) => {
                let is_ours = place.read(path).await?.as_deref() == Some(bytes);
                return Ok(if is_ours { Put::Accepted } else { Put::Taken });
            }
            Err(error) => {
                let error = Error::from(error);
                if super::place::is_final(&error) {
                    return Err(error);
                }
                if place.read(path).await?.as_deref() == Some(bytes) {
                    return Ok(Put::Accepted);
                }
                last = Some(error);
                place.store.pause(super::place::backoff(attempt)).await;
            }
        }
    }
    Err(last.unwrap_or_else(|| trouble(place, "does not answer")))
}

fn trouble(place: &DatasetRoot, what: &str) -> Error {
    let message = format!(
        "the store of '{}' {what}: a dataset cannot be published there safely",
        place.location
    );
    Error::new(Kind::Configuration, message)
}
