//! Splitting until no block holds more than `max_rows` own rows: decisions on counts alone.

use std::ops::Range;
use std::str::FromStr;

use super::base::{Block, Grid};
use super::cells::{MAX_CELLS, Part};
use super::{Bounds, Cells, Edges, Margin, Plan, stop};
use crate::cancel::CancelFlag;
use crate::error::{Error, Kind, Result};

/// Cells a side of an open block, where few are open.
const CELLS_A_SIDE: u32 = 64;

/// After this number of rounds a block stays as it is.
const MAX_ROUNDS: u32 = 32;

/// How a block that is too full is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rule {
    /// In halves by rows, across the longer side.
    #[default]
    Balanced,
    /// In equal slices of longitude.
    Lon,
}

impl Rule {
    /// The name a user writes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Lon => "lon",
        }
    }
}

impl FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "balanced" => Ok(Self::Balanced),
            "lon" => Ok(Self::Lon),
            _ => Err(Error::usage(format!("split is '{text}', expected balanced or lon"))),
        }
    }
}

/// A splitting under way.
///
/// ```text
/// splitting = Splitting::new(grid, rows of the base blocks, …)
/// while let Some(cells) = splitting.next_cells()
///     splitting.take_counts(cells, rows per cell)          one query: block_counts
///     if splitting.has_crowded()
///         splitting.take_extents(extent per crowded block)   one query: extent
/// splitting.finish(margin)
/// ```
///
/// What may take long looks at a flag, `stop`, and ends with an error soon after it is raised.
///
/// A block that is too full is *open*. Its cells are counted, then it is cut:
///
/// - [`Rule::Balanced`]: across its longer side in true angle, at the edge of a cell where the two
///   parts are most equal and none is empty, and so on inside, until a part has few enough rows
///   or all its rows are in one cell.
/// - [`Rule::Lon`]: into `ceil(rows / max_rows)` equal slices of longitude; the rule of 2017 done
///   right. Slices may be empty.
///
/// A block whose rows are all in one cell is *crowded*: the extent of its rows decides. Rows in
/// one place (for `Lon`: at one longitude) cannot be separated, so the block stays as it is,
/// *dense*. So it does where no float is left for a cut, and after 32 rounds. Otherwise the next
/// round counts finer: inside the extent, or for `Lon` inside the slice that holds all.
#[derive(Debug, Clone)]
pub struct Splitting {
    grid: Grid,
    rule: Rule,
    max_rows: u64,
    pieces: Vec<Piece>,
}

/// A block as it is so far. The pieces always tile the grid.
#[derive(Debug, Clone)]
struct Piece {
    parent: u32,
    bounds: Bounds,
    rows: u64,
    rounds: u32,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Few enough rows.
    Fits,
    /// Too full: count the cells of this region, which holds all rows.
    Open(Bounds),
    /// Too full, all rows in one cell of this region, which has this number of columns of cells.
    Crowded { region: Bounds, columns: u32 },
    /// Too full, and to stay so.
    Dense,
}

/// What a splitting has found.
#[derive(Debug, Clone)]
pub struct Split {
    /// Blocks with own rows by parent, longitude, latitude; then those without.
    pub plan: Plan,
    /// Own rows by block.
    pub own_rows: Vec<u64>,
    /// Which blocks hold more than `max_rows` because their rows cannot be separated.
    pub dense: Vec<bool>,
    /// How often rows were counted, base blocks apart.
    pub rounds: u32,
}

impl Splitting {
    /// Begins with the own rows of the base blocks, in the order of their ids.
    ///
    /// # Errors
    /// `max_rows` 0, or another number of counts than of base blocks.
    pub fn new(grid: Grid, base_rows: &[u64], rule: Rule, max_rows: u64) -> Result<Self> {
        if max_rows == 0 {
            return Err(Error::usage("max_rows is 0, expected at least 1"));
        }
        check_length(base_rows, grid.base_blocks() as usize)?;
        let pieces = (0..)
            .zip(base_rows)
            .map(|(parent, rows)| {
                let bounds = grid.base(parent);
                let state = if *rows > max_rows { State::Open(bounds) } else { State::Fits };
                Piece { parent, bounds, rows: *rows, rounds: 0, state }
            })
            .collect();
        Ok(Self { grid, rule, max_rows, pieces })
    }

