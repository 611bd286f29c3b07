//! Names that appear once, locks that end with their holder, and what dead writers leave.

use super::*;

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Law: of two writers of a name one wins, its bytes stay, and nothing else is left behind.
#[track_caller]
fn check_create(files: &LocalFiles) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/00000001.json");
    assert!(files.create(&path, b"first").unwrap());
    assert!(!files.create(&path, b"second").unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(names(path.parent().unwrap()), ["00000001.json"]);
}

#[test]
fn a_name_is_created_once() {
    check_create(&LocalFiles::default());
}

#[test]
fn a_name_is_created_once_without_hard_links() {
    check_create(&LocalFiles { without_links: true, ..LocalFiles::default() });
}

#[test]
fn of_many_writers_one_creates_the_name() {
    for without_links in [false, true] {
        let files = LocalFiles { without_links, ..LocalFiles::default() };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("name");
        let winners: usize = std::thread::scope(|scope| {
            let write = |i: u8| files.create(&path, &[i; 64]).is_ok_and(|won| won);
            let writers: Vec<_> =
                (0..8).map(|i| scope.spawn(move || usize::from(write(i)))).collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        assert_eq!(winners, 1, "without_links: {without_links}");
        assert_eq!(fs::read(&path).unwrap().len(), 64);
    }
}

#[test]
fn a_claim_of_a_dead_writer_is_named_with_its_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("name");
    fs::write(dir.path().join("name.claim"), "").unwrap();
    let files = LocalFiles { without_links: true, ..LocalFiles::default() };
    let error = files.create(&path, b"x").unwrap_err();
    assert_eq!(error.kind(), Kind::Retry);
    assert!(error.to_string().ends_with("or run pleiad unlock if there is none"), "{error}");
}

#[test]
fn replacing_and_removing_say_what_was_there() {
    let files = LocalFiles::default();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("_SUCCESS");
    files.replace(&path, b"1").unwrap();
    files.replace(&path, b"2").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"2");
    assert!(!files.remove_empty_dir(dir.path()).unwrap());
    assert!(files.remove(&path).unwrap());
    assert!(!files.remove(&path).unwrap());
    assert!(files.remove_empty_dir(dir.path()).unwrap());
    assert!(files.calls.load(Ordering::Relaxed) > 8);
}

#[test]
fn a_lock_is_free_when_its_holder_is_gone() {
    let files = LocalFiles::default();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let held = files.lock(&path).unwrap();
    assert!(held.is_some());
    assert!(files.lock(&path).unwrap().is_none());
    drop(held);
    assert!(files.lock(&path).unwrap().is_some());
}

#[test]
fn only_temporary_files_of_dead_writers_are_leftovers() {
    let files = LocalFiles::default();
    let dir = tempfile::tempdir().unwrap();
    let alive = files.write_beside(&dir.path().join("alive"), b"1").unwrap();
    let dead = files.write_beside(&dir.path().join("deep/dead"), b"2").unwrap().path;
    fs::write(dir.path().join("report#12"), "").unwrap();
    fs::write(dir.path().join("plain"), "").unwrap();
    assert!(files.leftovers(dir.path(), false).unwrap().is_empty());
    assert_eq!(files.leftovers(dir.path(), true).unwrap(), [dead]);
    let path = alive.path.clone();
    drop(alive);
    assert_eq!(files.leftovers(dir.path(), false).unwrap(), [path]);
    assert!(files.leftovers(&dir.path().join("nothing"), true).unwrap().is_empty());
}

#[test]
fn long_names_and_names_with_a_hash_are_created_too() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["x".repeat(255), "é".repeat(127), "a#b".to_owned()] {
        let path = dir.path().join(name);
        assert!(LocalFiles::default().create(&path, b"1").unwrap());
        let temporary = dir.path().join(temporary_name(&path));
        assert!(is_temporary(&temporary));
        assert_eq!(temporary.to_str().unwrap().matches('#').count(), 1);
    }
    assert_eq!(names(dir.path()).len(), 3);
}

#[test]
fn every_file_is_below_and_links_are_files() {
    let files = LocalFiles::default();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir_all(path("a/b/c")).unwrap();
    fs::create_dir(path("kept")).unwrap();
    fs::write(path("a/x#1"), "12").unwrap();
    fs::write(path("kept/y"), "123").unwrap();
    std::os::unix::fs::symlink(path("kept"), path("a/link")).unwrap();
    let found = files.below(&path("a")).unwrap();
    let found: Vec<_> = found.iter().map(|f| (&f.path, f.size, f.is_unlisted())).collect();
    assert_eq!(found, [(&path("a/link"), 0, false), (&path("a/x#1"), 2, true)]);
    files.remove_empty_dirs(&path("a")).unwrap();
    assert!(path("a/link").exists() && !path("a/b").exists());
}

#[test]
fn a_rename_that_fails_names_both_files() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("a"), dir.path().join("b"));
    let error = LocalFiles::default().rename(&from, &to).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    for path in [from, to] {
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}
