//! Keys for S3: what they are, where they come from, and how they reach the client.
//!
//! Order: `--no-sign-request`, the alias of the location, `--profile`, the environment,
//! `MC_HOST_<alias>`, the profile of the environment. No keys at all is an error at once: nothing
//! here asks a metadata service, which a laptop would wait for in vain. Keys of a profile are read
//! again when their file changes, because session tokens end while a long run works.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use super::keys::{Keys, Sourced};
use super::mc;
use super::profile::{Files, Profile, Stamps};
use crate::error::{Error, Kind, Result};
use crate::storage::environment::Environment;
use crate::storage::local::blocking;

/// A profile and the files it is in.
#[derive(Clone)]
pub(crate) struct NamedProfile {
    pub(crate) name: String,
    pub(crate) files: Files,
}

impl NamedProfile {
    /// The profile as it is now, if a file of it has another time stamp than `known`.
    fn changed_since(&self, known: Stamps) -> Option<(Stamps, Result<Option<Profile>>)> {
        let stamps = self.files.stamps();
        (stamps != known).then(|| (stamps, self.read(None)))
    }

    /// Reads the profile. One that was asked for must be there.
    pub(crate) fn read(&self, asked_by: Option<&str>) -> Result<Option<Profile>> {
        match (self.files.read(&self.name)?, asked_by) {
            (None, Some(asked_by)) => {
                let names = self.files.names()?;
                let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                Err(Error::new(
                    Kind::Configuration,
                    format!(
                        "profile '{}' (from {asked_by}) not found, the profiles are: {known}",
                        self.name
                    ),
                ))
            }
            (profile, _) => Ok(profile),
        }
    }
}

/// Where the keys of a store come from, with their value at this moment.
#[derive(Clone)]
pub(crate) struct KeySource {
    pub(crate) keys: Sourced<Keys>,
    /// The profile to look at again, if they come from one.
    pub(crate) profile: Option<NamedProfile>,
}

impl KeySource {
    fn fixed(keys: Sourced<Keys>) -> Self {
        Self { keys, profile: None }
    }

    /// Finds keys where no flag and no location decides: in the environment, an alias, a profile.
    pub(crate) fn find(
        environment: &Environment,
        named: &NamedProfile,
        profile: Option<&Profile>,
    ) -> Result<Self> {
        if let Some(keys) = from_environment(environment)? {
            return Ok(Self::fixed(keys));
        }
        if let Some(alias) = mc::default_alias(environment)
            && let Some(keys) = mc::find(&alias, environment)?.keys
        {
            return Ok(Self::fixed(keys));
        }
        match profile {
            Some(profile) if profile.keys.is_some() || profile.unsupported.is_some() => {
                Self::of_profile(named, profile)
            }
            _ => Err(none_found(environment)),
        }
    }

    /// The keys of an alias; `None` means it is anonymous.
    pub(crate) fn of_alias(alias: mc::Alias) -> Option<Self> {
        alias.keys.map(Self::fixed)
    }

    /// The keys of a profile.
    pub(crate) fn of_profile(named: &NamedProfile, profile: &Profile) -> Result<Self> {
        match (&profile.keys, profile.unsupported) {
            (Some(keys), _) => Ok(Self { keys: keys.clone(), profile: Some(named.clone()) }),
            (None, Some(setting)) => Err(Error::new(
                Kind::Configuration,
                format!(
                    "profile '{}' relies on {setting}, which is not supported: put the keys into \
                     the environment, for instance with \
                     'aws configure export-credentials --profile {} --format env'",
                    named.name, named.name
                ),
            )),
            (None, None) => Err(Error::new(
                Kind::Configuration,
                format!("profile '{}' has no aws_access_key_id", named.name),
            )),
        }
    }

