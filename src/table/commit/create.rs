//! The one operation that carries the protocol: a small file is put only if it is not there.
//!
//! Whatever error a store answers, the file is read back, because a put may have succeeded although
//! its answer says otherwise (a retried request meets its own success).

use bytes::Bytes;
use object_store::{ObjectStore, PutMode, PutOptions};

use super::place::{DatasetRoot, backoff, is_final};
use super::probe;
use crate::error::{Error, Kind, Result};
use crate::storage::{CreateOnly, blocking};

/// How often a put is tried that failed and left nothing.
const TRIES: u32 = 5;

/// What [`DatasetRoot::create`] found.
#[derive(Debug)]
pub(crate) enum Created {
    /// The file holds our bytes.
    Ours,
    /// The file holds these.
    Theirs(Bytes),
}

impl DatasetRoot {
    /// Puts a small file if there is none of this name, durable on return.
    pub(crate) async fn create(&self, relative: &str, bytes: Vec<u8>) -> Result<Created> {
        self.create_or(relative, bytes, |cause| cause).await
    }

    /// As [`Self::create`], for a file that decides: `in_doubt` makes the error if it may be there or not.
    pub(super) async fn create_or(
        &self,
        relative: &str,
        bytes: Vec<u8>,
        in_doubt: impl FnOnce(Error) -> Error,
    ) -> Result<Created> {
        let bytes = Bytes::from(bytes);
        for attempt in 0..TRIES {
            let failure = match self.try_create(relative, bytes.clone()).await {
                Ok(true) => return Ok(Created::Ours),
                Ok(false) => None,
                Err(error) => Some(error),
            };
            let found = match self.read(relative).await {
                Ok(found) => found,
                Err(cause) => return Err(in_doubt(cause)),
            };
            match (found, failure) {
                (Some(found), _) if found == bytes => return Ok(Created::Ours),
                (Some(found), _) => return Ok(Created::Theirs(found)),
                (None, Some(error)) if attempt + 1 == TRIES || is_final(&error) => {
                    return Err(error);
                }
                (None, _) => self.store.pause(backoff(attempt)).await,
            }
        }
        Err(Error::new(
            Kind::Retry,
            format!(
                "the store says that '{}' exists, but it cannot be read",
                self.location.join(relative)
            ),
        ))
    }

    /// True if the put was accepted, false if the name is taken.
    async fn try_create(&self, relative: &str, bytes: Bytes) -> Result<bool> {
        if let Some((files, path)) = self.local(relative) {
            return blocking(move || files.create(&path, &bytes)).await;
        }
        // A store that cannot refuse is given the file as it is: these names have one writer each.
        let options = match probe::create_only(self).await? {
            CreateOnly::Enforced => PutOptions::from(PutMode::Create),
            CreateOnly::Ignored | CreateOnly::Refused => PutOptions::default(),
        };
        match self.store.objects().put_opts(&self.key(relative), bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
