//! `pleiad feed`: servers of lines to try standing queries on.

use std::sync::Arc;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use datafusion::common::runtime::JoinSet;
use futures::stream::{self, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::cli::context::Context;
use crate::error::Error;
use crate::generate::{Broken, Changes, Device, Iot, quotes};
use crate::stream::{AtEnd, Clients, Feed, FeedLines, Paced, file_lines, serve};

/// Pieces of lines on their way to standard output.
const ECHOED: usize = 64;

/// Serve lines that keep coming on a TCP port, to try standing queries on
///
/// iot_1: phones with what their user does and accelerations, port 9999, 10 lines a second.
/// iot_2: watches with the beats of the heart, port 10000, 10 lines a second.
/// quotes: lines of plays, port 10001, 10 a second, then silence; or the lines of FILE.
/// recentchange: changes that look like Wikipedia's, port 10003, 20 lines a second.
/// lines: FILE line by line, also compressed, port 9999, as fast as it is read.
/// lab: the first four at once.
///
/// Each line is a JSON object (of `lines`, what FILE has). Two of 101 lines of iot_1 and iot_2 are errors:
/// they have times and nothing else. Each client has lines of its own, and who leaves frees its place.
///
/// The command goes on until you end it with Ctrl-C. Lines that are sent are printed as well, unless you
/// pass -q. Without --start lines have the time at which they are sent.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad feed iot_1 --print --count 3
  pleiad feed recentchange --print --count 3 --rate max --seed 7 --start 2026-01-01T00:00:00Z")]
pub(crate) struct FeedArgs {
    /// What to serve
    #[arg(value_name = "NAME")]
    feed: Name,

    /// The file whose lines are served, by `lines` and `quotes`
    #[arg(value_name = "FILE")]
    file: Option<String>,

    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    #[arg(hide_short_help = true)]
    host: String,

    /// Port to listen on; 0 takes a free one. The ports of `lab` follow at their usual distances
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// Lines a second for each client, or max
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<Rate>,

    /// Lines after which a connection ends
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// Seed of the random values [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Time of the first line; from there the time goes on by the rate
    #[arg(long, value_name = "TIME")]
    start: Option<jiff::Timestamp>,

    /// Share of the lines that are cut, between 0 and 1
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "0")]
    #[arg(hide_short_help = true)]
    broken: f64,

    /// How many clients are served at a time: with `one` a second client waits
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    #[arg(hide_short_help = true)]
    clients: ClientsArg,

    /// Print the lines and serve no one
    #[arg(long, conflicts_with_all = ["host", "port", "clients"])]
    print: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    #[value(name = "iot_1")]
    Phones,
    #[value(name = "iot_2")]
    Watches,
    Quotes,
    #[value(name = "recentchange")]
    Changes,
    Lines,
    Lab,
}

impl Name {
    /// The feeds of the lab.
    const LAB: [Self; 4] = [Self::Phones, Self::Watches, Self::Quotes, Self::Changes];

    fn port(self) -> u16 {
        match self {
            Self::Phones | Self::Lines | Self::Lab => 9999,
            Self::Watches => 10000,
            Self::Quotes => 10001,
            Self::Changes => 10003,
        }
    }

