//! Where bytes live and how they are reached: the only part that reads locations, keys and the
//! environment of S3 tools.
//!
//! A [`Location`] names a place. [`Stores`] opens its [`Store`] with the [`StorageOptions`] and
//! shares it with the engine. What a store or the engine fails with becomes an
//! [`Error`](crate::error::Error) that says which setting to change.

mod buckets; // the buckets of a server
mod crash; // where a test may end this process
mod credentials; // keys and their order of precedence
mod environment; // variables of the process, or of a test
mod errors; // errors of the libraries below, as ours
mod explain; // what a server answers, as a sentence
mod local; // durable files, renames and locks, each call counted
mod location; // s3://, file://, memory://, paths, aliases, patterns
mod mc; // MC_HOST_<alias> and mc's config.json
mod new_file; // a file that grows, past the page cache
mod profile; // the config and credentials files of the AWS tools
mod registry; // stores by bucket, for the engine and for us
mod settings; // flags, and what they and the environment come to
mod store; // one opened store
mod told; // settings as a person may see them
mod wire; // counts requests, decides what is tried again

pub use buckets::Server;
pub use environment::Environment;
pub use local::{LocalFile, LocalFiles, Lock};
pub use location::{Glob, Location};
pub use new_file::NewFile;
pub use registry::Stores;
pub use settings::StorageOptions;
pub use store::{CreateOnly, Pause, Store};
pub use told::Told;
