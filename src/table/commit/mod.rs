//! A run: everything between "may I write here" and "this is published", one function a step.
//!
//! | step | | stopped here |
//! |---|---|---|
//! | 1 preflight | which version is current, what do dead runs leave | nothing is written |
//! | 2 intent | `_runs/<run>/intent.json` | an empty run, removed by the next |
//! | 3 stage | bytes without a name: local parts, open uploads | removed by the next |
//! | 4 account | rows in = rows of the files, no NULL key | removed by the next |
//! | 5 prepare | `_runs/<run>/prepared.json`, the decision | **finished** by the next |
//! | 6 reveal | files get their names | finished by the next |
//! | 7 publish | `_manifest/<n>.json`, create-only | finished by the next |
//! | 8 finish | old files, renderings, report | repeated by the next |
//!
//! So a reader that goes through the manifest sees one version, all of it and nothing else. A
//! reader that only lists sees nothing of a run before step 6, and `_SUCCESS` only beside a whole
//! listing.

pub(crate) mod names; // every name that is not a table's
pub(crate) mod place; // the dataset's location and its few operations
mod probe; // whether a store keeps two writers apart
pub(crate) mod create; // a small file, put only if it is not there
pub(crate) mod record; // what a run leaves for the next
mod process; // this machine and its processes
mod liveness; // whether the process of a run lives
mod versions; // which manifests there are
mod claims; // publishing where a store ignores create-only puts
mod run; // a run, from its begin to its commit
mod preflight; // steps 1 and 2
mod stage; // steps 3 and 4
mod reserve; // room on the disk for what follows the decision
mod finalize; // steps 5 to 7, and the order of all
mod renderings; // step 8: what other tools and people read
mod cleanup; // step 8: what runs and old versions leave
mod resume; // what a dead run kept for another to go on from
mod history; // every run that left a trace
mod check; // what is stored at a location, for a person
mod maintenance; // finish, remove, unlock

pub use check::{Checkup, Finding, Subject, check};
pub use history::{Fate, PastRun, history};
pub use maintenance::{gc, recover, unlock};
pub use preflight::RunOptions;
pub use resume::{DeadRun, Premises};
pub use run::{Begin, Run};
pub(crate) use versions::{current, current_version};
