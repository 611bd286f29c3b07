//! Which setting wins, and what an environment of the data lab comes to.

use secrecy::ExposeSecret;

use super::*;

/// Variables over an empty home.
fn options(variables: &[(&str, &str)]) -> StorageOptions {
    let variables = variables.iter().copied().chain([("HOME", "/nonexistent")]);
    StorageOptions::default().with_environment(Environment::of(variables))
}

fn settled(variables: &[(&str, &str)]) -> Settings {
    options(variables).settle(None).unwrap()
}

#[track_caller]
fn refused(variables: &[(&str, &str)]) -> String {
    let error = options(variables).settle(None).err().unwrap();
    assert_eq!(error.kind(), Kind::Configuration);
    error.to_string()
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKENV"), ("AWS_SECRET_ACCESS_KEY", "s")];

#[test]
fn a_data_lab_pod_needs_no_flag() {
    let pod = settled(&[
        KEYS[0],
        KEYS[1],
        ("AWS_SESSION_TOKEN", ""),
        ("AWS_DEFAULT_REGION", ""),
        ("AWS_S3_ENDPOINT", "minio.lab.example"),
        ("AWS_BUCKET_NAME", "user"),
        ("MC_HOST_s3", "https://AKMC:SECRET:tok/en+==@minio.lab.example"),
    ]);
    let endpoint = pod.endpoint.unwrap();
    assert_eq!(endpoint.to_string(), "'https://minio.lab.example' (from AWS_S3_ENDPOINT)");
    assert_eq!(pod.region.to_string(), "'us-east-1' (from the default)");
    let keys = pod.keys.unwrap().keys;
    assert_eq!((keys.value.id.as_str(), keys.origin.as_str()), ("AKENV", "AWS_ACCESS_KEY_ID"));
    assert!(keys.value.token.is_none(), "an empty token counts as none");
}

#[test]
fn an_alias_gives_keys_token_and_endpoint() {
    let variables = [("MC_HOST_s3", "http://AKMC:SEC/RET:tok/en+==@minio:9000")];
    for alias in [None, Some("s3")] {
        let settings = options(&variables).settle(alias).unwrap();
        let keys = settings.keys.unwrap().keys;
        assert_eq!(settings.endpoint.unwrap().to_string(), "'http://minio:9000' (from MC_HOST_s3)");
        assert_eq!(keys.value.secret.expose_secret(), "SEC/RET");
        assert_eq!(keys.value.token.unwrap().expose_secret(), "tok/en+==");
    }
    let alone = options(&[("MC_HOST_open", "https://host")]).settle(Some("open")).unwrap();
    assert!(alone.keys.is_none(), "an alias without keys is anonymous");
}

#[test]
fn the_alias_of_a_location_goes_before_the_environment() {
    let variables = [
        KEYS[0],
        KEYS[1],
        ("AWS_ENDPOINT_URL", "https://env"),
        ("MC_HOST_other", "https://AKMC:s@other"),
    ];
    let settings = options(&variables).settle(Some("other")).unwrap();
    assert_eq!(settings.endpoint.unwrap().value, "https://other");
    assert_eq!(settings.keys.unwrap().keys.value.id, "AKMC");
}

#[test]
fn a_flag_goes_before_everything() {
    let mut options = options(&[
        KEYS[0],
        KEYS[1],
        ("AWS_ENDPOINT_URL_S3", "https://a"),
        ("AWS_ENDPOINT_URL", "https://b"),
        ("AWS_REGION", "r1"),
        ("AWS_DEFAULT_REGION", "r2"),
    ]);
    let settings = options.settle(None).unwrap();
    assert_eq!(settings.endpoint.unwrap().value, "https://a");
    assert_eq!(settings.region.value, "r1");
    options.endpoint_url = Some("http://flag:1/".into());
    options.region = Some("garage".into());
    options.no_sign_request = true;
    let settings = options.settle(None).unwrap();
    let endpoint = settings.endpoint.unwrap();
    assert_eq!(endpoint.to_string(), "'http://flag:1' (from --endpoint-url)");
    assert_eq!(settings.region.to_string(), "'garage' (from --region)");
    assert!(settings.keys.is_none());
}

#[test]
fn a_profile_gives_what_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let config = file(
        "config",
        "[profile lab]\nregion = waw\nservices = m\n[services m]\ns3 =\n  endpoint_url = http://lab:9000\n\
         [profile sso]\nsso_session = x\n",
    );
    let keys = file("keys", "[lab]\naws_access_key_id = AKLAB\naws_secret_access_key = s\n");
    let files = [("AWS_CONFIG_FILE", config.as_str()), ("AWS_SHARED_CREDENTIALS_FILE", &keys)];

    let by_variable = settled(&[files[0], files[1], ("AWS_PROFILE", "lab")]);
    assert_eq!(by_variable.endpoint.unwrap().value, "http://lab:9000");
    assert_eq!(by_variable.region.value, "waw");
    assert_eq!(by_variable.keys.unwrap().keys.value.id, "AKLAB");

    let both = [files[0], files[1], KEYS[0], KEYS[1], ("AWS_ENDPOINT", "https://env")];
    let mut options = options(&both);
    options.profile = Some("lab".into());
    let by_flag = options.settle(None).unwrap();
    assert_eq!(by_flag.endpoint.unwrap().value, "http://lab:9000");
    assert_eq!(by_flag.keys.unwrap().keys.value.id, "AKLAB");

    let sso = refused(&[files[0], files[1], ("AWS_PROFILE", "sso")]);
    assert!(
        sso.starts_with("profile 'sso' relies on sso_session, which is not supported"),
        "{sso}"
    );
    let unknown = refused(&[files[0], files[1], ("AWS_PROFILE", "nix")]);
    assert_eq!(unknown, "profile 'nix' (from AWS_PROFILE) not found, the profiles are: lab, sso");
}

