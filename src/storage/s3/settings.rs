//! The flags for storage, and what they and the environment come to for one bucket.
//!
//! Order: flag, alias of the location, environment, profile, configuration file. A profile named by
//! `--profile` is a flag: what it says goes before the environment. Nothing is left for the client to
//! find out: the region is always set, and keys are there or knowingly absent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::credentials::{KeySource, NamedProfile};
use super::keys::Sourced;
use super::mc;
use super::profile::Files;
use super::silence::DEFAULT_TIMEOUT;
use crate::error::{Error, Kind, Result};
use crate::storage::environment::Environment;
use crate::storage::location::Location;
use crate::storage::schemes::Scheme;

/// How to reach S3. The defaults come from the environment, so that what works for `aws`, `mc` or
/// a data-lab pod works here without a flag.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Storage")]
pub struct StorageOptions {
    /// Address of the S3 server, such as http://localhost:9000
    #[arg(long, value_name = "URL", global = true)]
    pub endpoint_url: Option<String>,
    /// Region to sign requests for
    #[arg(long, global = true)]
    pub region: Option<String>,
    /// Profile to use from ~/.aws/config and ~/.aws/credentials
    #[arg(long, value_name = "NAME", global = true)]
    pub profile: Option<String>,
    /// Send requests unsigned, for public buckets
    #[arg(long, global = true)]
    pub no_sign_request: bool,
    /// Accept any TLS certificate: anyone between you and the server can read your data
    #[arg(long, global = true)]
    pub no_verify_ssl: bool,
    /// Put the bucket in the host name instead of the path
    #[arg(long, global = true)]
    pub virtual_host: bool,
    /// How long a server may be silent, in seconds [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, global = true)]
    pub timeout: Option<Duration>,
    /// The variables that settings and aliases are read from.
    #[arg(skip)]
    pub environment: Environment,
    /// What holds for `endpoint-url`, `region` or `profile` where nothing else says it, and the
    /// file it was read from.
    #[arg(skip)]
    pub defaults: BTreeMap<&'static str, (String, String)>,
}

impl StorageOptions {
    /// The same flags over these variables instead of those of the process.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// The bucket of `AWS_BUCKET_NAME`, for a listing without argument.
    ///
    /// # Errors
    /// If the variable does not hold the name of a bucket.
    pub fn default_location(&self) -> Result<Option<Location>> {
        let bucket = self.environment.get("AWS_BUCKET_NAME");
        bucket
            .map(|b| Location::parse_in(&format!("{}://{b}", Scheme::S3), &self.environment))
            .transpose()
    }

