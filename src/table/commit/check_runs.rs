//! The runs of a dataset that are not over, for a person.

use super::findings::{Checkup, Subject, command};
use super::liveness::{self, Holder};
use super::place::DatasetRoot;
use super::record::{self, Decision, Intent};
use super::{names, reveal, versions};
use crate::error::{Kind, Result};

/// A run with a decision and no report.
async fn decided(checkup: &mut Checkup, place: &DatasetRoot, run: &str) -> Result<()> {
    let revoke = || Some(command("recover", place, &format!("--revoke {run}")));
    let prepared = match record::decision(place, run).await {
        Ok(Some(Decision::Publish(prepared))) => prepared,
        Ok(Some(Decision::Void { void_by })) => {
            let what = format!("run {run} was ended by run {void_by}");
            checkup.note(Subject::Run, what, Some(command("gc", place, "")));
            return Ok(());
        }
        Ok(None) => return Ok(()),
        Err(error) if error.kind() == Kind::Data => {
            let what = format!("run {run} has decided to publish and cannot be finished: {error}");
            checkup.damage(Subject::Run, what, revoke());
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let manifest = &prepared.manifest;
    let has_ended = versions::current_version(place).await? > Some(manifest.base)
        && versions::fate_of(place, run, manifest.base).await?.is_some();
    let lost =
        if has_ended { Vec::new() } else { reveal::lost_files(place, &prepared.staged).await? };
    let Some(first) = lost.first() else {
        let what = format!("run {run} has decided to publish but is not finished");
        checkup.note(Subject::Run, what, Some(command("recover", place, "")));
        return Ok(());
    };
    let rows: u64 = prepared.staged.iter().map(|staged| staged.file.rows).sum();
    let more = match lost.len() - 1 {
        0 => "is".to_owned(),
        more => format!("and {more} more of its files are"),
    };
    let what = format!(
        "run {run} has decided to publish {rows} rows and cannot be finished: '{first}' {more} lost"
    );
    checkup.damage(Subject::Run, what, revoke());
    Ok(())
}

/// The runs that are not over.
pub(super) async fn runs(checkup: &mut Checkup, place: &DatasetRoot) -> Result<()> {
    let runs = record::runs(place).await?;
    let now = liveness::now(place, &runs).await.ok().flatten(); // where nothing can be put there is none
    for (run, names) in runs {
        if record::is_over(&names) {
            if names.iter().any(|name| names::is_staged(name)) {
                let what = format!("run {run} has ended and left staged bytes");
                checkup.note(Subject::Run, what, Some(command("gc", place, "")));
            }
            continue;
        }
        if record::is_decided(&names) {
            decided(checkup, place, &run).await?;
            continue;
        }
        let who = match record::read::<Intent>(place, &run, names::INTENT).await? {
            Some(intent) => format!(
                "run {run} of process {} on '{}', begun {},",
                intent.pid, intent.host, intent.started
            ),
            None => format!("run {run}"),
        };
        let keeps = names.iter().any(|name| names::checkpoint_of(name).is_some());
        let (what, remedy) = match liveness::holder(place, &run, now).await? {
            Holder::Alive => (format!("{who} is running, or was a short time ago"), None),
            Holder::Dead(_) if keeps => (
                format!("{who} died; its checkpoints are kept"),
                Some("repeat its command with --resume".to_owned()),
            ),
            Holder::Dead(_) => (
                format!("{who} died before it decided to publish: nothing of it is visible"),
                Some(command("gc", place, "")),
            ),
        };
        checkup.note(Subject::Run, what, remedy);
    }
    Ok(())
}
