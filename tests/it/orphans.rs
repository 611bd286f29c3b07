//! Uploads of single files whose processes died: found and ended by the same command, by `gc`, and seen
//! by `check`; those of others only when they are asked for.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pleiad::storage::{Create, Upload};
use pleiad::table::commit;
use rstest::rstest;

use crate::support::children::{self, Ended, Kill, Output};
use crate::support::endpoint::{Endpoint, endpoints};

/// A bucket behind a port, and a file of this machine of several parts.
struct Place {
    output: Output,
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let (output, dir) = (Output::s3(), tempfile::tempdir().unwrap());
        fs::write(dir.path().join("large.bin"), vec![b'x'; 60 << 20]).unwrap();
        Self { output, dir }
    }

    /// `cp`, or `COPY … TO`, of much to `x.csv`.
    fn writer(&self, how: &str) -> Vec<String> {
        let to = format!("{}/x.csv", self.output.out);
        let large = self.dir.path().join("large.bin").to_str().unwrap().to_owned();
        match how {
            "cp" => vec!["cp".to_owned(), large, to],
            _ => {
                let rows = "SELECT value, value * 7 AS other FROM generate_series(1, 3000000)";
                vec!["sql".to_owned(), "-c".to_owned(), format!("COPY ({rows}) TO '{to}'")]
            }
        }
    }

    fn run(&self, words: &[String], kill: &Kill) -> Ended {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        children::run(self.output.pleiad(&words), kill)
    }

    fn said(&self, line: &str) -> String {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let ended = self.run(&words, &Kill::Never);
        assert_eq!(ended.status.code(), Some(0), "{line}: {ended:?}");
        ended.stdout
    }

    /// Kills a writer while its upload is open.
    fn kill(&self, how: &str) {
        let is_noted = || self.notes() == 1 && self.output.open_uploads() == 1;
        let ended = self.run(&self.writer(how), &Kill::When(&is_noted));
        assert!(ended.is_killed(), "{ended:?}");
        assert_eq!((self.notes(), self.output.open_uploads()), (1, 1));
    }

    fn notes(&self) -> usize {
        self.output.names().iter().filter(|name| name.starts_with("_uploads/")).count()
    }
}

#[rstest]
#[case::cp("cp")]
#[case::copy("COPY")]
fn the_same_command_again_ends_the_upload_of_a_killed_one(#[case] how: &str) {
    let place = Place::new();
    place.kill(how);
    let again = place.run(&place.writer(how), &Kill::Never);
    assert!(again.status.success(), "{again:?}");
    assert_eq!(place.output.open_uploads(), 0);
    assert_eq!(place.output.names(), ["x.csv"]);
}

