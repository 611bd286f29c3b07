//! What locations read as, print as and refuse.

use proptest::prelude::*;

use super::*;
use crate::error::Kind;

fn environment() -> Environment {
    Environment::of([("MC_HOST_s3", "https://KEY:SECRET@host"), ("HOME", "/nonexistent")])
}

fn parse(text: &str) -> Result<Location> {
    Location::parse_in(text, &environment())
}

#[track_caller]
fn refused(text: &str) -> String {
    let error = parse(text).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
    error.to_string()
}

/// A text, the URL it means, and the key.
#[track_caller]
fn check(text: &str, url: &str, key: &str) {
    let location = parse(text).unwrap();
    assert_eq!(location.url().as_str(), url);
    assert_eq!(location.path().as_ref(), key);
    assert_eq!(parse(&location.to_string()).unwrap(), location, "printed as {location}");
    let decoded = ObjectPath::from_url_path(location.url().path()).unwrap();
    assert_eq!(&decoded, location.path(), "the engine decodes the URL to the same key");
}

#[test]
fn text_is_taken_literally() {
    check("s3://b", "s3://b", "");
    check("s3://b/", "s3://b", "");
    check("s3a://b/a/b/", "s3://b/a/b", "a/b");
    check("S3N://b/x=1/y", "s3://b/x=1/y", "x=1/y");
    check("s3://b/a b%20c#d", "s3://b/a%20b%2520c%23d", "a b%20c#d");
    check("s3://b/é/🐚.parquet", "s3://b/%C3%A9/%F0%9F%90%9A.parquet", "é/🐚.parquet");
    check("memory://m/a", "memory://m/a", "a");
    check("/tmp/a b", "file:///tmp/a%20b", "tmp/a b");
    check("/", "file:///", "");
    check("/ab|/x:y\\z", "file:///ab|/x:y%5Cz", "ab|/x:y\\z");
    check("s3://b/a[*]b[?][[]c]", "s3://b/a*b%3F[c]", "a*b?[c]");
}

#[test]
fn only_file_urls_are_decoded() {
    check("file:///tmp/a%20b", "file:///tmp/a%20b", "tmp/a b");
    check("file:///tmp/a%3Fb#c", "file:///tmp/a%3Fb%23c", "tmp/a?b#c");
    check("file://localhost/tmp", "file:///tmp", "tmp");
}

#[test]
fn relative_paths_are_below_the_current_directory() {
    let here = std::env::current_dir().unwrap();
    assert_eq!(parse("./out/").unwrap().local_path(), Some(here.join("out").as_path()));
    assert_eq!(parse("a/./b/../c").unwrap().local_path(), Some(here.join("a/c").as_path()));
    assert_eq!(parse("..").unwrap().local_path(), here.parent());
    assert_eq!(parse("./s3/user/x").unwrap().local_path(), Some(here.join("s3/user/x").as_path()));
}

#[test]
fn dots_after_a_symbolic_link_lead_where_the_system_leads() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    std::os::unix::fs::symlink(root.join("a/b"), root.join("link")).unwrap();
    let location = parse(&format!("{}/link/../x", root.display())).unwrap();
    assert_eq!(location.local_path(), Some(root.join("a/x").as_path()));
}

#[test]
fn an_alias_is_a_bucket_on_its_server() {
    let location = parse("s3/user/data/x.csv").unwrap();
    assert_eq!(location.url().as_str(), "s3://s3@user/data/x.csv");
    assert_eq!(location.store_url().as_str(), "s3://s3@user");
    assert_eq!(location.to_string(), "s3/user/data/x.csv");
    assert_eq!(parse("s3://s3@user/data/x.csv").unwrap(), location);
    assert!(parse("other/user/x").unwrap().local_path().is_some());
    assert!(refused("s3/").contains("has no bucket"));
}

#[test]
fn a_sample_alias_of_mc_is_not_an_alias() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    let text = r#"{"version": "10", "aliases": {
        "mine": {"url": "http://h:9000", "accessKey": "K", "secretKey": "S", "api": "s3v4"},
        "local": {"url": "http://localhost:9000", "accessKey": "", "secretKey": ""},
        "gcs": {"url": "https://g", "accessKey": "YOUR-ACCESS-KEY-HERE", "secretKey": "Y"},
        "play": {"url": "https://play.min.io", "accessKey": "Q3AM", "secretKey": "zuf"}}}"#;
    std::fs::write(file, text).unwrap();
    let environment = Environment::of([("MC_CONFIG_DIR", dir.path().to_str().unwrap())]);
    let url = |text: &str| Location::parse_in(text, &environment).unwrap().url().to_string();
    assert_eq!(url("mine/bucket/x"), "s3://mine@bucket/x");
    for sample in ["local", "gcs", "play"] {
        assert!(url(&format!("{sample}/bucket/x")).starts_with("file:///"), "{sample}");
    }
}

