//! Where the rows of streams come from: objects that are added to a bucket, a clock, servers of events; and
//! what goes wrong there.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use pleiad::script::Script;
use rstest::rstest;

use crate::support::s3::TestS3;
use crate::support::stream::{rows, script, script_on};

/// Asks until the answer is this one.
async fn until(script: &Script, query: &str, expected: &[&str]) {
    let mut found = Vec::new();
    while found != expected {
        let text = format!("CALL wait('20 milliseconds'); {query}");
        found = rows(script, &text, &[]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_are_added_to_a_prefix_are_read_once_each() {
    let server = TestS3::new(&["bucket"]);
    let folder = server.bucket("bucket").join("in");
    fs::create_dir_all(folder.join("deeper")).unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(b"{\"i\": 10}\n{\"i\": 20}").unwrap();
    fs::write(folder.join("a.json"), "{\"i\": 1}\n{\"i\": 2}").unwrap();
    fs::write(folder.join("b.json.gz"), packed.finish().unwrap()).unwrap();
    for hidden in ["_SUCCESS", ".part", "deeper/c.json"] {
        fs::write(folder.join(hidden), "{\"i\": 1000000}\n").unwrap();
    }
    let text = "CREATE UNBOUNDED EXTERNAL TABLE s (i BIGINT) STORED AS JSON LOCATION 's3://bucket/in' \
                OPTIONS ('poll' '10 milliseconds', 'max_files' '1'); \
                CREATE MATERIALIZED VIEW v AS SELECT count(*), sum(i) FROM s; CALL wait(drained => true)";
    let (script, _) = script_on(server.stores(), false);
    rows(&script, text, &[]).await.unwrap();
    assert_eq!(rows(&script, "FROM v", &[]).await.unwrap(), ["4 33"]);
    fs::write(folder.join("0.json"), "{\"i\": 100}\n").unwrap();
    until(&script, "FROM v", &["5 133"]).await;
    // One object alone, in a batch.
    let (batch, _) = script_on(server.stores(), true);
    let text = "CREATE UNBOUNDED EXTERNAL TABLE s (i BIGINT) STORED AS JSON LOCATION 's3://bucket/in/a.json'; \
                SELECT sum(i) FROM s";
    assert_eq!(rows(&batch, text, &[]).await.unwrap(), ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_takes_no_more_bytes_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    for file in 0..5 {
        fs::write(folder.path().join(format!("{file}.json")), "{\"i\": 1}\n{\"i\": 1}\n").unwrap();
    }
    let text = "CREATE UNBOUNDED EXTERNAL TABLE s (i BIGINT) STORED AS JSON LOCATION '${in}' \
                OPTIONS ('max_bytes' '25B'); CREATE MATERIALIZED VIEW v AS SELECT sum(i) FROM s; \
                CALL wait(drained => true); SELECT batches, rows FROM standing_queries()";
    let (script, _) = script(false);
    let found = rows(&script, text, &[("in", folder.path().to_str().unwrap())]).await.unwrap();
    assert_eq!(found, ["5 10"], "a file has 20 bytes");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_gives_times_and_numbers(#[values(false, true)] is_batch: bool) {
    let text = "CREATE UNBOUNDED EXTERNAL TABLE r STORED AS RATE LOCATION 'rate://' \
                OPTIONS ('rows_per_second' '2000', 'rows' '5000', 'start' '2026-01-01T00:00:00Z'); \
                CREATE MATERIALIZED VIEW v AS SELECT window_start, count(*), min(value), max(\"timestamp\") \
                FROM TUMBLE(r, \"timestamp\", INTERVAL '1 second') GROUP BY 1; CALL wait(drained => true)";
    let (script, _) = script(is_batch);
    rows(&script, text, &[]).await.unwrap();
    script.standing().finish(None).await.unwrap();
    let expected = [
        "2026-01-01T00:00:00 2000 0 2026-01-01T00:00:00.999500",
        "2026-01-01T00:00:01 2000 2000 2026-01-01T00:00:01.999500",
        "2026-01-01T00:00:02 1000 4000 2026-01-01T00:00:02.499500",
    ];
    assert_eq!(rows(&script, "FROM v", &[]).await.unwrap(), expected);
}

#[rstest]
#[case("STORED AS RATE LOCATION 'rate://'", "a rate has no end, and a batch needs one")]
#[case("STORED AS JSON LOCATION 'rate://'", "write STORED AS RATE with LOCATION 'rate://'")]
#[case("STORED AS RATE LOCATION 'tcp://h:1'", "write STORED AS RATE with LOCATION 'rate://'")]
#[case(
    "(i INT) STORED AS RATE LOCATION 'rate://' OPTIONS ('rows' '1')",
    "a TIMESTAMP and a BIGINT"
)]
#[case(
    "STORED AS RATE LOCATION 'rate://' OPTIONS ('rows' '0')",
    "option 'rows' is '0', expected a number above 0"
)]
#[case(
    "STORED AS RATE LOCATION 'rate://' OPTIONS ('rows' '1', 'start' 'noon')",
    "option 'start' is 'noon'"
)]
#[case("(i INT) STORED AS CSV LOCATION 'https://h/x'", "no server sends CSV as events")]
#[case("(i INT) STORED AS JSON LOCATION 'in/*.json'", "is a pattern")]
#[case(
    "(i INT) STORED AS JSON LOCATION 'x' OPTIONS ('poll' 'often')",
    "option 'poll' is 'often', expected a time"
)]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_does_not_give_is_refused(#[case] table: &str, #[case] message: &str) {
    let (script, _) = script(true);
    let text = format!("CREATE UNBOUNDED EXTERNAL TABLE s {table}");
    let error = rows(&script, &text, &[]).await.unwrap_err();
    let cause = std::error::Error::source(&error).map_or(error.to_string(), ToString::to_string);
    assert!(cause.contains(message), "{cause}");
    assert_eq!(error.kind().exit_code(), 2, "{error}");
}

