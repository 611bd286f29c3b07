//! What a partitioned dataset says of itself in `properties` and in the manifest, written and read
//! here: other modules ask [`Stored`] and know no keys.

use std::collections::BTreeMap;
use std::str::FromStr;

use clap::ValueEnum;

use super::block_record::BlockRecord;
use super::options::{AngleUnit, Coverage, FrameName, Preset};
use crate::cancel::CancelFlag;
use crate::error::{Error, Result};
use crate::grid::{Block, Bounds, Frame, Grid, GridShape, Margin, Plan, Rule};
use crate::table::Manifest;

/// The name of this driver, in a manifest and as the property `driver`.
pub(crate) const DRIVER: &str = "partition";
/// The keys of bad rows by reason begin so.
const REASON: &str = "rows.quarantined.";

/// The properties of a partitioned dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// What was partitioned.
    pub input_location: String,
    /// All rows of the input.
    pub input_rows: u64,
    /// The preset it began with.
    pub preset: Preset,
    /// The columns of right ascension and declination.
    pub columns: [String; 2],
    /// Its blocks; none where they are those of 2017, which follow no plan.
    pub blocks: Option<StoredBlocks>,
}

/// What is said of blocks that follow a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredBlocks {
    /// Files of the input.
    pub input_files: u64,
    /// Bytes of the input as stored.
    pub input_bytes: u64,
    /// The unit of both columns.
    pub unit: AngleUnit,
    /// The grid of base blocks.
    pub grid: Grid,
    /// What its bounds are those of.
    pub coverage: Coverage,
    /// Input bytes of a block, where the shape of the grid follows from them.
    pub block_bytes: Option<u64>,
    /// How blocks were split, if they were.
    pub split: Option<StoredSplit>,
    /// The margin of every block.
    pub margin: Margin,
    /// The angle within which the margin of every block is complete; none without margins.
    pub margin_radius_arcsec: Option<f64>,
    /// All blocks.
    pub count: u64,
    /// Blocks above the limit, whose rows cannot be separated.
    pub dense: u64,
    /// Blocks without own rows.
    pub empty: u64,
    /// Rows with a position.
    pub own_rows: u64,
    /// Copies in margins.
    pub margin_rows: u64,
    /// Rows without a position.
    pub quarantined: u64,
    /// The same by reason.
    pub reasons: BTreeMap<String, u64>,
}

/// How blocks were split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredSplit {
    /// The rule.
    pub rule: Rule,
    /// Own rows of a block at most.
    pub max_rows: u64,
    /// How often rows were counted.
    pub rounds: u32,
}

impl Stored {
    /// What a version says of its blocks; none if another driver, or none, made it.
    ///
    /// # Errors
    /// Made by this driver, and a property is missing or not what it can be: the error names it.
    pub fn read(manifest: &Manifest) -> Result<Option<Self>> {
        if !Self::is_in(manifest) {
            return Ok(None);
        }
        let properties = Properties { manifest };
        let is_legacy = properties.text("frame")? == FrameName::Legacy2017.name();
        Ok(Some(Self {
            input_location: properties.text("input.location")?.to_owned(),
            input_rows: properties.number("input.rows")?,
            preset: properties.choice("preset")?,
            columns: [
                properties.text("columns.ra")?.to_owned(),
                properties.text("columns.dec")?.to_owned(),
            ],
            blocks: if is_legacy { None } else { Some(properties.blocks()?) },
        }))
    }

    /// Whether this driver made a version.
    pub fn is_in(manifest: &Manifest) -> bool {
        manifest.made_by() == Some(DRIVER)
    }

    /// The same of a dataset that must be this driver's.
    ///
    /// # Errors
    /// As [`Self::read`]; a dataset that another driver made.
    pub fn expected(manifest: &Manifest) -> Result<Self> {
        Self::read(manifest)?.ok_or_else(|| {
            Error::data(format!(
                "dataset '{}' was not written by pleiad partition",
                manifest.location
            ))
        })
    }

    /// The name of the frame of the grid.
    pub fn frame(&self) -> &'static str {
        match &self.blocks {
            Some(blocks) => blocks.grid.frame().name(),
            None => FrameName::Legacy2017.name(),
        }
    }

    /// All properties, by their keys.
    pub fn to_properties(&self) -> BTreeMap<String, String> {
        let [ra, dec] = &self.columns;
        let all = [
            ("driver", DRIVER.to_owned()),
            ("input.location", self.input_location.clone()),
            ("input.rows", self.input_rows.to_string()),
            ("preset", self.preset.name().to_owned()),
            ("frame", self.frame().to_owned()),
            ("columns.ra", ra.clone()),
            ("columns.dec", dec.clone()),
        ];
        let all = all.into_iter().map(|(name, value)| (name.to_owned(), value));
        let blocks = self.blocks.iter().flat_map(StoredBlocks::to_properties);
        all.chain(blocks).collect()
    }
}

