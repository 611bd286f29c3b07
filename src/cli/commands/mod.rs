//! The commands, one file each.

mod batch_log; // who follows standing queries
pub(super) mod batches; // of standing queries
mod call; // procedures of SQL
pub(super) mod cat; // `pleiad cat`
pub(super) mod check; // `pleiad check`
pub(super) mod completions; // `pleiad completions`
pub(super) mod config; // `pleiad config show`
pub(super) mod count; // `pleiad count`
pub(super) mod cp; // `pleiad cp`
pub(super) mod dbscan; // `pleiad dbscan`
pub(super) mod demo; // `pleiad demo`
pub(super) mod du; // `pleiad du`
pub(super) mod feed; // `pleiad feed`
pub(super) mod find; // `pleiad find`
pub(super) mod gc; // `pleiad gc`
pub(super) mod generate; // `pleiad generate`
pub(super) mod head; // `pleiad head`
pub(super) mod kdistance; // `pleiad kdistance`
pub(super) mod kmeans; // `pleiad kmeans`
pub(super) mod ls; // `pleiad ls`
pub(super) mod man; // `pleiad man`
pub(super) mod mb; // `pleiad mb`
pub(super) mod meta; // `pleiad meta`
pub(super) mod mirror; // `pleiad mirror`
pub(super) mod mv; // `pleiad mv`
pub(super) mod partition; // `pleiad partition`
pub(super) mod plot; // `pleiad plot`
mod plot_clusters; // pictures of a result of k-means
mod plot_columns; // pictures of columns
mod plot_stream; // the batches of standing queries
pub(super) mod predict; // `pleiad predict`
pub(super) mod presign; // `pleiad presign`
pub(super) mod procedure; // the commands that SQL can call
pub(super) mod recover; // `pleiad recover`
pub(super) mod rm; // `pleiad rm`
pub(super) mod rollback; // `pleiad rollback`
pub(super) mod run; // `pleiad run`
pub(super) mod schema; // `pleiad schema`
mod shell; // the prompt of `pleiad sql`
mod shell_commands; // what can be typed there besides SQL
pub(super) mod show; // `pleiad show`
pub(super) mod sql; // `pleiad sql`
pub(super) mod stat; // `pleiad stat`
mod source_flags; // flags of commands that only read tables
pub(super) mod summary; // `pleiad summary`
pub(super) mod tree; // `pleiad tree`
pub(super) mod unlock; // `pleiad unlock`
