//! moto as a second S3 server: another implementation, with AWS's codes. It takes any key.
//!
//! It runs where Python has it (`pip install 'moto[s3,server]'`); `PLEIAD_TEST_PYTHON` names another
//! Python. Elsewhere a line says that it was skipped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use pleiad::cli::terminal::variable;

/// A server and its process, killed when dropped.
pub(crate) struct Moto {
    process: Child,
    endpoint: String,
}

impl Moto {
    /// A server with this bucket, if there is one to be had.
    pub(crate) fn start(bucket: &str) -> Option<Self> {
        let python = variable("PLEIAD_TEST_PYTHON").unwrap_or_else(|| "python3".to_owned());
        let has_moto = Command::new(&python).args(["-c", "import moto.server"]).output();
        if !has_moto.is_ok_and(|output| output.status.success()) {
            println!("skipped: '{python}' has no module moto.server");
            return None;
        }
        let process = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut moto = Self { process: process.unwrap(), endpoint: String::new() };
        moto.endpoint = moto.said_endpoint();
        moto.make_bucket(bucket);
        Some(moto)
    }

    /// `http://127.0.0.1:port`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The endpoint that it says it serves at; what it says later is read and forgotten.
    fn said_endpoint(&mut self) -> String {
        let mut said = BufReader::new(self.process.stderr.take().unwrap());
        let mut line = String::new();
        let mark = "Running on ";
        while !line.contains(mark) {
            line.clear();
            let read = said.read_line(&mut line).unwrap();
            assert!(read > 0, "moto ended before it said where it serves");
        }
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
        let endpoint = line.split_once(mark).unwrap().1.trim();
        endpoint.trim_end_matches('/').to_owned()
    }

    /// The S3 client makes no buckets.
    fn make_bucket(&self, bucket: &str) {
        self.put(bucket, "");
    }

    /// Puts a bucket, or an object at a path with a percent-encoded key, which the client may not hold.
    pub(crate) fn put(&self, path: &str, body: &str) {
        let host = self.endpoint.trim_start_matches("http://");
        let mut socket = TcpStream::connect(host).unwrap();
        let length = body.len();
        let request = format!(
            "PUT /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
