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
//!
//! Whatever is removed from outside, each state can be left. A decided run whose bytes are gone for good is
//! revoked by a version that says so and holds what the version before it holds.
//!
//! A run starts from one version, its base. If it has read its output, then of that version
//! ([`ReadFrom`]), and it is published right after it or not at all: what it has computed holds for
//! that version only. So the versions of an output are those of some order of its runs, one after the
//! other. Whoever reads an output in order to write to it calls [`finish_decided`] first.

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
mod reads; // what a run has read of its output
mod stage; // steps 3 and 4
mod reserve; // room on the disk for what follows the decision
mod reveal; // step 6: files get their names
mod publish; // step 7: the manifest
mod revoke; // the end of a run that cannot be finished
mod revive; // a manifest that was removed is put again
mod finalize; // steps 5 to 8 in their order
mod kept; // step 8: files of replaced versions, for a while
mod renderings; // step 8: what other tools and people read
mod cleanup; // step 8: what runs and old versions leave
mod resume; // what a dead run kept for another to go on from
mod history; // every run that left a trace
mod findings; // what is found at a location, in sentences
mod check_runs; // runs that are not over
mod check; // what is stored at a location, for a person
mod rollback; // an old version once more
mod without; // a version without one of its tables
mod maintenance; // finish, remove, unlock

pub use check::check;
pub use findings::{Checkup, Finding, Subject};
pub use history::{Fate, PastRun, history};
pub use kept::Keep;
pub use maintenance::{Settle, gc, recover, unlock};
pub use preflight::{RunOptions, finish_decided};
pub use reads::{OwnInput, ReadFrom};
pub use resume::{DeadRun, Premises};
pub use rollback::rollback;
pub use run::{Begin, Run};
pub(crate) use versions::{current, current_version, existing};
pub use without::drop_table;