/// A web server whose connections are written down, one after the other, the last for all that follow; its
/// address, and what clients have asked for.
fn events(answers: &[&str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/changes", listener.local_addr().unwrap());
    let answers: Vec<String> = answers.iter().map(|text| (*text).to_owned()).collect();
    let asked = Arc::new(Mutex::default());
    let known: Arc<Mutex<Vec<String>>> = Arc::clone(&asked);
    std::thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let answer = answers.get(number).or(answers.last()).unwrap();
            serve(client.unwrap(), answer, &known);
        }
    });
    (address, asked)
}

/// Reads the head of a request and writes an answer, byte by byte; it may have left.
fn serve(mut client: TcpStream, answer: &str, asked: &Mutex<Vec<String>>) {
    client.set_nodelay(true).unwrap();
    let head = BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok);
    let head: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
    asked.lock().unwrap().push(head.join("\n"));
    for byte in answer.as_bytes() {
        if client.write_all(&[*byte]).is_err() {
            break;
        }
    }
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";

fn table(address: &str, options: &str) -> String {
    format!(
        "CREATE UNBOUNDED EXTERNAL TABLE s (i BIGINT) STORED AS JSON LOCATION '{address}' OPTIONS ('buffer' '1MiB' {options}); \
         CREATE MATERIALIZED VIEW v AS SELECT count(*), sum(i) FROM s"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_behind_the_last_that_came() {
    let first = format!(
        "{HEAD}: hello\nretry: 1\n\nid: 1\ndata: {{\"i\": 1}}\n\nid: 2\r\ndata: {{\"i\":\r\ndata: 2}}\r\n\r\n\
         id: 3\ndata: {{\"i\": 1000}}\n"
    );
    let busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n";
    let second = format!("{HEAD}id: 3\ndata: {{\"i\": 3}}\n\ndata: broken\n\n");
    let over = "HTTP/1.1 204 No Content\r\n\r\n";
    let (address, asked) = events(&[&first, busy, "garbage", "", &second, over]);
    let (script, _) = script(false);
    rows(&script, &table(&address, ""), &[]).await.unwrap();
    script.standing().finish(None).await.unwrap();
    let found = rows(&script, "FROM v", &[]).await.unwrap();
    assert_eq!(found, ["4 6"], "the event that was cut in half comes again");
    let bad = "SELECT bad_lines FROM standing_queries()";
    assert_eq!(rows(&script, bad, &[]).await.unwrap(), ["1"]);
    let asked = asked.lock().unwrap();
    let last_id = |request: &String| {
        let line = request.lines().find(|line| line.starts_with("last-event-id: "));
        line.map(|line| line["last-event-id: ".len()..].to_owned())
    };
    let ids: Vec<_> = asked.iter().map(last_id).collect();
    let two = || Some("2".to_owned());
    assert_eq!(ids, [None, two(), two(), two(), two(), Some("3".to_owned())]);
    assert!(asked.iter().all(|request| request.contains("user-agent: pleiad/")), "{asked:?}");
    assert!(asked[0].contains("accept: text/event-stream"), "{asked:?}");
}

#[rstest]
#[case("403 Forbidden", "text/plain", 77, "answers 403: ")]
#[case("404 Not Found", "text/plain", 66, "answers 404: there is nothing")]
#[case("429 Too Many Requests", "text/plain", 75, "answers 429: it was asked too often")]
#[case("503 Service Unavailable", "text/plain", 69, "answers 503: the server is in trouble")]
#[case("200 OK", "text/html", 65, "answers with 'text/html', expected text/event-stream")]
#[case("500 Odd", "text/plain", 69, "answers 500: the server is in trouble")]
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_events_says_why(
    #[case] status: &str,
    #[case] content_type: &str,
    #[case] code: u8,
    #[case] message: &str,
) {
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: 2\r\n\r\nno");
    let (address, _) = events(&[&answer]);
    let (script, _) = script(false);
    rows(&script, &table(&address, ", 'on_close' 'end'"), &[]).await.unwrap();
    let error = script.standing().finish(None).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(message), "{cause}");
    assert_eq!(error.kind().exit_code(), code, "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_silent_keeps_no_query_from_ending() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/changes", listener.local_addr().unwrap());
    let (script, _) = script(false);
    rows(&script, &table(&address, ""), &[]).await.unwrap();
    let (_client, _) = listener.accept().unwrap();
    rows(&script, "DROP MATERIALIZED VIEW v", &[]).await.unwrap();
}

/// More than the buffer takes, from a server that writes as fast as it can.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_floods_waits_for_the_query() {
    const EVENTS: usize = 100_000;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/changes", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let head = BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok);
        assert!(head.take_while(|line| !line.is_empty()).count() > 0);
        let events = "data: {\"i\": 1}\n\n".repeat(EVENTS);
        client.write_all(format!("{HEAD}{events}").as_bytes()).ok();
    });
    let (script, _) = script(false);
    rows(&script, &table(&address, ", 'on_close' 'end'"), &[]).await.unwrap();
    script.standing().finish(None).await.unwrap();
    let expected = format!("{EVENTS} {EVENTS}");
    assert_eq!(rows(&script, "FROM v", &[]).await.unwrap(), [expected]);
}