impl StoredBlocks {
    /// The plan of these blocks, with the same edges to the bit.
    ///
    /// # Errors
    /// Blocks that do not tile the grid; `stop` was raised.
    pub fn plan(&self, blocks: &[BlockRecord], stop: &CancelFlag) -> Result<Plan> {
        let blocks =
            blocks.iter().map(|block| Block { parent: block.parent, bounds: block.bounds });
        Ok(Plan::unless(stop, self.grid.clone(), self.margin, blocks.collect())?)
    }

    fn to_properties(&self) -> Vec<(String, String)> {
        let Self { grid, .. } = self;
        let bounds = grid.bounds();
        let mut all = vec![
            ("input.files", self.input_files.to_string()),
            ("input.bytes", self.input_bytes.to_string()),
            ("columns.unit", self.unit.name().to_owned()),
            ("frame.unit", "deg".to_owned()),
            ("seam_deg", grid.seam_deg().to_string()),
            ("bounds.source", self.coverage.name().to_owned()),
            ("bounds.lon_min", bounds.lon_min.to_string()),
            ("bounds.lon_max", bounds.lon_max.to_string()),
            ("bounds.lat_min", bounds.lat_min.to_string()),
            ("bounds.lat_max", bounds.lat_max.to_string()),
            ("grid.columns", grid.shape().columns().to_string()),
            ("grid.rows", grid.shape().rows().to_string()),
            ("blocks.count", self.count.to_string()),
            ("blocks.dense", self.dense.to_string()),
            ("blocks.empty", self.empty.to_string()),
            ("rows.own", self.own_rows.to_string()),
            ("rows.margin", self.margin_rows.to_string()),
            ("rows.quarantined", self.quarantined.to_string()),
        ];
        if let Some(deg) = grid.frame().obliquity_deg() {
            all.push(("frame.obliquity_deg", deg.to_string()));
        }
        if let Some(bytes) = self.block_bytes {
            all.push(("block_bytes", bytes.to_string()));
        }
        if let Some(split) = &self.split {
            all.push(("split.rule", split.rule.name().to_owned()));
            all.push(("split.max_rows", split.max_rows.to_string()));
            all.push(("split.rounds", split.rounds.to_string()));
        }
        match self.margin {
            Margin::None => {}
            Margin::Percent(percent) => all.push(("margin.percent", percent.to_string())),
            Margin::Arcsec(arcsec) => all.push(("margin.arcsec", arcsec.to_string())),
        }
        if let Some(radius) = self.margin_radius_arcsec {
            all.push(("margin.radius_arcsec", radius.to_string()));
        }
        let all = all.into_iter().map(|(name, value)| (name.to_owned(), value));
        let reason =
            |(reason, rows): (&String, &u64)| (format!("{REASON}{reason}"), rows.to_string());
        all.chain(self.reasons.iter().map(reason)).collect()
    }
}

/// The properties of a version that this driver made.
struct Properties<'a> {
    manifest: &'a Manifest,
}

impl<'a> Properties<'a> {
    /// Whether there is a key that begins so.
    fn has(&self, key: &str) -> bool {
        self.manifest.properties.keys().any(|name| name.starts_with(key))
    }

    fn text(&self, name: &str) -> Result<&'a str> {
        self.manifest.properties.get(name).map(String::as_str).ok_or_else(|| {
            Error::data(format!("dataset '{}' has no property '{name}'", self.manifest.location))
        })
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<T> {
        let text = self.text(name)?;
        text.parse().map_err(|_no| self.odd(name, text, "a number"))
    }

    fn choice<T: ValueEnum>(&self, name: &str) -> Result<T> {
        let text = self.text(name)?;
        T::from_str(text, false).map_err(|_no| {
            let names = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            let names: Vec<String> = names.map(|value| value.get_name().to_owned()).collect();
            self.odd(name, text, &format!("one of {}", names.join(", ")))
        })
    }

    fn odd(&self, name: &str, text: &str, expected: &str) -> Error {
        Error::data(format!(
            "property '{name}' is '{text}', expected {expected}: see dataset '{}'",
            self.manifest.location
        ))
    }

    fn blocks(&self) -> Result<StoredBlocks> {
        let margin = self.margin()?;
        let has_margin = margin != Margin::None;
        let radius = has_margin.then(|| self.number("margin.radius_arcsec")).transpose()?;
        let reasons = self.manifest.properties.keys().filter_map(|name| {
            let reason = name.strip_prefix(REASON)?;
            Some(self.number(name).map(|rows| (reason.to_owned(), rows)))
        });
        Ok(StoredBlocks {
            input_files: self.number("input.files")?,
            input_bytes: self.number("input.bytes")?,
            unit: self.choice("columns.unit")?,
            grid: self.grid()?,
            coverage: self.choice("bounds.source")?,
            block_bytes: self.has("block_bytes").then(|| self.number("block_bytes")).transpose()?,
            split: self.split()?,
            margin,
            margin_radius_arcsec: radius,
            count: self.number("blocks.count")?,
            dense: self.number("blocks.dense")?,
            empty: self.number("blocks.empty")?,
            own_rows: self.number("rows.own")?,
            margin_rows: self.number("rows.margin")?,
            quarantined: self.number("rows.quarantined")?,
            reasons: reasons.collect::<Result<_>>()?,
        })
    }

