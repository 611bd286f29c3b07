//! The shared files of the AWS tools: `config` and `credentials` below `$HOME/.aws`.
//!
//! `config` names its sections `[default]`, `[profile NAME]` and `[services NAME]`; `credentials`
//! names them `[NAME]`. A line `s3 =` is followed by indented settings of that service. Keys in
//! `credentials` win over keys in `config`. What only a login could turn into keys (SSO, roles,
//! processes) is named in the error. Source: AWS SDKs and Tools Reference Guide, "Shared config
//! and credentials files" and "Service-specific endpoints".

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use super::keys::{Keys, Sourced};
use crate::error::{Error, Kind, Result};
use crate::storage::environment::Environment;

/// Settings by name; those of a service as `s3.endpoint_url`.
type Section = BTreeMap<String, String>;

/// When each of the two files was last changed; `None` if it is not there.
pub(crate) type Stamps = [Option<SystemTime>; 2];

/// Where the two files are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    config: PathBuf,
    credentials: PathBuf,
}

/// What a profile says.
pub(crate) struct Profile {
    pub(crate) keys: Option<Sourced<Keys>>,
    pub(crate) endpoint: Option<Sourced<String>>,
    pub(crate) region: Option<Sourced<String>>,
    /// A setting that would need a login of a kind we do not have.
    pub(crate) unsupported: Option<&'static str>,
}

impl Files {
    /// The files of this environment, whether they exist or not.
    pub(crate) fn of(environment: &Environment) -> Self {
        let place = |variable, file| match environment.get(variable) {
            Some(path) => PathBuf::from(path),
            None => environment.below_home(file).unwrap_or_default(),
        };
        Self {
            config: place("AWS_CONFIG_FILE", ".aws/config"),
            credentials: place("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
        }
    }

    /// When each file was last changed.
    pub(crate) fn stamps(&self) -> Stamps {
        let stamp = |file| std::fs::metadata(file).and_then(|meta| meta.modified()).ok();
        [stamp(&self.config), stamp(&self.credentials)]
    }

    /// Reads a profile; `None` if neither file has it.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Profile>> {
        let config = sections(&self.config)?;
        let credentials = sections(&self.credentials)?;
        let prefixed = config.get(&format!("profile {name}"));
        let in_config = prefixed.or_else(|| config.get(name).filter(|_| name == "default"));
        let in_credentials = credentials.get(name);
        if in_config.is_none() && in_credentials.is_none() {
            return Ok(None);
        }
        let origin = |file: &PathBuf| format!("profile '{name}' in '{}'", file.display());
        let setting = |section: Option<&Section>, key: &str| {
            let value = section?.get(key).filter(|value| !value.is_empty())?;
            Some(Sourced::new(value.clone(), origin(&self.config)))
        };
        let services = match in_config.and_then(|section| section.get("services")) {
            Some(services) => {
                Some(config.get(&format!("services {services}")).ok_or_else(|| {
                    wrong(format!(
                        "{} refers to [services {services}], which is not there",
                        origin(&self.config)
                    ))
                })?)
            }
            None => None,
        };
        let keys = match in_credentials.map(|s| keys(s, &origin(&self.credentials))).transpose()? {
            Some(Some(keys)) => Some(keys),
            _ => in_config.map(|s| keys(s, &origin(&self.config))).transpose()?.flatten(),
        };
        Ok(Some(Profile {
            keys,
            endpoint: setting(services, "s3.endpoint_url")
                .or_else(|| setting(in_config, "s3.endpoint_url"))
                .or_else(|| setting(in_config, "endpoint_url")),
            region: setting(in_config, "region").or_else(|| setting(in_credentials, "region")),
            unsupported: [in_credentials, in_config].into_iter().flatten().find_map(unsupported),
        }))
    }

    /// The profiles of both files, for messages.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let config = sections(&self.config)?.into_keys().filter_map(|name| match name.as_str() {
            "default" => Some(name),
            _ => name.strip_prefix("profile ").map(str::to_owned),
        });
        let mut names: Vec<String> =
            config.chain(sections(&self.credentials)?.into_keys()).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

/// The keys of a section: both halves or neither.
fn keys(section: &Section, origin: &str) -> Result<Option<Sourced<Keys>>> {
    let get = |key: &str| section.get(key).map(String::as_str).filter(|value| !value.is_empty());
    match (get("aws_access_key_id"), get("aws_secret_access_key")) {
        (Some(id), Some(secret)) => {
            Keys::new(id, secret, get("aws_session_token"), origin).map(Some)
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(wrong(format!("{origin} has no aws_secret_access_key"))),
        (None, Some(_)) => Err(wrong(format!("{origin} has no aws_access_key_id"))),
    }
}

fn unsupported(section: &Section) -> Option<&'static str> {
    [
        "sso_session",
        "sso_start_url",
        "credential_process",
        "source_profile",
        "role_arn",
        "web_identity_token_file",
        "credential_source",
    ]
    .into_iter()
    .find(|setting| section.contains_key(*setting))
}