    /// The cells to count next, or none when no block is open.
    ///
    /// # Errors
    /// More blocks than a plan can have.
    ///
    /// # Panics
    /// If crowded blocks still wait for [`Self::take_extents`].
    pub fn next_cells(&mut self, stop: &CancelFlag) -> Result<Option<Cells>> {
        assert!(!self.has_crowded(), "crowded blocks wait for their extents");
        for piece in &mut self.pieces {
            if piece.rounds >= MAX_ROUNDS && matches!(piece.state, State::Open(_)) {
                piece.state = State::Dense;
            }
        }
        let mut open: Vec<(u32, Bounds, u64)> = (0..)
            .zip(&self.pieces)
            .filter_map(|(id, piece)| match piece.state {
                State::Open(region) => Some((id, region, piece.rows)),
                _ => None,
            })
            .collect();
        if open.is_empty() {
            return Ok(None);
        }
        // Two cells a side at least; who finds no room has a turn in another round.
        open.truncate(MAX_CELLS as usize / 4);
        let share = MAX_CELLS / u32::try_from(open.len()).expect("at most MAX_CELLS");
        let side = share.isqrt().min(CELLS_A_SIDE);
        let regions: Vec<_> = open
            .into_iter()
            .map(|(id, region, rows)| match self.rule {
                Rule::Balanced => (id, region, side, side),
                Rule::Lon => {
                    let slices = rows.div_ceil(self.max_rows).min(u64::from(share));
                    (id, region, u32::try_from(slices).expect("at most the share"), 1)
                }
            })
            .collect();
        Ok(Some(Cells::inside(self.plan(stop)?, &regions)))
    }

    /// Cuts the open blocks by the rows in their cells.
    ///
    /// # Errors
    /// Counts that do not add up to the rows of their block: the input has changed.
    pub fn take_counts(&mut self, cells: &Cells, counts: &[u64], stop: &CancelFlag) -> Result<()> {
        check_length(counts, cells.count())?;
        for part in cells.parts() {
            // A part may be a million cells.
            stop::check(stop, 0)?;
            let counts = &counts[part.cells()];
            let piece = &mut self.pieces[part.block as usize];
            let found: u64 = counts.iter().sum();
            if found != piece.rows {
                return Err(Error::new(
                    Kind::Retry,
                    format!(
                        "input changed while reading: a block has {found} rows, expected {}",
                        piece.rows
                    ),
                ));
            }
            piece.rounds += 1;
            let whole = piece.clone();
            let mut parts = match self.rule {
                Rule::Balanced => halves(&whole, part, counts, self.max_rows),
                Rule::Lon if counts.contains(&found) => {
                    let columns = part.columns.cells();
                    vec![Piece { state: State::Crowded { region: part.region, columns }, ..whole }]
                }
                Rule::Lon => slices(&whole, &part.columns, counts, self.max_rows),
            }
            .into_iter();
            self.pieces[part.block as usize] = parts.next().expect("a block has one part at least");
            self.pieces.extend(parts);
        }
        Ok(())
    }

