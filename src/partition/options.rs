//! Options of the sky partitioner: as the user wrote them, and as checked parameters.

use clap::{Args, ValueEnum};

use super::output::layout::Layout;
use crate::error::{Error, Result};
use crate::grid::{Frame, GridShape, Margin, Rule, Seam};
use crate::sizes;

/// Bytes of a block where nothing else is asked for.
const BLOCK_BYTES: u64 = 128 << 20;
/// Largest number of own rows of a block, in `v4`.
const MAX_ROWS: u64 = 175_000;
/// The margin of `v2` to `v4`.
const MARGIN_PERCENT: f64 = 5.0;

/// A partitioning as the user asks for it; the command and the procedure share this definition.
#[derive(Args, Debug, Clone, PartialEq)]
pub struct Options {
    /// Options to start from: v1 = a plain equatorial grid, v2 = v1 with margins of 5 %, v3 = v2 in
    /// ecliptic coordinates, v4 = v3 with blocks split until none holds more than 175000 rows
    /// [default: v4]
    #[arg(long, value_enum)]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub preset: Option<Preset>,
    /// Frame of the grid; `legacy2017` computes as the programs of 2017 did, faults included
    #[arg(long, value_enum)]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub frame: Option<FrameName>,
    /// What the grid covers: the box around all rows, or the whole sky
    #[arg(long, value_enum, default_value_t)]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub bounds: Coverage,
    /// Bytes of input for each block, as stored; sets the number of blocks [default: 128MiB]
    #[arg(long, value_name = "SIZE", value_parser = sizes::parse)]
    #[arg(conflicts_with_all = ["blocks", "grid"])]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub block_bytes: Option<u64>,
    /// Number of blocks in the grid
    #[arg(long, value_name = "N", conflicts_with = "grid")]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub blocks: Option<u32>,
    /// Columns and rows of the grid, such as 16x10
    #[arg(long, value_name = "COLSxROWS")]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub grid: Option<GridShape>,
    /// Margin of each block in percent of its sides; 0 for none
    #[arg(long, value_name = "PERCENT", conflicts_with = "margin_arcsec")]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub margin_percent: Option<f64>,
    /// Margin of each block as an angle, at most 36000; 0 for none
    #[arg(long, value_name = "ARCSEC")]
    #[arg(help_heading = "Method")]
    pub margin_arcsec: Option<f64>,
    /// Split blocks until none owns more rows than this
    #[arg(long, value_name = "N")]
    #[arg(help_heading = "Method")]
    pub max_rows: Option<u64>,
    /// How blocks are split: `balanced` halves the rows, `lon` cuts equal slices of longitude
    #[arg(long, value_name = "RULE", default_value = "balanced")]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub split: Rule,
    /// Subtract 360 from this longitude on, so that a field across 0/360 stays in one piece; 0 for never
    #[arg(long, value_name = "auto|DEG", default_value = "auto")]
    #[arg(help_heading = "Method", hide_short_help = true)]
    pub seam: Seam,
    /// Column of the right ascension [default: the first known name]
    #[arg(long, value_name = "COLUMN", requires = "dec")]
    #[arg(help_heading = "Input")]
    pub ra: Option<String>,
    /// Column of the declination
    #[arg(long, value_name = "COLUMN", requires = "ra")]
    #[arg(help_heading = "Input")]
    pub dec: Option<String>,
    /// Unit of both columns; `hour` is for the right ascension only
    #[arg(long, value_enum, default_value_t)]
    #[arg(help_heading = "Input", hide_short_help = true)]
    pub unit: AngleUnit,
    /// What to do with rows that have no usable position
    #[arg(long, value_enum, default_value_t)]
    #[arg(help_heading = "Input", hide_short_help = true)]
    pub bad_rows: BadRows,
    /// What to write: Parquet by block, or a text file for each block as in 2017
    #[arg(long, value_enum, default_value_t)]
    #[arg(help_heading = "Output", hide_short_help = true)]
    pub layout: Layout,
    /// Only count: print the blocks, their rows and margin rows; write nothing
    #[arg(long)]
    #[arg(help_heading = "Output")]
    pub dry_run: bool,
}

