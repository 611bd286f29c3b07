//! Aliases of `mc`, the MinIO client: `MC_HOST_<alias>=https://KEY:SECRET[:TOKEN]@HOST`, else the
//! entry in `config.json`. Session tokens hold `/`, `+` and `=`, which URL parsers refuse, so the
//! text is cut as `mc` does: at the last `@`, then at the first two `:`.

use std::path::PathBuf;

use serde::Deserialize;

use super::keys::{Keys, Sourced};
use crate::error::{Error, Kind, Result};
use crate::storage::environment::Environment;

/// The variables that define aliases begin with this.
pub(crate) const PREFIX: &str = "MC_HOST_";

/// What an alias stands for. No keys means requests are not signed.
pub(crate) struct Alias {
    pub(crate) endpoint: Sourced<String>,
    pub(crate) keys: Option<Sourced<Keys>>,
}

/// Splits `alias/bucket/key` if its first segment is an alias.
///
/// An alias of `config.json` gives way to a local file of its name: `mc` writes that file unasked,
/// with aliases as plain as `local`.
pub(crate) fn split_alias<'a>(
    text: &'a str,
    environment: &Environment,
) -> Option<(&'a str, &'a str)> {
    let (alias, rest) = text.split_once('/')?;
    let set = is_name(alias) && environment.get(&format!("{PREFIX}{alias}")).is_some();
    let local = || std::path::Path::new(alias).exists();
    (set || (!local() && is_alias(alias, environment))).then_some((alias, rest))
}

/// Whether `alias` is one of this environment.
pub(crate) fn is_alias(alias: &str, environment: &Environment) -> bool {
    if !is_name(alias) || environment.get(&format!("{PREFIX}{alias}")).is_some() {
        return is_name(alias);
    }
    let found = configured(alias, environment).unwrap_or_else(|error| {
        tracing::warn!("'{alias}' is not looked up as an alias: {error}");
        None
    });
    found.is_some()
}

