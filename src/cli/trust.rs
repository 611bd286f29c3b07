//! Which `./pleiad.toml` may say how storage is reached.
//!
//! The file comes with its directory, and a directory may come from anyone. Where data and signed requests
//! go is the user's decision, so what a project file says about that counts only after `pleiad config
//! trust`, as with `direnv allow`. Trusted is a path with its content: a file that was edited or copied
//! elsewhere is not. The record of it is a file of `$XDG_STATE_HOME/pleiad/trusted` (else below
//! `~/.local/state`), named by the SHA-256 of both.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Kind, Result};
use crate::storage::Environment;

/// The directory where pleiad keeps what it remembers; none if there is no home.
pub(super) fn state_directory(environment: &Environment) -> Option<PathBuf> {
    let state = environment.get("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| environment.below_home(".local/state"))?;
    Some(state.join("pleiad"))
}

/// Whether the file at `path`, whose content is `text`, is trusted.
pub(super) fn is_trusted(environment: &Environment, path: &Path, text: &str) -> Result<bool> {
    let record = record(environment, path, text)?;
    Ok(record.is_some_and(|record| record.is_file()))
}

/// Trusts the file at `path` as long as its content is `text`.
pub(super) fn trust(environment: &Environment, path: &Path, text: &str) -> Result<()> {
    let record = record(environment, path, text)?.ok_or_else(|| {
        let what = "there is no place to remember what is trusted: set HOME or XDG_STATE_HOME";
        Error::new(Kind::Configuration, what)
    })?;
    let directory = record.parent().unwrap_or(&record);
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&record, format!("{}\n", path.display())));
    written.map_err(|cause| Error::io(format!("write '{}'", record.display()), cause))
}

/// The record of a file with this content.
fn record(environment: &Environment, path: &Path, text: &str) -> Result<Option<PathBuf>> {
    let whole = std::path::absolute(path)
        .map_err(|cause| Error::io(format!("find '{}'", path.display()), cause))?;
    let mut sha = Sha256::new();
    sha.update(whole.as_os_str().as_encoded_bytes());
    sha.update([0]); // ends every path
    sha.update(text);
    let name: String = sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(state_directory(environment).map(|state| state.join("trusted").join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_is_for_a_path_with_its_content() {
        let home = tempfile::tempdir().expect("a folder");
        let environment = Environment::of([("HOME", home.path().to_str().expect("UTF-8"))]);
        let known = |path: &str, text| is_trusted(&environment, Path::new(path), text);
        assert!(!known("/a/pleiad.toml", "x = 1").expect("known"));
        trust(&environment, Path::new("/a/pleiad.toml"), "x = 1").expect("written");
        assert!(known("/a/pleiad.toml", "x = 1").expect("known"));
        assert!(!known("/a/pleiad.toml", "x = 2").expect("known"));
        assert!(!known("/b/pleiad.toml", "x = 1").expect("known"));
        let nowhere = Environment::of([("X", "y")]);
        let error = trust(&nowhere, Path::new("/a/pleiad.toml"), "x = 1").expect_err("no home");
        assert!(error.to_string().ends_with("set HOME or XDG_STATE_HOME"), "{error}");
    }
}
