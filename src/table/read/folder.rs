//! The files of a folder, each with what it was when it was listed: for who reads each of them once.

use std::sync::Arc;
use std::time::SystemTime;

use object_store::{ListResult, ObjectMeta, ObjectStore};

use crate::error::{Error, Result};
use crate::storage::{Location, Stores, blocking};
use crate::table::commit::names::{MANIFESTS, PROPERTIES};
use crate::table::commit::place::DatasetRoot;
use crate::table::hive::is_hidden;
use crate::table::text::bytes::{TextStream, of_object};

/// A folder, or one file.
#[derive(Debug)]
pub struct Folder {
    place: DatasetRoot,
}

/// A file, as it was when it was listed.
#[derive(Debug)]
pub struct FolderFile {
    /// Its location.
    pub name: String,
    objects: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
}

impl Folder {
    /// Opens a location.
    ///
    /// # Errors
    /// If its store cannot be opened.
    pub fn open(stores: &Arc<Stores>, location: &Location) -> Result<Self> {
        Ok(Self { place: DatasetRoot::at(stores, location)? })
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        self.place.store.is_local()
    }

    /// The one file that the location names, if it does.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn file(&self) -> Result<Option<FolderFile>> {
        let may_be_one = match self.is_local() {
            true => self.place.is_local_file().await?,
            false => {
                let listed = self.listed().await?;
                listed.objects.is_empty() && listed.common_prefixes.is_empty()
            }
        };
        match may_be_one {
            true => Ok(self.place.head("").await?.map(|meta| self.found(meta))),
            false => Ok(None),
        }
    }

    /// The files directly in it, the oldest first. Names that begin with `_` or `.` are left out.
    ///
    /// # Errors
    /// If there is no such folder on this machine; if storage fails.
    pub async fn files(&self) -> Result<Vec<FolderFile>> {
        if let Some((_, root)) = self.place.local("") {
            let shown = root.display().to_string();
            if !blocking(move || Ok(root.is_dir())).await? {
                return Err(Error::missing(format!("'{shown}' not found")));
            }
        }
        let ListResult { objects: mut found, common_prefixes } = self.listed().await?;
        let is_dataset = common_prefixes.iter().any(|path| path.filename() == Some(MANIFESTS));
        let is_ours = |name: &str| is_hidden(name) || (is_dataset && name == PROPERTIES);
        found.retain(|meta| meta.location.filename().is_some_and(|name| !is_ours(name)));
        found.sort_by(|a, b| (a.last_modified, &a.location).cmp(&(b.last_modified, &b.location)));
        Ok(found.into_iter().map(|meta| self.found(meta)).collect())
    }

    async fn listed(&self) -> Result<ListResult> {
        let key = self.place.key("");
        Ok(self.place.store.objects().list_with_delimiter(Some(&key)).await?)
    }

    fn found(&self, mut meta: ObjectMeta) -> FolderFile {
        let name = self.place.show(&meta.location);
        if self.is_local() {
            meta.e_tag = None; // what is there when it is opened is read
        }
        FolderFile { name, objects: Arc::clone(self.place.store.objects()), meta }
    }
}

impl FolderFile {
    /// Its text, decompressed.
    ///
    /// # Errors
    /// If it is another file by now; if storage fails.
    pub(crate) async fn text(&self) -> Result<TextStream> {
        of_object(&self.objects, &self.meta, &self.name).await
    }

    /// When it was last written.
    pub fn modified(&self) -> SystemTime {
        self.meta.last_modified.into()
    }

    /// Whether `other`, of the same name, is another file.
    pub fn differs_from(&self, other: &Self) -> bool {
        let facts =
            |file: &Self| (file.meta.size, file.meta.e_tag.clone(), file.meta.last_modified);
        facts(self) != facts(other)
    }
}
