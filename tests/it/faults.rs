//! The tools that break things on purpose: each does what it says.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::{Error as StoreError, ObjectStoreExt, PutMode, PutPayload};
use pleiad::storage::{Location, Stores};

mod children; // processes that are killed
mod http; // connections and lines that break
mod simulation; // actors on a bucket in memory

/// The bytes at a location.
async fn get(stores: &Arc<Stores>, at: &Location) -> Result<String, StoreError> {
    let store = stores.open(at).unwrap();
    let bytes = store.objects().get(at.path()).await?.bytes().await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn put(stores: &Arc<Stores>, at: &Location, text: &str) -> Result<(), StoreError> {
    let data = PutPayload::from(text.to_owned());
    stores.open(at).unwrap().objects().put(at.path(), data).await.map(drop)
}

async fn create(stores: &Arc<Stores>, at: &Location, text: &str) -> Result<(), StoreError> {
    let (data, how) = (PutPayload::from(text.to_owned()), PutMode::Create.into());
    stores.open(at).unwrap().objects().put_opts(at.path(), data, how).await.map(drop)
}

async fn list(stores: &Arc<Stores>, at: &Location) -> Result<Vec<String>, StoreError> {
    let store = stores.open(at).unwrap();
    let metas: Vec<_> = store.objects().list(Some(at.path())).try_collect().await?;
    Ok(metas.iter().map(|meta| meta.location.filename().unwrap().to_owned()).collect())
}
