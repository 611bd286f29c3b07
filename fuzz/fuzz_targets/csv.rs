#![no_main]

use object_store::{ObjectStoreExt, PutPayload};
use pleiad::error::Result;
use pleiad::storage::{Location, StorageOptions, Stores};
use pleiad::table::{Source, SourceOptions};

/// A look at a CSV file: its header and the types of its columns.
async fn look(bytes: &[u8]) -> Result<()> {
    let stores = Stores::new(StorageOptions::default());
    let at = Location::parse("memory://bucket/file.csv")?;
    let payload = PutPayload::from(bytes.to_vec());
    stores.open(&at)?.objects().put(at.path(), payload).await?;
    Source::open(&stores, &at.to_string(), &SourceOptions::default()).await?;
    Ok(())
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _ = runtime.block_on(look(bytes));
});