impl Default for Options {
    /// What the command does without options.
    fn default() -> Self {
        Self {
            preset: None,
            frame: None,
            bounds: Coverage::default(),
            block_bytes: None,
            blocks: None,
            grid: None,
            margin_percent: None,
            margin_arcsec: None,
            max_rows: None,
            split: Rule::Balanced,
            seam: Seam::Auto,
            ra: None,
            dec: None,
            unit: AngleUnit::default(),
            bad_rows: BadRows::default(),
            layout: Layout::default(),
            dry_run: false,
        }
    }
}

/// Named options, after the four programs of 2017.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preset {
    /// A plain grid.
    V1,
    /// With margins.
    V2,
    /// In ecliptic coordinates.
    V3,
    /// With blocks split.
    #[default]
    V4,
}

impl Preset {
    /// The name a user writes.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V3 => "v3",
            Self::V4 => "v4",
        }
    }
}

/// A frame by its name.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameName {
    /// Right ascension and declination, ICRS.
    Equatorial,
    /// Mean ecliptic of J2000.
    Ecliptic,
    /// Galactic longitude and latitude.
    Galactic,
    /// The formulas of 2017.
    Legacy2017,
}

impl FrameName {
    /// The name a user writes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equatorial => Frame::Equatorial.name(),
            Self::Ecliptic => Frame::Ecliptic.name(),
            Self::Galactic => Frame::Galactic.name(),
            Self::Legacy2017 => "legacy2017",
        }
    }
}

/// What a grid covers.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Coverage {
    /// The box around all usable rows.
    #[default]
    Data,
    /// The whole sphere.
    Sky,
}

impl Coverage {
    /// The name a user writes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Sky => "sky",
        }
    }
}

/// The unit of coordinates.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AngleUnit {
    /// Degrees.
    #[default]
    Deg,
    /// Radians.
    Rad,
    /// Hours of right ascension; degrees of declination.
    Hour,
}

impl AngleUnit {
    /// The name a user writes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deg => "deg",
            Self::Rad => "rad",
            Self::Hour => "hour",
        }
    }
}

/// What to do with rows without a usable position.
#[derive(ValueEnum, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BadRows {
    /// Write them to the table `quarantine`, with the reason.
    #[default]
    Quarantine,
    /// Refuse the input and say how many there are.
    Error,
}

/// How the number of blocks is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GridSize {
    /// From the stored bytes of the input: this number of bytes in each block.
    Bytes(u64),
    /// As the user says.
    Shape(GridShape),
}

/// Checked options: only [`Params::new`] makes them.
#[derive(Debug, Clone)]
pub struct Params {
    options: Options,
    frame: Option<Frame>,
    size: GridSize,
    margin: Margin,
    max_rows: Option<u64>,
}

