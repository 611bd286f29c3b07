//! Test data that is not ours to ship: files of `../shared/data`.

use std::path::{Path, PathBuf};

/// The file, or none where the data is absent: then the test is skipped, but never with `CI=true`.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path);
    if file.exists() {
        return Some(file);
    }
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!ci, "'../shared/data/{path}' is absent, and CI=true");
    println!("skipped: '../shared/data/{path}' is absent");
    None
}
