//! Pleiad partitions, clusters and streams tables kept as Parquet on S3-compatible storage.
//!
//! One idea carries all of it: rows stay in their block; SQL computes small partial results per
//! block with our aggregate functions; a driver loop merges them, decides, and runs the next plan.

pub mod error; // one error type, its kinds and exit codes
pub mod event; // what drivers report; nothing here prints
pub mod sizes; // 512MiB, 10g, 256MB
pub mod isa; // loops compiled for each instruction set
pub mod grid; // the sphere: frames, angles, half-open blocks, margins, splitting; pure
pub mod storage; // where bytes live: locations, object stores, credentials
pub mod table; // tables on storage: one sink, one commit, one way to read
pub mod generate; // tables made from a seed; any slice alone gives the same rows
pub mod functions; // what SQL gains: one file a function
pub mod session; // the only place that builds a session of the engine
pub mod partition; // driver: count, split, assign, write
pub mod kmeans; // driver: start, step until still, evaluate
pub mod dbscan; // driver: blocks, local clustering, merge, labels
pub mod inspect; // what is stored: objects, folders, tables, footers
pub mod script; // SQL of users: statements, variables, COPY, CALL
pub mod report; // pictures of answers
pub mod cli; // the command line, the only part that prints
