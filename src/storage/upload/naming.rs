//! The end of an object in the making: the call that gives it its name, and what became of that.
//!
//! The call may be done although its answer is an error or never comes, and servers answer a repeated
//! one in different ways. So after an error the object is read and compared with what was sent.

use std::time::Duration;

use futures::TryStreamExt;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use sha2::{Digest, Sha256};

use super::create::Finished;
use super::multipart::OpenUpload;
use super::sha::hex;
use crate::error::{Error, Kind, Result};
use crate::storage::store::Store;

/// How often an object that an error left without its name is given it.
const TRIES: usize = 2;

/// How long at most to wait before the next try.
const PAUSE: Duration = Duration::from_millis(200);

/// An object that has all its bytes and no name.
pub(super) struct Unnamed<'a> {
    pub(super) store: &'a Store,
    pub(super) path: &'a Path,
    /// What errors call it.
    pub(super) shown: &'a str,
    /// Whether it may take the place of another.
    pub(super) replaces: bool,
    pub(super) size: u64,
}

/// Where the bytes of an object are that has no name.
pub(super) enum Whole {
    /// In memory.
    Here(PutPayload),
    /// In the parts of an upload.
    Sent { upload: Box<OpenUpload>, parts: Vec<PartId>, sha256: String },
}

impl Unnamed<'_> {
    /// Gives the object its name.
    pub(super) async fn name(&self, mut whole: Whole) -> Result<Finished> {
        let mut others = 1..TRIES;
        loop {
            let error = match self.try_to_name(&mut whole).await {
                Ok(finished) => return Ok(finished),
                Err(error) => error,
            };
            let is_final = matches!(
                error.kind(),
                Kind::Denied | Kind::Configuration | Kind::InputMissing | Kind::Usage
            );
            match self.is_named(&whole).await {
                Ok(true) => {
                    if let Whole::Sent { upload, .. } = &mut whole {
                        upload.forget().await;
                    }
                    return Ok(Finished::Named);
                }
                Ok(false) if !is_final && others.next().is_some() => self.store.pause(PAUSE).await,
                Err(unread) if !is_final => {
                    tracing::debug!("'{}' cannot be read back: {unread}", self.shown);
                    let message = format!("'{}' may be written or not: {error}", self.shown);
                    return Err(Error::new(error.kind(), message).caused_by(error));
                }
                Ok(false) | Err(_) => return Err(error),
            }
        }
    }

    async fn try_to_name(&self, whole: &mut Whole) -> Result<Finished> {
        match whole {
            Whole::Here(bytes) => self.put(bytes.clone()).await,
            Whole::Sent { upload, .. } if !self.replaces && self.is_there().await? => {
                upload.abort().await;
                Ok(Finished::Taken)
            }
            Whole::Sent { upload, parts, .. } => {
                upload.complete(parts.clone()).await?;
                Ok(Finished::Named)
            }
        }
    }

    /// Puts a small object at once.
    async fn put(&self, bytes: PutPayload) -> Result<Finished> {
        let put = |mode: PutMode| {
            self.store.objects().put_opts(self.path, bytes.clone(), PutOptions::from(mode))
        };
        if !self.replaces {
            match put(PutMode::Create).await {
                Ok(_) => return Ok(Finished::Named),
                // A put that was sent again meets its own success.
                Err(StoreError::AlreadyExists { .. }) => {
                    let is_ours = self.is_named(&Whole::Here(bytes)).await?;
                    return Ok(if is_ours { Finished::Named } else { Finished::Taken });
                }
                // There is no better on such a store than to look.
                Err(StoreError::NotSupported { .. }) => {
                    if self.is_there().await? {
                        return Ok(Finished::Taken);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        put(PutMode::Overwrite).await?;
        Ok(Finished::Named)
    }

    /// Whether there is an object of this name with these bytes.
    async fn is_named(&self, whole: &Whole) -> Result<bool> {
        let found = match self.store.objects().get(self.path).await {
            Ok(found) if found.meta.size == self.size => found,
            Ok(_) | Err(StoreError::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        match whole {
            Whole::Here(bytes) => Ok(found.bytes().await? == bytes::Bytes::from(bytes.clone())),
            Whole::Sent { sha256, .. } => {
                let (mut stream, mut sha) = (found.into_stream(), Sha256::new());
                while let Some(chunk) = stream.try_next().await? {
                    sha.update(&chunk);
                }
                Ok(hex(sha) == *sha256)
            }
        }
    }

    async fn is_there(&self) -> Result<bool> {
        match self.store.objects().head(self.path).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