impl Params {
    /// Checks each option and their combination.
    ///
    /// # Errors
    /// A usage error that names the option, what was given and what is expected.
    pub fn new(options: Options) -> Result<Self> {
        let preset = options.preset.unwrap_or_default();
        let frame = options.frame.unwrap_or(match preset {
            Preset::V1 | Preset::V2 => FrameName::Equatorial,
            Preset::V3 | Preset::V4 => FrameName::Ecliptic,
        });
        let frame = match frame {
            FrameName::Equatorial => Some(Frame::Equatorial),
            FrameName::Ecliptic => Some(Frame::Ecliptic),
            FrameName::Galactic => Some(Frame::Galactic),
            FrameName::Legacy2017 => None,
        };
        if frame.is_none() && !options.layout.repeats_rows() {
            return Err(Error::usage(
                "frame 'legacy2017' puts rows into several blocks: pass --layout parts",
            ));
        }
        let size = match (options.blocks, options.grid) {
            (_, Some(shape)) => GridSize::Shape(shape),
            (Some(blocks), None) => GridSize::Shape(GridShape::of_blocks(blocks)?),
            (None, None) => match options.block_bytes.unwrap_or(BLOCK_BYTES) {
                0 => return Err(Error::usage("block_bytes is 0, expected at least 1")),
                bytes => GridSize::Bytes(bytes),
            },
        };
        let margin = match (options.margin_percent, options.margin_arcsec) {
            (Some(percent), _) => Margin::percent(percent)?,
            (None, Some(arcsec)) => Margin::arcsec(arcsec)?,
            (None, None) if preset == Preset::V1 => Margin::None,
            (None, None) => Margin::percent(MARGIN_PERCENT)?,
        };
        let max_rows = options.max_rows.or((preset == Preset::V4).then_some(MAX_ROWS));
        if max_rows == Some(0) {
            return Err(Error::usage("max_rows is 0, expected at least 1"));
        }
        Ok(Self { options, frame, size, margin, max_rows })
    }

    /// The preset it begins with.
    pub fn preset(&self) -> Preset {
        self.options.preset.unwrap_or_default()
    }

    /// The options as the user wrote them.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The frame of the grid; none for that of 2017.
    pub fn frame(&self) -> Option<Frame> {
        self.frame
    }

    /// How many blocks the grid has.
    pub fn size(&self) -> GridSize {
        self.size
    }

    /// The margin of each block.
    pub fn margin(&self) -> Margin {
        self.margin
    }

    /// Own rows of a block at most, where blocks are split.
    pub fn max_rows(&self) -> Option<u64> {
        self.max_rows
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn params(arguments: &str) -> Result<Params> {
        let words = ["pleiad"].into_iter().chain(arguments.split_whitespace());
        Params::new(Line::try_parse_from(words).unwrap().options)
    }

    #[test]
    fn the_defaults_of_the_library_are_those_of_the_command() {
        assert_eq!(Line::try_parse_from(["pleiad"]).unwrap().options, Options::default());
    }

    #[rstest]
    #[case("--preset v1", Frame::Equatorial, Margin::None, None)]
    #[case("--preset v2", Frame::Equatorial, Margin::Percent(5.0), None)]
    #[case("--preset v3", Frame::Ecliptic, Margin::Percent(5.0), None)]
    #[case("", Frame::Ecliptic, Margin::Percent(5.0), Some(175_000))]
    #[case(
        "--preset v1 --max-rows 9 --margin-arcsec 10",
        Frame::Equatorial,
        Margin::Arcsec(10.0),
        Some(9)
    )]
    #[case("--frame galactic --margin-percent 0", Frame::Galactic, Margin::None, Some(175_000))]
    fn presets_only_set_options(
        #[case] arguments: &str,
        #[case] frame: Frame,
        #[case] margin: Margin,
        #[case] max_rows: Option<u64>,
    ) {
        let params = params(arguments).unwrap();
        assert_eq!((params.frame, params.margin, params.max_rows), (Some(frame), margin, max_rows));
    }

    #[rstest]
    #[case("--blocks 0", "blocks is 0, expected at least 1 and at most 1048576")]
    #[case("--max-rows 0", "max_rows is 0, expected at least 1")]
    #[case("--margin-percent 101", "margin_percent is 101, expected at least 0 and at most 100")]
    #[case(
        "--margin-arcsec 36001",
        "margin_arcsec is 36001, expected at least 0 and at most 36000"
    )]
    #[case(
        "--frame legacy2017",
        "frame 'legacy2017' puts rows into several blocks: pass --layout parts"
    )]
    fn a_combination_without_sense_is_refused(#[case] arguments: &str, #[case] message: &str) {
        assert_eq!(params(arguments).unwrap_err().to_string(), message);
    }
}
