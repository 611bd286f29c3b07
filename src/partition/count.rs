//! Counting: the extent of all rows, the grid, the rows of its blocks, and the splitting of those
//! that hold too many. Decisions need only counts.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::scalar::ScalarValue;

use super::catalogue::Catalogue;
use super::options::{Coverage, GridSize, Params};
use crate::compute::compute;
use crate::error::{Error, Result};
use crate::event::{Event, Observer, Unit};
use crate::functions::{TableExtent, read_block_counts, read_extent};
use crate::grid::{
    Bounds, Cells, Extent, Frame, Grid, GridShape, Margin, Plan, Seam, Split, Splitting,
    blocks_for_bytes,
};
use crate::table::input_changed;

const EXTENT: &str = include_str!("../../sql/steps/partition_extent.sql");
const COUNT: &str = include_str!("../../sql/steps/partition_count.sql");
const DENSE: &str = include_str!("../../sql/steps/partition_dense.sql");
const FAULTS: &str = include_str!("../../sql/steps/partition_faults.sql");
const PLACES: &str = include_str!("../../sql/steps/partition_places.sql");

/// Where the cut is looked for that keeps a field across 0/360 whole.
const AUTO_CUT_DEG: f64 = 180.0;

/// What counting has found.
pub struct CountResult {
    /// The blocks with their own rows.
    pub split: Arc<Split>,
    /// All rows.
    pub rows: u64,
    /// Rows without a position, by reason.
    pub faults: Vec<(String, u64)>,
}

impl CountResult {
    /// Rows without a position.
    pub fn bad(&self) -> u64 {
        self.faults.iter().map(|(_, rows)| rows).sum()
    }
}

/// Lays the grid, counts, splits.
///
/// # Errors
/// No usable position; an input that changes while it is read; the engine's.
pub async fn count(
    input: &mut Catalogue,
    params: &Params,
    watch: &dyn Observer,
) -> Result<CountResult> {
    let bounds = params.options().bounds;
    let again = bounds == Coverage::Data || params.max_rows().is_some() || params.options().dry_run;
    input.read_positions(again, watch).await?;
    watch.report(Event::Stage { name: "counting".into(), total: None, unit: Unit::Steps });
    let extent = match bounds {
        Coverage::Data => Some(extent(input, params.options().seam).await?),
        Coverage::Sky => None,
    };
    let grid = grid(input, params, extent.as_ref(), watch)?;
    let (base, margin) = (grid.clone(), params.margin());
    let cells = compute(move |_| Ok(Cells::of_blocks(Plan::uncut(base, Margin::None)))).await?;
    let (_, found) = rows_of(input, cells).await?;
    if found.usable == 0 {
        return Err(Error::data(match found.rows {
            0 => format!("'{}' has no rows, expected at least one", input.table().name),
            rows => format!("none of the {rows} rows of '{}' has a position", input.table().name),
        }));
    }
    if found.counts.iter().sum::<u64>() != found.usable {
        return Err(input_changed("rows lie outside the bounds that were measured"));
    }
    let (rows, usable, counts) = (found.rows, found.usable, found.counts);
    let split = match params.max_rows() {
        None => {
            compute(move |_| {
                let (plan, dense) = (Plan::uncut(grid, margin), vec![false; counts.len()]);
                Ok(Split { plan, own_rows: counts, dense, rounds: 0 })
            })
            .await?
        }
        Some(max_rows) => {
            let rule = params.options().split;
            let splitting = compute(move |_| Ok(Splitting::new(grid, &counts, rule, max_rows)?));
            split(input, splitting.await?, margin, watch).await?
        }
    };
    watch.report(Event::Done);
    let bad = rows - usable;
    let faults = if bad == 0 { Vec::new() } else { faults(input).await? };
    if faults.iter().map(|(_, rows)| rows).sum::<u64>() != bad {
        return Err(input_changed("the number of rows without a position differs"));
    }
    Ok(CountResult { split: Arc::new(split), rows, faults })
}

/// The margin rows of each block.
///
/// # Errors
/// The engine's.
pub async fn margin_rows(input: &Catalogue, split: &Arc<Split>) -> Result<Vec<u64>> {
    let mut rows = vec![0; split.plan.blocks().len()];
    for batch in input.rows(PLACES, &[], vec![bound_plan(split).await?]).await? {
        rows = compute(move |_| {
            let places = batch.column(0).as_primitive::<Int32Type>().values();
            let counts = batch.column(1).as_primitive::<Int64Type>().values();
            for (place, count) in places.iter().zip(counts).filter(|(place, _)| *place % 2 == 1) {
                let block = usize::try_from(*place / 2).ok().and_then(|id| rows.get_mut(id));
                *block.ok_or_else(|| Error::internal("a place without block"))? =
                    count.unsigned_abs();
            }
            Ok(rows)
        })
        .await?;
    }
    Ok(rows)
}

/// The plan as the value of a step.
///
/// # Errors
/// Never.
pub async fn bound_plan(split: &Arc<Split>) -> Result<(&'static str, ScalarValue)> {
    let split = Arc::clone(split);
    let bytes = compute(move |_| Ok(split.plan.encode())).await?;
    Ok(("plan", ScalarValue::BinaryView(Some(bytes))))
}

/// The extent of all positions.
async fn extent(input: &Catalogue, seam: Seam) -> Result<Extent> {
    let cut = match seam {
        Seam::Auto => AUTO_CUT_DEG,
        Seam::At(deg) => deg,
    };
    let rows = input.rows(EXTENT, &[], vec![("cut", ScalarValue::from(cut))]).await?;
    let row = only(&rows)?;
    Ok(of_table(&read_extent(row.column(0), 0)?, seam))
}

