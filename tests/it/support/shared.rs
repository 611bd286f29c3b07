//! Reference data that stands beside the repository, in `../shared/data`.

use std::path::{Path, PathBuf};

/// The file or folder at `path` under `../shared/data`. Without it: `None` and a line that says the
/// test is skipped; a panic where the environment says `CI=true`.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path);
    if file.exists() {
        return Some(file);
    }
    assert!(!in_ci(), "'{}' is missing, and CI=true asks for it", file.display());
    println!("skipped: '{}' is missing", file.display());
    None
}

#[expect(clippy::disallowed_methods, reason = "a test may know where it runs")]
fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}
