//! The sky partitioner without an engine: the same decisions on positions in memory.

use pleiad::cancel::CancelFlag;
use pleiad::grid::{
    Assigner, Assignment, Bounds, Cells, Extent, Frame, Grid, GridShape, Margin, Plan, Rule, Seam,
    Split, Splitting,
};

/// Positions of a frame, in degrees.
pub(crate) type Positions = Vec<(f64, f64)>;

/// A grid over the bounds of the positions.
pub(crate) fn grid_over(positions: &[(f64, f64)], frame: Frame, shape: GridShape) -> Grid {
    let extent = extent_of(positions, Seam::Auto);
    let bounds = extent.bounds().expect("positions");
    Grid::new(frame, extent.seam_deg(), bounds, shape).unwrap()
}

/// The extent of positions.
pub(crate) fn extent_of<'a>(
    positions: impl IntoIterator<Item = &'a (f64, f64)>,
    seam: Seam,
) -> Extent {
    let mut extent = Extent::new(seam);
    for (lon, lat) in positions {
        extent.add(*lon, *lat);
    }
    extent
}

/// Rows per cell.
pub(crate) fn count(cells: &Cells, positions: &[(f64, f64)]) -> Vec<u64> {
    let mut counts = vec![0; cells.count()];
    for (lon, lat) in positions {
        if let Some(cell) = cells.index_of(*lon, *lat) {
            counts[cell as usize] += 1;
        }
    }
    counts
}

/// Splits until no block holds more than `max_rows`, as the driver does.
pub(crate) fn split(
    grid: Grid,
    positions: &[(f64, f64)],
    rule: Rule,
    max_rows: u64,
    margin: Margin,
) -> Split {
    let seam = Seam::At(grid.seam_deg());
    let base = Cells::of_blocks(Plan::uncut(grid.clone(), Margin::None));
    let mut splitting = Splitting::new(grid, &count(&base, positions), rule, max_rows).unwrap();
    while let Some(cells) = splitting.next_cells(&CancelFlag::default()).unwrap() {
        let cells = Cells::decode(&cells.encode()).unwrap();
        splitting.take_counts(&cells, &count(&cells, positions), &CancelFlag::default()).unwrap();
        if splitting.has_crowded() {
            let plan = splitting.plan(&CancelFlag::default()).unwrap();
            let extents: Vec<(u32, Bounds)> = splitting
                .crowded()
                .into_iter()
                .map(|id| {
                    let rows = positions.iter().filter(|p| plan.block_of(p.0, p.1) == Some(id));
                    (id, extent_of(rows, seam).bounds().expect("rows"))
                })
                .collect();
            splitting.take_extents(&extents).unwrap();
        }
    }
    splitting.finish(margin, &CancelFlag::default()).unwrap()
}

/// The places of every position.
pub(crate) fn places(places: &Assigner, positions: &[(f64, f64)]) -> Vec<Vec<Assignment>> {
    positions
        .iter()
        .map(|(lon, lat)| {
            let mut found = Vec::new();
            places.assign(*lon, *lat, &mut found);
            found
        })
        .collect()
}
