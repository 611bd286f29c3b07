//! What is stored at a location, for `pleiad check`: findings in words, each with its remedy. It changes
//! nothing but for the probe of a store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::runtime::SpawnedTask;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use sha2::{Digest, Sha256};

use super::check_runs::runs;
use super::findings::{Checkup, Subject, command};
use super::kept::Which;
use super::place::DatasetRoot;
use super::revive::lost_manifest;
use super::{claims, kept, liveness, names, probe, record, renderings, versions};
use crate::error::{Error, Kind, Result};
use crate::event::{Event, Observer, Unit};
use crate::storage::{CreateOnly, Location, Stores};
use crate::table::hive::is_hidden;
use crate::table::manifest::{FileRecord, Manifest};

/// How often a look at a dataset is repeated if the dataset is overwritten meanwhile.
const LOOKS: usize = 3;

/// Files read at the same time.
const AT_ONCE: usize = 4;

/// Looks at `location`; with `verify` every byte of every file is read.
///
/// # Errors
/// Of kind [`Kind::InputMissing`] if there is nothing, of kind [`Kind::Usage`] if it is an object, of kind
/// [`Kind::Retry`] if it is overwritten all the time; or if storage fails. Damage is a finding.
pub async fn check(
    stores: &Arc<Stores>,
    location: &Location,
    verify: bool,
    watch: &dyn Observer,
) -> Result<Checkup> {
    let place = DatasetRoot::at(stores, location)?;
    let mut checkup = version_at_rest(&place, verify, watch).await?;
    reached(&mut checkup, stores, location);
    store(&mut checkup, &place).await;
    runs(&mut checkup, &place).await?;
    for kept::Kept { by, files, is_over, .. } in kept::kept(&place, Which::All).await? {
        let (count, bytes) = (files.len(), files.values().sum::<u64>());
        let (files, was, is) = match count {
            1 => ("file", "was", "is"),
            _ => ("files", "were", "are"),
        };
        let kept = if is_over { format!("{was} kept long enough") } else { format!("{is} kept") };
        let what = format!("{count} {files} that version {by} has replaced, {bytes} bytes, {kept}");
        let option = if is_over { "" } else { "--keep 0" };
        checkup.note(Subject::File, what, Some(command("gc", &place, option)));
    }
    for path in place.leftovers().await? {
        let what = format!("'{path}' was left by a writer that died; no reader sees it");
        checkup.note(Subject::File, what, Some(command("gc", &place, "")));
    }
    for upload in liveness::dead_uploads(&place).await? {
        let object = place.show(&upload.object);
        let what = format!(
            "an upload of '{object}' was left by a process that died: its parts take space, and no \
             reader sees them"
        );
        checkup.note(Subject::File, what, Some(command("gc", &place, "")));
    }
    for path in place.list(names::CLAIMS).await? {
        if let Some(claim) = claims::read(&place, &path).await? {
            let claims::Claim { run, host, pid, started } = claim;
            checkup.note(
                Subject::Claim,
                format!(
                    "run {run} of process {pid} on '{host}' has been publishing since {started}"
                ),
                Some(format!("if that process is dead: {}", command("unlock", &place, ""))),
            );
        }
    }
    Ok(checkup)
}

/// The current version, looked at while no other one took its place: a version that is replaced loses
/// its files, which is not damage.
async fn version_at_rest(
    place: &DatasetRoot,
    verify: bool,
    watch: &dyn Observer,
) -> Result<Checkup> {
    for _ in 0..LOOKS {
        let before = versions::names(place).await;
        let checkup = current_version(place, &before, verify, watch).await;
        let Ok(before) = before else { return checkup };
        let after = versions::names(place).await;
        if !after.is_ok_and(|after| after.last_key_value() != before.last_key_value()) {
            return checkup;
        }
    }
    let location = &place.location;
    Err(Error::new(
        Kind::Retry,
        format!("'{location}' is being overwritten again and again: try later"),
    ))
}

/// What can be said of the newest of these versions.
async fn current_version(
    place: &DatasetRoot,
    names: &Result<BTreeMap<u64, String>>,
    verify: bool,
    watch: &dyn Observer,
) -> Result<Checkup> {
    let listed = place.sizes().await?;
    if listed.is_empty() {
        refuse_what_holds_nothing(place).await?;
    }
    let mut checkup = Checkup { findings: Vec::new(), manifest: None };
    match names.as_ref().map(BTreeMap::last_key_value) {
        Err(error) => {
            let remedy =
                (error.kind() == Kind::Data).then(|| command("recover", place, "--keep RUN"));
            checkup.damage(Subject::Dataset, error.to_string(), remedy);
        }
        Ok(None) => no_version(&mut checkup, place, &listed),
        Ok(Some((_, name))) => match versions::read(place, name).await {
            Err(error) => checkup.damage(Subject::Dataset, error.to_string(), None),
            Ok(manifest) if manifest.holds_nothing() => no_version(&mut checkup, place, &listed),
            Ok(manifest) => {
                version(&mut checkup, place, &manifest, &listed);
                if verify {
                    verify_manifest(&mut checkup, place, name).await?;
                    verify_files(&mut checkup, place, &manifest, &listed, watch).await?;
                    verify_renderings(&mut checkup, place, &manifest).await?;
                }
                checkup.manifest = Some(manifest);
            }
        },
    }
    if let Ok(names) = names {
        let newest = names.last_key_value().map_or(0, |(version, _)| *version);
        if let Some(manifest) = lost_manifest(place, newest).await? {
            checkup.damage(
                Subject::Dataset,
                format!(
                    "the manifest of version {}, which run {} has published, is missing",
                    manifest.version, manifest.run
                ),
                Some(command("recover", place, "")),
            );
        }
    }
    Ok(checkup)
}