    /// Settles everything for the buckets of `alias`, or for those without one.
    pub(crate) fn settle(&self, alias: Option<&str>) -> Result<Settings> {
        let environment = &self.environment;
        let default = |name: &str| {
            self.defaults.get(name).map(|(value, file)| Sourced::new(value.clone(), file))
        };
        let by_variable = |names: &[&str]| {
            environment.first(names).map(|(name, value)| Sourced::new(value, name))
        };
        let asked = self.profile.clone().map(|name| Sourced::new(name, "--profile"));
        let asked = asked
            .or_else(|| by_variable(&["PLEIAD_PROFILE", "AWS_PROFILE"]))
            .or_else(|| default("profile"));
        let (name, asked_by) = match asked {
            Some(Sourced { value, origin }) => (value, Some(origin)),
            None => ("default".to_owned(), None),
        };
        let named = NamedProfile { name, files: Files::of(environment) };
        let profile = named.read(asked_by.as_deref())?;
        let by_flag = profile.as_ref().filter(|_| self.profile.is_some());
        let alias = alias.map(|alias| mc::find(alias, environment)).transpose()?;

        let endpoint = self.endpoint_url.clone().map(|url| Sourced::new(url, "--endpoint-url"));
        let endpoint = endpoint
            .or_else(|| alias.as_ref().map(|alias| alias.endpoint.clone()))
            .or_else(|| by_flag.and_then(|profile| profile.endpoint.clone()))
            .or_else(|| {
                by_variable(&[
                    "PLEIAD_ENDPOINT_URL",
                    "AWS_ENDPOINT_URL_S3",
                    "AWS_ENDPOINT_URL",
                    "AWS_ENDPOINT",
                    "AWS_S3_ENDPOINT",
                ])
            });
        let keys = match (self.no_sign_request, alias, by_flag) {
            (true, _, _) => None,
            (false, Some(alias), _) => KeySource::of_alias(alias),
            (false, None, Some(profile)) => Some(KeySource::of_profile(&named, profile)?),
            (false, None, None) => Some(KeySource::find(environment, &named, profile.as_ref())?),
        };
        let endpoint = match (endpoint, &keys) {
            (Some(endpoint), _) => Some(endpoint),
            // Keys of an alias belong to the server of that alias.
            (None, Some(keys)) if keys.keys.origin.starts_with(mc::PREFIX) => {
                Some(mc::find(&keys.keys.origin[mc::PREFIX.len()..], environment)?.endpoint)
            }
            (None, _) => profile
                .as_ref()
                .and_then(|profile| profile.endpoint.clone())
                .or_else(|| default("endpoint-url")),
        };
        let region = self.region.clone().map(|region| Sourced::new(region, "--region"));
        let region = region
            .or_else(|| by_flag.and_then(|profile| profile.region.clone()))
            .or_else(|| by_variable(&["PLEIAD_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"]))
            .or_else(|| profile.as_ref().and_then(|profile| profile.region.clone()))
            .or_else(|| default("region"))
            .unwrap_or_else(|| Sourced::new("us-east-1".to_owned(), "the default"));
        Ok(Settings {
            endpoint: endpoint.map(|endpoint| checked_endpoint(&endpoint)).transpose()?,
            region: checked_region(region)?,
            keys,
            ca_bundle: environment
                .get("AWS_CA_BUNDLE")
                .map(|file| Sourced::new(PathBuf::from(file), "AWS_CA_BUNDLE")),
            verify_tls: !self.no_verify_ssl,
            virtual_host: self.virtual_host,
            timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT),
        })
    }
}

/// What a client for S3 needs to know.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Scheme, host and port; `None` is AWS itself.
    pub(crate) endpoint: Option<Sourced<String>>,
    pub(crate) region: Sourced<String>,
    /// `None` sends requests unsigned.
    pub(crate) keys: Option<KeySource>,
    pub(crate) ca_bundle: Option<Sourced<PathBuf>>,
    pub(crate) verify_tls: bool,
    pub(crate) virtual_host: bool,
    /// How long the server may be silent.
    pub(crate) timeout: Duration,
}

impl Settings {
    /// Where requests go.
    pub(crate) fn server(&self) -> Sourced<String> {
        self.endpoint.clone().unwrap_or_else(|| {
            let endpoint = format!("https://s3.{}.amazonaws.com", self.region.value);
            Sourced::new(endpoint, "the default, as no endpoint is set")
        })
    }
}

/// A time of some seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.);
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| "expected a number of seconds above 0, such as 60".to_owned())
}

/// A region without blanks around it; it becomes part of a header.
fn checked_region(region: Sourced<String>) -> Result<Sourced<String>> {
    let value = region.value.trim().to_owned();
    if value.is_empty() || !value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        let message =
            format!("region {region} has a character other than letters, digits, '-', '_', '.'");
        return Err(Error::new(Kind::Configuration, message));
    }
    Ok(Sourced::new(value, region.origin))
}

/// An endpoint as `scheme://host[:port]`; a host alone speaks TLS.
fn checked_endpoint(endpoint: &Sourced<String>) -> Result<Sourced<String>> {
    let Sourced { value, origin } = endpoint;
    let wrong = |what: &str| {
        let message = format!("the endpoint from {origin} {what}: expected https://HOST:PORT");
        Err(Error::new(Kind::Configuration, message))
    };
    let value = value.trim();
    let text = if value.contains("://") { value.to_owned() } else { format!("https://{value}") };
    let Ok(url) = Url::parse(&text) else {
        return wrong("is not an address");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong(
            "contains credentials, which belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        );
    }
    if !matches!(url.scheme(), "http" | "https") {
        return wrong(&format!("has the scheme '{}'", url.scheme()));
    }
    if !matches!(url.path().trim_end_matches('/'), "") || url.query().is_some() {
        return wrong(&format!("has the path '{}'", url.path()));
    }
    Ok(Sourced::new(url[..url::Position::BeforePath].to_owned(), origin.clone()))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
