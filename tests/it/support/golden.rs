//! Expected texts that are kept as files in the repository. `PLEIAD_BLESS=1` accepts what was found.

use std::fs;
use std::path::{Path, PathBuf};

/// The file at `path` in `tests/golden`: inputs and results of our own making.
pub(crate) fn kept(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(path)
}

/// Compares `found` with the file at `path`, counted from the root of the repository.
#[track_caller]
pub(crate) fn check(path: &str, found: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if blessing() {
        return fs::write(&file, found).unwrap_or_else(|error| panic!("writing '{path}': {error}"));
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    if let Some((number, (expected, found))) = (1..)
        .zip(lines(&expected).zip(lines(found)))
        .take(expected.lines().count().max(found.lines().count()))
        .find(|(_, (expected, found))| expected != found)
    {
        panic!(
            "{path}:{number} differs\nexpected: {expected}\n   found: {found}\n\
             PLEIAD_BLESS=1 accepts it; then read the diff"
        );
    }
}

/// The lines of `text`, and then no end of "(nothing)".
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().chain(std::iter::repeat("(nothing)"))
}

#[expect(clippy::disallowed_methods, reason = "the one variable that accepts expected texts")]
fn blessing() -> bool {
    std::env::var("PLEIAD_BLESS").is_ok_and(|value| value == "1")
}