/// Files of one row each, the first written `ages[0]` seconds ago, and so on.
fn aged(folder: &std::path::Path, ages: &[u64]) {
    for (number, age) in ages.iter().enumerate() {
        let path = folder.join(format!("{number}.json"));
        fs::write(&path, format!("{{\"i\": {number}}}\n")).unwrap();
        let now = std::time::SystemTime::from(jiff::Timestamp::now());
        let time = now - std::time::Duration::from_secs(*age);
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
}

#[rstest]
#[case::oldest_first("", "2 | 0 | 1")]
#[case::newest_first(", 'latest_first' 'true'", "1 | 0 | 2")]
#[case::not_too_old(", 'max_file_age' '1 hour'", "0 | 1")]
#[case::left_alone(", 'settle' '5 minutes'", "2 | 0")]
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_read_as_its_options_say(#[case] options: &str, #[case] expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    aged(folder.path(), &[1_000, 100, 10_000]);
    let text = format!(
        "CREATE UNBOUNDED EXTERNAL TABLE s (i BIGINT) STORED AS JSON LOCATION '${{in}}' \
         OPTIONS ('max_files' '1', 'poll' '10 milliseconds'{options}); \
         CREATE EXTERNAL TABLE console STORED AS CONSOLE LOCATION 'stdout'; INSERT INTO console SELECT i FROM s; \
         CALL wait(drained => true); CALL stop(console)"
    );
    let (script, shown) = script(false);
    rows(&script, &text, &[("in", folder.path().to_str().unwrap())]).await.unwrap();
    let shown = shown.0.lock().unwrap();
    let found: Vec<_> = shown.iter().map(|(_, _, rows)| rows.join(", ")).collect();
    assert_eq!(found.join(" | "), expected);
}

/// A file that is left for later is read later.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_still_written_is_read_when_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    aged(folder.path(), &[0]);
    let text = "CREATE UNBOUNDED EXTERNAL TABLE s (i BIGINT) STORED AS JSON LOCATION '${in}' \
                OPTIONS ('poll' '10 milliseconds', 'settle' '1 second'); \
                CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM s; CALL wait(drained => true)";
    let (script, _) = script(false);
    rows(&script, text, &[("in", folder.path().to_str().unwrap())]).await.unwrap();
    until(&script, "FROM v", &["1"]).await;
}

