//! A folder as it is in another place: what differs is copied, and with `remove` what is too much goes.
//!
//! Objects differ that have another size, or are older than what they are copied from. Data files of a dataset
//! come first, then its manifests, so that readers of the copy find a whole version at any time; records of
//! runs stay behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectMeta;

use super::copy::{Copied, Job, run_jobs};
use super::entries::{self, ObjectOrFolder};
use super::filter::Filter;
use super::roots::{MANIFESTS, Roots, rank};
use crate::error::{Error, Kind, Result};
use crate::event::Observer;
use crate::storage::{Location, Stores, is_upload_note};

/// What has to be done.
pub struct Mirror {
    jobs: Vec<Job>,
    surplus: Vec<(Location, u64)>,
    /// Objects that are the same.
    pub same: u64,
}

impl Mirror {
    /// What will be copied: from, to, bytes.
    pub fn copies(&self) -> impl Iterator<Item = (&Location, &Location, u64)> {
        self.jobs.iter().map(|job| (&job.from, &job.to, job.meta.size))
    }

    /// What is in the target only, with its bytes.
    pub fn surplus(&self) -> &[(Location, u64)] {
        &self.surplus
    }
}

/// Compares the folders `from` and `to`; nothing is changed yet.
///
/// # Errors
/// Of kind [`Kind::Usage`] if one is an object or a pattern; of kind [`Kind::OutputExists`] if a
/// dataset of the target has versions that the source does not have; or if storage fails.
pub async fn compare(
    stores: &Arc<Stores>,
    from: &Location,
    to: &Location,
    filter: &Filter,
) -> Result<Mirror> {
    for location in [from, to] {
        if location.glob().is_some() {
            return Err(Error::usage(format!("'{location}' is a pattern, expected a folder")));
        }
    }
    if let ObjectOrFolder::Object(_) = entries::look(stores, from).await? {
        return Err(Error::usage(format!(
            "'{from}' is an object, expected a folder: use pleiad cp"
        )));
    }
    let is_inside = |one: &Location, other: &Location| one.path().prefix_matches(other.path());
    if stores.are_in_one_store(from, to) && (is_inside(from, to) || is_inside(to, from)) {
        return Err(Error::usage(format!("'{to}' and '{from}' are within each other")));
    }
    let source = listed(stores, from, filter).await?;
    let target = match entries::look(stores, to).await {
        Ok(ObjectOrFolder::Folder) => listed(stores, to, filter).await?,
        Ok(ObjectOrFolder::Object(_)) => {
            return Err(Error::usage(format!("'{to}' is an object, expected a folder")));
        }
        Err(error) if error.kind() == Kind::InputMissing => BTreeMap::new(),
        Err(error) => return Err(error),
    };
    refuse_other_versions(to, &source, &target)?;
    let mut mirror = Mirror { jobs: Vec::new(), surplus: Vec::new(), same: 0 };
    for (name, meta) in &source {
        let is_same = target.get(name).is_some_and(|there| {
            there.size == meta.size && there.last_modified >= meta.last_modified
        });
        if is_same {
            mirror.same += 1;
            continue;
        }
        let (from, to) = (from.join(name), to.join(name));
        mirror.jobs.push(Job { from, meta: meta.clone(), to, rank: rank(name) });
    }
    let surplus = target.iter().filter(|(name, _)| !source.contains_key(*name));
    mirror.surplus = surplus.map(|(name, meta)| (to.join(name), meta.size)).collect();
    Ok(mirror)
}

/// Copies what differs.
///
/// # Errors
/// If storage fails: copies that were made stay.
pub async fn copy(
    stores: &Arc<Stores>,
    mirror: Mirror,
    watch: &dyn Observer,
) -> Result<Vec<Copied>> {
    run_jobs(stores, &mirror.jobs, &[], true, watch).await
}

async fn listed(
    stores: &Arc<Stores>,
    folder: &Location,
    filter: &Filter,
) -> Result<BTreeMap<String, ObjectMeta>> {
    let found = entries::objects_below(stores, folder).await?;
    let roots = Roots::of(found.iter().map(|(name, _)| name.as_str()));
    let is_meant =
        |name: &str| !roots.is_of_runs(name) && !is_upload_note(name) && filter.takes(name);
    Ok(found.iter().filter(|(name, _)| is_meant(name)).cloned().collect())
}

/// Refuses a dataset that went its own way: a version of one would be put between those of the other.
fn refuse_other_versions(
    to: &Location,
    source: &BTreeMap<String, ObjectMeta>,
    target: &BTreeMap<String, ObjectMeta>,
) -> Result<()> {
    let is_manifest = |name: &str| {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        folder.rsplit('/').next() == Some(MANIFESTS)
    };
    let other = target
        .iter()
        .filter(|(name, _)| is_manifest(name))
        .find(|(name, meta)| source.get(*name).is_none_or(|known| known.size != meta.size));
    match other {
        None => Ok(()),
        Some((name, _)) => Err(Error::new(
            Kind::OutputExists,
            format!(
                "'{}' is of a version that the source does not have: the dataset there went its own \
                 way; remove it first, or choose another target",
                to.join(name)
            ),
        )),
    }
}