    /// What hands these keys to the client.
    pub(crate) fn provider(self) -> Arc<dyn CredentialProvider<Credential = AwsCredential>> {
        let credential = self.keys.value.credential();
        match self.profile {
            None => Arc::new(object_store::StaticCredentialProvider::new(AwsCredential {
                key_id: credential.key_id.clone(),
                secret_key: credential.secret_key.clone(),
                token: credential.token.clone(),
            })),
            Some(profile) => {
                let read = Mutex::new((profile.files.stamps(), credential));
                Arc::new(ReloadingCredentials { profile, read })
            }
        }
    }
}

fn from_environment(environment: &Environment) -> Result<Option<Sourced<Keys>>> {
    const ID: &str = "AWS_ACCESS_KEY_ID";
    const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
    match (environment.get(ID), environment.get(SECRET)) {
        (Some(id), Some(secret)) => {
            let token = environment.get("AWS_SESSION_TOKEN");
            Keys::new(&id, &secret, token.as_deref(), ID).map(Some)
        }
        (None, None) => Ok(None),
        (id, _) => {
            let (there, missing) = if id.is_some() { (ID, SECRET) } else { (SECRET, ID) };
            Err(Error::new(Kind::Configuration, format!("{there} is set, but {missing} is not")))
        }
    }
}

fn none_found(environment: &Environment) -> Error {
    let elsewhere = environment.first(&[
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ]);
    let found = match elsewhere {
        Some((name, _)) => format!("no keys for S3: {name} is set, but not supported"),
        None => "no keys for S3".to_owned(),
    };
    Error::new(
        Kind::Configuration,
        format!(
            "{found}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or MC_HOST_<alias>, name a \
             --profile, or pass --no-sign-request for a public bucket"
        ),
    )
}

/// Keys of a profile, read again when a file has another time stamp. Looking is two system calls
/// a request, on a thread that may block.
struct ReloadingCredentials {
    profile: NamedProfile,
    read: Mutex<(Stamps, Arc<AwsCredential>)>,
}

impl fmt::Debug for ReloadingCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReloadingCredentials(profile '{}')", self.profile.name)
    }
}

#[async_trait]
impl CredentialProvider for ReloadingCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let (known, credential) = self.read().clone();
        let profile = self.profile.clone();
        let look = move || Ok(profile.changed_since(known));
        match blocking(look).await {
            Ok(None) => Ok(credential),
            Ok(Some((stamps, Ok(Some(Profile { keys: Some(keys), .. }))))) => {
                let credential = keys.value.credential();
                *self.read() = (stamps, Arc::clone(&credential));
                Ok(credential)
            }
            // Someone is writing the file; the old keys may well work until they are done.
            Ok(Some((_, Ok(_)))) => {
                tracing::warn!("profile '{}' has no keys any more", self.profile.name);
                Ok(credential)
            }
            Ok(Some((_, Err(error)))) | Err(error) => {
                tracing::warn!("profile '{}': {error}", self.profile.name);
                Ok(credential)
            }
        }
    }
}

impl ReloadingCredentials {
    fn read(&self) -> MutexGuard<'_, (Stamps, Arc<AwsCredential>)> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_changed_profile_file_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials");
        let write = |key: &str, second: u64| {
            let text = format!("[lab]\naws_access_key_id={key}\naws_secret_access_key=s\n");
            std::fs::write(&file, text).unwrap();
            let stamp = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
            std::fs::File::options().append(true).open(&file).unwrap().set_modified(stamp).unwrap();
        };
        write("OLD1", 1_000);
        let environment = Environment::of([
            ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()),
            ("AWS_CONFIG_FILE", "/none"),
        ]);
        let named = NamedProfile { name: "lab".into(), files: Files::of(&environment) };
        let profile = named.read(Some("--profile")).unwrap().unwrap();
        let provider = KeySource::of_profile(&named, &profile).unwrap().provider();
        assert_eq!(provider.get_credential().await.unwrap().key_id, "OLD1");
        write("NEW1", 2_000);
        assert_eq!(provider.get_credential().await.unwrap().key_id, "NEW1");
        std::fs::write(&file, "[lab]\naws_acc").unwrap();
        assert_eq!(provider.get_credential().await.unwrap().key_id, "NEW1");
    }
}
