//! One suite that every store must pass, and how stores and errors meet the engine.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::datatypes::DataType;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{Volatility, create_udf};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{StreamExt, TryStreamExt, future};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt, PutMode, PutPayload};
use pleiad::error::{Error, Kind};
use pleiad::storage::{
    Create, Environment, Finished, Location, StorageOptions, Store, Stores, Upload,
};
use rstest::rstest;

use crate::commands::until;
use crate::support::endpoint::{Endpoint, endpoints};
use crate::support::fault_http::Fault;
use crate::support::s3::{ENDPOINT, TestS3};
use crate::support::seeded::CreateOnly;

/// A place to write and what keeps it alive.
struct Place {
    stores: Arc<Stores>,
    base: Location,
    _held: (Option<tempfile::TempDir>, Option<Arc<Endpoint>>),
}

impl Place {
    fn memory() -> Self {
        let stores = Stores::new(StorageOptions::default());
        Self { stores, base: Location::parse("memory://m/base").unwrap(), _held: (None, None) }
    }

    fn files() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = Location::parse(dir.path().to_str().unwrap()).unwrap().join("base");
        Self { stores: Stores::new(StorageOptions::default()), base, _held: (Some(dir), None) }
    }

    fn s3() -> Self {
        Self::on(&Arc::new(Endpoint::in_process()), "base")
    }

    /// A server that is busy at one call in five.
    fn busy_s3() -> Self {
        let server = Arc::new(Endpoint::in_process());
        let faults = server.faults().seed(20).rate(20., Fault::Status(503, "SlowDown"));
        Self { stores: server.stores_through(&faults), ..Self::on(&server, "base") }
    }

    fn on(server: &Arc<Endpoint>, prefix: &str) -> Self {
        let (stores, base) = (server.stores(), server.base.join(prefix));
        Self { stores, base, _held: (None, Some(Arc::clone(server))) }
    }

    fn store(&self) -> Store {
        self.stores.open(&self.base).unwrap()
    }

    fn path(&self, relative: &str) -> Path {
        self.base.join(relative).path().clone()
    }

    async fn put(&self, relative: &str, bytes: &'static str) {
        self.store().objects().put(&self.path(relative), bytes.into()).await.unwrap();
    }

    async fn get(&self, relative: &str) -> Bytes {
        let got = self.store().objects().get(&self.path(relative)).await.unwrap();
        got.bytes().await.unwrap()
    }

    /// What a listing of the base shows, relative to it and sorted.
    async fn listed(&self) -> Vec<String> {
        let prefix = self.base.path();
        let listed = self.store().objects().list(Some(prefix));
        let listed: Vec<_> = listed.try_collect().await.unwrap();
        let mut names: Vec<_> = listed
            .iter()
            .map(|meta| meta.location.as_ref()[prefix.as_ref().len() + 1..].to_owned())
            .collect();
        names.sort_unstable();
        names
    }
}

#[rstest]
#[case::memory(Place::memory())]
#[case::files(Place::files())]
#[case::s3(Place::s3())]
#[case::busy_s3(Place::busy_s3())]
#[tokio::test]
async fn objects_come_back_as_they_were_put(#[case] place: Place) {
    let odd = "t/k=a%2Fb c/é🐚=1.bin";
    place.put(odd, "odd name").await;
    place.put("a.txt", "hello, world").await;
    assert_eq!(place.get(odd).await, "odd name");
    assert_eq!(place.listed().await, ["a.txt", odd]);

    let store = place.store();
    let (objects, path) = (store.objects(), place.path("a.txt"));
    assert_eq!(objects.get_range(&path, 7..12).await.unwrap(), "world");
    assert_eq!(objects.get_ranges(&path, &[0..1, 11..12]).await.unwrap(), ["h", "d"]);
    assert_eq!(objects.head(&path).await.unwrap().size, 12);
    let level = objects.list_with_delimiter(Some(place.base.path())).await.unwrap();
    assert_eq!(level.common_prefixes, [place.path("t")]);
    assert_eq!(level.objects.len(), 1);

    objects.copy(&path, &place.path("b.txt")).await.unwrap();
    objects.delete(&path).await.unwrap();
    assert_eq!(place.listed().await, ["b.txt", odd]);
    let all = futures::stream::iter([Ok(place.path("b.txt")), Ok(place.path(odd))]).boxed();
    let deleted: Vec<_> = objects.delete_stream(all).try_collect().await.unwrap();
    assert_eq!(deleted.len(), 2);
    assert!(place.listed().await.is_empty());
    assert!(place.stores.calls() >= 12, "{} calls", place.stores.calls());
}

