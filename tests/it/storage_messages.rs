//! What users see when a server refuses, cannot be reached, or is none; and that no sentence, cause
//! or `Debug` holds a secret.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use object_store::client::{HttpError, HttpErrorKind, HttpRequest};
use object_store::{Error as StoreError, ObjectStoreExt};
use pleiad::error::{Error, Kind};
use pleiad::storage::{Environment, Location, StorageOptions, Store, Stores};
use rstest::rstest;

use crate::support::s3::{ENDPOINT, KEY, SECRET, TestS3};
use crate::support::scripted::Scripted;

// ---- a real server that refuses

fn with(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut all = TestS3::variables();
    all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    all
}

/// The error of reading, and that of listing, an object that is there.
async fn refusals(server: &TestS3, stores: &Stores) -> [Error; 2] {
    std::fs::write(server.bucket("bucket").join("x"), "x").unwrap();
    let location = stores.parse("s3://bucket/x").unwrap();
    let store = stores.open(&location).unwrap();
    let get = store.objects().get(location.path()).await.unwrap_err();
    let list = store.objects().list(None).try_collect::<Vec<_>>().await.unwrap_err();
    [get.into(), list.into()]
}

#[track_caller]
fn check(error: &Error, kind: Kind, parts: &[&str]) {
    let message = error.to_string();
    assert_eq!(error.kind(), kind, "{message}");
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
    for secret in ["canary", SECRET, KEY] {
        assert!(!message.contains(secret), "a secret in: {message}");
        assert!(!format!("{error:?}").contains(secret));
    }
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        assert!(!error.to_string().contains("<Error>"), "the body of an answer is in the chain");
        cause = error.source();
    }
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_key_are_told_apart() {
    let server = TestS3::new(&["bucket"]);
    let wrong = with(&[("AWS_SECRET_ACCESS_KEY", "canary")]);
    for error in refusals(&server, &server.stores_with(StorageOptions::default(), wrong)).await {
        let parts = ["wrong secret key for the key '…4F2A' (from AWS_ACCESS_KEY_ID)", "clock"];
        check(&error, Kind::Denied, &parts);
    }
    let unknown = with(&[("AWS_ACCESS_KEY_ID", "canary-BCDE")]);
    for error in refusals(&server, &server.stores_with(StorageOptions::default(), unknown)).await {
        check(&error, Kind::Denied, &["does not know the key '…BCDE' (from AWS_ACCESS_KEY_ID)"]);
    }
}

#[tokio::test]
async fn requests_without_a_key_are_refused_as_such() {
    let server = TestS3::new(&["bucket"]);
    let options = StorageOptions { no_sign_request: true, ..StorageOptions::default() };
    let stores = server.stores_with(options, TestS3::variables());
    for error in refusals(&server, &stores).await {
        check(&error, Kind::Denied, &["requests without a key may not"]);
    }
}

#[tokio::test]
async fn each_way_to_give_keys_works_without_a_flag() {
    let server = TestS3::new(&["bucket"]);
    std::fs::write(server.bucket("bucket").join("x"), "hello").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "[profile lab]\nregion = us-east-1\nservices = m\naws_access_key_id = {KEY}\n\
         aws_secret_access_key = {SECRET}\n[services m]\ns3 =\n  endpoint_url = {ENDPOINT}/\n"
    );
    let file = dir.path().join("config");
    std::fs::write(&file, config).unwrap();
    let token = format!("http://{KEY}:{SECRET}:to/k+en==@s3.test:9000");
    let no_token = format!("http://{KEY}:{SECRET}@s3.test:9000");
    let ways: [(Vec<(String, String)>, &str); 5] = [
        (TestS3::variables(), "s3://bucket/x"),
        (TestS3::variables(), "s3a://bucket/x"),
        (vec![("MC_HOST_s3".into(), token)], "s3/bucket/x"),
        (vec![("MC_HOST_lab".into(), no_token)], "s3://bucket/x"),
        (
            vec![
                ("AWS_CONFIG_FILE".into(), file.to_str().unwrap().into()),
                ("AWS_PROFILE".into(), "lab".into()),
            ],
            "s3://bucket/x",
        ),
    ];
    for (variables, text) in ways {
        let stores = server.stores_with(StorageOptions::default(), variables);
        let location = stores.parse(text).unwrap();
        let got = stores.open(&location).unwrap().objects().get(location.path()).await;
        assert_eq!(got.unwrap().bytes().await.unwrap(), "hello", "{text}");
    }
}

