//! How storage is reached, as a person may see it: each setting, its value without secrets, and
//! where it was read.

use super::mc;
use super::settings::{Settings, StorageOptions};
use crate::storage::environment::Environment;

/// A setting as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSetting {
    /// Its name.
    pub name: String,
    /// Its value, `***` for a secret; `None` if there is none.
    pub value: Option<String>,
    /// Where it was read, or why there is none.
    pub origin: String,
}

impl ShownSetting {
    /// A setting.
    pub fn new(name: &str, value: Option<String>, origin: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value, origin: origin.into() }
    }
}

/// What is shown in place of a secret.
const SECRET: &str = "***";

impl StorageOptions {
    /// What holds for the buckets of `alias`, or for those without one, and the aliases there are.
    /// What cannot be settled is shown, too.
    pub fn show(&self, alias: Option<&str>) -> Vec<ShownSetting> {
        let mut shown = match self.settle(alias) {
            Ok(settings) => of_settings(&settings),
            Err(error) => vec![ShownSetting::new("storage", None, error.to_string())],
        };
        if let Some(bucket) = self.environment.get("AWS_BUCKET_NAME") {
            shown.push(ShownSetting::new("bucket", Some(bucket), "AWS_BUCKET_NAME"));
        }
        shown.extend(of_aliases(&self.environment));
        shown
    }
}

fn of_settings(settings: &Settings) -> Vec<ShownSetting> {
    let mut shown = vec![match &settings.endpoint {
        Some(endpoint) => {
            ShownSetting::new("endpoint-url", Some(endpoint.value.clone()), &*endpoint.origin)
        }
        None => ShownSetting::new("endpoint-url", None, "the default: AWS itself"),
    }];
    let region = &settings.region;
    shown.push(ShownSetting::new("region", Some(region.value.clone()), &*region.origin));
    match &settings.keys {
        Some(source) => {
            let (keys, origin) = (&source.keys.value, source.keys.origin.as_str());
            shown.push(ShownSetting::new("access-key", Some(keys.hint()), origin));
            shown.push(ShownSetting::new("secret-key", Some(SECRET.to_owned()), origin));
            let token = keys.token.is_some().then(|| SECRET.to_owned());
            shown.push(ShownSetting::new("session-token", token, origin));
        }
        None => shown.push(ShownSetting::new("access-key", None, "requests are not signed")),
    }
    if let Some(bundle) = &settings.ca_bundle {
        let file = bundle.value.display().to_string();
        shown.push(ShownSetting::new("ca-bundle", Some(file), &*bundle.origin));
    }
    if !settings.verify_tls {
        shown.push(ShownSetting::new("verify-ssl", Some("false".to_owned()), "--no-verify-ssl"));
    }
    shown
}

/// The aliases of variables, each with its endpoint.
fn of_aliases(environment: &Environment) -> impl Iterator<Item = ShownSetting> {
    environment.names(mc::PREFIX).into_iter().map(|variable| {
        let alias = &variable[mc::PREFIX.len()..];
        let name = format!("alias {alias}");
        match mc::find(alias, environment) {
            Ok(found) => ShownSetting::new(&name, Some(found.endpoint.value), variable),
            Err(error) => ShownSetting::new(&name, None, error.to_string()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(variables: &[(&str, &str)]) -> Vec<ShownSetting> {
        let environment = Environment::of(variables.iter().copied());
        StorageOptions::default().with_environment(environment).show(None)
    }

    #[test]
    fn every_setting_has_its_origin_and_no_secret_its_value() {
        let found = shown(&[
            ("AWS_ACCESS_KEY_ID", "AKIDTEST4F2A"),
            ("AWS_SECRET_ACCESS_KEY", "canary"),
            ("AWS_SESSION_TOKEN", "canary"),
            ("AWS_S3_ENDPOINT", "minio.lab"),
            ("AWS_DEFAULT_REGION", ""),
            ("AWS_BUCKET_NAME", "user"),
            ("MC_HOST_s3", "https://AKIDTEST4F2A:canary:canary@minio.lab"),
        ]);
        let setting = |name: &str| {
            let shown = found.iter().find(|shown| shown.name == name).unwrap();
            (shown.value.as_deref(), shown.origin.as_str())
        };
        assert_eq!(setting("endpoint-url"), (Some("https://minio.lab"), "AWS_S3_ENDPOINT"));
        assert_eq!(setting("region"), (Some("us-east-1"), "the default"));
        assert_eq!(setting("access-key"), (Some("…4F2A"), "AWS_ACCESS_KEY_ID"));
        assert_eq!(setting("session-token"), (Some("***"), "AWS_ACCESS_KEY_ID"));
        assert_eq!(setting("bucket"), (Some("user"), "AWS_BUCKET_NAME"));
        assert_eq!(setting("alias s3"), (Some("https://minio.lab"), "MC_HOST_s3"));
        assert!(!format!("{found:?}").contains("canary"));
    }

    #[test]
    fn what_is_missing_is_said() {
        let found = shown(&[("HOME", "/nonexistent")]);
        assert_eq!((found.len(), found[0].value.as_deref()), (1, None));
        assert!(found[0].origin.starts_with("no keys for S3: set AWS_ACCESS_KEY_ID"), "{found:?}");
    }
}
