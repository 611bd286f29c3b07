//! What a new object is like under each of its names, and what is left of one that is dropped.

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use sha2::{Digest, Sha256};

use super::parts::PART_BYTES;
use super::sha::hex;
use super::*;
use crate::error::Kind;
use crate::storage::{StorageOptions, Stores};

/// A store, and an object in it.
struct Place {
    store: Store,
    location: Location,
    _dir: Option<tempfile::TempDir>,
}

/// The same place on both kinds of stores.
fn places() -> [Place; 2] {
    let stores = Stores::new(StorageOptions::default());
    let dir = tempfile::tempdir().unwrap();
    let local = Location::parse(dir.path().join("deep/x").to_str().unwrap()).unwrap();
    let remote = Location::parse("memory://uploads/deep/x").unwrap();
    [(local, Some(dir)), (remote, None)].map(|(location, _dir)| {
        let store = stores.open(&location).unwrap();
        Place { store, location, _dir }
    })
}

impl Place {
    async fn begin(&self, how: Create) -> Upload {
        Upload::create(&self.store, &self.location, how, None).await.unwrap()
    }

    async fn write(&self, how: Create, bytes: &[u8]) -> Finished {
        let mut upload = self.begin(how).await;
        for piece in bytes.chunks(3 << 20) {
            upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        assert_eq!(upload.size(), bytes.len() as u64);
        upload.finish().await.unwrap()
    }

    async fn bytes(&self) -> Option<Bytes> {
        let found = self.store.objects().get(self.location.path()).await.ok()?;
        Some(found.bytes().await.unwrap())
    }

    /// What lies in the folder, temporary files included.
    async fn names(&self) -> Vec<String> {
        if let Some(path) = self.location.local_path() {
            let entries = std::fs::read_dir(path.parent().unwrap()).unwrap();
            return entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
        }
        let listed: Vec<_> = self.store.objects().list(None).try_collect().await.unwrap();
        listed.iter().map(|meta| meta.location.filename().unwrap().to_owned()).collect()
    }
}

/// Bytes of no pattern of a part's length.
fn bytes(count: u64) -> Vec<u8> {
    let count = usize::try_from(count).unwrap();
    let mut bytes = (0..=250).collect::<Vec<u8>>().repeat(count / 251 + 1);
    bytes.truncate(count);
    bytes
}

const SIZES: [u64; 5] = [0, 5, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 7];

#[tokio::test]
async fn a_new_object_of_any_size_is_whole_and_refuses_an_old_one() {
    for place in places() {
        for size in SIZES {
            assert_eq!(place.write(Create::Replace, &bytes(size)).await, Finished::Named);
            assert!(place.bytes().await.unwrap() == bytes(size), "{size}");
            // The same small bytes may be our own put, sent again.
            assert_eq!(place.write(Create::New, &bytes(size + 1)).await, Finished::Taken);
            assert!(place.bytes().await.unwrap() == bytes(size), "{size}");
            assert_eq!(place.names().await, ["x"]);
        }
        place.store.objects().delete(place.location.path()).await.unwrap();
        assert_eq!(place.write(Create::New, b"new").await, Finished::Named);
        assert_eq!(place.bytes().await.unwrap(), "new");
    }
}

#[tokio::test]
async fn nothing_has_a_name_before_it_is_finished_and_a_drop_leaves_nothing() {
    for place in places() {
        for (how, size) in [Create::New, Create::Replace].into_iter().zip(SIZES.into_iter().rev()) {
            let mut upload = place.begin(how).await;
            upload.write(bytes(size).into()).await.unwrap();
            assert_eq!(place.bytes().await, None);
            drop(upload);
            // The thread that removes it may still be at it.
            while !place.names().await.is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_dropped_upload_is_aborted() {
    let [_, place] = places();
    let mut upload = place.begin(Create::Replace).await;
    upload.write(bytes(2 * PART_BYTES).into()).await.unwrap();
    let id = upload.id().unwrap().to_owned();
    let uploads = Arc::clone(place.store.uploads().unwrap());
    drop(upload);
    // The upload is gone when no part of it is taken any more.
    while uploads.put_part(place.location.path(), &id, 0, "x".into()).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_hidden_object_waits_for_its_caller_even_when_it_is_dropped() {
    let [local, remote] = places();
    let data = bytes(PART_BYTES + 5);
    let sha256 = hex(Sha256::new_with_prefix(&data));
    let Finished::Hidden(hidden) = local.write(Create::Hidden, &data).await else { panic!() };
    assert_eq!(hidden, HiddenObject { sha256: sha256.clone(), parts: Vec::new() });
    assert!(local.bytes().await.unwrap() == data);

    let mut upload = remote.begin(Create::Hidden).await;
    let id = upload.id().unwrap().to_owned();
    upload.write(data.clone().into()).await.unwrap();
    let Finished::Hidden(hidden) = upload.finish().await.unwrap() else { panic!() };
    assert_eq!((&hidden.sha256, hidden.parts.len()), (&sha256, 2));
    assert_eq!(remote.bytes().await, None);
    let parts =
        hidden.parts.into_iter().map(|content_id| object_store::multipart::PartId { content_id });
    let uploads = remote.store.uploads().unwrap();
    uploads.complete_multipart(remote.location.path(), &id, parts.collect()).await.unwrap();
    assert!(remote.bytes().await.unwrap() == data);
}

#[tokio::test]
async fn an_object_that_is_too_large_fails_before_its_first_byte() {
    let [_, place] = places();
    let size = Some((5 << 40) + 1);
    let begun = Upload::create(&place.store, &place.location, Create::New, size).await;
    assert_eq!(begun.err().unwrap().kind(), Kind::Data);
}

#[tokio::test]
async fn what_is_held_in_memory_is_known_and_comes_to_nothing() {
    let [_, place] = places();
    let mut upload = place.begin(Create::Replace).await;
    let held = upload.held();
    for _ in 0..5 {
        upload.write(bytes(PART_BYTES).into()).await.unwrap();
        let held = held.load(std::sync::atomic::Ordering::Relaxed) as u64;
        assert!((PART_BYTES..=3 * PART_BYTES).contains(&held), "{held}");
    }
    upload.finish().await.unwrap();
}
