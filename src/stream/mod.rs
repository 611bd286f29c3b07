//! Tables without an end, and the queries that stand over them.
//!
//! A standing query runs in small batches, each an ordinary bounded plan over the rows that have come: a
//! `source` reads lines, `shared` keeps them until every query has taken them, `query` runs batch after
//! batch, `cut` carries the state of aggregates from one to the next. Run in one batch over the same rows
//! the same query gives the same answer.

mod bad; // the lines that could not be read, as a table
mod check; // what a standing query may be
mod closing; // when a group is complete
mod cut; // aggregates from batch to batch
mod decode; // whole lines to rows
mod event_time; // the time of rows
mod events; // server-sent events to lines
mod fed; // what a task brings to a reader
mod feed; // a server of lines
mod file_lines; // the lines of a file
mod files; // a sink that is a folder of files
mod folder; // files as a source, those that are added too
mod join; // the inner join of two streams
mod kept; // rows of many batches
mod last_rows; // the last rows of something, as a table
mod late; // rows that come to closed windows
mod lines; // bytes to whole lines
mod options; // what statements say
mod progress; // what each batch did
mod query; // batch after batch
mod rate; // a clock as a source
mod refresh; // tables with an end that are looked at again
mod server_events; // a web server as a source
mod shared; // one read for all queries
mod slot; // the leaf of a kept plan
mod source; // where lines come from
mod state; // the state of one aggregate
mod standing; // the queries of a session
mod table; // a table without an end
mod view; // an answer, readable at any moment
mod watermark; // how far the time of the rows has come

pub use feed::{AtEnd, Clients, Feed, FeedLines, Paced, serve};
pub use file_lines::file_lines;
pub use files::FileTarget;
pub use options::{OutputMode, QueryOptions};
pub use progress::{BatchProgress, Follower};
pub use query::Console;
pub use standing::{StandingQueries, Start, reads_stream};
pub use table::StreamTable;
pub use view::StandingView;
