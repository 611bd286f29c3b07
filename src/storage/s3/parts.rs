//! The parts of an open upload that a server holds.

use std::collections::BTreeMap;

use async_trait::async_trait;
use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::http::CountingConnector;
use super::request::Lister;
use super::settings::Settings;
use crate::error::Result;
use crate::storage::explain::Verb;
use crate::storage::held_parts::HeldParts;

/// Parts in one answer, at most.
const PAGE: usize = 1000;

/// What a signature leaves as it is in a key.
const KEY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The uploads of a bucket.
pub(crate) struct PartList {
    pub(crate) settings: Settings,
    pub(crate) alias: Option<String>,
    pub(crate) bucket: String,
    pub(crate) connector: CountingConnector,
}

#[async_trait]
impl HeldParts for PartList {
    async fn holds(&self, path: &Path, id: &str, parts: &[String]) -> Result<Option<bool>> {
        let Self { settings, alias, bucket, connector } = self;
        let lister = Lister::of(settings.clone(), alias.as_deref(), bucket, connector)?;
        let key = utf8_percent_encode(path.as_ref(), KEY).to_string();
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC).to_string();
        let mut found: BTreeMap<usize, String> = BTreeMap::new();
        loop {
            let marker = found.last_key_value().map_or(0, |(number, _)| *number);
            let query = format!("?max-parts={PAGE}&part-number-marker={marker}&uploadId={id}");
            let (status, body) = lister.about(&key, &query).await?;
            match status {
                200 if body.contains("<ListPartsResult") => {}
                404 => return Ok(Some(false)),
                // A right of its own, or a server that does not know the question.
                200 | 400 | 401 | 403 | 405 | 501 => return Ok(None),
                status => return Err(lister.refused(Verb::List, status, &body)),
            }
            let page = numbered(&body);
            let is_last = page.len() < PAGE || page.keys().all(|number| *number <= marker);
            found.extend(page);
            if is_last {
                break;
            }
        }
        let held = parts.iter().zip(1..).all(|(tag, number)| {
            // Not every server lists the tags.
            found.get(&number).is_some_and(|held| held.is_empty() || *held == plain(tag))
        });
        Ok(Some(held))
    }
}

/// The parts of an answer, with their tags if it has them.
fn numbered(body: &str) -> BTreeMap<usize, String> {
    let part = |part: &str| {
        let value = |name: &str| Some(part.split_once(name)?.1.split_once('<')?.0.to_owned());
        let number = value("<PartNumber>")?.trim().parse().ok()?;
        Some((number, value("<ETag>").map(|tag| plain(&tag)).unwrap_or_default()))
    };
    body.split("<Part>").skip(1).filter_map(part).collect()
}

/// A tag without its quotes.
fn plain(tag: &str) -> String {
    tag.replace("&quot;", "").replace("&#34;", "").replace('"', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_numbers_and_tags() {
        let body = "<ListPartsResult><Part><LastModified>x</LastModified><PartNumber>1</PartNumber>\
                    <ETag>&quot;ab&quot;</ETag><Size>5</Size></Part><Part><PartNumber>12</PartNumber>\
                    </Part></ListPartsResult>";
        let expected = BTreeMap::from([(1, "ab".to_owned()), (12, String::new())]);
        assert_eq!(numbered(body), expected);
        assert_eq!(plain("\"ab\""), "ab");
    }
}