#[tokio::test]
async fn a_virtual_host_carries_the_bucket() {
    let options = StorageOptions { virtual_host: true, ..StorageOptions::default() };
    let scripted = Scripted::new(|request| {
        assert_eq!(request.uri().to_string(), "http://bucket.s3.test:9000/x");
        Ok((200, String::new()))
    });
    let options = options.with_environment(Environment::of(TestS3::variables()));
    let stores = Stores::with_http(options, Arc::new(scripted));
    let location = Location::parse("s3://bucket/x").unwrap();
    let store = stores.open(&location).unwrap();
    store.objects().put(location.path(), "".into()).await.unwrap_err(); // no ETag in the answer
}

#[test]
fn stores_show_no_secret() {
    let server = TestS3::new(&["bucket"]);
    let stores = server.stores();
    let store = stores.open(&Location::parse("s3://bucket/x").unwrap()).unwrap();
    for shown in [format!("{stores:?}"), format!("{store:?}"), format!("{}", store.objects())] {
        assert!(!shown.contains("canary") && !shown.contains(KEY), "{shown}");
    }
}

// ---- servers that cannot be reached

/// The error of one read from a server at `endpoint`, through a socket.
async fn unreached(endpoint: &str) -> Error {
    let variables = with(&[("AWS_S3_ENDPOINT", endpoint)]);
    let options = StorageOptions::default().with_environment(Environment::of(variables));
    let location = Location::parse("s3://bucket/x").unwrap();
    let store = Stores::new(options).open(&location).unwrap();
    let before = Instant::now();
    let error = store.objects().get(location.path()).await.unwrap_err();
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    error.into()
}

#[tokio::test]
async fn a_refused_port_fails_in_seconds_and_names_the_variable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = unreached(&format!("http://127.0.0.1:{port}")).await;
    let said = format!("cannot reach 'http://127.0.0.1:{port}' (from AWS_S3_ENDPOINT): Connection");
    check(&error, Kind::Unreachable, &[&said]);
}

#[tokio::test]
async fn https_to_a_plain_server_says_http() {
    let server = TestS3::new(&["bucket"]);
    let served = server.serve();
    let error = unreached(&served.endpoint().replace("http", "https")).await;
    let said = format!("does not speak TLS: try '{}'", served.endpoint());
    check(&error, Kind::Configuration, &[&said, "(from AWS_S3_ENDPOINT)"]);
}

#[tokio::test]
async fn http_to_a_tls_server_says_https() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // A TLS server answers plain text with an alert record: fatal, unexpected message.
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            io::Read::read(&mut socket, &mut [0; 4096]).unwrap();
            io::Write::write_all(&mut socket, &[0x15, 3, 1, 0, 2, 2, 10]).unwrap();
        }
    });
    let error = unreached(&format!("http://{address}")).await;
    check(&error, Kind::Configuration, &[&format!("try 'https://{address}'")]);
}

#[tokio::test]
async fn the_server_on_a_port_is_the_one_in_process() {
    let server = TestS3::new(&["bucket"]);
    let served = server.serve();
    let variables = Environment::of(served.variables());
    let by_port = Stores::new(StorageOptions::default().with_environment(variables));
    let location = Location::parse("s3://bucket/a/b").unwrap();
    let objects = by_port.open(&location).unwrap();
    objects.objects().put(location.path(), "x".into()).await.unwrap();
    let here = server.stores().open(&location).unwrap();
    assert_eq!(here.objects().get(location.path()).await.unwrap().bytes().await.unwrap(), "x");
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let open = || {
        let variables = with(&[("AWS_CA_BUNDLE", file.to_str().unwrap())]);
        let options = StorageOptions::default().with_environment(Environment::of(variables));
        Stores::new(options).open(&Location::parse("s3://bucket").unwrap()).unwrap_err()
    };
    check(&open(), Kind::Configuration, &["(from AWS_CA_BUNDLE)", "No such file"]);
    std::fs::write(&file, "not a certificate").unwrap();
    check(&open(), Kind::Configuration, &["(from AWS_CA_BUNDLE)", "none in PEM form"]);
}