/// Refuses an object, and on local disks a place where there is nothing.
async fn refuse_what_holds_nothing(place: &DatasetRoot) -> Result<()> {
    let location = &place.location;
    if location.path().is_root() || location.is_directory().await {
        return Ok(());
    }
    // Whoever may not look at objects may still have a folder looked at.
    if place.head("").await.is_ok_and(|found| found.is_some()) {
        return Err(Error::usage(format!(
            "'{location}' is an object, expected a dataset, a folder or a bucket"
        )));
    }
    match place.store.is_local() {
        true => Err(Error::missing(format!("nothing found at '{location}'"))),
        false => Ok(()),
    }
}

/// Whether a reader that lists takes `path` for data.
fn is_data(path: &str) -> bool {
    path.ends_with(names::DATA_ENDING) && !path.split('/').any(is_hidden)
}

fn no_version(checkup: &mut Checkup, place: &DatasetRoot, listed: &BTreeMap<String, u64>) {
    let files = listed.keys().filter(|path| !names::is_of_runs(path)).count();
    // The first run has not ended: what is visible of it is a matter of its record.
    let is_unfinished = |run: &str| {
        let record = names::of_run(run, "");
        let found = listed.keys().filter_map(|path| path.strip_prefix(&record));
        let found: Vec<_> = found.map(str::to_owned).collect();
        !found.is_empty() && !record::is_over(&found)
    };
    let mut runs =
        listed.keys().filter(|path| is_data(path)).filter_map(|path| names::run_of_data(path));
    if runs.any(|run| !is_unfinished(run)) {
        let what = format!(
            "'{}' holds files of a dataset and no manifest: it was removed, or the listing misses it",
            place.location
        );
        checkup.damage(Subject::Dataset, what, None);
        return;
    }
    let what = match files {
        0 if listed.is_empty() => format!("nothing is stored at '{}' yet", place.location),
        0 => format!("no version of '{}' is published", place.location),
        _ => format!(
            "'{}' has no manifest and {files} files: it is a plain directory, not a dataset, \
             and whether it is complete cannot be checked",
            place.location
        ),
    };
    checkup.note(Subject::Dataset, what, None);
}

/// The current version beside the listing.
fn version(
    checkup: &mut Checkup,
    place: &DatasetRoot,
    manifest: &Manifest,
    listed: &BTreeMap<String, u64>,
) {
    let found = |file: &&FileRecord| listed.get(&file.path) == Some(&file.size);
    let whole = manifest.files.iter().filter(found).count();
    checkup.note(
        Subject::Dataset,
        format!(
            "version {} of '{}', published by run {}: {} tables, {} rows, {} bytes, {whole} of {} \
             files present in full size",
            manifest.version,
            place.location,
            manifest.run,
            manifest.tables.len(),
            manifest.rows(),
            manifest.bytes(),
            manifest.files.len(),
        ),
        None,
    );
    if manifest.is_mixed() {
        let what = format!(
            "the table at the root of '{}' is beside others, so that readers of the root take the rows of \
             all for one table",
            place.location
        );
        checkup.damage(Subject::Dataset, what, Some(command("rm", place, "--table .")));
    }
    for file in manifest.files.iter().filter(|file| !found(file)) {
        let what = match listed.get(&file.path) {
            Some(size) => format!("'{}' has {size} bytes, expected {}", file.path, file.size),
            None => format!("'{}' is missing", file.path),
        };
        checkup.damage(Subject::File, what, None);
    }
    let named: BTreeSet<_> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    let unlisted = listed.keys().filter(|path| is_data(path) && !named.contains(path.as_str()));
    for path in unlisted {
        checkup.note(
            Subject::File,
            format!("'{path}' does not belong to this version, but readers that only list files read it too"),
            Some(format!("if it is of a dead run or an old version: {}", command("gc", place, ""))),
        );
    }
    if !listed.contains_key(names::SUCCESS) {
        checkup.note(
            Subject::Dataset,
            format!(
                "'{}' is missing, so readers that only list files cannot see that the version is complete",
                names::SUCCESS
            ),
            Some(command("recover", place, "")),
        );
    }
}