/// A server of lines that sends these bytes and then says nothing more; its location.
fn says(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("tcp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.write_all(&bytes).unwrap();
        std::thread::park(); // it neither closes nor accepts another
    });
    location
}

fn counted(location: &str, options: &str) -> String {
    format!(
        "CREATE UNBOUNDED EXTERNAL TABLE s (i BIGINT) STORED AS JSON LOCATION '{location}' OPTIONS ({options}); \
         CREATE MATERIALIZED VIEW v AS SELECT count(*), count(i), sum(i) FROM s"
    )
}

/// The lines that are whole are there, half a line is not, and the query ends when it is told to.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_hangs_in_a_line_holds_nothing_up() {
    let location = says(b"{\"i\": 1}\n{\"i\": 2}\n{\"i\": 1000".to_vec());
    let (script, _) = script(false);
    rows(&script, &counted(&location, "'buffer' '1MiB'"), &[]).await.unwrap();
    until(&script, "FROM v", &["2 2 3"]).await;
    rows(&script, "CALL wait('100 milliseconds')", &[]).await.unwrap();
    assert_eq!(rows(&script, "FROM v", &[]).await.unwrap(), ["2 2 3"]);
    rows(&script, "DROP MATERIALIZED VIEW v", &[]).await.unwrap();
    assert!(rows(&script, "FROM standing_queries()", &[]).await.unwrap().is_empty());
}

/// Each line of garbage is a bad line of its own, and lines behind it are read.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_of_a_connection_is_bad_lines_and_no_more() {
    let mut text = "\u{feff}{\"i\": 1}\r\n\n  \n{\"I\": 2}\n".as_bytes().to_vec(); // two rows
    let bad: [&[u8]; 8] = [
        b"\xff\xfe\x00\x01",
        b"{\"i\": 4}{\"i\": 5}",
        b"{\"i\":",
        b"6}",
        b"{\"i\": \"open",
        b"[7]",
        b"null",
        b"GET / HTTP/1.1",
    ];
    for line in bad {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend(vec![b'x'; 17 << 20]); // longer than a line may be
    text.extend_from_slice(b"\n{\"other\": 8, \"i\": 8}\n");
    let location = says(text);
    let (script, _) = script(false);
    rows(&script, &counted(&location, "'buffer' '32MiB'"), &[]).await.unwrap();
    until(&script, "SELECT sum(bad_lines) FROM standing_queries()", &["9"]).await;
    until(&script, "FROM v", &["12 3 11"]).await;
    let reasons = "SELECT count(*), count(DISTINCT position), min(length(reason)) > 0, max(length(line)) <= 1024 FROM s$bad";
    assert_eq!(rows(&script, reasons, &[]).await.unwrap(), ["9 9 true true"]);
}

