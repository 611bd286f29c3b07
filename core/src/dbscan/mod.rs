//! Exact DBSCAN of one block: coordinates in, labels and contacts out.
//!
//! Cells of side eps/√D, so that rows of one cell are always near each other (Gunawan 2013); the
//! graph of cells with core rows, the plainest pairs first (Wang, Gu, Shun, SIGMOD 2020, doi
//! 10.1145/3318464.3380582). In reading order:
//!
//! 1. `cells.rs`: rows sorted by cell. A row and its near rows lie at most two cells apart.
//! 2. `core.rs`: which own rows are core. No neighbour list is ever made.
//! 3. `connect.rs`: union-find over the cells that hold core rows.
//! 4. `border.rs`: the clusters near every other row, and the [`Contacts`] with other blocks.
//!
//! `D` is 2 or 3; the sky is `D` = 3 with unit vectors and the [chord](Density::on_sphere).
//! *Near* means d² <= eps², d² the sum of squared differences in the order of the axes, in float64
//! without fused operations and without a root: the comparison of scikit-learn's kd-tree, ties
//! included. `-0.0` counts as `0.0`. There are no NULLs here; NaN and infinities are refused.
//!
//! Everything that skips a distance is safe by monotony, not by slack: see `hull.rs`.
//!
//! One thread, no IO, no Arrow. The same labels and contacts for rows in the same order.

mod border;
mod cells;
mod connect;
mod contact;
mod core;
mod density;
mod forest;
mod hull;
mod label;
mod radix;
pub mod sort; // sorting that can be stopped
mod watch;
mod window;

use std::sync::atomic::AtomicBool;

use crate::error::Result;

use cells::Cells;
use connect::connect;
use core::{Cores, mark_cores};

pub use contact::{Contacts, Export, Point, Reach, Touch};
pub use density::Density;
pub use label::{Cluster, Label, LabelKind, Local};
pub use watch::{Watch, stopped};

/// Memory that [`cluster`] needs for a row of 2-D at most, its input included.
///
/// Reached when every row is alone in its cell and core; data with several rows to a cell needs
/// under half. The contacts come on top: 24 bytes for a row that other blocks copied or a margin row.
pub const ROW_BYTES_2D: usize = 104;
/// The same in 3-D. The contacts are 32 bytes each.
pub const ROW_BYTES_3D: usize = 136;

/// Clusters one block: `rows` are its own rows, `own` of them, then its margin rows.
///
/// The margin must hold every row of the table that is near one of the own rows; more does no harm.
/// `copied` says whether a row at this place may be a margin row of another block; saying yes too
/// often costs memory only. With one block for all, `own` is `rows.len()` and `copied` is never.
///
/// `stop` is read all the time; once it is true, the answer is `None`, within milliseconds.
///
/// # Errors
/// A coordinate that is NaN or infinite; a block that is too wide for its eps (2^32 cells) or has
/// too many rows (2^30): split it.
///
/// # Panics
/// If `own` is larger than the number of rows.
pub fn cluster<const D: usize>(
    rows: Vec<[f64; D]>,
    own: usize,
    density: &Density,
    copied: impl Fn(&[f64; D]) -> bool,
    stop: &AtomicBool,
) -> Result<Option<Local<D>>> {
    const { assert!(D == 2 || D == 3, "cells are made for two and three dimensions") }
    assert!(own <= rows.len(), "own rows are among the rows");
    let watch = Watch::new(stop);
    let Some(cells) = Cells::sort(rows, own, density, watch)? else { return Ok(None) };
    Ok(phases(cells, density, copied, watch))
}

/// What follows the sort; `None` once it has been asked to stop.
fn phases<const D: usize>(
    mut cells: Cells<D>,
    density: &Density,
    copied: impl Fn(&[f64; D]) -> bool,
    watch: Watch<'_>,
) -> Option<Local<D>> {
    let core = mark_cores(&cells, density, watch)?;
    let cores = Cores::gather(&mut cells, &core, watch)?;
    drop(core);
    let clusters = connect(&cells, &cores, density, watch)?;
    border::label(&cells, &cores, &clusters, density, copied, watch)
}