#[test]
fn no_keys_are_an_error_at_once() {
    let options =
        StorageOptions::default().with_environment(Environment::of([("HOME", "/nonexistent")]));
    let before = Instant::now();
    let error = Stores::new(options).open(&Location::parse("s3://bucket").unwrap()).unwrap_err();
    assert!(before.elapsed() < Duration::from_secs(1));
    check(&error, Kind::Configuration, &["no keys for S3", "--no-sign-request"]);
}

// ---- the table of messages, against scripted answers

fn scripted(script: Scripted) -> (Store, Arc<Stores>) {
    let variables = with(&[("AWS_SESSION_TOKEN", "canary-token")]);
    let options = StorageOptions::default().with_environment(Environment::of(variables));
    let stores = Stores::with_http(options, Arc::new(script));
    (stores.open(&Location::parse("s3://bucket").unwrap()).unwrap(), stores)
}

/// An error as S3 writes it; a refused signature comes with the whole request.
fn error_body(code: &str, more: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>said the server</Message>{more}\
         <CanonicalRequest>x-amz-security-token:canary-token</CanonicalRequest></Error>"
    )
}

#[rstest]
#[case(403, "InvalidAccessKeyId", "", Kind::Denied, &["does not know the key '…4F2A' (from AWS_ACCESS_KEY_ID)"])]
#[case(403, "SignatureDoesNotMatch", "", Kind::Denied, &["wrong secret key", "clock or region 'us-east-1' (from AWS_DEFAULT_REGION)"])]
#[case(400, "ExpiredToken", "", Kind::Denied, &["session token expired", "copy fresh keys from the data-lab page"])]
#[case(400, "InvalidToken", "", Kind::Denied, &["session token expired"])]
#[case(403, "RequestTimeTooSkewed", "", Kind::Denied, &["differ by more than 15 minutes"])]
#[case(400, "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>", Kind::Configuration, &["is not in region 'us-east-1' (from AWS_DEFAULT_REGION): pass --region eu-west-3"])]
#[case(400, "AuthorizationHeaderMalformed", "", Kind::Configuration, &["'garage'"])]
#[case(301, "", "", Kind::Configuration, &["pass --region eu-west-3"])]
#[case(307, "", "", Kind::Configuration, &["is not in region"])]
#[case(404, "NoSuchBucket", "", Kind::InputMissing, &["no bucket 'bucket' at 'http://s3.test:9000' (from AWS_S3_ENDPOINT)"])]
#[case(404, "NoSuchKey", "", Kind::InputMissing, &["no object 's3://bucket/a/b'"])]
#[case(404, "NoSuchUpload", "", Kind::Retry, &["unfinished upload of 's3://bucket/a/b' is gone"])]
#[case(403, "AccessDenied", "", Kind::Denied, &["may not read 's3://bucket/a/b'"])]
#[case(409, "OperationAborted", "", Kind::Retry, &["being changed by another writer"])]
#[case(501, "NotImplemented", "", Kind::Configuration, &["cannot do this: read 's3://bucket/a/b'"])]
#[case(507, "XMinioStorageFull", "", Kind::Io, &["no space left"])]
#[case(400, "EntityTooLarge", "", Kind::Other, &["answered 400 EntityTooLarge: said the server"])]
#[tokio::test]
async fn an_answer_becomes_its_sentence(
    #[case] status: u16,
    #[case] code: &'static str,
    #[case] more: &'static str,
    #[case] kind: Kind,
    #[case] parts: &[&str],
) {
    let (store, stores) = scripted(Scripted::new(move |_| Ok((status, error_body(code, more)))));
    let error = store.objects().get(&"a/b".into()).await.unwrap_err();
    assert_eq!(matches!(error, StoreError::NotFound { .. }), status == 404, "{error:?}");
    assert_eq!(matches!(error, StoreError::NotSupported { .. }), status == 501, "{error:?}");
    check(&error.into(), kind, parts);
    // An answer that is final is asked for once.
    assert_eq!(stores.calls(), if status == 507 { 11 } else { 1 });
}

