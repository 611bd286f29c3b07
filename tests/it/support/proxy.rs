//! A TCP proxy that makes a line worse: latency, bandwidth, resets, a server that is away. For
//! child processes, whose HTTP client is not ours to wrap, and for the real client.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// How bad the line is. The default is a good one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    /// Each chunk on its way to the client waits so long.
    pub(crate) latency: Duration,
    /// The most bytes a second towards the client, of each connection.
    pub(crate) bytes_per_second: Option<u32>,
    /// The next connections are reset after so many bytes towards the client: count, bytes.
    pub(crate) resets: Option<(usize, usize)>,
    /// New connections are refused: nothing listens.
    pub(crate) refuses: bool,
}

/// A proxy on a port of 127.0.0.1, gone when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    line: Arc<Mutex<Line>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Proxy {
    /// A proxy for the server at `endpoint`, `http://host:port`.
    pub(crate) fn to(endpoint: &str) -> Self {
        let target = endpoint.trim_start_matches("http://").to_owned();
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Mutex::new(Line::default()));
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&line);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                tokio::select! {
                    () = accept(listener, &target, &shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, line, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:port`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the line, for open connections too.
    pub(crate) fn set(&self, line: Line) {
        *self.line.lock().unwrap() = line;
    }

    /// Waits until the port is open, or closed, as the line has it.
    pub(crate) async fn settle(&self) {
        let refuses = self.line.lock().unwrap().refuses;
        while TcpStream::connect(self.address).await.is_ok() == refuses {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// How many resets are still to come.
    pub(crate) fn resets_left(&self) -> usize {
        self.line.lock().unwrap().resets.map_or(0, |(count, _)| count)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<StdListener> {
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Takes connections until it is dropped, which ends them all.
async fn accept(listener: StdListener, target: &str, line: &Arc<Mutex<Line>>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(TcpListener::from_std(listener).unwrap());
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let refuses = line.lock().unwrap().refuses;
        if refuses {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::from_std(listen(address).unwrap()).unwrap());
        }
        let look_again = tokio::time::sleep(Duration::from_millis(2));
        match &listener {
            None => look_again.await,
            Some(open) => tokio::select! {
                accepted = open.accept() => {
                    let (client, _) = accepted.unwrap();
                    connections.spawn(connect(client, target.to_owned(), Arc::clone(line)));
                }
                () = look_again => {}
            },
        }
    }
}

/// One connection. Either side that hangs up ends it.
async fn connect(client: TcpStream, target: String, line: Arc<Mutex<Line>>) {
    let Ok(server) = TcpStream::connect(&target).await else { return };
    let reset_after = {
        let mut line = line.lock().unwrap();
        match &mut line.resets {
            Some((count @ 1.., bytes)) => {
                *count -= 1;
                Some(*bytes)
            }
            _ => None,
        }
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = async { copy(from_client, to_server).await };
    let down = async { worsen(from_server, to_client, &line, reset_after).await };
    tokio::select! {
        _ = up => {}
        _ = down => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await?;
    std::future::pending().await // a client that has sent all still listens
}

/// The way to the client.
async fn worsen(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    line: &Mutex<Line>,
    reset_after: Option<usize>,
) -> io::Result<()> {
    let mut left = reset_after.unwrap_or(usize::MAX);
    let mut buffer = vec![0; 4 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        let now = *line.lock().unwrap();
        let mut wait = now.latency;
        if let Some(rate) = now.bytes_per_second {
            wait += Duration::from_secs_f64(read as f64 / f64::from(rate));
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let sent = read.min(left);
        to.write_all(&buffer[..sent]).await?;
        left -= sent;
        if left == 0 {
            return to.as_ref().set_zero_linger(); // closing it now sends RST
        }
    }
}