    /// True if there are crowded blocks.
    pub fn has_crowded(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece.state, State::Crowded { .. }))
    }

    /// The crowded blocks of [`Self::plan`], ascending.
    pub fn crowded(&self) -> Vec<u32> {
        (0..)
            .zip(&self.pieces)
            .filter(|(_, piece)| matches!(piece.state, State::Crowded { .. }))
            .map(|(id, _)| id)
            .collect()
    }

    /// All blocks as they are so far, without margins.
    ///
    /// # Errors
    /// More blocks than a plan can have.
    pub fn plan(&self, stop: &CancelFlag) -> Result<Plan> {
        let blocks = self
            .pieces
            .iter()
            .map(|piece| Block { parent: piece.parent, bounds: piece.bounds })
            .collect();
        Plan::unless(stop, self.grid.clone(), Margin::None, blocks)
    }

    /// Decides for each crowded block by the bounds of its rows, in longitudes after the seam of
    /// the grid: dense, or open again.
    ///
    /// # Errors
    /// A crowded block without bounds, or bounds for another one: the input has changed.
    pub fn take_extents(&mut self, extents: &[(u32, Bounds)]) -> Result<()> {
        for (id, extent) in extents {
            let piece = self.pieces.get_mut(*id as usize);
            let Some((piece, region, columns)) = piece.and_then(|piece| match piece.state {
                State::Crowded { region, columns } => Some((piece, region, columns)),
                _ => None,
            }) else {
                return Err(Error::internal(format!("block {id} is not crowded")));
            };
            let one_lon = extent.width_deg() <= 0.0;
            match self.rule {
                Rule::Balanced => {
                    let one_place = one_lon && extent.height_deg() <= 0.0;
                    // Cells over the extent itself part its ends, unless no float is left.
                    let stuck = one_place || *extent == region;
                    piece.state = if stuck { State::Dense } else { State::Open(*extent) };
                }
                Rule::Lon if one_lon => piece.state = State::Dense,
                Rule::Lon => {
                    let edges = Edges::equal(region.lon_min, region.lon_max, columns);
                    let mut counts = vec![0; columns as usize];
                    counts[edges.nearest(extent.lon_min) as usize] = piece.rows;
                    let mut parts = slices(piece, &edges, &counts, self.max_rows).into_iter();
                    *piece = parts.next().expect("a block has one part at least");
                    self.pieces.extend(parts);
                }
            }
        }
        if self.has_crowded() {
            return Err(Error::new(
                Kind::Retry,
                "input changed while reading: a block has lost its rows",
            ));
        }
        Ok(())
    }

    /// The plan with its final ids, and the own rows of each block.
    ///
    /// # Errors
    /// More blocks than a plan can have.
    ///
    /// # Panics
    /// If blocks are still open or crowded.
    pub fn finish(mut self, margin: Margin, stop: &CancelFlag) -> Result<Split> {
        assert!(
            self.pieces.iter().all(|piece| matches!(piece.state, State::Fits | State::Dense)),
            "open blocks wait for their counts"
        );
        self.pieces.sort_by(|a, b| {
            (a.rows == 0, a.parent)
                .cmp(&(b.rows == 0, b.parent))
                .then(a.bounds.lon_min.total_cmp(&b.bounds.lon_min))
                .then(a.bounds.lat_min.total_cmp(&b.bounds.lat_min))
        });
        let blocks = self
            .pieces
            .iter()
            .map(|piece| Block { parent: piece.parent, bounds: piece.bounds })
            .collect();
        Ok(Split {
            plan: Plan::unless(stop, self.grid, margin, blocks)?,
            own_rows: self.pieces.iter().map(|piece| piece.rows).collect(),
            dense: self.pieces.iter().map(|piece| matches!(piece.state, State::Dense)).collect(),
            rounds: self.pieces.iter().map(|piece| piece.rounds).max().unwrap_or(0),
        })
    }
}

