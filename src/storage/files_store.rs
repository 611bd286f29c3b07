//! The local files as an object store, whose listings leave out names that no key can hold and note them: a
//! control character, or bytes that are not UTF-8. One such name ends a listing of the client.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result,
};

use super::effects::{self, Effect};
use super::local::LocalFile;
use super::s3::odd_keys::Skipped;

/// The files of this machine.
#[derive(Debug)]
pub(super) struct FilesStore {
    pub(super) files: Arc<LocalFileSystem>,
    pub(super) skipped: Arc<Skipped>,
}

impl fmt::Display for FilesStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

/// What is in a directory: keys of files, and of directories.
#[derive(Default)]
struct Found {
    files: Vec<Path>,
    directories: Vec<Path>,
}

impl FilesStore {
    /// What is in the directory of a key, and with `deep` below it, without odd names.
    async fn walk(&self, prefix: Option<&Path>, deep: bool) -> Result<Found> {
        let root = match prefix {
            Some(prefix) => self.files.path_to_filesystem(prefix)?,
            None => PathBuf::from("/"),
        };
        let skipped = Arc::clone(&self.skipped);
        let walked = tokio::task::spawn_blocking(move || {
            let mut found = Found::default();
            walk(&root, deep, &mut vec![root.canonicalize()?], &skipped, &mut found)?;
            Ok(found)
        });
        let failed =
            |source: io::Error| Error::Generic { store: "LocalFileSystem", source: source.into() };
        walked.await?.map_err(failed)
    }

    /// What is known of files, those left out that are gone.
    async fn metas(files: Arc<LocalFileSystem>, keys: Vec<Path>) -> Result<Vec<ObjectMeta>> {
        let look = |key: Path| {
            let files = Arc::clone(&files);
            async move {
                match files.head(&key).await {
                    Ok(meta) => Ok(Some(meta)),
                    Err(Error::NotFound { .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        };
        let metas = stream::iter(keys).map(look).buffered(16).try_collect::<Vec<_>>().await?;
        Ok(metas.into_iter().flatten().collect())
    }
}

/// Walks as the client does: links are followed, and `above` has the directories that a link must not
/// lead back to.
fn walk(
    directory: &FilePath,
    deep: bool,
    above: &mut Vec<PathBuf>,
    skipped: &Skipped,
    found: &mut Found,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Ok(meta) = path.metadata() else { continue }; // gone, or a link to nothing
        let Some(key) = key_of(&path) else {
            skipped.note(path.to_string_lossy().into_owned());
            continue;
        };
        if meta.is_file() {
            let file = LocalFile { path, size: meta.len() };
            if !file.is_hidden() {
                found.files.push(key);
            }
        } else if meta.is_dir() {
            found.directories.push(key);
            let whole = path.canonicalize()?;
            if deep && !above.contains(&whole) {
                above.push(whole);
                walk(&path, deep, above, skipped, found)?;
                above.pop();
            }
        }
    }
    Ok(())
}

/// The path of a key.
fn local(key: &Path) -> PathBuf {
    FilePath::new("/").join(key.as_ref())
}

fn key_of(path: &FilePath) -> Option<Path> {
    Path::parse(path.to_str()?).ok()
}

/// Whether a listing failed because of a name.
fn is_odd_name(error: &Error) -> bool {
    matches!(error, Error::InvalidPath { .. })
}

#[async_trait]
impl ObjectStore for FilesStore {
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = Self { files: Arc::clone(&self.files), skipped: Arc::clone(&self.skipped) };
        let prefix = prefix.cloned();
        let listed = async move {
            let listed = this.files.list(prefix.as_ref()).try_collect::<Vec<_>>().await;
            match listed {
                Err(error) if is_odd_name(&error) => {
                    let found = this.walk(prefix.as_ref(), true).await?;
                    Self::metas(this.files, found.files).await
                }
                listed => listed,
            }
        };
        let all = stream::once(listed).map_ok(|metas| stream::iter(metas).map(Ok));
        all.try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        match self.files.list_with_delimiter(prefix).await {
            Err(error) if is_odd_name(&error) => {
                let found = self.walk(prefix, false).await?;
                let objects = Self::metas(Arc::clone(&self.files), found.files).await?;
                Ok(ListResult { objects, common_prefixes: found.directories })
            }
            listed => listed,
        }
    }

    async fn put_opts(&self, path: &Path, data: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.files.put_opts(path, data, how).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(path, how).await
    }

    async fn get_opts(&self, path: &Path, how: GetOptions) -> Result<GetResult> {
        self.files.get_opts(path, how).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(path, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let noted = |path: &Path| effects::note(|| Effect::Remove(local(path)));
        self.files.delete_stream(paths).inspect_ok(noted).boxed()
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, how).await?;
        effects::note(|| Effect::Link(local(from), local(to)));
        Ok(())
    }

    async fn rename_opts(&self, from: &Path, to: &Path, how: RenameOptions) -> Result<()> {
        self.files.rename_opts(from, to, how).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[tokio::test]
    async fn odd_names_hide_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("in/new\nline")).unwrap();
        std::os::unix::fs::symlink("..", root.join("in/loop")).unwrap();
        let odd = [OsStr::from_bytes(b"in/\xff.csv"), OsStr::new("a\x1b.csv")];
        let names = [OsStr::new("a.csv"), OsStr::new("in/b.csv"), OsStr::new("in/new\nline/c")];
        for name in odd.into_iter().chain(names) {
            fs::write(root.join(name), "1").unwrap();
        }
        let store = FilesStore { files: Arc::default(), skipped: Arc::default() };
        let prefix = Path::from_absolute_path(&root).unwrap();
        let listed: Vec<_> = store.list(Some(&prefix)).try_collect().await.unwrap();
        let mut names: Vec<_> =
            listed.iter().map(|meta| meta.location.as_ref().replace(prefix.as_ref(), "")).collect();
        names.sort_unstable();
        assert_eq!(names, ["/a.csv", "/in/b.csv"]);
        let head = store.head(&listed[0].location).await.unwrap();
        assert_eq!(head.e_tag, listed[0].e_tag);
        assert_eq!(store.skipped.noted().unwrap().0, 3);
        let shallow = store.list_with_delimiter(Some(&prefix)).await.unwrap();
        assert_eq!((shallow.objects.len(), shallow.common_prefixes.len()), (1, 1));
    }
}
