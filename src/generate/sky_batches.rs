//! Sources as Arrow record batches: eleven columns, or the 107 of the LSST table Source.
//!
//! The names and types of the wide table are in `data/source_columns.csv`. Its identifiers count
//! rows and exposures, its whole numbers are small, and every other column is a positive number.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result as EngineResult;

use super::provider::{Generator, StreamProvider};
use super::sky::{Detection, Sky};

const WIDE_COLUMNS: &str = include_str!("../../data/source_columns.csv");

/// Sources of one exposure, in the wide table.
const SOURCES_OF_EXPOSURE: i64 = 1000;

/// How many columns a source has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Width {
    /// Eleven: `sourceId`, `ra`, `decl` and eight measures.
    #[default]
    Narrow,
    /// The 107 columns of LSST's table Source.
    Wide,
}

static NARROW: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = vec![
        Field::new("sourceId", DataType::Int64, false),
        Field::new("ra", DataType::Float64, false),
        Field::new("decl", DataType::Float64, false),
    ];
    let measures = ["psfFlux", "apFlux", "modelFlux", "snr", "chi2", "sky", "Ixx", "Iyy"];
    fields.extend(measures.map(|name| Field::new(name, DataType::Float32, false)));
    Arc::new(Schema::new(fields))
});

static WIDE: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = WIDE_COLUMNS.lines().skip(1).map(|line| {
        let (name, kind) = line.split_once(',').expect("a name and a type");
        let data_type = match kind {
            "int64" => DataType::Int64,
            "int32" => DataType::Int32,
            "int16" => DataType::Int16,
            _ => DataType::Float64,
        };
        Field::new(name, data_type, false)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// The slice's sources, as a table to scan.
pub type SkySource = StreamProvider<SkyRows>;

/// Sources by their numbers.
#[derive(Debug)]
pub struct SkyRows {
    sky: Arc<Sky>,
    width: Width,
}

impl SkySource {
    /// The rows that `sky` names with [`Sky::slice_rows`].
    pub fn new(sky: Arc<Sky>, width: Width) -> Self {
        Self::of(SkyRows { sky, width })
    }
}

impl Generator for SkyRows {
    fn schema(&self) -> &SchemaRef {
        match self.width {
            Width::Narrow => &NARROW,
            Width::Wide => &WIDE,
        }
    }

    fn rows(&self) -> Range<u64> {
        self.sky.slice_rows()
    }

    fn batch(&self, rows: Range<u64>) -> EngineResult<RecordBatch> {
        let sources: Vec<Detection> = rows.clone().map(|row| self.sky.source(row)).collect();
        let schema = self.schema();
        let column = |field: &Arc<Field>| self.column(field, &sources, rows.clone());
        let columns: Vec<ArrayRef> = schema.fields().iter().map(column).collect();
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}

impl SkyRows {
    fn column(&self, field: &Field, sources: &[Detection], rows: Range<u64>) -> ArrayRef {
        let name = field.name();
        let measures = || self.sky.measures(name, rows.clone());
        let ids = || sources.iter().map(|source| source.id);
        match (name.as_str(), field.data_type()) {
            ("ra" | "raFlux" | "raPeak" | "raAstrom" | "raObject", DataType::Float64) => {
                Arc::new(Float64Array::from_iter_values(sources.iter().map(|source| source.ra)))
            }
            ("decl" | "declFlux" | "declPeak" | "declAstrom" | "declObject", DataType::Float64) => {
                Arc::new(Float64Array::from_iter_values(sources.iter().map(|source| source.decl)))
            }
            ("sourceId", _) => Arc::new(Int64Array::from_iter_values(ids())),
            (_, DataType::Int64) => {
                let exposures = ids().map(|id| id / SOURCES_OF_EXPOSURE);
                Arc::new(Int64Array::from_iter_values(exposures))
            }
            (_, DataType::Int32) => Arc::new(Int32Array::from_iter_values(
                sources.iter().map(|source| i32::from(source.ra < 180.0)),
            )),
            (_, DataType::Int16) => Arc::new(Int16Array::from_iter_values(
                ids().map(|id| i16::try_from(id % 6).expect("below 6")),
            )),
            (_, DataType::Float32) => {
                #[expect(clippy::cast_possible_truncation, reason = "rounded to a float32")]
                let values = measures().map(|value| value as f32);
                Arc::new(Float32Array::from_iter_values(values))
            }
            _ => Arc::new(Float64Array::from_iter_values(measures())),
        }
    }
}