#[test]
fn check_sees_and_gc_ends_the_upload_of_a_killed_process() {
    let place = Place::new();
    place.kill("cp");
    let file = format!("{}/x.csv", place.output.out);
    for at in [&place.output.out, "s3://bucket"] {
        let said = place.said(&format!("check {at} --json"));
        assert!(said.contains(&format!("an upload of '{file}' was left by a process")), "{said}");
    }
    for at in [&file, &place.output.out, "s3://bucket"] {
        let said = place.said(&format!("gc {at} --dry-run"));
        assert!(said.contains(&format!("would remove the upload of '{file}'")), "{said}");
    }
    assert_eq!((place.notes(), place.output.open_uploads()), (1, 1));
    assert!(place.said(&format!("gc {file}")).contains("removed the upload of"));
    assert_eq!((place.notes(), place.output.open_uploads()), (0, 0));
    assert!(place.said(&format!("gc {file}")).contains("nothing to remove"));
    // What is left does not keep a dataset from being written there.
    place.kill("COPY");
    place.said(&format!("generate people {} --rows 60", place.output.out));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upload_of_a_living_process_is_left_alone() {
    let output = Output::s3();
    let stores = output.stores();
    let location = output.location().join("x.csv");
    let store = stores.open(&location).unwrap();
    let mut upload = Upload::create(&store, &location, Create::New, None).await.unwrap();
    upload.write(vec![0; 9 << 20].into()).await.unwrap();
    assert_eq!(output.open_uploads(), 1);
    for at in [&location, &output.location()] {
        let found = commit::gc(&output.stores(), at, false, None).await.unwrap();
        assert!(found.is_empty(), "{found:?}");
    }
    let mut other = Upload::create(&store, &location, Create::New, None).await.unwrap();
    other.write(vec![0; 9 << 20].into()).await.unwrap();
    assert_eq!(output.open_uploads(), 2, "another writer of it leaves it alone, too");
    upload.finish().await.unwrap();
    drop(other);
    crate::commands::until("the end of the other", || output.names() == ["x.csv"]);
    assert_eq!(output.open_uploads(), 0);
}

/// Its note names no lock that is on this machine.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_another_machine_is_ended_when_its_note_is_old() {
    let output = Output::s3();
    let stores = output.stores();
    let location = output.location().join("x.csv");
    let uploads = Arc::clone(stores.open(&location).unwrap().uploads().unwrap());
    let id = uploads.create_multipart(location.path()).await.unwrap();
    let note = format!(
        "{{\"path\":\"{}\",\"id\":\"{id}\",\"lock\":\"{}\"}}",
        location.path(),
        uuid::Uuid::now_v7()
    );
    let path: PathBuf = output.folder().join("_uploads/x.csv-1.json");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, note).unwrap();
    let age = |minutes: u64| {
        let file = File::options().write(true).open(&path).unwrap();
        let time = file.metadata().unwrap().modified().unwrap();
        file.set_modified(time - Duration::from_secs(60 * minutes)).unwrap();
    };
    age(14);
    assert!(commit::gc(&stores, &location, false, None).await.unwrap().is_empty());
    age(2);
    let found = commit::gc(&stores, &location, false, None).await.unwrap();
    assert_eq!(found, [format!("the upload of '{location}', left by a process that died")]);
    assert_eq!(output.open_uploads(), 0);
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_uploads_of_others_are_listed_and_ended_when_asked_for() {
    for server in endpoints().into_iter().map(Arc::new) {
        lists_uploads(&server).await;
    }
}

async fn lists_uploads(server: &Endpoint) {
    let stores = server.stores();
    let at = server.base.join("uploads & more");
    let store = stores.open(&at).unwrap();
    let uploads = store.uploads().unwrap();
    for name in ["a b", "c"] {
        uploads.create_multipart(at.join(name).path()).await.unwrap();
    }
    let found = match stores.unfinished_uploads(&at).await {
        Ok(found) => found,
        Err(error) => {
            println!("{} does not list uploads: {error}", server.name);
            return;
        }
    };
    let key = |name: &str| at.join(name).path().to_string();
    let keys = found.iter().map(|upload| upload.key.clone());
    assert_eq!(keys.collect::<Vec<_>>(), [key("a b"), key("c")], "{}", server.name);
    stores.end_upload(&at, &found[0]).await.unwrap();
    let left = stores.unfinished_uploads(&at).await.unwrap();
    assert_eq!(left, found[1..], "{}", server.name);
    stores.end_upload(&at, &found[1]).await.unwrap();
}

#[test]
fn gc_lists_uploads_and_ends_the_ones_that_are_named() {
    let place = Place::new();
    place.kill("cp");
    let said = place.said("gc s3://bucket --uploads --json");
    let listed: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (listed["key"].as_str(), listed["state"].as_str()),
        (Some("out/x.csv"), Some("unfinished"))
    );
    let id = listed["upload"].as_str().unwrap();
    assert_eq!(place.output.open_uploads(), 1);
    let said = place.said(&format!("gc s3://bucket --uploads --end {id} --dry-run"));
    assert!(said.contains("would be ended"), "{said}");
    assert_eq!(place.output.open_uploads(), 1);
    let said = place.said(&format!("gc s3://bucket --uploads --end {id}"));
    assert!(said.contains("ended"), "{said}");
    assert_eq!(place.output.open_uploads(), 0);
}
