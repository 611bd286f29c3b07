//! The exercise of the data-lab course, as far as it looks at files: two CSV files in a bucket of an
//! Onyxia pod, listed, copied, previewed, counted and summed up without a flag.
//!
//! The files are France's road accidents (`usagers` 2022, `vehicules` 2018); sizes and counts are those
//! of the files, found with `wc` and `cut`.

use serde_json::Value;

use crate::cli::{outcome, pleiad};
use crate::support::s3::{KEY, SECRET, Served, TestS3};
use crate::support::shared::shared;

/// A pod and its bucket.
struct Pod {
    server: TestS3,
    served: Served,
    home: tempfile::TempDir,
}

impl Pod {
    /// A pod of the user `user` with both files; `None` where they are not.
    fn start() -> Option<Self> {
        let server = TestS3::new(&["user"]);
        for (file, name) in [
            ("usagers-2022_nokey.csv", "usagers-2022.csv"),
            ("vehicules-2018.csv", "vehicules.csv"),
        ] {
            let file = shared(&format!("csv/{file}"))?;
            std::fs::copy(file, server.bucket("user").join(name)).unwrap();
        }
        let (served, home) = (server.serve(), tempfile::tempdir().unwrap());
        Some(Self { server, served, home })
    }

    /// Runs a line that has to succeed, in an environment as the pod's start script makes it.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = pleiad(&words);
        let host = self.served.endpoint();
        let host = host.strip_prefix("http://").unwrap();
        command.current_dir(self.home.path()).env("HOME", self.home.path());
        command.envs(self.served.variables()).env("AWS_BUCKET_NAME", "user");
        command.env("MC_HOST_s3", format!("http://{KEY}:{SECRET}@{host}"));
        let (code, stdout, stderr) = outcome(&mut command);
        assert_eq!((code, stderr.as_str()), (0, ""), "{line}");
        stdout
    }

    #[track_caller]
    fn rows(&self, line: &str) -> Vec<Value> {
        let printed = self.run(&format!("{line} --json"));
        printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

#[test]
fn two_files_are_listed_copied_previewed_and_counted() {
    let Some(pod) = Pod::start() else { return };
    for line in ["ls s3/user", "ls"] {
        let listed = pod.rows(line);
        let found: Vec<_> = listed.iter().map(|o| (o["name"].clone(), o["size"].clone())).collect();
        let expected = [("usagers-2022.csv", 3_955_006), ("vehicules.csv", 3_558_545)];
        assert_eq!(found, expected.map(|(name, size)| (name.into(), size.into())));
    }
    pod.run("cp s3/user/usagers-2022.csv ./");
    let copied = std::fs::read(pod.home.path().join("usagers-2022.csv")).unwrap();
    let original = std::fs::read(pod.server.bucket("user").join("usagers-2022.csv")).unwrap();
    assert!(copied == original, "other bytes");

    let head = pod.rows("head s3/user/usagers-2022.csv");
    assert_eq!((head.len(), head[0].as_object().unwrap().len()), (10, 12));
    let schema = pod.rows("schema s3/user/usagers-2022.csv");
    let actp = schema.iter().find(|column| column["column"] == "actp").unwrap();
    assert_eq!(actp["type"], "text", "`B` stands in data row 94 first");

    assert_eq!(pod.rows("count s3/user/usagers-2022.csv")[0]["rows"], 126_662);
    assert_eq!(pod.rows("count s3://user/vehicules.csv")[0]["rows"], 98_876);
    let summary = pod.rows("summary s3/user/usagers-2022.csv --columns grav,an_nais,actp");
    let of = |name: &str, key: &str| {
        let column = summary.iter().find(|column| column["column"] == name).unwrap();
        column[key].clone()
    };
    assert_eq!(of("an_nais", "nulls"), 2_874);
    // −1, 1, 2, 3 and 4.
    assert_eq!([of("grav", "min"), of("grav", "max")], ["-1", "4"]);
    assert_eq!(of("grav", "approx_distinct"), 5);
    // `07` stays `07`.
    assert_eq!(pod.rows("head s3/user/vehicules.csv -n 1")[0]["catv"], "07");
    let vehicles = pod.rows("schema s3/user/vehicules.csv");
    let catv = vehicles.iter().find(|column| column["column"] == "catv").unwrap();
    assert_eq!(catv["type"], "text");
    assert_eq!(vehicles[0]["sql"], "\"Num_Acc\"", "SQL folds names without quotes");
}
