//! Where bytes live and how they are reached: the only part that reads locations, keys and the
//! environment of S3 tools.
//!
//! A [`Location`] names a place. [`Stores`] opens its [`Store`] with the [`StorageOptions`] and
//! shares it with the engine. What a store or the engine fails with becomes an
//! [`Error`](crate::error::Error) that says which setting to change. A new object is written by
//! [`Upload`].

mod crash; // where a test may end this process
mod effects; // what a test learns of changes on local disks
mod environment; // variables of the process, or of a test
mod errors; // errors of the libraries below, as ours
mod explain; // what a server answers, as a sentence
mod files_store; // local files behind the calls of an object store
mod held_parts; // what a server still holds of an upload
mod local; // durable files and renames, each call counted
mod location; // s3://, file://, memory://, paths, aliases, patterns
mod lock; // locks on files, and whom they keep out
mod locked; // a file that is locked while it is open
mod new_file; // a file that grows, past the page cache
mod registry; // stores by bucket, for the engine and for us
mod s3; // servers, settings, keys, requests
mod schemes; // the one list of schemes
mod store; // one opened store
mod upload; // the one writer of a new object
mod web; // an answer of a web server, as it comes

pub use environment::Environment;
pub(crate) use local::blocking;
pub use local::{LocalFile, LocalFiles};
pub use location::{Glob, Location};
pub use lock::Lock;
pub use new_file::NewFile;
pub use registry::Stores;
pub use s3::buckets::Server;
pub use s3::presign::LinkTo;
pub use s3::settings::StorageOptions;
pub use s3::shown::ShownSetting;
pub use s3::uploads::UnfinishedUpload;
pub use store::{CreateOnly, Pause, Store};
pub(crate) use upload::{BEAT, SILENCE, abort_upload, is_upload_note};
pub use upload::{Create, Finished, HiddenObject, NotedUpload, PendingFile, Upload};
pub(crate) use web::{WebAnswer, WebClient};
