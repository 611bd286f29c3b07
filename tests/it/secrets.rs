//! No key, token or signature in anything this program says or writes, however much it is asked to
//! say and however it fails. Every secret here has the word `canary` in it.

use std::process::Command;

use crate::support::children::{self, Ended, Kill, Output};

/// Names and values.
type Variables<'a> = &'a [(&'a str, &'a str)];

/// Runs a command at trace level; what it says and leaves must be clean.
#[track_caller]
fn run(output: &Output, line: &str, variables: Variables<'_>) -> Ended {
    let words: Vec<&str> = line.split(' ').collect();
    let mut command: Command = output.pleiad(&words);
    command.env("PLEIAD_LOG", "trace").envs(variables.iter().copied());
    let ended = children::run(command, &Kill::Never);
    for said in [&ended.stdout, &ended.stderr] {
        let at = said.find("canary").map(|at| &said[at.saturating_sub(200)..]);
        assert_eq!(at.map(|said| &said[..said.len().min(300)]), None, "{line}");
    }
    for name in output.names() {
        let bytes = output.read(&name).unwrap_or_default();
        let found = bytes.windows(6).any(|window| window == b"canary");
        assert!(!found, "{line}: '{name}' holds a secret");
    }
    ended
}

#[test]
fn nothing_that_works_tells_a_secret() {
    let output = Output::s3();
    for line in [
        "generate people s3://bucket/out --rows 60",
        "kmeans s3://bucket/out --columns age,weight --k 2 --starts 1",
        "generate people s3://bucket/out --rows 70 --mode overwrite",
        "check s3://bucket/out --verify",
        "ls s3://bucket/out --recursive",
        "head s3://bucket/out/table1",
        "show s3://bucket/out --history",
        "cp s3://bucket/out s3://bucket/copy --recursive",
        "gc s3://bucket/out",
    ] {
        let ended = run(&output, line, &[]);
        assert!(ended.status.success(), "{line}: {}", ended.stderr);
        assert!(ended.stderr.contains("TRACE") || line.starts_with("gc"), "{line}: no trace");
    }
}

#[test]
fn nothing_that_fails_tells_a_secret() {
    let output = Output::s3();
    let home = tempfile::tempdir().unwrap();
    let profile = home.path().join("credentials");
    let text = "[default]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = canary-3\n";
    std::fs::write(&profile, text).unwrap();
    let profile = profile.to_str().unwrap();
    let generate = "generate people s3://bucket/out --rows 60";
    let cases: [(&str, Variables, i32); 7] = [
        (generate, &[("AWS_SECRET_ACCESS_KEY", "canary-1")], 77),
        (generate, &[("AWS_SESSION_TOKEN", "canary-2")], 0),
        (
            generate,
            &[
                ("AWS_ACCESS_KEY_ID", ""),
                ("AWS_SECRET_ACCESS_KEY", ""),
                ("AWS_SHARED_CREDENTIALS_FILE", profile),
            ],
            77,
        ),
        (
            "generate people lake/bucket/out --rows 60",
            &[("MC_HOST_lake", "http://AKIDLAKE:canary-4@127.0.0.1:1")],
            69,
        ),
        ("generate people s3://AKIDURL:canary-5@bucket/out --rows 60", &[], 78),
        ("kmeans s3://AKIDURL:canary-6@bucket/out --columns age", &[], 78),
        ("kmeans s3://bucket/none?X-Amz-Signature=canary-7 --columns age", &[], 66),
    ];
    for (line, variables, code) in cases {
        let ended = run(&output, line, variables);
        // The server takes any token; of the others it is enough that they fail.
        let found = ended.status.code().unwrap();
        assert!(found == code || (code != 0 && found != 0), "{line}: {found} {}", ended.stderr);
    }
}

/// Values of variables and literals of SQL are not in the manifest, the properties or a message.
#[test]
fn a_script_keeps_its_secrets() {
    let output = Output::s3();
    let sql = |sql: &str| sql.replace(' ', "\t"); // `run` cuts its line at blanks
    let copy =
        sql("CREATE TABLE t AS SELECT '${api_token}' <> '${pass}' AS a, 'x' AS secret_name; \
         COPY (SELECT a FROM t WHERE secret_name <> 'hushed') TO 's3://bucket/out'");
    let set = "--set api_token=canary-1 --set-secret pass=canary-2 --set-secret OTHER";
    let variables = [("OTHER", "canary-3")];
    let ended = run(&output, &format!("sql -c {copy} {set}"), &variables);
    assert!(ended.status.success(), "{}", ended.stderr);
    let manifest = output.names().into_iter().find(|name| name.contains("_manifest/"));
    let manifest = output.read(&manifest.unwrap()).unwrap();
    let manifest = String::from_utf8(manifest).unwrap();
    assert!(!manifest.contains("hushed"), "{manifest}");
    for recorded in ["api_token=***", "pass=***", "OTHER=***", "'***'"] {
        assert!(manifest.contains(recorded), "{recorded}: {manifest}");
    }
    for failing in ["SELECT CAST('${pass}' AS INT)", "SELECT '${OTHER}' + unknown_column"] {
        let ended = run(&output, &format!("sql -c {} {set}", sql(failing)), &variables);
        assert!(!ended.status.success(), "{failing}");
    }
    let ended = run(&output, "sql -c SELECT\t1 --set-secret 1=canary", &[]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    let ended = run(&output, "sql -c SELECT\t1 --set-secret NOT_SET_ANYWHERE", &[]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("or pass --set-secret NOT_SET_ANYWHERE=VALUE"));
}
