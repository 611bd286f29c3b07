//! SQL of users: scripts, one-off statements, the statements of the shell.
//!
//! [`split`] cuts a text into [`Statement`]s. A [`Script`] runs them one by one and answers each with
//! rows, with tables or with nothing; it prints nothing. What the engine does not do itself is done
//! here: `COPY … TO` and `INSERT INTO` write through the sink of [`table`](crate::table), `CALL` runs
//! what the command line runs.

mod call; // CALL name(argument => value)
mod copy; // COPY … TO, INSERT INTO
mod dialect; // where SQL differs from the engine's
mod explained; // what was meant by a name that is not known
mod interrupt; // statements that no one waits for
mod pinned; // what a plan reads, kept as it is
mod procedure; // what a script calls
mod replay; // what was published beside the answer of a batch
mod run; // one statement
mod sinks; // tables that rows go to
mod standing; // streams, materialized views, consoles
mod standing_queries; // the table function that lists them
mod statements; // a text into statements
mod summarize; // SUMMARIZE

pub use procedure::{Call, CallResult, NamedTable, Procedures};
pub use run::{Script, StatementResult, Watch};
pub use statements::{Statement, Variables, is_name, is_unfinished, split, without_literals};