/// Cuts in halves by rows until every part fits or sits in one cell.
fn halves(whole: &Piece, part: &Part, counts: &[u64], max_rows: u64) -> Vec<Piece> {
    let mut fit = Vec::new();
    let mut open = vec![(whole.bounds, 0..part.columns.cells(), 0..part.rows.cells())];
    while let Some((bounds, columns, rows)) = open.pop() {
        let (by_column, by_row) = sums(counts, &part.rows, &columns, &rows);
        let held: u64 = by_row.iter().sum();
        let piece = Piece { bounds, rows: held, state: State::Fits, ..*whole };
        if held <= max_rows {
            fit.push(piece);
            continue;
        }
        let lon = || fairest(&by_column, &part.columns, columns.start, bounds.lon_max);
        let lat = || fairest(&by_row, &part.rows, rows.start, bounds.lat_max);
        let cut_lon = |cut: u32| {
            let at = part.columns.cell(cut).0;
            let (west, east) = (columns.start..cut, cut..columns.end);
            [
                (Bounds { lon_max: at, ..bounds }, west, rows.clone()),
                (Bounds { lon_min: at, ..bounds }, east, rows.clone()),
            ]
        };
        let cut_lat = |cut: u32| {
            let at = part.rows.cell(cut).0;
            let (south, north) = (rows.start..cut, cut..rows.end);
            [
                (Bounds { lat_max: at, ..bounds }, columns.clone(), south),
                (Bounds { lat_min: at, ..bounds }, columns.clone(), north),
            ]
        };
        let cut = if bounds.is_wide() {
            lon().map(cut_lon).or_else(|| lat().map(cut_lat))
        } else {
            lat().map(cut_lat).or_else(|| lon().map(cut_lon))
        };
        match cut {
            Some(parts) => open.extend(parts),
            None => {
                let columns = part.columns.cells();
                fit.push(Piece { state: State::Crowded { region: part.region, columns }, ..piece });
            }
        }
    }
    fit
}

/// The rows of some cells by column and by row.
fn sums(
    counts: &[u64],
    rows_of_part: &Edges,
    columns: &Range<u32>,
    rows: &Range<u32>,
) -> (Vec<u64>, Vec<u64>) {
    let mut by_row = vec![0; rows.len()];
    let by_column = columns
        .clone()
        .map(|column| {
            let first = (column * rows_of_part.cells() + rows.start) as usize;
            let cells = &counts[first..first + rows.len()];
            by_row.iter_mut().zip(cells).for_each(|(sum, count)| *sum += count);
            cells.iter().sum()
        })
        .collect();
    (by_column, by_row)
}

/// The edge, by the index of the cell above it, that leaves both sides most equal and neither
/// empty; the lowest of several. It lies below `max`, so that the upper part has a width, and above
/// the rows of the lower part.
fn fairest(sums: &[u64], edges: &Edges, first: u32, max: f64) -> Option<u32> {
    let total: u64 = sums.iter().sum();
    let mut below = 0;
    (first + 1..)
        .zip(&sums[..sums.len() - 1])
        .filter_map(|(cell, sum)| {
            below += sum;
            let edge = edges.cell(cell).0;
            let parts = below > 0 && below < total && edge < max;
            parts.then(|| (below.abs_diff(total - below), cell))
        })
        .min()
        .map(|(_, cell)| cell)
}

/// Cuts at all edges in longitude; slices that rounding leaves without width join the one below.
fn slices(whole: &Piece, edges: &Edges, counts: &[u64], max_rows: u64) -> Vec<Piece> {
    let mut begin = whole.bounds.lon_min;
    let mut held = Vec::from([(begin, 0)]);
    for (cell, count) in (0..).zip(counts) {
        let edge = edges.cell(cell).0;
        if edge > begin && edge < whole.bounds.lon_max {
            held.push((edge, 0));
            begin = edge;
        }
        held.last_mut().expect("the first slice").1 += count;
    }
    let uncut = held.len() == 1;
    let ends: Vec<f64> =
        held[1..].iter().map(|(edge, _)| *edge).chain([whole.bounds.lon_max]).collect();
    held.into_iter()
        .zip(ends)
        .map(|((lon_min, rows), lon_max)| {
            let bounds = Bounds { lon_min, lon_max, ..whole.bounds };
            let state = match rows {
                _ if rows <= max_rows => State::Fits,
                _ if uncut => State::Dense,
                _ => State::Open(bounds),
            };
            Piece { bounds, rows, state, ..*whole }
        })
        .collect()
}

fn check_length(counts: &[u64], expected: usize) -> Result<()> {
    if counts.len() == expected {
        return Ok(());
    }
    Err(Error::internal(format!("there are {} counts, expected {expected}", counts.len())))
}