#[test]
fn no_keys_are_an_error_that_names_the_ways_to_give_some() {
    let message = refused(&[]);
    assert!(message.starts_with("no keys for S3: set AWS_ACCESS_KEY_ID"), "{message}");
    assert!(message.contains("--no-sign-request"), "{message}");
    let message = refused(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/token")]);
    assert!(message.starts_with("no keys for S3: AWS_WEB_IDENTITY_TOKEN_FILE is set"), "{message}");
    let message = refused(&[KEYS[0]]);
    assert_eq!(message, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
}

#[test]
fn an_endpoint_is_scheme_host_and_port() {
    let check = |value: &str| {
        let checked = checked_endpoint(&Sourced::new(value.to_owned(), "AWS_S3_ENDPOINT"));
        checked.map(|endpoint| endpoint.value).map_err(|error| error.to_string())
    };
    assert_eq!(check("minio.lab").unwrap(), "https://minio.lab");
    assert_eq!(check("localhost:9000").unwrap(), "https://localhost:9000");
    assert_eq!(check("http://[::1]:9000//").unwrap(), "http://[::1]:9000");
    for (value, said) in [
        ("https://host/bucket", "has the path '/bucket'"),
        ("https://key:canary@host", "contains credentials"),
        ("s3://host", "has the scheme 's3'"),
        ("https://", "is not an address"),
    ] {
        let message = check(value).unwrap_err();
        assert!(message.contains(said) && !message.contains("canary"), "{message}");
    }
}

#[test]
fn the_bucket_of_the_environment_is_the_default_of_a_listing() {
    let location = options(&[("AWS_BUCKET_NAME", "user")]).default_location().unwrap();
    assert_eq!(location.unwrap().to_string(), "s3://user");
    assert_eq!(options(&[]).default_location().unwrap(), None);
}

#[test]
fn the_flags_are_those_of_the_help() {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        storage: StorageOptions,
    }
    use clap::Parser;
    let cli = Cli::parse_from(["pleiad", "--endpoint-url", "http://h", "--no-sign-request"]);
    assert_eq!(cli.storage.endpoint_url.as_deref(), Some("http://h"));
    assert!(cli.storage.no_sign_request && !cli.storage.no_verify_ssl);
}

#[test]
fn a_configuration_file_speaks_last_and_its_variables_first() {
    let with_defaults = |variables: &[(&str, &str)]| {
        let mut options = options(&[KEYS.as_slice(), variables].concat());
        for (name, value) in [("endpoint-url", "http://file:1"), ("region", "file-1")] {
            options.defaults.insert(name, Ok((value.to_owned(), "pleiad.toml".to_owned())));
        }
        let settings = options.settle(None).unwrap();
        (settings.endpoint.unwrap().to_string(), settings.region.to_string())
    };
    let found = with_defaults(&[]);
    assert_eq!(found.0, "'http://file:1' (from pleiad.toml)");
    assert_eq!(found.1, "'file-1' (from pleiad.toml)");
    let aws = [("AWS_ENDPOINT_URL", "http://aws:1"), ("AWS_REGION", "aws-1")];
    let found = with_defaults(&aws);
    assert_eq!(found.0, "'http://aws:1' (from AWS_ENDPOINT_URL)");
    assert_eq!(found.1, "'aws-1' (from AWS_REGION)");
    let ours = [("PLEIAD_ENDPOINT_URL", "http://ours:1"), ("PLEIAD_REGION", "ours-1")];
    let found = with_defaults(&[aws, ours].concat());
    assert_eq!(found.0, "'http://ours:1' (from PLEIAD_ENDPOINT_URL)");
    assert_eq!(found.1, "'ours-1' (from PLEIAD_REGION)");

    let mut options = options(&KEYS);
    options.defaults.insert("profile", Ok(("lab".to_owned(), "pleiad.toml".to_owned())));
    let error = options.settle(None).err().unwrap().to_string();
    assert!(error.contains("profile 'lab' (from pleiad.toml) not found"), "{error}");
}

#[test]
fn what_a_file_may_not_say_is_refused_where_it_would_count() {
    let settled = |name: &'static str, variables: &[(&str, &str)]| {
        let mut options = options(&[KEYS.as_slice(), variables].concat());
        options.defaults.insert(name, Err(Error::usage("not trusted")));
        options.settle(None).map(drop).map_err(|error| error.to_string())
    };
    let refused = Err("not trusted".to_owned());
    for name in ["endpoint-url", "region", "profile", "virtual-host"] {
        assert_eq!(settled(name, &[]), refused, "{name}");
    }
    assert_eq!(settled("endpoint-url", &[("AWS_ENDPOINT_URL", "http://aws:1")]), Ok(()));
    assert_eq!(settled("region", &[("AWS_REGION", "aws-1")]), Ok(()));
}