#[rstest]
#[case::memory(Place::memory())]
#[case::files(Place::files())]
#[case::s3(Place::s3())]
#[case::busy_s3(Place::busy_s3())]
#[tokio::test]
async fn of_many_creators_of_a_name_one_wins(#[case] place: Place) {
    let (store, path) = (place.store(), place.path("_manifest/00000001.json"));
    let writers = (0..8).map(|i| {
        let (objects, path) = (Arc::clone(store.objects()), path.clone());
        let bytes = PutPayload::from(format!("writer {i}"));
        async move { (i, objects.put_opts(&path, bytes, PutMode::Create.into()).await) }
    });
    let (won, lost): (Vec<_>, Vec<_>) =
        future::join_all(writers).await.into_iter().partition(|(_, put)| put.is_ok());
    assert_eq!(won.len(), 1);
    assert_eq!(place.get("_manifest/00000001.json").await, format!("writer {}", won[0].0));
    for (_, put) in lost {
        let error = put.unwrap_err();
        assert!(matches!(error, StoreError::AlreadyExists { .. }), "{error:?}");
        let error = Error::from(error);
        assert_eq!(error.kind(), Kind::OutputExists);
        let shown = place.base.join("_manifest/00000001.json");
        assert_eq!(error.to_string(), format!("'{shown}' already exists"));
    }
}

#[rstest]
#[case::memory(Place::memory())]
#[case::files(Place::files())]
#[case::s3(Place::s3())]
#[case::busy_s3(Place::busy_s3())]
#[tokio::test]
async fn what_is_missing_is_not_found(#[case] place: Place) {
    place.put("there", "x").await;
    let (store, path) = (place.store(), place.path("x/y.parquet"));
    let shown = place.base.join("x/y.parquet").to_string();
    for error in [
        store.objects().get(&path).await.unwrap_err(),
        store.objects().head(&path).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}");
        let error = Error::from(error);
        assert_eq!(error.kind(), Kind::InputMissing);
        assert!(error.to_string().contains(&format!("'{shown}'")), "{error}");
    }
}

#[rstest]
#[case::memory(Place::memory())]
#[case::s3(Place::s3())]
#[case::busy_s3(Place::busy_s3())]
#[tokio::test]
async fn an_upload_is_seen_when_it_is_completed_and_never_when_aborted(#[case] place: Place) {
    let store = place.store();
    let uploads = store.uploads().unwrap();
    let least = vec![b'1'; 5 << 20]; // S3 takes no smaller part but the last
    let (kept, dropped) = (place.path("kept"), place.path("dropped"));
    for path in [&kept, &dropped] {
        let id = uploads.create_multipart(path).await.unwrap();
        let first = uploads.put_part(path, &id, 0, least.clone().into()).await.unwrap();
        let second = uploads.put_part(path, &id, 1, "two".into()).await.unwrap();
        assert!(place.listed().await.iter().all(|name| name == "kept"));
        if *path == kept {
            uploads.complete_multipart(path, &id, vec![first, second]).await.unwrap();
        } else {
            uploads.abort_multipart(path, &id).await.unwrap();
        }
    }
    assert_eq!(place.listed().await, ["kept"]);
    let whole = place.get("kept").await;
    assert_eq!((&whole[..5 << 20], &whole[5 << 20..]), (&least[..], &b"two"[..]));
}

