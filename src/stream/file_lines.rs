//! The lines of a file, one by one, decompressed.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::lines::Lines;
use crate::error::{Error, Result};
use crate::storage::{Location, Stores};
use crate::table::{Encoding, open_text};

/// The lines of the file at `location` as their bytes are, each without its LF. The file is opened when the
/// first is asked for.
pub fn file_lines(stores: &Arc<Stores>, location: &Location) -> BoxStream<'static, Result<Bytes>> {
    let (stores, location) = (Arc::clone(stores), location.clone());
    stream::once(async move {
        let store = stores.open(&location)?;
        let (objects, shown) = (store.objects().as_ref(), location.to_string());
        let as_it_is = (None, Some(Encoding::Utf8));
        let opened = open_text(objects, location.path(), &shown, as_it_is, None).await;
        let (_, bytes) = opened?;
        // The end of the file is one more piece.
        let bytes = bytes.map_ok(Some).chain(stream::iter([Ok(None)]));
        let whole = bytes.scan(Lines::new(), |lines, piece| {
            let taken = piece.map(|piece| match piece {
                Some(piece) => {
                    lines.push(&piece);
                    lines.take()
                }
                None => lines.end(),
            });
            std::future::ready(Some(taken))
        });
        Ok::<_, Error>(whole.map_ok(|whole| stream::iter(each(whole.into()))).try_flatten())
    })
    .try_flatten()
    .boxed()
}

/// Each of these lines.
fn each(whole: Bytes) -> impl Iterator<Item = Result<Bytes>> {
    let mut rest = whole;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let lf = rest.iter().position(|byte| *byte == b'\n');
        let line = rest.split_to(lf.map_or(rest.len(), |lf| lf + 1));
        Some(Ok(line.slice(..line.len() - usize::from(lf.is_some()))))
    })
}
