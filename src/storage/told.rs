//! How storage is reached, told to a person: each setting, its value without secrets, and where it
//! was read.

use super::environment::Environment;
use super::mc;
use super::settings::{Settings, StorageOptions};

/// A setting as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// Its value, `***` for a secret; `None` if there is none.
    pub value: Option<String>,
    /// Where it was read, or why there is none.
    pub origin: String,
}

impl Told {
    /// A setting.
    pub fn new(name: &str, value: Option<String>, origin: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value, origin: origin.into() }
    }
}

/// What stands for a secret.
const SECRET: &str = "***";

impl StorageOptions {
    /// What holds for the buckets of `alias`, or for those without one, and the aliases there are.
    /// What cannot be settled is told, too.
    pub fn tell(&self, alias: Option<&str>) -> Vec<Told> {
        let mut told = match self.settle(alias) {
            Ok(settings) => of_settings(&settings),
            Err(error) => vec![Told::new("storage", None, error.to_string())],
        };
        if let Some(bucket) = self.environment.get("AWS_BUCKET_NAME") {
            told.push(Told::new("bucket", Some(bucket), "AWS_BUCKET_NAME"));
        }
        told.extend(of_aliases(&self.environment));
        told
    }
}

fn of_settings(settings: &Settings) -> Vec<Told> {
    let mut told = vec![match &settings.endpoint {
        Some(endpoint) => {
            Told::new("endpoint-url", Some(endpoint.value.clone()), &*endpoint.origin)
        }
        None => Told::new("endpoint-url", None, "the default: AWS itself"),
    }];
    let region = &settings.region;
    told.push(Told::new("region", Some(region.value.clone()), &*region.origin));
    match &settings.keys {
        Some(source) => {
            let (keys, origin) = (&source.keys.value, source.keys.origin.as_str());
            told.push(Told::new("access-key", Some(keys.hint()), origin));
            told.push(Told::new("secret-key", Some(SECRET.to_owned()), origin));
            let token = keys.token.is_some().then(|| SECRET.to_owned());
            told.push(Told::new("session-token", token, origin));
        }
        None => told.push(Told::new("access-key", None, "requests are not signed")),
    }
    if let Some(bundle) = &settings.ca_bundle {
        let file = bundle.value.display().to_string();
        told.push(Told::new("ca-bundle", Some(file), &*bundle.origin));
    }
    if !settings.verify_tls {
        told.push(Told::new("verify-ssl", Some("false".to_owned()), "--no-verify-ssl"));
    }
    told
}

/// The aliases of variables, each with its endpoint.
fn of_aliases(environment: &Environment) -> impl Iterator<Item = Told> {
    environment.names(mc::PREFIX).into_iter().map(|variable| {
        let alias = &variable[mc::PREFIX.len()..];
        let name = format!("alias {alias}");
        match mc::find(alias, environment) {
            Ok(found) => Told::new(&name, Some(found.endpoint.value), variable),
            Err(error) => Told::new(&name, None, error.to_string()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &[(&str, &str)]) -> Vec<Told> {
        let environment = Environment::of(variables.iter().copied());
        StorageOptions::default().with_environment(environment).tell(None)
    }

    #[test]
    fn every_setting_has_its_origin_and_no_secret_its_value() {
        let found = told(&[
            ("AWS_ACCESS_KEY_ID", "AKIDTEST4F2A"),
            ("AWS_SECRET_ACCESS_KEY", "canary"),
            ("AWS_SESSION_TOKEN", "canary"),
            ("AWS_S3_ENDPOINT", "minio.lab"),
            ("AWS_DEFAULT_REGION", ""),
            ("AWS_BUCKET_NAME", "user"),
            ("MC_HOST_s3", "https://AKIDTEST4F2A:canary:canary@minio.lab"),
        ]);
        let shown = |name: &str| {
            let told = found.iter().find(|told| told.name == name).unwrap();
            (told.value.as_deref(), told.origin.as_str())
        };
        assert_eq!(shown("endpoint-url"), (Some("https://minio.lab"), "AWS_S3_ENDPOINT"));
        assert_eq!(shown("region"), (Some("us-east-1"), "the default"));
        assert_eq!(shown("access-key"), (Some("…4F2A"), "AWS_ACCESS_KEY_ID"));
        assert_eq!(shown("session-token"), (Some("***"), "AWS_ACCESS_KEY_ID"));
        assert_eq!(shown("bucket"), (Some("user"), "AWS_BUCKET_NAME"));
        assert_eq!(shown("alias s3"), (Some("https://minio.lab"), "MC_HOST_s3"));
        assert!(!format!("{found:?}").contains("canary"));
    }

    #[test]
    fn what_is_missing_is_said() {
        let found = told(&[("HOME", "/nonexistent")]);
        assert_eq!((found.len(), found[0].value.as_deref()), (1, None));
        assert!(found[0].origin.starts_with("no keys for S3: set AWS_ACCESS_KEY_ID"), "{found:?}");
    }
}