/// An extent of (lon, cut lon, lat) as the grid knows it.
fn of_table(found: &TableExtent, seam: Seam) -> Extent {
    let range = |column: usize| (found.columns[column].lo, found.columns[column].hi);
    let mut extent = Extent::new(seam);
    extent.rows = found.usable;
    (extent.lon, extent.cut_lon, extent.lat) = (range(0), range(1), range(2));
    extent
}

fn only(rows: &[RecordBatch]) -> Result<&RecordBatch> {
    let row = rows.iter().find(|batch| batch.num_rows() == 1);
    row.ok_or_else(|| Error::internal("a step gave no row"))
}

/// The grid over the bounds, in the shape that the size of the input asks for.
fn grid(
    input: &Catalogue,
    params: &Params,
    extent: Option<&Extent>,
    watch: &dyn Observer,
) -> Result<Grid> {
    let (seam_deg, bounds) = match extent {
        Some(extent) => (extent.seam_deg(), extent.bounds()),
        None => {
            let seam_deg = match params.options().seam {
                Seam::Auto => 0.0,
                Seam::At(deg) => deg,
            };
            (seam_deg, Some(Bounds::sky(seam_deg)))
        }
    };
    // Without rows any grid will do: counting says what is wrong.
    let bounds = bounds.unwrap_or_else(|| Bounds::sky(seam_deg));
    let shape = match params.size() {
        GridSize::Shape(shape) => shape,
        GridSize::Bytes(block_bytes) => {
            GridShape::of_blocks(blocks_for_bytes(input.bytes().max(1), block_bytes)?)?
        }
    };
    if shape.is_slender() {
        watch.report(Event::Warning(format!(
            "the grid is {shape}, which makes long slivers: pass --grid COLSxROWS for another shape"
        )));
    }
    Ok(Grid::new(params.frame().unwrap_or(Frame::Equatorial), seam_deg, bounds, shape)?)
}

/// What one counting finds.
struct CellCounts {
    rows: u64,
    usable: u64,
    counts: Vec<u64>,
}

async fn rows_of(input: &Catalogue, cells: Cells) -> Result<(Cells, CellCounts)> {
    let (cells, bytes) = compute(move |_| {
        let bytes = cells.encode();
        Ok((cells, bytes))
    })
    .await?;
    let bound = ("cells", ScalarValue::BinaryView(Some(bytes)));
    let rows = input.rows(COUNT, &[], vec![bound]).await?;
    let row = only(&rows)?.clone();
    let found = compute(move |_| {
        let number = |column: usize| row.column(column).as_primitive::<Int64Type>().value(0);
        Ok(CellCounts {
            rows: number(0).unsigned_abs(),
            usable: number(1).unsigned_abs(),
            counts: read_block_counts(row.column(2), 0)?,
        })
    });
    Ok((cells, found.await?))
}

async fn split(
    input: &Catalogue,
    mut splitting: Splitting,
    margin: Margin,
    watch: &dyn Observer,
) -> Result<Split> {
    let mut rounds = 0;
    loop {
        let (next, cells) = compute(move |stop| {
            let cells = splitting.next_cells(stop)?;
            Ok((splitting, cells))
        })
        .await?;
        splitting = next;
        let Some(cells) = cells else { break };
        let (cells, found) = rows_of(input, cells).await?;
        splitting = compute(move |stop| {
            splitting.take_counts(&cells, &found.counts, stop)?;
            Ok(splitting)
        })
        .await?;
        if splitting.has_crowded() {
            splitting = take_extents(input, splitting).await?;
        }
        rounds += 1;
        watch.report(Event::Progress { done: rounds });
    }
    compute(move |stop| Ok(splitting.finish(margin, stop)?)).await
}

/// Decides on crowded blocks by the bounds of their rows.
async fn take_extents(input: &Catalogue, splitting: Splitting) -> Result<Splitting> {
    let (mut splitting, seam_deg, plan, blocks) = compute(move |stop| {
        let plan = splitting.plan(stop)?;
        let blocks: Vec<_> = splitting.crowded().iter().map(ToString::to_string).collect();
        Ok((splitting, plan.grid().seam_deg(), plan.encode(), blocks.join(", ")))
    })
    .await?;
    let values =
        vec![("plan", ScalarValue::BinaryView(Some(plan))), ("cut", ScalarValue::from(seam_deg))];
    let batches = input.rows(DENSE, &[("blocks", &blocks)], values).await?;
    compute(move |_| {
        let mut extents = Vec::new();
        for batch in batches {
            let ids = batch.column(0).as_primitive::<Int32Type>();
            for row in 0..batch.num_rows() {
                let extent = of_table(&read_extent(batch.column(1), row)?, Seam::At(seam_deg));
                let id = u32::try_from(ids.value(row)).ok().zip(extent.bounds());
                extents.push(id.ok_or_else(|| Error::internal("a block without number or rows"))?);
            }
        }
        splitting.take_extents(&extents)?;
        Ok(splitting)
    })
    .await
}

/// Rows without a position by reason, most frequent first.
async fn faults(input: &Catalogue) -> Result<Vec<(String, u64)>> {
    let mut faults = Vec::new();
    for batch in input.rows(FAULTS, &[], Vec::new()).await? {
        let reasons = batch.column(0).as_string::<i32>();
        let rows = batch.column(1).as_primitive::<Int64Type>().values();
        let named = reasons.iter().map(|reason| reason.unwrap_or_default().to_owned());
        faults.extend(named.zip(rows.iter().map(|rows| rows.unsigned_abs())));
    }
    faults.sort_by(|a: &(String, u64), b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(faults)
}
