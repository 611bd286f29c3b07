//! Files as a source: one, or those of a folder, each once, the oldest first, and those that are added.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use tokio::time::sleep;

use super::fed::{Piece, Pieces};
use super::options::Listing;
use crate::error::{Error, Kind, Result};
use crate::table::{Folder, FolderFile};

/// What became of a file that is not read.
const REMOVED: &str = "was removed before it was read";

/// Reads the file, or what is in the folder; then, unless that `ends` it, what is added, as `listing` says.
pub(super) async fn read(
    folder: Folder,
    listing: Listing,
    ends: bool,
    pieces: Pieces,
) -> Result<()> {
    if let Some(file) = folder.file().await? {
        return match text(&file, &pieces).await? {
            true => Ok(()),
            false => Err(Error::missing(format!("'{}' {REMOVED}", file.name))),
        };
    }
    let mut seen: HashMap<String, FolderFile> = HashMap::new();
    let (mut has_failed, mut is_old_said) = (false, false);
    loop {
        match folder.files().await {
            Ok(mut files) => {
                has_failed = false;
                let old = drop_old(&mut files, listing.max_age);
                if old > 0 && !std::mem::replace(&mut is_old_said, true) {
                    let what = "are older than 'max_file_age' before the newest and are not read";
                    pieces.bring(Piece::Warning(format!("{old} files {what}"))).await;
                }
                if !ends {
                    let now = SystemTime::from(jiff::Timestamp::now());
                    files.retain(|file| has_settled(file.modified(), now, listing.settle));
                }
                if listing.latest_first {
                    files.reverse();
                }
                for file in files {
                    let known = seen.entry(file.name.clone());
                    new_or_changed(file, known, &pieces).await?;
                }
            }
            Err(cause) if !ends && cause.is_retryable() => {
                if !std::mem::replace(&mut has_failed, true) {
                    pieces.bring(Piece::Warning(format!("{cause}: trying again"))).await;
                }
            }
            Err(cause) => return Err(cause),
        }
        if ends {
            return Ok(());
        }
        pieces.bring(Piece::CaughtUp).await;
        sleep(listing.poll.unwrap_or_default()).await;
    }
}

/// Leaves out the files that are so much older than the newest; how many they are.
fn drop_old(files: &mut Vec<FolderFile>, max_age: Option<Duration>) -> usize {
    let newest = files.iter().map(FolderFile::modified).max();
    let Some(oldest) = newest.zip(max_age).and_then(|(newest, age)| newest.checked_sub(age)) else {
        return 0;
    };
    let all = files.len();
    files.retain(|file| file.modified() >= oldest);
    all - files.len()
}

/// Whether a file that was last written at `modified` has been left alone since.
fn has_settled(modified: SystemTime, now: SystemTime, settle: Duration) -> bool {
    // One that comes from the future has nothing to wait for.
    now.duration_since(modified).map_or(true, |age| age >= settle)
}

async fn new_or_changed(
    file: FolderFile,
    known: Entry<'_, String, FolderFile>,
    pieces: &Pieces,
) -> Result<()> {
    let name = file.name.clone();
    let why = match known {
        Entry::Vacant(place) => match text(place.insert(file), pieces).await? {
            true => return Ok(()),
            false => REMOVED,
        },
        Entry::Occupied(known) if !known.get().differs_from(&file) => return Ok(()),
        Entry::Occupied(mut known) => {
            known.insert(file);
            "was changed after it was listed, and is not read again: add files, and leave them as they are"
        }
    };
    pieces.bring(Piece::Warning(format!("'{name}' {why}"))).await;
    Ok(())
}

/// Brings the text of a file; whether it was there when its first bytes were read.
async fn text(file: &FolderFile, pieces: &Pieces) -> Result<bool> {
    let is_missing = |cause: &Error| cause.kind() == Kind::InputMissing;
    let mut text = match file.text().await {
        Err(cause) if is_missing(&cause) => return Ok(false),
        text => text?,
    };
    let mut next = match text.try_next().await {
        Err(cause) if is_missing(&cause) => return Ok(false),
        first => first?,
    };
    pieces.bring(Piece::Begin(file.name.clone())).await;
    while let Some(bytes) = next {
        pieces.bring(Piece::Bytes(bytes)).await;
        next = text.try_next().await?;
    }
    pieces.bring(Piece::End).await;
    Ok(true)
}
