//! Red flags: parameters that cannot give what was wanted, said in numbers and with a remedy.
//!
//! Before a run they follow from counts by cell, and are said only where these leave no doubt; after
//! it from the result. The idea is that of Schubert et al. (TODS 2017, doi 10.1145/3068335, §5); the
//! limits are ours.

use crate::dbscan::options::Params;
use crate::dbscan::outcome::Outcome;
use crate::dbscan::plan::count::SummedCells;

/// Rows of a table below which no share says anything.
pub(super) const FEW_ROWS: u64 = 100;
/// A row near to this share of all rows or more: eps is too large.
const NEAR_SHARE: f64 = 0.05;
/// This share of core rows or more: eps may be too large.
const CORE_SHARE: f64 = 0.999;
/// So few core rows or less: eps is too small.
const CORE_SHARE_LOW: f64 = 0.01;
/// One cluster of this share or more.
const ONE_CLUSTER_SHARE: f64 = 0.9;
/// So much noise or more.
const NOISE_SHARE: f64 = 0.9;
/// What counts by cell say of a table of `rows` rows.
pub(crate) fn before<const D: usize>(
    counts: &SummedCells<D>,
    rows: u64,
    params: &Params,
) -> Vec<String> {
    if rows < FEW_ROWS {
        return Vec::new();
    }
    let (eps, min_points) = (params.density().eps(), params.density().min_points() as u64);
    let (mut near, mut sure, mut never) = (0.0, 0, 0);
    // Rows of a cell this narrow are all near each other.
    let is_narrow = counts.side() * (D as f64).sqrt() <= eps * (1.0 - 1e-9);
    // The ball of radius eps, as a part of the box of cells that surely holds it.
    let reach = (eps / counts.side()).ceil();
    let side = (2.0 * reach + 1.0) * counts.side();
    let ball = if D == 2 { std::f64::consts::PI } else { 4.0 / 3.0 * std::f64::consts::PI };
    let part = ball * (eps / side).powi(if D == 2 { 2 } else { 3 });
    counts.each(|lo, hi, own| {
        let around = own + counts.ring_of(lo, hi, eps);
        near += own as f64 * around as f64 * part;
        if is_narrow && own >= min_points {
            sure += own;
        }
        if around < min_points {
            never += own;
        }
    });
    let all = rows as f64;
    let mut flags = Vec::new();
    let near_share = near / all / all;
    if near_share >= NEAR_SHARE {
        flags.push(format!(
            "a row has about {:.0} rows within eps of it, {} of the table: eps is {}, use a smaller \
             one",
            near / all,
            percent(near_share),
            params.space().eps()
        ));
    }
    if sure as f64 / all >= CORE_SHARE {
        flags.push(format!(
            "{} of the rows are certain to be core, so hardly any row will be noise: use a smaller \
             eps, or --min-points above {min_points}",
            percent(sure as f64 / all)
        ));
    }
    if never as f64 / all >= 1.0 - CORE_SHARE_LOW {
        flags.push(format!(
            "at most {} of the rows can be core, so nearly all will be noise: eps is {}, use a \
             larger one, or --min-points below {min_points}",
            percent(1.0 - never as f64 / all),
            params.space().eps()
        ));
    }
    flags
}

/// What a result says; the margins of stored blocks follow from no choice of this run.
pub(crate) fn after(
    outcome: &Outcome,
    largest: u64,
    params: &Params,
    is_stored: bool,
) -> Vec<String> {
    let usable = outcome.rows - outcome.skipped;
    if usable < FEW_ROWS {
        return Vec::new();
    }
    let counts = &outcome.counts;
    let of = |part: u64, all: u64| part as f64 / all.max(1) as f64;
    let (eps, min_points) = (params.space().eps(), params.density().min_points());
    let core = of(counts.core, usable);
    let clustered = counts.core + counts.border;
    let mut flags = Vec::new();
    if core >= CORE_SHARE {
        flags.push(format!(
            "{} of the rows are core: eps {eps} may be too large, or --min-points {min_points} too small",
            percent(core)
        ));
    } else if core <= CORE_SHARE_LOW {
        flags.push(format!(
            "{} of the rows are core: eps {eps} may be too small, or --min-points {min_points} too large",
            percent(core)
        ));
    } else if of(counts.noise, usable) >= NOISE_SHARE {
        flags.push(format!(
            "{} of the rows are noise: eps {eps} may be too small, or --min-points {min_points} too large",
            percent(of(counts.noise, usable))
        ));
    }
    if outcome.clusters() > 1 && of(largest, clustered) >= ONE_CLUSTER_SHARE {
        flags.push(format!(
            "one cluster holds {} of the clustered rows: eps {eps} may be too large",
            percent(of(largest, clustered))
        ));
    }
    if outcome.margin_rows() > usable && !is_stored {
        flags.push(format!(
            "{} rows were read as margin rows, more than the {usable} own rows: eps {eps} is large \
             for blocks that fit in memory; raise --memory-limit or --max-rows, or use a smaller eps",
            outcome.margin_rows()
        ));
    }
    flags
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbscan::options::Options;
    use crate::dbscan::plan::cells::{CellGrid, Region};
    use crate::dbscan::plan::count::CostModel;

    /// The flags of a square lattice of 100 x 100 rows of step 1.
    fn flags(eps: f64, min_points: usize) -> Vec<String> {
        let column = |name: &str| Some(name.to_owned());
        let (x, y, min) = (column("x"), column("y"), Some(min_points));
        let options = Options { x, y, eps: Some(eps), min_points: min, ..Options::default() };
        let params = Params::new(options).unwrap();
        let grid = CellGrid::over(Region::EVERYWHERE, ([0.0; 2], [99.0; 2]), 10_000, eps);
        let mut counts = vec![0; grid.cells()];
        for i in 0..100 {
            for j in 0..100 {
                counts[grid.cell_of(&[f64::from(i), f64::from(j)])] += 1;
            }
        }
        let counts = SummedCells::new(&grid, counts, &CostModel { eps, min_points });
        before(&counts, 10_000, &params)
    }

    #[test]
    fn hopeless_parameters_are_flagged_before_the_run() {
        assert_eq!(flags(1.5, 5), Vec::<String>::new());
        let large = flags(20.0, 5);
        assert!(
            large[0].starts_with("a row has about ") && large[0].ends_with("use a smaller one")
        );
        assert!(large[1].starts_with("100.0 % of the rows are certain to be core"), "{large:?}");
        let small = flags(0.4, 20);
        assert!(small[0].starts_with("at most 0.0 % of the rows can be core"), "{small:?}");
    }
}
