//! `pleiad feed`: the lines that clients get, and who gets which.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;

use crate::cli::{outcome, pleiad};

/// A feed at a free port, ended when it is dropped.
struct Served {
    process: Child,
    /// Open, or the process would have nowhere to write.
    _said: BufReader<ChildStderr>,
    addresses: Vec<String>,
}

impl Served {
    fn start(words: &[&str], feeds: usize) -> Self {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("pleiad"));
        command
            .arg("feed")
            .args(words)
            .args(["--port", "0"])
            .env("XDG_CONFIG_HOME", "/nonexistent");
        let mut process =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut said = BufReader::new(process.stderr.take().expect("a pipe"));
        let address = |_| {
            let mut line = String::new();
            said.read_line(&mut line).expect("a line");
            line.trim_end().split_once(" is at tcp://").expect(&line).1.to_owned()
        };
        let addresses = (0..feeds).map(address).collect();
        Self { process, _said: said, addresses }
    }

    fn client(&self, feed: usize) -> BufReader<TcpStream> {
        BufReader::new(TcpStream::connect(&self.addresses[feed]).expect("a server"))
    }

    /// All that a client gets until its connection ends.
    fn all(&self) -> String {
        let mut text = String::new();
        self.client(0).read_to_string(&mut text).expect("lines");
        text
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn line(client: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    client.read_line(&mut line).expect("a line");
    line
}

const FIXED: [&str; 6] = ["--rate", "max", "--seed", "7", "--start", "2026-01-01T00:00:00Z"];

#[test]
fn the_same_seed_gives_the_same_bytes_printed_or_served() {
    for name in ["iot_1", "iot_2", "recentchange", "quotes"] {
        let words = [&[name, "--count", "30"], &FIXED[..]].concat();
        let printed = outcome(pleiad(&["feed"]).args(&words).arg("--print"));
        assert_eq!((printed.0, printed.1.lines().count()), (0, 30), "{name}: {}", printed.2);
        assert_eq!(Served::start(&words, 1).all(), printed.1, "{name}");
    }
}

fn indexes(text: &str) -> Vec<i64> {
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter_map(|row| row["Index"].as_i64()).collect()
}

#[test]
fn each_client_has_lines_of_its_own() {
    let served = Served::start(&[&["iot_1"], &FIXED[..]].concat(), 1);
    let mut clients = [served.client(0), served.client(0)];
    let [one, other] = clients.each_mut().map(|client| (0..10).map(|_| line(client)).collect());
    let (one, other): (String, String) = (one, other);
    assert!(one.starts_with("{\"Arrival_Time\": 1767225600000000000, "), "{one}");
    assert_ne!(one, other);
    assert_eq!((indexes(&one)[0], indexes(&other)[0]), (1, 1));
}

#[test]
fn who_comes_to_a_place_goes_on_where_the_last_one_stopped() {
    let words = [&["iot_1", "--count", "40", "--clients", "one"], &FIXED[..]].concat();
    let served = Served::start(&words, 1);
    let all: String = (0..3).map(|_| served.all()).collect();
    let found = indexes(&all);
    assert_eq!(all.lines().count(), 120);
    assert!(found.len() > 100 && found.iter().zip(1..).all(|(found, index)| *found == index));
}

#[test]
fn a_client_that_leaves_frees_its_place() {
    let served = Served::start(&["iot_1", "--rate", "1000", "--clients", "one"], 1);
    for _ in 0..3 {
        let mut client = served.client(0); // waits until the one before has left
        assert!(line(&mut client).starts_with("{\"Arrival_Time\": "));
    }
}

#[test]
fn quotes_begin_at_the_top_for_each_client_and_then_nothing_comes() {
    let served = Served::start(&["quotes", "--rate", "max"], 1);
    let mut clients = [served.client(0), served.client(0)];
    for client in &mut clients {
        let lines: Vec<_> = (0..40).map(|_| line(client)).collect();
        assert!(
            lines[0].starts_with("{\"character\": \"Don Rodrigue\", \"quote\": "),
            "{}",
            lines[0]
        );
        client.get_ref().set_nonblocking(true).unwrap();
        let silent = client.read(&mut [0; 1]).unwrap_err();
        assert_eq!(silent.kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[test]
fn a_file_is_served_line_by_line_and_some_lines_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.log").display().to_string();
    let text: String = (0..1000).map(|number| format!("line {number} é\n")).collect();
    std::fs::write(&file, text.strip_suffix('\n').unwrap()).unwrap();
    let served = Served::start(&["lines", &file], 1);
    assert_eq!([served.all(), served.all()], [text.clone(), text.clone()]);
    let mut bytes = Vec::new();
    let broken = Served::start(&["lines", &file, "--broken", "0.2", "--seed", "1"], 1);
    broken.client(0).read_to_end(&mut bytes).unwrap();
    let lines = bytes.split(|byte| *byte == b'\n').take(1000);
    let cut = lines.zip(text.lines()).filter(|(line, whole)| {
        assert!(whole.as_bytes().starts_with(line) && !line.is_empty());
        line.len() < whole.len()
    });
    let cut = cut.count();
    assert!((100..300).contains(&cut), "{cut}");
}

#[test]
fn the_lab_is_four_feeds() {
    let served = Served::start(&["lab", "--rate", "max"], 4);
    for (feed, key) in ["Arrival_Time", "Arrival_Time", "character", "$schema"].iter().enumerate() {
        let line = line(&mut served.client(feed));
        assert!(line.starts_with(&format!("{{\"{key}\": ")), "{line}");
    }
}

#[test]
fn what_cannot_be_served_is_said() {
    let taken = Served::start(&["iot_1"], 1);
    let port = taken.addresses[0].split_once(':').unwrap().1.to_owned();
    let (code, _, said) = outcome(&mut pleiad(&["feed", "iot_2", "--port", &port]));
    assert!(code == 74 && said.contains(&format!("cannot listen on '127.0.0.1:{port}'")), "{said}");
    for (words, code, expected) in [
        (&["feed", "lines"][..], 2, "name it behind `lines`"),
        (&["feed", "iot_1", "x"], 2, "leave 'x' out"),
        (&["feed", "lab", "--print"], 2, "--print prints one feed"),
        (&["feed", "iot_1", "--rate", "0"], 2, "'0' is not a rate"),
        (&["feed", "iot_1", "--broken", "2"], 2, "'2' is not a share"),
        (&["feed", "lines", "nothing.log", "--print"], 66, "nothing.log"),
    ] {
        let (found, _, said) = outcome(&mut pleiad(words));
        assert!(found == code && said.contains(expected), "{words:?}: {found} {said}");
    }
}