    fn rate(self) -> Rate {
        match self {
            Self::Lines => Rate::Max,
            Self::Changes => Rate::Lines(20.0),
            _ => Rate::Lines(10.0),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rate {
    Lines(f64),
    Max,
}

impl Rate {
    fn lines(self) -> Option<f64> {
        match self {
            Self::Lines(lines) => Some(lines),
            Self::Max => None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ClientsArg {
    #[default]
    Many,
    One,
}

fn rate(text: &str) -> Result<Rate, String> {
    match text.parse::<f64>() {
        _ if text == "max" => Ok(Rate::Max),
        Ok(lines) if lines.is_finite() && lines > 0.0 => Ok(Rate::Lines(lines)),
        _ => Err(format!("'{text}' is not a rate: write a number above 0, or max")),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("'{text}' is not a share: write a number from 0 to 1, such as 0.01")),
    }
}

impl FeedArgs {
    /// Serves until a signal comes.
    ///
    /// # Errors
    /// A port that is taken, a file that cannot be read.
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let names = match self.feed {
            Name::Lab => &Name::LAB[..],
            _ => std::slice::from_ref(&self.feed),
        };
        let takes_file = matches!(self.feed, Name::Lines | Name::Quotes);
        match &self.file {
            Some(file) if !takes_file => {
                return Err(Error::usage(format!(
                    "only `lines` and `quotes` serve a file: leave '{file}' out, or pass lines"
                ))
                .into());
            }
            None if self.feed == Name::Lines => {
                return Err(Error::usage("`lines` serves a file: name it behind `lines`").into());
            }
            _ => {}
        }
        let feeds = names.iter().map(|name| Ok((*name, self.feed_of(*name, context)?)));
        let feeds: Vec<(Name, Feed)> = feeds.collect::<anyhow::Result<_>>()?;
        if self.print {
            return self.print(context, feeds).await;
        }
        let (sent, mut echoed) = mpsc::channel::<Bytes>(ECHOED);
        let sent = (!context.flags.terminal.quiet).then_some(sent);
        let mut servers = JoinSet::new();
        for (name, feed) in feeds {
            let port = self.port(name);
            let address = (self.host.as_str(), port);
            let listener = TcpListener::bind(address).await.map_err(|cause| {
                Error::io(format!("cannot listen on '{}:{port}', pass --port", self.host), cause)
            })?;
            let address = listener.local_addr().map_err(|cause| Error::io("listen", cause))?;
            let shown = name.to_possible_value().map_or_else(String::new, |v| v.get_name().into());
            context.note(&format!("{shown} is at tcp://{address}"));
            servers.spawn(serve(Arc::new(feed), listener, sent.clone()));
        }
        drop(sent);
        let echo = stream::poll_fn(move |waker| echoed.poll_recv(waker)).map(Ok);
        tokio::select! {
            Some(ended) = servers.join_next() => {
                ended.map_err(|e| Error::internal("a feed panicked").caused_by(e))??;
            }
            printed = context.print_bytes(echo), if !context.flags.terminal.quiet => printed?,
        }
        Ok(())
    }

    fn port(&self, name: Name) -> u16 {
        match self.port {
            Some(0) => 0,
            Some(port) => port.saturating_add(name.port() - self.feed.port()),
            None => name.port(),
        }
    }

    /// Prints the lines of the first place.
    async fn print(&self, context: &Context, mut feeds: Vec<(Name, Feed)>) -> anyhow::Result<()> {
        let (Some((_, feed)), []) = (feeds.pop(), feeds.as_slice()) else {
            return Err(Error::usage("--print prints one feed: name it in the place of lab").into());
        };
        let paced = Paced::new(feed.rate, feed.count);
        let pieces =
            stream::try_unfold((paced, (feed.lines)(0)), async |(mut paced, mut lines)| {
                Ok(paced.next(&mut lines).await?.map(|piece| (piece, (paced, lines))))
            });
        context.print_bytes(pieces).await
    }

    fn feed_of(&self, name: Name, context: &Context) -> anyhow::Result<Feed> {
        let rate = self.rate.unwrap_or(name.rate());
        let file =
            self.file.as_ref().map(|file| context.stores.parse_existing(file)).transpose()?;
        let now = jiff::Timestamp::now();
        let clock = Clock { start: self.start, rate: rate.lines().or(name.rate().lines()) };
        let seed = self.seed.unwrap_or_else(|| now.as_microsecond().unsigned_abs());
        let broken = Broken::new(seed, self.broken);
        let stores = Arc::clone(&context.stores);
        let lines = move |place: u64| -> FeedLines {
            let seed = seed.wrapping_add(place);
            let lines = match (&file, name) {
                (Some(file), _) => file_lines(&stores, file),
                (None, Name::Phones) => made(clock, Iot::new(Device::Phone, seed), Iot::line),
                (None, Name::Watches) => made(clock, Iot::new(Device::Watch, seed), Iot::line),
                (None, Name::Changes) => made(clock, Changes::new(seed), Changes::line),
                (None, Name::Quotes | Name::Lines | Name::Lab) => {
                    stream::iter(quotes().map(|line| Ok(Bytes::from_static(line.as_bytes()))))
                        .boxed()
                }
            };
            let cut = lines.enumerate().map(move |(number, line)| {
                line.map(|line| line.slice(..broken.kept(number as u64, line.len())))
            });
            cut.boxed()
        };
        Ok(Feed {
            lines: Box::new(lines),
            goes_on: matches!(name, Name::Phones | Name::Watches | Name::Changes),
            rate: rate.lines(),
            count: self.count,
            clients: match self.clients {
                ClientsArg::Many => Clients::Many,
                ClientsArg::One => Clients::One,
            },
            at_end: if name == Name::Quotes { AtEnd::Stay } else { AtEnd::Close },
        })
    }
}

/// The time of a line.
#[derive(Clone, Copy)]
struct Clock {
    start: Option<jiff::Timestamp>,
    rate: Option<f64>,
}

impl Clock {
    /// Nanoseconds since 1970.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "times of 64 bits, and a time after them is last"
    )]
    #[expect(clippy::cast_precision_loss, reason = "a rate is a decimal number")]
    fn at(self, line: u64) -> i64 {
        let nanos = |time: jiff::Timestamp| i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
        match (self.start, self.rate) {
            (None, _) => nanos(jiff::Timestamp::now()),
            (Some(start), None) => nanos(start),
            (Some(start), Some(rate)) => {
                nanos(start).saturating_add((line as f64 * 1e9 / rate).round() as i64)
            }
        }
    }
}

/// Lines that are made when they are asked for.
fn made<M: Send + 'static>(
    clock: Clock,
    mut maker: M,
    line: impl Fn(&mut M, i64) -> String + Send + 'static,
) -> FeedLines {
    let lines = (0..).map(move |number| Ok(Bytes::from(line(&mut maker, clock.at(number)))));
    stream::iter(lines).boxed()
}
