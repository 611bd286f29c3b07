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
                format!("'{path}' is gone: the killed run is alive after all, or was removed"),
            )
        })
    }
}

/// What the result of a run follows from. A run may go on from another's checkpoints only if theirs are
/// the same.
#[derive(Clone, Copy, Debug)]
pub struct Premises<'a> {
    /// The options that decide the result.
    pub options: &'a [(String, String)],
    /// The files it reads.
    pub inputs: &'a [InputRecord],
}

impl Premises<'_> {
    /// Checks that a run with these premises may go on from a killed run with those.
    ///
    /// # Errors
    /// Of kind [`Kind::Usage`] if they differ; it names the first difference.
    pub fn check_resume(self, killed: Premises<'_>) -> Result<()> {
        for (name, now) in self.options {
            let then = killed.options.iter().find(|(known, _)| known == name);
            let then = then.map_or("not given", |(_, value)| value);
            if then != now {
                return Err(Error::usage(format!(
                    "cannot resume: '{name}' is '{now}', the killed run had '{then}'"
                )));
            }
        }
        let other = self.inputs.iter().zip(killed.inputs).find(|(now, then)| now != then);
        if let Some((InputRecord { location, .. }, _)) = other {
            return Err(Error::usage(format!(
                "cannot resume: input '{location}' is not the one that the killed run read"
            )));
        }
        let [now, then] = [self.inputs.len(), killed.inputs.len()];
        if now != then {
            return Err(Error::usage(format!(
                "cannot resume: the input has {now} files, the killed run read {then}"
            )));
        }
        Ok(())
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
    /// object store a run that lives is among them: it cannot be distinguished from a dead one.
    ///
    /// # Errors
    /// If storage fails, or a record is broken.
    pub async fn resumable(stores: &Arc<Stores>, out: &Location) -> Result<Vec<DeadRun>> {
        let place = DatasetRoot::open(stores, out)?;
        let mut dead = Vec::new();
        let runs = record::runs(&place).await?;
        let now = match place.store.is_local() {
            true => liveness::now(&place, &runs).await?,
            false => None,
        };
        for (id, names) in runs {
            let kept = names.iter().filter_map(|name| names::checkpoint_of(name));
            let mut kept: Vec<_> = kept.map(str::to_owned).collect();
            if kept.is_empty() || !record::is_open(&names) {
                continue;
            }
            if place.store.is_local()
                && matches!(liveness::holder(&place, &id, now).await?, Holder::Alive)
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