/// More lines than the buffer takes, as fast as they go: each is counted once, and none is left out.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_floods_waits_for_the_query() {
    const LINES: usize = 200_000;
    let lines = "{\"i\": 1}\n".repeat(LINES).into_bytes();
    let location = crate::support::stream::serve(lines, 10_000);
    let (script, _) = script(false);
    let text = counted(&location, "'buffer' '64KiB', 'on_close' 'end'");
    rows(&script, &text, &[]).await.unwrap();
    script.standing().finish(None).await.unwrap();
    let expected = format!("{LINES} {LINES} {LINES}");
    assert_eq!(rows(&script, "FROM v", &[]).await.unwrap(), [expected]);
}

/// The query that fails is not the first that was started, and the others have no end.
#[rstest]
#[case("CALL wait('1 hour')")]
#[case("CALL wait(drained => true)")]
#[case("")]
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_at_once(#[case] then: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), "broken\n").unwrap();
    let text = format!(
        "CREATE UNBOUNDED EXTERNAL TABLE clock STORED AS RATE LOCATION 'rate://'; \
         CREATE UNBOUNDED EXTERNAL TABLE s (i BIGINT) STORED AS JSON LOCATION '${{in}}' OPTIONS ('on_error' 'fail'); \
         CREATE MATERIALIZED VIEW endless AS SELECT count(*) FROM clock; \
         CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM s; {then}"
    );
    let (script, _) = script(false);
    let ran = rows(&script, &text, &[("in", folder.path().to_str().unwrap())]).await;
    let error = match ran {
        Ok(_) => script.standing().finish(None).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind().exit_code(), 65, "{error}");
}

/// A source that has ended is not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_source_does_not_wait_for_the_trigger() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("tcp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        std::thread::park_timeout(std::time::Duration::from_millis(300)); // the first batch has none
        client.write_all(b"{\"i\": 1}\n{\"i\": 2}\n").unwrap();
    });
    let text = format!(
        "CREATE UNBOUNDED EXTERNAL TABLE s (i BIGINT) STORED AS JSON LOCATION '{location}' OPTIONS ('on_close' 'end'); \
         CREATE MATERIALIZED VIEW v WITH (trigger = '1 hour') AS SELECT count(*) FROM s"
    );
    let (script, _) = script(false);
    rows(&script, &text, &[]).await.unwrap();
    script.standing().finish(None).await.unwrap();
    assert_eq!(rows(&script, "FROM v", &[]).await.unwrap(), ["2"]);
}

/// A connection that says nothing has no more for now.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_silent_connection_has_sent_is_all_for_now() {
    let location = says(b"{\"i\": 1}\n{\"i\": 2}\n".to_vec());
    let (script, _) = script(false);
    rows(&script, &counted(&location, "'on_close' 'reconnect'"), &[]).await.unwrap();
    until(&script, "CALL wait(drained => true); FROM v", &["2 2 3"]).await;
}

/// A server that is quick to end connections is not asked more often than ten times a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_cannot_make_itself_busy() {
    let event = format!("{HEAD}retry: 0\ndata: {{\"i\": 1}}\n\n");
    let answers = vec![event.as_str(); 100];
    let (address, asked) = events(&answers);
    let (script, _) = script(false);
    rows(&script, &table(&address, ""), &[]).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    rows(&script, "DROP MATERIALIZED VIEW v", &[]).await.unwrap();
    let asked = asked.lock().unwrap().len();
    assert!((1..=12).contains(&asked), "{asked} times");
}
