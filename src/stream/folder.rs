//! Files as a source: one, or those of a folder, each once, the oldest first, and those that are added.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::sleep;

use super::fed::{Piece, Pieces};
use crate::error::{Kind, Result};
use crate::table::{Folder, FolderFile};

/// Reads the file, or what is in the folder; then, unless that `ends` it, what is added, looking every
/// `poll`.
pub(super) async fn read(folder: Folder, poll: Duration, ends: bool, pieces: Pieces) -> Result<()> {
    if let Some(file) = folder.file().await? {
        return text(&file, &pieces).await;
    }
    let mut seen: HashMap<String, FolderFile> = HashMap::new();
    let mut has_failed = false;
    loop {
        match folder.files().await {
            Ok(files) => {
                has_failed = false;
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
        sleep(poll).await;
    }
}

async fn new_or_changed(
    file: FolderFile,
    known: Entry<'_, String, FolderFile>,
    pieces: &Pieces,
) -> Result<()> {
    let name = file.name.clone();
    let why = match known {
        Entry::Vacant(place) => match text(place.insert(file), pieces).await {
            Err(cause) if cause.kind() == Kind::InputMissing => "was removed before it was read",
            read => return read,
        },
        Entry::Occupied(known) if !known.get().differs_from(&file) => return Ok(()),
        Entry::Occupied(mut known) => {
            known.insert(file);
            "was changed after it was read, and what is new in it is not: add files, and leave them as they are"
        }
    };
    pieces.bring(Piece::Warning(format!("'{name}' {why}"))).await;
    Ok(())
}

async fn text(file: &FolderFile, pieces: &Pieces) -> Result<()> {
    let mut text = file.text().await?;
    pieces.bring(Piece::Begin(file.name.clone())).await;
    while let Some(bytes) = text.try_next().await? {
        pieces.bring(Piece::Bytes(bytes)).await;
    }
    pieces.bring(Piece::End).await;
    Ok(())
}
