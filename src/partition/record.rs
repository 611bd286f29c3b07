//! What is told of a partitioning: a record a block (the lines of `blocks.csv`), and properties.

use std::collections::BTreeMap;

use super::count::{Counted, rule_name};
use super::input::Input;
use super::options::{Extents, Params, Unit};
use crate::error::{Error, Result};
use crate::grid::{Assigner, Block, Bounds, Frame, Grid, GridShape, Margin, Plan};
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
    /// Its rows are more than asked for, and cannot be told apart.
    pub dense: bool,
}

impl BlockRecord {
    /// The blocks as they were counted; nothing is written yet.
    pub fn of(counted: &Counted, places: &Assigner) -> Vec<Self> {
        let split = &counted.split;
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
                margin_radius_arcsec: places.radius_deg(block) * 3600.0,
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

/// The blocks that a version records.
///
/// # Errors
/// A version without blocks, or with lines that are none.
pub fn read_blocks(manifest: &Manifest) -> Result<Vec<BlockRecord>> {
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
        Ok(BlockRecord {
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

/// A property of a version.
///
/// # Errors
/// Where it is not there.
pub fn property<'a>(manifest: &'a Manifest, name: &str) -> Result<&'a str> {
    manifest.properties.get(name).map(String::as_str).ok_or_else(|| {
        Error::data(format!("dataset '{}' has no property '{name}'", manifest.location))
    })
}

/// A property of a version that is a number.
///
/// # Errors
/// Where it is not there, or something else.
pub fn number<T: std::str::FromStr>(manifest: &Manifest, name: &str) -> Result<T> {
    let text = property(manifest, name)?;
    text.parse().map_err(|_no| {
        Error::data(format!(
            "property '{name}' of dataset '{}' is '{text}', expected a number",
            manifest.location
        ))
    })
}

/// The plan that the blocks of a version were made by, with the same edges to the bit.
///
/// # Errors
/// Properties or blocks that are not of one plan.
pub fn read_plan(manifest: &Manifest, blocks: &[BlockRecord]) -> Result<Plan> {
    let number = |name: &str| number::<f64>(manifest, name);
    let cells = |name: &str| self::number::<u32>(manifest, name);
    let frame: Frame = property(manifest, "frame")?.parse()?;
    let bounds = Bounds {
        lon_min: number("bounds.lon_min")?,
        lon_max: number("bounds.lon_max")?,
        lat_min: number("bounds.lat_min")?,
        lat_max: number("bounds.lat_max")?,
    };
    let shape = GridShape::new(cells("grid.columns")?, cells("grid.rows")?)?;
    let grid = Grid::new(frame, number("seam_deg")?, bounds, shape)?;
    let has = |name: &str| manifest.properties.contains_key(name);
    let margin = match (has("margin.percent"), has("margin.arcsec")) {
        (true, _) => Margin::percent(number("margin.percent")?)?,
        (false, true) => Margin::arcsec(number("margin.arcsec")?)?,
        (false, false) => Margin::None,
    };
    let blocks = blocks.iter().map(|block| Block { parent: block.parent, bounds: block.bounds });
    Plan::new(grid, margin, blocks.collect())
}

/// The unit of the coordinates that a version records.
///
/// # Errors
/// One that is not known.
pub fn read_unit(manifest: &Manifest) -> Result<Unit> {
    let name = property(manifest, "columns.unit")?;
    Unit::of_name(name).ok_or_else(|| {
        Error::data(format!("property 'columns.unit' is '{name}', expected deg, rad or hour"))
    })
}

/// What `properties` says.
///
/// # Errors
/// Never for plans of this program.
pub fn properties(
    input: &Input,
    params: &Params,
    counted: &Counted,
    blocks: &[BlockRecord],
) -> Result<BTreeMap<String, String>> {
    let split = &counted.split;
    let grid = split.plan.grid();
    let bounds = grid.bounds();
    let source = match params.options.bounds {
        Extents::Data => "data",
        Extents::Sky => "sky",
    };
    let radius = blocks.iter().map(|block| block.margin_radius_arcsec).fold(f64::MAX, f64::min);
    let count = |of: &dyn Fn(&BlockRecord) -> bool| blocks.iter().filter(|b| of(b)).count();
    let sum = |of: fn(&BlockRecord) -> u64| blocks.iter().map(of).sum::<u64>();
    let [ra, dec] = &input.coordinates;
    let mut all = vec![
        ("driver", "partition".to_owned()),
        ("input.location", input.table().location().to_string()),
        ("input.files", input.table().files.len().to_string()),
        ("input.rows", counted.rows.to_string()),
        ("input.bytes", input.bytes().to_string()),
        ("preset", params.options.preset.name().to_owned()),
        ("frame", grid.frame().name().to_owned()),
        ("frame.unit", "deg".to_owned()),
        ("seam_deg", grid.seam_deg().to_string()),
        ("bounds.source", source.to_owned()),
        ("bounds.lon_min", bounds.lon_min.to_string()),
        ("bounds.lon_max", bounds.lon_max.to_string()),
        ("bounds.lat_min", bounds.lat_min.to_string()),
        ("bounds.lat_max", bounds.lat_max.to_string()),
        ("grid.columns", grid.columns().cells().to_string()),
        ("grid.rows", grid.rows().cells().to_string()),
        ("blocks.count", blocks.len().to_string()),
        ("blocks.dense", count(&|block| block.dense).to_string()),
        ("blocks.empty", count(&|block| block.own_rows == 0).to_string()),
        ("rows.own", sum(|block| block.own_rows).to_string()),
        ("rows.margin", sum(|block| block.margin_rows).to_string()),
        ("rows.quarantined", counted.bad().to_string()),
        ("columns.ra", ra.clone()),
        ("columns.dec", dec.clone()),
        ("columns.unit", params.options.unit.name().to_owned()),
    ];
    if let Some(deg) = grid.frame().obliquity_deg() {
        all.push(("frame.obliquity_deg", deg.to_string()));
    }
    if let super::options::Size::Bytes(bytes) = params.size {
        all.push(("block_bytes", bytes.to_string()));
    }
    if let Some(max_rows) = params.max_rows {
        all.push(("split.rule", rule_name(params.options.split).to_owned()));
        all.push(("split.max_rows", max_rows.to_string()));
        all.push(("split.rounds", split.rounds.to_string()));
    }
    match params.margin {
        Margin::None => {}
        Margin::Percent(percent) => all.push(("margin.percent", percent.to_string())),
        Margin::Arcsec(arcsec) => all.push(("margin.arcsec", arcsec.to_string())),
    }
    if params.margin != Margin::None {
        all.push(("margin.radius_arcsec", radius.to_string()));
    }
    let faults = counted.faults.iter();
    let faults = faults.map(|(why, rows)| (format!("rows.quarantined.{why}"), rows.to_string()));
    let all = all.into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok(all.chain(faults).collect())
}

/// What the manifest says of a run by the formulas of 2017.
pub fn legacy_properties(input: &Input, params: &Params, rows: u64) -> BTreeMap<String, String> {
    let [ra, dec] = &input.coordinates;
    let all = [
        ("driver", "partition".to_owned()),
        ("input.location", input.table().location().to_string()),
        ("input.rows", rows.to_string()),
        ("preset", params.options.preset.name().to_owned()),
        ("frame", super::LEGACY.to_owned()),
        ("columns.ra", ra.clone()),
        ("columns.dec", dec.clone()),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
