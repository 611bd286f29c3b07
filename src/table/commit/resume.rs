//! What a run keeps in its record for a later one to go on from, if it dies.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::create::Created;
use super::liveness::{self, Holder};
use super::names;
use super::place::DatasetRoot;
use super::record::{self, Intent};
use super::run::Run;
use crate::error::{Error, Kind, Result};
use crate::storage::{Location, Stores};
use crate::table::manifest::InputRecord;

/// A run that died before its decision, with what it kept for another to go on from.
#[derive(Clone, Debug)]
pub struct DeadRun {
    /// Its id.
    pub id: String,
    /// Its arguments.
    pub arguments: Vec<(String, String)>,
    /// What it read.
    pub inputs: Vec<InputRecord>,
    /// The names of the files it kept, sorted.
    pub files: Vec<String>,
    place: DatasetRoot,
}

impl DeadRun {
    /// A file that it kept.
    ///
    /// # Errors
    /// Of kind [`Kind::Retry`] if it is gone, since the run lives or was removed; or if storage
    /// fails.
    pub async fn read(&self, name: &str) -> Result<Bytes> {
        let path = names::checkpoint(&self.id, name);
        self.place.read(&path).await?.ok_or_else(|| {
            let path = self.place.location.join(&path);
            Error::new(
                Kind::Retry,
                format!("'{path}' is gone: the killed run lives, or was removed"),
            )
        })
    }
}

impl Run {
    /// Keeps a small file in the run's record, durable on return, for a later run to go on from if
    /// this one dies.
    ///
    /// # Errors
    /// If the run keeps other bytes under this name, or storage fails.
    pub async fn checkpoint(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.keeps.store(true, Ordering::Relaxed);
        match self.place.create(&names::checkpoint(&self.id, name), bytes.to_vec()).await? {
            Created::Ours => Ok(()),
            Created::Theirs(_) => Err(Error::internal(format!("'{name}' was kept already"))),
        }
    }

    /// The runs on `out` that died before their decision and have kept files, oldest first. On an
    /// object store a run that lives is among them: nothing there tells it from a dead one.
    ///
    /// # Errors
    /// If storage fails, or a record is broken.
    pub async fn resumable(stores: &Arc<Stores>, out: &Location) -> Result<Vec<DeadRun>> {
        let place = DatasetRoot::open(stores, out)?;
        let mut dead = Vec::new();
        for (id, names) in record::runs(&place).await? {
            let kept = names.iter().filter_map(|name| names::checkpoint_of(name));
            let mut kept: Vec<_> = kept.map(str::to_owned).collect();
            if kept.is_empty() || !record::is_open(&names) {
                continue;
            }
            if place.store.is_local()
                && matches!(liveness::holder(&place, &id, None).await?, Holder::Alive)
            {
                continue;
            }
            let Some(intent) = record::read::<Intent>(&place, &id, names::INTENT).await? else {
                continue;
            };
            kept.sort();
            let (arguments, inputs) = (intent.arguments, intent.inputs);
            dead.push(DeadRun { id, arguments, inputs, files: kept, place: place.clone() });
        }
        Ok(dead)
    }
}