    fn grid(&self) -> Result<Grid> {
        let frame: Frame = self.text("frame")?.parse()?;
        let bounds = Bounds {
            lon_min: self.number("bounds.lon_min")?,
            lon_max: self.number("bounds.lon_max")?,
            lat_min: self.number("bounds.lat_min")?,
            lat_max: self.number("bounds.lat_max")?,
        };
        let shape = GridShape::new(self.number("grid.columns")?, self.number("grid.rows")?)?;
        Ok(Grid::new(frame, self.number("seam_deg")?, bounds, shape)?)
    }

    fn margin(&self) -> Result<Margin> {
        if !self.has("margin.") {
            return Ok(Margin::None);
        }
        Ok(match self.has("margin.arcsec") {
            true => Margin::arcsec(self.number("margin.arcsec")?)?,
            false => Margin::percent(self.number("margin.percent")?)?,
        })
    }

    fn split(&self) -> Result<Option<StoredSplit>> {
        if !self.has("split.") {
            return Ok(None);
        }
        Ok(Some(StoredSplit {
            rule: self.text("split.rule")?.parse()?,
            max_rows: self.number("split.max_rows")?,
            rounds: self.number("split.rounds")?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Mode;

    fn stored() -> Stored {
        let bounds = Bounds { lon_min: -2.5, lon_max: 0.1 + 0.2, lat_min: -90.0, lat_max: 1e-9 };
        let shape = GridShape::new(4, 3).unwrap();
        Stored {
            input_location: "s3://sky/in".into(),
            input_rows: 1204,
            preset: Preset::V4,
            columns: ["raJ2000".into(), "de".into()],
            blocks: Some(StoredBlocks {
                input_files: 2,
                input_bytes: 99_999,
                unit: AngleUnit::Hour,
                grid: Grid::new(Frame::Ecliptic, 180.0, bounds, shape).unwrap(),
                coverage: Coverage::Data,
                block_bytes: Some(1000),
                split: Some(StoredSplit { rule: Rule::Lon, max_rows: 100, rounds: 3 }),
                margin: Margin::Percent(5.0),
                margin_radius_arcsec: Some(11.25),
                count: 13,
                dense: 1,
                empty: 2,
                own_rows: 1200,
                margin_rows: 77,
                quarantined: 4,
                reasons: [("null".to_owned(), 3), ("nan".to_owned(), 1)].into(),
            }),
        }
    }

    fn manifest(properties: BTreeMap<String, String>) -> Manifest {
        Manifest {
            format: 1,
            version: 1,
            run: "r".into(),
            base: 0,
            mode: Mode::Error,
            location: "/data/blocks".into(),
            created: "2026-01-01T00:00:00Z".into(),
            made_by: None,
            grows: None,
            restores: None,
            revokes: None,
            arguments: Vec::new(),
            inputs: Vec::new(),
            tables: Vec::new(),
            files: Vec::new(),
            properties,
            blocks: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut stored = stored();
        let read = |of: &Stored| Stored::read(&manifest(of.to_properties())).unwrap().unwrap();
        assert_eq!(read(&stored), stored);
        let blocks = stored.blocks.as_mut().unwrap();
        (blocks.block_bytes, blocks.split) = (None, None);
        (blocks.margin, blocks.margin_radius_arcsec) = (Margin::None, None);
        assert_eq!(read(&stored), stored);
        stored.blocks.as_mut().unwrap().margin = Margin::Arcsec(0.5);
        stored.blocks.as_mut().unwrap().margin_radius_arcsec = Some(0.5);
        assert_eq!(read(&stored), stored);
        stored.blocks = None;
        assert_eq!(read(&stored), stored);
    }

    #[test]
    fn a_key_that_is_missing_or_odd_is_named() {
        let all = stored().to_properties();
        let optional = ["driver", "frame.unit", "frame.obliquity_deg", "block_bytes"];
        for key in all.keys().filter(|key| !key.starts_with(REASON)) {
            let mut less = all.clone();
            less.remove(key);
            let read = Stored::read(&manifest(less));
            if optional.contains(&key.as_str()) {
                assert!(read.is_ok(), "{key}");
                continue;
            }
            let expected = format!("dataset '/data/blocks' has no property '{key}'");
            assert_eq!(read.unwrap_err().to_string(), expected);
        }
        let free = ["input.location", "columns.ra", "columns.dec"];
        for key in all.keys().filter(|key| !free.contains(&key.as_str())) {
            let mut odd = all.clone();
            odd.insert(key.clone(), "?".into());
            match Stored::read(&manifest(odd)) {
                Err(error) => assert!(error.to_string().contains("is '?', expected"), "{error}"),
                Ok(read) => assert!(optional[..3].contains(&key.as_str()), "{key}: {read:?}"),
            }
        }
    }

    #[test]
    fn datasets_of_others_are_none() {
        assert_eq!(Stored::read(&manifest(BTreeMap::new())).unwrap(), None);
        let other = [("driver".to_owned(), "kmeans".to_owned())].into();
        let error = Stored::expected(&manifest(other)).unwrap_err().to_string();
        assert_eq!(error, "dataset '/data/blocks' was not written by pleiad partition");
    }
}
