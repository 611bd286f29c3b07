//! What a partitioned dataset says of itself, in `properties` and in the manifest: written and read here.

use std::collections::BTreeMap;

use super::block_record::BlockRecord;
use super::catalogue::Catalogue;
use super::count::{CountResult, rule_name};
use super::options::{AngleUnit, Extents, FrameName, GridSize, Params};
use crate::error::{Error, Result};
use crate::grid::{Block, Bounds, Frame, Grid, GridShape, Margin, Plan};
use crate::table::Manifest;

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
pub fn read_unit(manifest: &Manifest) -> Result<AngleUnit> {
    let name = property(manifest, "columns.unit")?;
    AngleUnit::of_name(name).ok_or_else(|| {
        Error::data(format!("property 'columns.unit' is '{name}', expected deg, rad or hour"))
    })
}

/// What `properties` says.
///
/// # Errors
/// Never for plans of this program.
pub fn properties(
    input: &Catalogue,
    params: &Params,
    counted: &CountResult,
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
    if let GridSize::Bytes(bytes) = params.size {
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
pub fn legacy_properties(
    input: &Catalogue,
    params: &Params,
    rows: u64,
) -> BTreeMap<String, String> {
    let [ra, dec] = &input.coordinates;
    let all = [
        ("driver", "partition".to_owned()),
        ("input.location", input.table().location().to_string()),
        ("input.rows", rows.to_string()),
        ("preset", params.options.preset.name().to_owned()),
        ("frame", FrameName::Legacy2017.name().to_owned()),
        ("columns.ra", ra.clone()),
        ("columns.dec", dec.clone()),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
