//! The exercise of the data-lab course, as far as it looks at files: two CSV files in a bucket of an
//! Onyxia pod, listed, copied, previewed, counted and summed up without a flag.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::cli::{outcome, pleiad};
use crate::support::s3::{KEY, SECRET, Served, TestS3};

/// The two files, and what is known of them.
pub(crate) struct Files {
    /// People in accidents, `;` between fields.
    pub(crate) usagers: Vec<u8>,
    /// Their vehicles, `,` between fields.
    pub(crate) vehicules: Vec<u8>,
    pub(crate) people: u64,
    pub(crate) vehicles: u64,
    /// People whose year of birth is missing.
    pub(crate) no_year: u64,
    /// People by the severity of their injuries, most frequent first.
    pub(crate) severity: &'static [(i64, u64)],
    /// People with the activity `B`.
    pub(crate) activity_b: u64,
    /// Accidents with three or four vehicles.
    pub(crate) three_or_four: u64,
}

/// A pod and its bucket.
pub(crate) struct Pod {
    server: TestS3,
    served: Served,
    home: tempfile::TempDir,
}

impl Pod {
    /// A pod of the user `user` with both files.
    pub(crate) fn start(files: &Files) -> Self {
        let server = TestS3::new(&["user"]);
        for (name, bytes) in
            [("usagers-2022.csv", &files.usagers), ("vehicules.csv", &files.vehicules)]
        {
            std::fs::write(server.bucket("user").join(name), bytes).unwrap();
        }
        let (served, home) = (server.serve(), tempfile::tempdir().unwrap());
        Self { server, served, home }
    }

    /// Runs words in an environment as the pod's start script makes it: code, standard output and
    /// standard error.
    fn run_words(&self, words: &[&str]) -> (i32, String, String) {
        let mut command = pleiad(words);
        let host = self.served.endpoint();
        let host = host.strip_prefix("http://").unwrap();
        command.current_dir(self.home.path()).env("HOME", self.home.path());
        command.envs(self.served.variables()).env("AWS_BUCKET_NAME", "user");
        command.env("MC_HOST_s3", format!("http://{KEY}:{SECRET}@{host}"));
        outcome(&mut command)
    }

    /// Runs a line that has to succeed and has nothing to complain about.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        let (code, stdout, stderr) = self.run_words(&line.split(' ').collect::<Vec<_>>());
        assert_eq!((code, stderr.as_str()), (0, ""), "{line}");
        stdout
    }

    #[track_caller]
    fn rows(&self, line: &str) -> Vec<Value> {
        let printed = self.run(&format!("{line} --json"));
        printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// Lists, copies, previews, counts and sums up both files.
pub(crate) fn check_commands(files: &Files) {
    let pod = Pod::start(files);
    for line in ["ls s3/user", "ls"] {
        let listed = pod.rows(line);
        let found: Vec<_> = listed.iter().map(|o| (o["name"].clone(), o["size"].clone())).collect();
        let expected =
            [("usagers-2022.csv", files.usagers.len()), ("vehicules.csv", files.vehicules.len())];
        assert_eq!(found, expected.map(|(name, size)| (name.into(), size.into())));
    }
    pod.run("cp s3/user/usagers-2022.csv ./");
    let copied = std::fs::read(pod.home.path().join("usagers-2022.csv")).unwrap();
    assert!(copied == files.usagers, "other bytes");
    assert!(std::fs::read(pod.server.bucket("user").join("usagers-2022.csv")).unwrap() == copied);

    let head = pod.rows("head s3/user/usagers-2022.csv");
    assert_eq!((head.len(), head[0].as_object().unwrap().len()), (10, 12));
    let schema = pod.rows("schema -q s3/user/usagers-2022.csv");
    let actp = schema.iter().find(|column| column["column"] == "actp").unwrap();
    assert_eq!(actp["type"], "text", "the first `B` is far down");

    assert_eq!(pod.rows("count s3/user/usagers-2022.csv")[0]["rows"], files.people);
    assert_eq!(pod.rows("count s3://user/vehicules.csv")[0]["rows"], files.vehicles);
    let summary = pod.rows("summary s3/user/usagers-2022.csv --columns grav,an_nais,actp");
    let of = |name: &str, key: &str| {
        let column = summary.iter().find(|column| column["column"] == name).unwrap();
        column[key].clone()
    };
    assert_eq!(of("an_nais", "nulls"), files.no_year);
    // −1, 1, 2, 3 and 4.
    assert_eq!([of("grav", "min"), of("grav", "max")], ["-1", "4"]);
    assert_eq!(of("grav", "approx_distinct"), 5);
    // `07` stays `07`.
    assert_eq!(pod.rows("head s3/user/vehicules.csv -n 1")[0]["catv"], "07");
    let vehicles = pod.rows("schema -q s3/user/vehicules.csv");
    let catv = vehicles.iter().find(|column| column["column"] == "catv").unwrap();
    assert_eq!(catv["type"], "text");
    assert_eq!(vehicles[0]["sql"], "\"Num_Acc\"", "SQL folds names without quotes");
}

/// Runs `sql/data_lab.sql` over both files.
pub(crate) fn check_script(files: &Files) {
    let pod = Pod::start(files);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/data_lab.sql");
    let words = ["run", script.to_str().unwrap(), "--set", "bucket=user"];
    let (code, printed, stderr) = pod.run_words(&words);
    assert_eq!(code, 0, "{stderr}");
    let severity: String =
        files.severity.iter().map(|(grav, people)| format!("{grav},{people}\n")).collect();
    for expected in [
        "actp,Utf8,YES\n".to_owned(),
        "catv,Utf8,YES\n".to_owned(),
        format!("people\n{}\n", files.people),
        format!("grav,people\n{severity}"),
        format!(",{},", files.people),
        format!("people\n{}\n", files.activity_b),
    ] {
        assert!(printed.contains(&expected), "{expected}: {printed}");
    }
    let (_, counts) = printed.split_once("vehicles,accidents\n").unwrap();
    let pair = |line: &str| {
        let (vehicles, accidents) = line.split_once(',')?;
        Some((vehicles.parse().ok()?, accidents.parse().ok()?))
    };
    let counts: BTreeMap<u64, u64> = counts.lines().map_while(pair).collect();
    assert_eq!(counts[&3] + counts[&4], files.three_or_four);
}
