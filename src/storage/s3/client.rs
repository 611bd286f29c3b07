//! The client of one bucket: how requests are sent, signed and tried again.

use std::path::PathBuf;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::HttpConnector;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};

use super::keys::Sourced;
use super::settings::Settings;
use crate::error::{Error, Kind, Result};
use crate::storage::explain::{Backend, Bucket};
use crate::storage::schemes::Scheme;

/// How long a connection may take to be made, at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A bucket for the sentences of errors; without a name the server.
pub(crate) fn backend(settings: &Settings, alias: Option<&str>, bucket: &str) -> Backend {
    Backend::Bucket(Box::new(Bucket {
        shown: match (alias, bucket) {
            (Some(alias), "") => alias.to_owned(),
            (Some(alias), bucket) => format!("{alias}/{bucket}"),
            (None, "") => format!("{}:/", Scheme::S3),
            (None, bucket) => format!("{}://{bucket}", Scheme::S3),
        },
        name: bucket.to_owned(),
        endpoint: settings.server(),
        region: settings.region.clone(),
        key: settings
            .keys
            .as_ref()
            .map(|source| Sourced::new(source.keys.value.hint(), source.keys.origin.clone())),
    }))
}

/// Ten more tries within three minutes, waiting `first_wait`, then about twice as long each time.
pub(crate) fn patience(first_wait: Duration) -> RetryConfig {
    RetryConfig {
        max_retries: 10,
        retry_timeout: Duration::from_secs(180),
        backoff: BackoffConfig {
            init_backoff: first_wait,
            max_backoff: first_wait * 150,
            base: 2.,
        },
    }
}

/// How requests are sent.
pub(crate) fn http_options(settings: &Settings) -> Result<ClientOptions> {
    let plain = settings.endpoint.as_ref().is_some_and(|e| e.value.starts_with("http://"));
    // How long a whole request takes says nothing: a part of 8 MiB over a slow line. Silence is watched.
    let mut http = ClientOptions::new()
        .with_user_agent(concat!("pleiad/", env!("CARGO_PKG_VERSION")).parse().expect("ASCII"))
        .with_allow_http(plain)
        .with_allow_invalid_certificates(!settings.verify_tls)
        .with_connect_timeout(CONNECT_TIMEOUT.min(settings.timeout / 2))
        .with_timeout_disabled();
    if let Some(bundle) = &settings.ca_bundle {
        for certificate in certificates(bundle)? {
            http = http.with_root_certificate(certificate);
        }
    }
    Ok(http)
}

/// The client of one bucket.
pub(crate) fn client(
    bucket: &str,
    settings: Settings,
    connector: impl HttpConnector,
    retries: RetryConfig,
) -> Result<AmazonS3> {
    let http = http_options(&settings)?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&settings.region.value)
        .with_client_options(http)
        .with_retry(retries)
        .with_virtual_hosted_style_request(settings.virtual_host)
        .with_http_connector(connector);
    if let Some(endpoint) = settings.endpoint {
        builder = builder.with_endpoint(match settings.virtual_host {
            true => endpoint.value.replacen("://", &format!("://{bucket}."), 1),
            false => endpoint.value,
        });
    }
    builder = match settings.keys {
        Some(keys) => builder.with_credentials(keys.provider()),
        None => builder.with_skip_signature(true),
    };
    builder.build().map_err(|cause| {
        Error::new(
            Kind::Configuration,
            format!("cannot make a client for bucket '{bucket}': {cause}"),
        )
    })
}

fn certificates(bundle: &Sourced<PathBuf>) -> Result<Vec<Certificate>> {
    let shown = Sourced::new(bundle.value.display(), bundle.origin.clone());
    let wrong = |cause: String| {
        Error::new(Kind::Configuration, format!("cannot use the certificates in {shown}: {cause}"))
    };
    let pem = std::fs::read(&bundle.value).map_err(|cause| wrong(cause.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|cause| wrong(cause.to_string()))?;
    if found.is_empty() {
        return Err(wrong("there are none in PEM form".to_owned()));
    }
    Ok(found)
}