/// Compares the manifest with its checksum.
async fn verify_manifest(checkup: &mut Checkup, place: &DatasetRoot, name: &str) -> Result<()> {
    let path = names::manifest(name);
    match versions::is_as_written(place, name).await? {
        Some(true) => {}
        Some(false) => {
            let what = format!("'{path}' is not as it was written: its checksum differs");
            checkup.damage(Subject::Dataset, what, None);
        }
        None => {
            let what = format!("'{path}' has no checksum, as pleiad 0.1.0 wrote none");
            checkup.note(Subject::Dataset, what, None);
        }
    }
    Ok(())
}

/// Reads every byte of the files that have their size.
async fn verify_files(
    checkup: &mut Checkup,
    place: &DatasetRoot,
    manifest: &Manifest,
    listed: &BTreeMap<String, u64>,
    watch: &dyn Observer,
) -> Result<()> {
    watch.report(Event::Stage {
        name: "verifying".to_owned(),
        total: Some(manifest.bytes()),
        unit: Unit::Bytes,
    });
    let files = manifest.files.iter().filter(|file| listed.get(&file.path) == Some(&file.size));
    let sums = stream::iter(files).map(|file| async move {
        let (place, path) = (place.clone(), file.path.clone());
        let sum = SpawnedTask::spawn(async move { sha256(&place, &path).await });
        let sum = sum.await.map_err(|cause| Error::internal("reading ended").caused_by(cause))?;
        Ok::<_, Error>((file, sum?))
    });
    let mut sums = sums.buffered(AT_ONCE);
    let mut done = 0;
    while let Some((file, sum)) = sums.try_next().await? {
        done += file.size;
        watch.report(Event::Progress { done });
        if sum != file.sha256 {
            checkup.damage(
                Subject::File,
                format!("'{}' has SHA-256 {sum}, expected {}", file.path, file.sha256),
                None,
            );
        }
    }
    watch.report(Event::Done);
    let bad = checkup.damages();
    if bad == 0 {
        let what = format!("all bytes of {} files are as they were written", manifest.files.len());
        checkup.note(Subject::Dataset, what, None);
    }
    Ok(())
}

/// Compares the files that other tools and people read with the version. A reader of ours does not
/// look at them, so none of this is damage.
async fn verify_renderings(
    checkup: &mut Checkup,
    place: &DatasetRoot,
    manifest: &Manifest,
) -> Result<()> {
    for (path, text) in renderings::of(manifest) {
        let found = place.read(path).await?;
        if found.is_some_and(|found| found != text.as_bytes()) {
            let what = format!("'{path}' differs from what version {} says", manifest.version);
            checkup.note(Subject::Dataset, what, Some(command("recover", place, "")));
        }
    }
    Ok(())
}

async fn sha256(place: &DatasetRoot, path: &str) -> Result<String> {
    let mut bytes = place.store.objects().get(&place.key(path)).await?.into_stream();
    let mut digest = Sha256::new();
    while let Some(chunk) = bytes.try_next().await? {
        digest.update(&chunk);
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// How the server was reached that has just answered.
fn reached(checkup: &mut Checkup, stores: &Stores, location: &Location) {
    let shown = stores.show(location);
    let shown = |name: &str| {
        let setting = shown.iter().find(|setting| setting.name == name)?;
        let value = setting.value.as_deref().unwrap_or("none");
        Some(format!("{value} (from {})", setting.origin))
    };
    if let (Some(endpoint), Some(region), Some(key)) =
        (shown("endpoint-url"), shown("region"), shown("access-key"))
    {
        let what = format!(
            "the server answers and lists: endpoint {endpoint}, region {region}, key {key}"
        );
        checkup.note(Subject::Store, what, None);
    }
}

/// What an object store does with two writers.
async fn store(checkup: &mut Checkup, place: &DatasetRoot) {
    if place.store.is_local() {
        return;
    }
    match probe::create_only(place).await {
        Err(error) => checkup.note(Subject::Store, format!("not writable: {error}"), None),
        Ok(answer) => {
            let what = match answer {
                CreateOnly::Enforced => {
                    "the store refuses to put a name twice, which keeps two writers apart"
                }
                CreateOnly::Ignored => {
                    "the store overwrites a name although asked not to: claims keep two writers \
                     apart, but use one writer at a time if you can"
                }
                CreateOnly::Refused => {
                    "the store has no create-only puts: claims keep two writers apart, but use one \
                     writer at a time if you can"
                }
            };
            checkup.note(Subject::Store, what, None);
            match probe::multipart(place).await {
                Ok(false) => {}
                Ok(true) => checkup.note(Subject::Store, "multipart uploads work", None),
                Err(error) => {
                    let what = format!("multipart uploads fail: {error}");
                    checkup.note(Subject::Store, what, None);
                }
            }
        }
    }
}
