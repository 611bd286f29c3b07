//! The open uploads of a bucket, whoever began them. Not every server lists them.

use object_store::path::Path;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::request::text_of;
use crate::error::{Error, Result};
use crate::storage::location::Location;
use crate::storage::registry::Stores;
use crate::storage::schemes::Scheme;
use crate::storage::upload::abort_upload;

/// An upload that is neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// The key of the object it shall become.
    pub key: String,
    /// Its id.
    pub id: String,
    /// When it began, as the server says.
    pub begun: String,
}

impl Stores {
    /// The open uploads of the objects whose keys begin with that of `location`, sorted by key.
    ///
    /// # Errors
    /// Of kind [`Kind::Usage`](crate::error::Kind::Usage) if `location` is not on S3; if the server does
    /// not list uploads, or refuses.
    pub async fn unfinished_uploads(&self, location: &Location) -> Result<Vec<UnfinishedUpload>> {
        if location.scheme() != Scheme::S3 {
            return Err(Error::usage(format!("'{location}' is not on S3, so it has no uploads")));
        }
        let bucket = location.url().host_str().unwrap_or_default();
        let lister = self.lister(location.alias(), bucket)?;
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let prefix = encoded(location.path().as_ref());
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let query = format!("?uploads=&prefix={prefix}{after}");
            let page = lister.list(&query, "ListMultipartUploadsResult").await?;
            let uploads = page.split("<Upload>").skip(1);
            found.extend(uploads.filter_map(|upload| {
                Some(UnfinishedUpload {
                    key: text_of(upload, "Key")?,
                    id: text_of(upload, "UploadId")?,
                    begun: text_of(upload, "Initiated").unwrap_or_default(),
                })
            }));
            let next = text_of(&page, "NextKeyMarker").zip(text_of(&page, "NextUploadIdMarker"));
            match next.filter(|_| text_of(&page, "IsTruncated").as_deref() == Some("true")) {
                Some((key, id)) => {
                    after =
                        format!("&key-marker={}&upload-id-marker={}", encoded(&key), encoded(&id));
                }
                None => break,
            }
        }
        found.sort_by(|one, other| (&one.key, &one.id).cmp(&(&other.key, &other.id)));
        Ok(found)
    }

    /// Ends an open upload of the bucket of `location`.
    ///
    /// # Errors
    /// If its key is none that the client can send; if the server refuses.
    pub async fn end_upload(&self, location: &Location, upload: &UnfinishedUpload) -> Result<()> {
        let key = Path::parse(&upload.key).map_err(|cause| {
            let what = format!("the upload of '{}' has a key that cannot be sent", upload.key);
            Error::data(what).caused_by(cause)
        })?;
        abort_upload(&self.open(location)?, &key, &upload.id).await
    }
}
