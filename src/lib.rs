//! Pleiad partitions and clusters tables kept as Parquet on S3-compatible storage, with SQL on Apache
//! DataFusion. This is its library; the program `pleiad` is a thin layer over it.
//!
//! One idea carries all of it: **rows stay in their block. SQL computes small partial results per block
//! with our aggregate functions; a driver loop merges them, decides, and runs the next plan, until
//! done.**
//!
//! # Write a table, cluster it, print the centroids
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow::array::{ArrayRef, Float64Array, RecordBatch};
//! use pleiad::event::Silent;
//! use pleiad::kmeans::{self, Options, Params};
//! use pleiad::session::{Session, SessionOptions};
//! use pleiad::storage::{StorageOptions, Stores};
//! use pleiad::table::{Begin, Run, RunOptions, Source, SourceOptions, TableSpec};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let place = folder.path().join("points").display().to_string();
//! // Stores find S3 endpoints and keys where `aws` and `mc` do. A session has memory and threads.
//! let stores = Stores::new(StorageOptions::default());
//! let session = Session::new(Arc::clone(&stores), &SessionOptions::default())?;
//!
//! // Any plan of DataFusion can be written: here, four rows. `place` is a directory, or s3://….
//! let x: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 1.2, 8.0, 8.4]));
//! let y: ArrayRef = Arc::new(Float64Array::from(vec![2.0, 2.2, 5.0, 5.4]));
//! let rows = RecordBatch::try_from_iter([("x", x), ("y", y)])?;
//! let plan = session.context().read_batch(rows)?.into_unoptimized_plan();
//! let out = stores.parse(&place)?;
//! if let Begin::Run(run) = Run::begin(&stores, &out, RunOptions::default()).await? {
//!     let table = TableSpec { name: "points".to_owned(), ..TableSpec::default() };
//!     run.write(&session.state(), plan, table, &Silent).await?;
//!     run.commit([].into()).await?; // from here on it is visible, as a whole
//! }
//!
//! // Two clusters. `None`: the result is returned and not published.
//! let columns = vec!["x".to_owned(), "y".to_owned()];
//! let params = Params::new(Options { columns, k: Some("2".parse()?), ..Options::default() })?;
//! let source = Source::open(&stores, &place, &SourceOptions::default()).await?;
//! let outcome = kmeans::run(&session, source, &params, None, None, &Silent).await?;
//! let best = outcome.models.iter().find(|model| model.best).expect("one is the best");
//! for centroid in best.centroids.rows() {
//!     println!("{centroid:.1}"); // [8.2, 5.2] and [1.1, 2.1]
//! }
//! # let mut x: Vec<f64> = best.centroids.column(0).to_vec();
//! # x.sort_by(f64::total_cmp);
//! # assert!((x[0] - 1.1).abs() < 1e-9 && (x[1] - 8.2).abs() < 1e-9, "{x:?}");
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Where to go from here
//!
//! - A job: [`generate`], [`partition`], [`kmeans`], [`dbscan`]. Each has `Options` as a user writes
//!   them, `Params` that are checked, and `run`.
//! - Data: [`table::Source`] reads a dataset, a directory, a Parquet or CSV file;
//!   [`table::Run`] writes a dataset.
//! - SQL: [`session::Session`] plans and runs; [`script`] runs texts as `pleiad sql` does; the functions
//!   that SQL gains are in [`functions`].
//! - Progress: give a driver an [`event::Observer`]. Dropping the future of a driver stops it; its output
//!   is then as it was before ([`cleanup`]).
//! - Errors: [`error::Error`] has a [`error::Kind`], and says whether trying again can help.
//!
//! # Words
//!
//! | elsewhere | here |
//! | --- | --- |
//! | Spark: application, `spark-submit` | a command (`pleiad kmeans …`) or a driver ([`kmeans::run`]) |
//! | Spark: driver | a driver: the loop that plans SQL, merges what it answers and decides |
//! | Spark: executor cores, local\[N\] | `--threads N`, [`session::SessionOptions::threads`] |
//! | Spark: partition of an RDD | a stream of the engine; a *partition* is a value of a Hive key, `id_pref=1` |
//! | Spark: `DataFrame.write.mode("append")` | [`table::Mode`], with Spark's names |
//! | Spark: `_SUCCESS` | the manifest, `_manifest/00000001.json`; `_SUCCESS` is there for other readers |
//! | Spark: accumulator, `treeAggregate` | an aggregate function of SQL ([`functions`]) |
//! | programs of 2017: versions V1 to V4 | presets `v1` to `v4` of [`partition`] |
//! | programs of 2017: zone, file per block | block; layout `parts` writes one text file per block |
//! | programs of 2017: overlap, neighbour rows | margin rows, in a table of their own |
//! | programs of 2017: their ecliptic formulas | frame `legacy2017`, kept bug for bug |
//! | HATS: catalogue collection | a dataset: tables, properties and a manifest, published as a whole |
//! | HATS: pixel (`Norder`, `Npix`) | block (`block=12/`): a region with edges of its own |
//! | HATS: margin cache, margin threshold | table `margins`, margin radius |
//!
//! # Features
//!
//! `cli` (default) is the command line with its crates, and an allocator for the program. A library
//! needs `default-features = false` only.
//!
//! # The modules, in reading order

/// The pure core, in a package of its own: what ends work that no one waits for; k-means without an engine;
/// the sphere; loops compiled for each instruction set; random bits from a counter.
pub use pleiad_core::{cancel, centroids, grid, isa, splitmix};

pub mod error; // one error type, its kinds and exit codes
pub mod cleanup; // what a dropped run or upload leaves to be done
pub mod event; // what drivers report; nothing here prints
pub mod compute; // work off the threads that serve async code
pub mod intervals; // lengths of time as people write them in SQL: 10 seconds
pub mod sizes; // sizes as people write them: 512MiB, 10g, 256MB
pub mod storage; // where bytes live: locations, object stores, credentials
pub mod table; // tables on storage: one sink, one commit, one way to read
pub mod generate; // tables made from a seed; any slice alone gives the same rows
pub mod functions; // what SQL gains: one file per function
pub mod session; // the only place that builds a session of the engine
pub mod partition; // driver: count, split, assign, write
pub mod kmeans; // driver: start, step until still, evaluate
pub mod dbscan; // driver: blocks, local clustering, merge, labels
pub mod objects; // objects and folders: listed, read, copied, removed
pub mod inspect; // questions about tables: columns, rows, footers
pub mod stream; // tables without an end: lines to rows
pub mod script; // SQL of users: statements, variables, COPY, CALL
pub mod report; // pictures of answers
#[doc(hidden)]
pub mod fuzzing; // readers of bytes of unknown origin, for the fuzzer and the tests
#[cfg(feature = "cli")]
pub mod cli; // the command line, the only part that prints