#[rstest]
#[case::memory(Place::memory())]
#[case::files(Place::files())]
#[case::s3(Place::s3())]
#[case::busy_s3(Place::busy_s3())]
#[tokio::test(flavor = "multi_thread")]
async fn a_new_object_appears_whole_and_replaces_only_what_it_may(#[case] place: Place) {
    let store = place.store();
    for (name, size) in [("small", 9), ("large", (17 << 20) + 9)] {
        let location = place.base.join(name);
        for (how, letter, expected) in [
            (Create::New, b'a', Finished::Named),
            (Create::New, b'b', Finished::Taken),
            (Create::Replace, b'c', Finished::Named),
        ] {
            let before = store.objects().get(location.path()).await.ok();
            let mut upload = Upload::create(&store, &location, how, None).await.unwrap();
            let bytes = vec![letter; size];
            for piece in bytes.chunks(5 << 20) {
                upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
            }
            assert_eq!(place.listed().await.contains(&name.to_owned()), before.is_some());
            assert_eq!(upload.finish().await.unwrap(), expected, "{name}");
            let stored = place.get(name).await;
            assert_eq!(stored.len(), size);
            let letter = if expected == Finished::Taken { b'a' } else { letter };
            assert!(stored.iter().all(|byte| *byte == letter), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_given_up_leaves_no_upload() {
    let server = TestS3::new(&["bucket"]);
    let stores = server.stores();
    let location = Location::parse("s3://bucket/x").unwrap();
    let store = stores.open(&location).unwrap();
    for how in [Create::New, Create::Replace] {
        let mut upload = Upload::create(&store, &location, how, None).await.unwrap();
        upload.write(vec![0; 9 << 20].into()).await.unwrap();
        assert_eq!(server.open_uploads(), 1);
        drop(upload);
        until("the end of the upload", || server.open_uploads() == 0);
    }
    let hidden = Upload::create(&store, &location, Create::Hidden, None).await.unwrap();
    assert!(hidden.id().is_some());
    drop(hidden);
    assert_eq!(server.open_uploads(), 1, "a hidden object is its caller's to remove");
}

#[tokio::test]
async fn every_server_passes_the_suite() {
    for server in endpoints().into_iter().map(Arc::new) {
        println!("{}", server.name);
        objects_come_back_as_they_were_put(Place::on(&server, "1")).await;
        what_is_missing_is_not_found(Place::on(&server, "2")).await;
        let uploads = Place::on(&server, "3");
        an_upload_is_seen_when_it_is_completed_and_never_when_aborted(uploads).await;
        match server.create_only().await {
            CreateOnly::Enforced => {
                let writers = Place::on(&server, "5");
                a_new_object_appears_whole_and_replaces_only_what_it_may(writers).await;
                of_many_creators_of_a_name_one_wins(Place::on(&server, "4")).await;
            }
            other => println!("skipped: {} has create-only puts {other:?}", server.name),
        }
    }
}

#[test]
fn local_files_have_no_uploads_and_the_others_no_files() {
    let (files, s3) = (Place::files().store(), Place::s3().store());
    assert!(files.is_local() && files.files().is_some() && files.uploads().is_none());
    assert!(!s3.is_local() && s3.files().is_none() && s3.uploads().is_some());
}

#[tokio::test]
async fn the_engine_and_we_share_one_store_a_bucket() {
    let stores = Stores::new(StorageOptions::default());
    let location = Location::parse("memory://m/x").unwrap();
    stores.open(&location).unwrap().objects().put(location.path(), "1".into()).await.unwrap();
    let engine = stores.get_store(location.url()).unwrap();
    assert_eq!(engine.get(location.path()).await.unwrap().bytes().await.unwrap(), "1");
    let other = stores.get_store(&"memory://other".parse().unwrap()).unwrap();
    assert!(other.get(location.path()).await.is_err(), "another name is another place");
    let again = Stores::new(StorageOptions::default()).open(&location).unwrap();
    assert!(again.objects().get(location.path()).await.is_err(), "as is another Stores");
}

#[test]
fn the_engine_finds_the_store_of_an_alias() {
    let variables = [("MC_HOST_lab", "http://key:secret@lab:9000"), ("HOME", "/nonexistent")];
    let environment = Environment::of(variables);
    let stores = Stores::new(StorageOptions::default().with_environment(environment));
    let location = stores.parse("lab/bucket/x.parquet").unwrap();
    let ours = stores.open(&location).unwrap();
    let table = ListingTableUrl::parse(location.url()).unwrap();
    let engine = stores.get_store(table.object_store().as_ref()).unwrap();
    assert!(Arc::ptr_eq(ours.objects(), &engine));
    let of_bucket = stores.get_store(&"s3://bucket".parse().unwrap()).unwrap();
    assert!(!Arc::ptr_eq(ours.objects(), &of_bucket), "another server, another store");
    let refused = stores.get_store(&"s3://canary:canary@bucket".parse().unwrap()).unwrap_err();
    let refused = Error::from(refused).to_string();
    assert!(refused.starts_with("credentials inside a location are refused"), "{refused}");
    assert!(!refused.contains("canary"), "{refused}");
}

// ---- errors through the engine

/// A session over `stores`.
#[expect(clippy::disallowed_methods, reason = "this part is below session.rs")]
fn session(stores: &Arc<Stores>) -> SessionContext {
    let registry: Arc<dyn ObjectStoreRegistry> = Arc::<Stores>::clone(stores);
    let runtime = RuntimeEnvBuilder::new().with_object_store_registry(registry).build_arc();
    SessionContext::new_with_config_rt(SessionConfig::new(), runtime.unwrap())
}

// Each kind through each wrapper of the engine: `src/storage/errors_tests.rs`.
#[tokio::test]
async fn an_error_of_a_function_comes_back_from_a_query() {
    let session = session(&Stores::new(StorageOptions::default()));
    session.register_udf(create_udf(
        "fails",
        vec![DataType::Int64],
        DataType::Int64,
        Volatility::Volatile,
        Arc::new(move |_| Err(Error::new(Kind::Denied, "the sentence").into())),
    ));
    let sql = "SELECT sum(x) FROM (SELECT fails(a) AS x FROM (VALUES (1), (2)) t(a))";
    let error = match session.sql(sql).await {
        Ok(query) => Error::from(query.collect().await.unwrap_err()),
        Err(error) => Error::from(error),
    };
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Denied, "the sentence"));
}

#[tokio::test]
async fn a_query_on_a_missing_bucket_names_it() {
    let server = TestS3::new(&[]);
    let sql = "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 's3a://nix/t/'";
    let error = Error::from(session(&server.stores()).sql(sql).await.unwrap_err());
    assert_eq!(error.kind(), Kind::InputMissing);
    let at = format!("no bucket 'nix' at '{ENDPOINT}' (from AWS_S3_ENDPOINT)");
    assert_eq!(error.to_string(), at);
}
