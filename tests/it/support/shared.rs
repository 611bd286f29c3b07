//! Data of others in `../shared/data`, beside the repository: it is not ours to ship.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The file at `path` in that folder; none where the folder is absent.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !folder.is_dir() {
        return None;
    }
    let file = folder.join(path);
    assert!(file.exists(), "'{}' is missing", file.display());
    Some(file)
}

/// The text of a file of the reference data, unpacked.
pub(crate) fn text(path: &str) -> Option<String> {
    let bytes = fs::read(shared(path)?).unwrap();
    let mut text = String::new();
    if path.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    Some(text)
}

/// The first two numbers of each line that begins with two numbers.
pub(crate) fn pairs(path: &str) -> Option<Vec<[f64; 2]>> {
    let numbers = |line: &str| {
        let mut words = line.split([',', ' ']).filter(|word| !word.is_empty());
        Some([words.next()?.parse().ok()?, words.next()?.parse().ok()?])
    };
    Some(text(path)?.lines().filter_map(numbers).collect())
}