#[test]
fn a_pattern_keeps_its_fixed_prefix() {
    let location = parse("s3://b/data/[[]x/k=*/part-?.parquet").unwrap();
    assert_eq!(location.path().as_ref(), "data/[x");
    let glob = location.glob().unwrap();
    assert!(glob.matches(&ObjectPath::parse("data/[x/k=1/part-a.parquet").unwrap()));
    for other in ["data/[x/k=1/part-ab.parquet", "data/[x/k=1/y/part-a.parquet", "k=1/part-a"] {
        assert!(!glob.matches(&ObjectPath::parse(other).unwrap()), "{other}");
    }
    assert_eq!(location.to_string(), "s3://b/data/[[]x/k=*/part-?.parquet");
    for text in ["s3://b/*.csv", "/*.csv", "/tmp/a/**/x[0-9].csv", "s3/user/*"] {
        let location = parse(text).unwrap();
        assert!(location.glob().is_some(), "{text}");
        assert_eq!(location.to_string(), text);
    }
    assert!(refused("s3://b/data[1.csv").contains("write '[[]' for a literal '['"));
}

#[test]
fn what_cannot_be_a_location_is_refused_with_a_remedy() {
    assert!(refused("hdfs://nn/data").ends_with("use distcp first to copy it to s3://"));
    assert!(refused("ftp://host/x").starts_with("'ftp://' is not supported, expected s3://"));
    assert!(refused("file://data/x").contains("three slashes"));
    assert!(refused("s3:///key").contains("has no bucket"));
    assert!(refused("s3://b//x").contains("has the segment ''"));
    assert!(refused("s3://b/a/../x").contains("has the segment '..'"));
    assert!(refused("s3://b/a\nb").contains("control character"));
    assert!(refused("/C|/x").contains("cannot be a file URL"));
    assert!(refused("-").contains("not a location"));
    assert!(refused("").contains("not a location"));
}

#[test]
fn credentials_in_a_location_are_refused_and_not_repeated() {
    for text in ["s3://canary:sec@bucket/x", "s3://canary@bucket", "s3a://k:can/ary@bucket"] {
        let message = refused(text);
        assert!(message.starts_with("credentials inside a location are refused"), "{message}");
        assert!(!message.contains("can"), "{message}");
    }
}

#[test]
fn joined_names_stay_inside() {
    let base = parse("s3://b/out").unwrap();
    assert_eq!(base.join("t/k=a%2Fb/x.parquet").to_string(), "s3://b/out/t/k=a%2Fb/x.parquet");
    assert_eq!(base.join("../x").path().as_ref(), "out/%2E%2E/x");
    assert_eq!(base.join(""), base);
    assert_eq!(parse("/out").unwrap().join("a b").local_path(), Some(Path::new("/out/a b")));
    assert_eq!(base.join("t/x.parquet").name(), "x.parquet");
    assert_eq!(parse("s3://b").unwrap().name(), "b");
}

proptest! {
    #[test]
    fn a_location_reads_back_as_it_prints(
        root in prop_oneof![
            Just("s3://b"), Just("memory://m"), Just(""), Just("/tmp"), Just("s3/user"),
        ],
        segments in proptest::collection::vec("[\\PC&&[^/]]{1,12}", 1..4),
    ) {
        let text = format!("{root}/{}", segments.join("/"));
        if let Ok(location) = parse(&text) {
            prop_assert_eq!(&parse(&location.to_string()).unwrap(), &location);
            let decoded = ObjectPath::from_url_path(location.url().path()).unwrap();
            prop_assert_eq!(&decoded, location.path());
            if let Some(local) = location.local_path() {
                let store = object_store::local::LocalFileSystem::new();
                if let Ok(path) = store.path_to_filesystem(location.path()) {
                    prop_assert_eq!(path.as_path(), local);
                }
            }
        }
    }

    #[test]
    fn any_segment_without_a_pattern_is_a_key(segment in "[\\PC&&[^/*?\\[]]{1,20}") {
        prop_assume!(segment != "." && segment != "..");
        let location = parse(&format!("s3://b/{segment}")).unwrap();
        prop_assert_eq!(location.path().as_ref(), segment.as_str());
        prop_assert_eq!(location.name(), segment.as_str());
    }
}