fn wrong(message: String) -> Error {
    Error::new(Kind::Configuration, message)
}

/// Reads a file of sections; a file that is not there has none.
fn sections(file: &PathBuf) -> Result<BTreeMap<String, Section>> {
    match std::fs::read_to_string(file) {
        Ok(text) => parse(&text).map_err(|line| {
            // The line itself may hold a secret.
            wrong(format!(
                "line {line} of '{}' is neither [section] nor name = value",
                file.display()
            ))
        }),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(cause) => Err(Error::io(format!("cannot read '{}'", file.display()), cause)),
    }
}

/// Cuts a file into sections. The error is the number of the line that makes no sense.
fn parse(text: &str) -> Result<BTreeMap<String, Section>, usize> {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let mut section: Option<String> = None;
    let mut service: Option<String> = None;
    for (number, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = uncommented(raw).trim();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.strip_suffix(']').ok_or(number + 1)?;
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            sections.entry(name.clone()).or_default();
            (section, service) = (Some(name), None);
            continue;
        }
        let indented = raw.starts_with([' ', '\t']);
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name.trim().to_ascii_lowercase(), value.trim()),
            None if indented => continue, // the second line of a value that we do not use
            None => return Err(number + 1),
        };
        let section = section.as_ref().and_then(|name| sections.get_mut(name)).ok_or(number + 1)?;
        match (&service, indented) {
            (Some(service), true) => {
                section.insert(format!("{service}.{name}"), value.to_owned());
            }
            _ => {
                service = value.is_empty().then(|| name.clone());
                section.insert(name, value.to_owned());
            }
        }
    }
    Ok(sections)
}

/// A line without its comment: `#` or `;` at the start or after a blank.
fn uncommented(line: &str) -> &str {
    let comment = line
        .char_indices()
        .find(|&(at, c)| matches!(c, '#' | ';') && (at == 0 || line[..at].ends_with([' ', '\t'])));
    comment.map_or(line, |(at, _)| &line[..at])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    fn files(config: &str, credentials: &str) -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        let files = Files { config: dir.path().join("c"), credentials: dir.path().join("k") };
        std::fs::write(&files.config, config).unwrap();
        std::fs::write(&files.credentials, credentials).unwrap();
        (dir, files)
    }

    #[test]
    fn a_profile_with_services_has_an_endpoint_of_its_own_for_s3() {
        let (_dir, files) = files(
            "[default]\nregion = eu-west-3\n\n[profile lab]\nregion=waw3-1 # near\n\
             services = minio\nendpoint_url = https://else.example\n\n[services minio]\n\
             dynamodb =\n  endpoint_url = http://no\ns3 =\n  endpoint_url = http://minio.lab:9000\n",
            "[lab]\naws_access_key_id = AKLAB\naws_secret_access_key = a/b+c=;d#e\n",
        );
        let lab = files.read("lab").unwrap().unwrap();
        let keys = lab.keys.unwrap();
        assert_eq!(lab.endpoint.unwrap().value, "http://minio.lab:9000");
        assert_eq!(lab.region.unwrap().value, "waw3-1");
        assert_eq!(keys.value.id, "AKLAB");
        assert_eq!(keys.value.secret.expose_secret(), "a/b+c=;d#e");
        assert!(files.read("default").unwrap().unwrap().keys.is_none());
        assert_eq!(files.names().unwrap(), ["default", "lab"]);
        assert!(files.read("other").unwrap().is_none());
    }

    #[test]
    fn half_a_key_and_a_missing_services_section_are_errors() {
        let (_dir, files) =
            files("[profile a]\nservices = x\n", "[b]\naws_secret_access_key = canary\n");
        let of = |name| files.read(name).err().unwrap().to_string();
        assert!(of("a").ends_with("refers to [services x], which is not there"), "{}", of("a"));
        assert!(of("b").ends_with("has no aws_access_key_id"), "{}", of("b"));
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named_by_number_only() {
        let (_dir, files) = files("[default]\nregion = x\n", "[default]\ncanary\n");
        let error = files.read("default").err().unwrap().to_string();
        assert!(error.starts_with("line 2 of ") && !error.contains("canary"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\PC\n\t]{0,200}") {
            if let Err(line) = parse(&text) {
                prop_assert!((1..=text.lines().count()).contains(&line));
            }
        }

        #[test]
        fn what_is_written_is_read(
            values in proptest::collection::btree_map("[a-z_]{1,8}", "[A-Za-z0-9/+=]{1,20}", 0..5)
        ) {
            let lines: String = values.iter().map(|(k, v)| format!("{k} = {v}\n")).collect();
            let sections = parse(&format!("[x]\n{lines}")).unwrap();
            prop_assert_eq!(&sections["x"], &values);
        }
    }
}