fn is_name(alias: &str) -> bool {
    !alias.is_empty() && alias.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// What `alias` stands for.
pub(crate) fn find(alias: &str, environment: &Environment) -> Result<Alias> {
    let variable = format!("{PREFIX}{alias}");
    if let Some(value) = environment.get(&variable) {
        return parse(&value, &variable);
    }
    configured(alias, environment)?.ok_or_else(|| {
        Error::new(Kind::Configuration, format!("alias '{alias}' not found: set {variable}"))
    })
}

/// The alias to use when a location names none and no other keys are there: `s3`, as a data-lab
/// pod calls it, else the only one.
pub(crate) fn default_alias(environment: &Environment) -> Option<String> {
    let names = environment.names(PREFIX);
    let only = names.first().filter(|_| names.len() == 1);
    let name = names.iter().find(|name| name.as_str() == "MC_HOST_s3").or(only)?;
    Some(name[PREFIX.len()..].to_owned())
}

/// Reads the value of `MC_HOST_<alias>`.
fn parse(value: &str, variable: &str) -> Result<Alias> {
    let wrong = || {
        Error::new(
            Kind::Configuration,
            format!("{variable} is not of the form https://KEY:SECRET[:TOKEN]@HOST"),
        )
    };
    let (scheme, rest) = value.split_once("://").ok_or_else(wrong)?;
    let Some((fields, host)) = rest.rsplit_once('@') else {
        let endpoint = Sourced::new(value.to_owned(), variable);
        return Ok(Alias { endpoint, keys: None });
    };
    let mut fields = fields.splitn(3, ':');
    let mut field = || fields.next().filter(|field| !field.is_empty());
    let (id, secret, token) = (field(), field(), field());
    let keys = match (id, secret) {
        (Some(id), Some(secret)) => Some(Keys::new(id, secret, token, variable)?),
        (None, None) => None,
        _ => return Err(wrong()),
    };
    Ok(Alias { endpoint: Sourced::new(format!("{scheme}://{host}"), variable), keys })
}

/// One entry of `config.json` (version 10).
#[derive(Deserialize)]
struct Entry {
    url: String,
    #[serde(rename = "accessKey", default)]
    id: String,
    #[serde(rename = "secretKey", default)]
    secret: String,
    #[serde(rename = "sessionToken", default)]
    token: String,
}

#[derive(Deserialize)]
struct Config {
    aliases: serde_json::Map<String, serde_json::Value>,
}

/// The alias in `config.json`, if it has keys of the user's own: the file comes with samples and
/// with the keys of a public playground, where no data should end up by accident.
fn configured(alias: &str, environment: &Environment) -> Result<Option<Alias>> {
    let file = match environment.get("MC_CONFIG_DIR") {
        Some(dir) => Some(PathBuf::from(dir).join("config.json")),
        None => environment.below_home(".mc/config.json"),
    };
    let Some((file, text)) = file.and_then(|f| std::fs::read_to_string(&f).ok().map(|t| (f, t)))
    else {
        return Ok(None);
    };
    let wrong = |cause: serde_json::Error| {
        // The cause may quote a value; only its position is safe to show.
        let (line, column) = (cause.line(), cause.column());
        let message =
            format!("'{}' is not mc's config.json: line {line}, column {column}", file.display());
        Error::new(Kind::Configuration, message)
    };
    let mut config: Config = serde_json::from_str(&text).map_err(wrong)?;
    let Some(entry) = config.aliases.remove(alias) else { return Ok(None) };
    let entry: Entry = serde_json::from_value(entry).map_err(wrong)?;
    if entry.id.is_empty() || entry.id.starts_with("YOUR-") || entry.url.contains("//play.min.io") {
        return Ok(None);
    }
    let origin = format!("alias '{alias}' in '{}'", file.display());
    let token = Some(entry.token.as_str()).filter(|token| !token.is_empty());
    let keys = Keys::new(&entry.id, &entry.secret, token, &origin)?;
    Ok(Some(Alias { endpoint: Sourced::new(entry.url, origin), keys: Some(keys) }))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn tokens_may_hold_slashes_colons_and_at_signs() {
        let alias =
            parse("https://KEY:SE/CR+ET=:to/k+e:n@x==@minio.lab:9000", "MC_HOST_s3").unwrap();
        let keys = alias.keys.unwrap();
        assert_eq!(alias.endpoint.value, "https://minio.lab:9000");
        assert_eq!((keys.value.id.as_str(), keys.origin.as_str()), ("KEY", "MC_HOST_s3"));
        assert_eq!(keys.value.secret.expose_secret(), "SE/CR+ET=");
        assert_eq!(keys.value.token.unwrap().expose_secret(), "to/k+e:n@x==");
    }

    #[test]
    fn two_fields_have_no_token_and_none_is_anonymous() {
        let keys = |value| parse(value, "MC_HOST_a").unwrap().keys;
        assert!(keys("http://k:s@h").unwrap().value.token.is_none());
        assert!(keys("http://k:s:@h").unwrap().value.token.is_none());
        assert!(keys("http://h").is_none());
    }

    #[test]
    fn a_malformed_value_is_not_repeated() {
        for value in ["canary:canary@host", "https://canary@host"] {
            let error = parse(value, "MC_HOST_a").err().unwrap();
            assert_eq!(error.kind(), Kind::Configuration);
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn the_alias_of_a_data_lab_pod_or_the_only_one_is_the_default() {
        let default = |names: &[&str]| {
            default_alias(&Environment::of(names.iter().map(|name| (*name, "https://k:s@h"))))
        };
        assert_eq!(default(&["MC_HOST_a", "MC_HOST_s3"]).as_deref(), Some("s3"));
        assert_eq!(default(&["MC_HOST_a"]).as_deref(), Some("a"));
        assert_eq!(default(&["MC_HOST_a", "MC_HOST_b"]), None);
    }
}
