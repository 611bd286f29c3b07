//! What is said of each block: a record that is a line of `blocks.csv`, written and read here.

use crate::error::{Error, Result};
use crate::grid::{Assigner, Bounds, Split};
use crate::table::Manifest;

/// The columns of `blocks.csv`.
pub const COLUMNS: [&str; 16] = [
    "block",
    "parent",
    "lon_min",
    "lon_max",
    "lat_min",
    "lat_max",
    "own_rows",
    "margin_rows",
    "bytes",
    "margin_bytes",
    "margin_radius_arcsec",
    "ra_min",
    "ra_max",
    "dec_min",
    "dec_max",
    "flag",
];

/// One block as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockRecord {
    /// Its id.
    pub block: u32,
    /// The base block that it is, or was cut from.
    pub parent: u32,
    /// Where it lies, in the frame of the grid.
    pub bounds: Bounds,
    /// Rows that it owns.
    pub own_rows: u64,
    /// Copies of rows of its neighbours.
    pub margin_rows: u64,
    /// Bytes of the files of its own rows.
    pub bytes: u64,
    /// Bytes of the files of its margin rows.
    pub margin_bytes: u64,
    /// The angle within which every row near it is its own or a margin row.
    pub margin_radius_arcsec: f64,
    /// Observed bounds of the input's coordinates, as far as they are known: ra, then dec.
    pub observed: [Option<(f64, f64)>; 2],
    /// Its rows are more than asked for, and cannot be separated.
    pub dense: bool,
}

impl BlockRecord {
    /// The blocks as they were counted; nothing is written yet.
    pub fn of(split: &Split, assigner: &Assigner) -> Vec<Self> {
        let numbered = (0..).zip(split.plan.blocks());
        numbered
            .zip(split.own_rows.iter().zip(&split.dense))
            .map(|((block, place), (own_rows, dense))| Self {
                block,
                parent: place.parent,
                bounds: place.bounds,
                own_rows: *own_rows,
                margin_rows: 0,
                bytes: 0,
                margin_bytes: 0,
                margin_radius_arcsec: assigner.radius_deg(block) * 3600.0,
                observed: [None, None],
                dense: *dense,
            })
            .collect()
    }

    /// Its line in `blocks.csv`; numbers read back as the same bits.
    pub fn line(&self) -> Vec<String> {
        let bounds = &self.bounds;
        let [ra, dec] = self.observed;
        let known = |range: Option<(f64, f64)>| match range {
            Some((min, max)) => [min.to_string(), max.to_string()],
            None => [String::new(), String::new()],
        };
        let mut line = vec![self.block.to_string(), self.parent.to_string()];
        let edges = [bounds.lon_min, bounds.lon_max, bounds.lat_min, bounds.lat_max];
        line.extend(edges.map(|edge| edge.to_string()));
        let counts = [self.own_rows, self.margin_rows, self.bytes, self.margin_bytes];
        line.extend(counts.map(|count| count.to_string()));
        line.push(self.margin_radius_arcsec.to_string());
        line.extend(known(ra));
        line.extend(known(dec));
        line.push(if self.dense { "dense".into() } else { String::new() });
        line
    }

    /// The blocks that a version records.
    ///
    /// # Errors
    /// A version without blocks, or with lines that are not blocks.
    pub fn read(manifest: &Manifest) -> Result<Vec<Self>> {
        let (names, lines) = block_lines(manifest)?;
        let broken = |what: &str| {
            Error::data(format!("the blocks of dataset '{}' have no {what}", manifest.location))
        };
        let read = |line: &Vec<String>| {
            let text = |name: &str| {
                let column = names.iter().position(|known| known == name);
                column.and_then(|column| line.get(column)).ok_or_else(|| broken(name))
            };
            let id = |name: &str| text(name)?.parse::<u32>().map_err(|_no| broken(name));
            let count = |name: &str| text(name)?.parse::<u64>().map_err(|_no| broken(name));
            let angle = |name: &str| text(name)?.parse::<f64>().map_err(|_no| broken(name));
            let range = |[min, max]: [&str; 2]| -> Result<_> {
                let is_known = !text(min)?.is_empty();
                is_known.then(|| Ok((angle(min)?, angle(max)?))).transpose()
            };
            Ok(Self {
                block: id("block")?,
                parent: id("parent")?,
                bounds: Bounds {
                    lon_min: angle("lon_min")?,
                    lon_max: angle("lon_max")?,
                    lat_min: angle("lat_min")?,
                    lat_max: angle("lat_max")?,
                },
                own_rows: count("own_rows")?,
                margin_rows: count("margin_rows")?,
                bytes: count("bytes")?,
                margin_bytes: count("margin_bytes")?,
                margin_radius_arcsec: angle("margin_radius_arcsec")?,
                observed: [range(["ra_min", "ra_max"])?, range(["dec_min", "dec_max"])?],
                dense: text("flag")? == "dense",
            })
        };
        lines.iter().map(read).collect()
    }
}

/// The lines of `blocks.csv`, the names first.
pub fn lines(blocks: &[BlockRecord]) -> Vec<Vec<String>> {
    let names = COLUMNS.map(str::to_owned).to_vec();
    std::iter::once(names).chain(blocks.iter().map(BlockRecord::line)).collect()
}

/// The lines of `blocks.csv` that a version records: the names of the columns, then a line a block.
///
/// # Errors
/// A version without blocks.
pub fn block_lines(manifest: &Manifest) -> Result<(&[String], &[Vec<String>])> {
    let [names, lines @ ..] = manifest.blocks.as_slice() else {
        return Err(Error::data(format!(
            "dataset '{}' has no blocks, expected what pleiad partition wrote",
            manifest.location
        )));
    };
    Ok((names, lines))
}