#[tokio::test]
async fn a_key_that_may_not_list_is_told_to_name_files() {
    let denied = |_: &HttpRequest| Ok((403, error_body("AccessDenied", "")));
    let (store, _) = scripted(Scripted::new(denied));
    let error = store.objects().list(Some(&"data".into())).try_collect::<Vec<_>>().await;
    let parts = ["may not list 's3://bucket/data': name files directly"];
    check(&error.unwrap_err().into(), Kind::Denied, &parts);
}

#[tokio::test]
async fn a_refusal_without_a_reason_names_all_that_it_can_be() {
    for status in [400, 403] {
        let (store, _) = scripted(Scripted::new(move |_| Ok((status, String::new()))));
        let error = store.objects().head(&"a".into()).await.unwrap_err();
        let parts = [
            "refused to read 's3://bucket/a'",
            "the key '…4F2A' (from AWS_ACCESS_KEY_ID) is wrong, expired or has no right",
        ];
        check(&error.into(), Kind::Denied, &parts);
    }
}

#[tokio::test]
async fn a_server_in_trouble_is_tried_ten_times_more() {
    let (store, stores) = scripted(Scripted::new(|_| Ok((503, error_body("SlowDown", "")))));
    let error = store.objects().get(&"a".into()).await.unwrap_err();
    let parts = ["answered 503 SlowDown: said the server", "trying again later is safe"];
    check(&error.into(), Kind::Retry, &parts);
    assert_eq!(stores.calls(), 11);
}

#[tokio::test]
async fn a_web_page_is_not_an_s3_server() {
    let (store, _) = scripted(Scripted::new(|_| Ok((200, "<html></html>".into()))));
    let error = store.objects().list(None).try_collect::<Vec<_>>().await.unwrap_err();
    check(&error.into(), Kind::Configuration, &["answers with a web page, not as an S3 server"]);
}

#[tokio::test]
async fn a_complaint_in_plain_text_about_tls_is_understood() {
    // Go's net/http, which MinIO uses.
    let said = "Client sent an HTTP request to an HTTPS server.\n";
    let (store, _) = scripted(Scripted::new(move |_| Ok((400, said.into()))));
    let error = store.objects().get(&"a".into()).await.unwrap_err();
    check(&error.into(), Kind::Configuration, &["speaks TLS only: try 'https://s3.test:9000'"]);
}

/// An error of the transport that says `text`.
fn transport(kind: HttpErrorKind, text: &'static str) -> Scripted {
    Scripted::new(move |_| Err(HttpError::new(kind, io::Error::other(text))))
}

#[rstest]
#[case(
    HttpErrorKind::Connect,
    "dns error",
    3,
    "cannot reach 'http://s3.test:9000' (from AWS_S3_ENDPOINT): dns error"
)]
#[case(HttpErrorKind::Timeout, "timed out", 1, "cannot reach 'http://s3.test:9000'")]
#[case(HttpErrorKind::Connect, "invalid peer certificate: UnknownIssuer", 3, "set AWS_CA_BUNDLE")]
#[case(HttpErrorKind::Interrupted, "reset", 3, "reset")]
#[tokio::test]
async fn an_address_that_never_answered_is_given_up_soon(
    #[case] kind: HttpErrorKind,
    #[case] text: &'static str,
    #[case] calls: u64,
    #[case] said: &str,
) {
    let (store, stores) = scripted(transport(kind, text));
    let error = store.objects().get(&"a".into()).await.unwrap_err();
    check(&error.into(), Kind::Unreachable, &[said]);
    assert_eq!(stores.calls(), calls);
}

#[tokio::test]
async fn a_server_that_answered_before_is_waited_for() {
    let asked = std::sync::atomic::AtomicU32::new(0);
    let script =
        move |_: &HttpRequest| match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Ok((404, String::new())),
            1..=8 => Err(HttpError::new(HttpErrorKind::Connect, io::Error::other("restarting"))),
            _ => Ok((404, error_body("NoSuchKey", ""))),
        };
    let (store, stores) = scripted(Scripted::new(script));
    for calls in [1, 10] {
        let error = store.objects().get(&"a".into()).await.unwrap_err();
        check(&error.into(), Kind::InputMissing, &["no object 's3://bucket/a'"]);
        assert_eq!(stores.calls(), calls);
    }
}
