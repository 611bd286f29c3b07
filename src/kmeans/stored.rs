//! A model as a published result keeps it, for rows that were not clustered.
//!
//! The table `figures` has each model as a value over the user's numbers. Where columns were counted from
//! an origin, the properties say from which (`place.COLUMN`), and `placed_bytes` is the value that goes
//! with them.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use futures::TryStreamExt;

use super::coordinates::Place;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::table::{Source, SourceTable};

/// What is clustered by a stored model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Features {
    /// Columns of numbers.
    Columns(Vec<String>),
    /// Right ascension and declination.
    Sky([String; 2]),
}

/// A model of a result of k-means.
#[derive(Debug, Clone)]
pub struct StoredModel {
    /// Its number in the result.
    pub number: i32,
    /// Its number of clusters.
    pub k: i32,
    /// What it clusters by.
    pub features: Features,
    pub(super) bytes: Vec<u8>,
    pub(super) places: Vec<Place>,
    pub(super) distance_factor: Option<f64>,
}

/// Which model of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The best, of the one k that there is.
    Best,
    /// The best of this k.
    K(u32),
    /// The one of this number.
    Number(u32),
}

impl StoredModel {
    /// Reads a model of the result `source`; `name` is what the user calls it.
    ///
    /// # Errors
    /// A source that is no result of k-means; a choice that no model or several models meet.
    pub async fn read(
        session: &Session,
        source: &Source,
        name: &str,
        choice: Choice,
    ) -> Result<Self> {
        let not = || {
            Error::data(format!(
                "'{name}' is not a result of kmeans: name the OUT of pleiad kmeans, which has the tables \
                 model and figures"
            ))
        };
        let manifest = source.manifest.as_ref().ok_or_else(not)?;
        let table = |name: &str| source.tables.iter().find(|table| table.name == name);
        let (Some(model), Some(figures)) = (table("model"), table("figures")) else {
            return Err(not());
        };
        let rows = rows(session, figures).await?;
        let chosen = chosen(&rows, name, choice)?;
        let features = features(model, &manifest.properties);
        let places = match &features {
            Features::Columns(columns) => places(columns, &manifest.properties)?,
            Features::Sky(_) => {
                places(&super::params::SKY.map(str::to_owned), &manifest.properties)?
            }
        };
        let is_plain = places.iter().all(|place| place.is_plain());
        let bytes = chosen.bytes(if is_plain { "model_bytes" } else { "placed_bytes" });
        let bytes = bytes.ok_or_else(|| {
            Error::data(format!(
                "model {} of '{name}' has no value for other rows",
                chosen.number()
            ))
        })?;
        let factor = manifest.properties.get("distance_factor");
        let factor =
            factor.map(|text| text.parse::<f64>().map_err(|_text| damaged("distance_factor")));
        Ok(Self {
            number: chosen.number(),
            k: chosen.k(),
            features,
            bytes,
            places,
            distance_factor: factor.transpose()?,
        })
    }
}

async fn rows(session: &Session, table: &SourceTable) -> Result<Vec<RecordBatch>> {
    let session = session.child(|options| options.execution.target_partitions = 1);
    let frame = session.context().read_table(table.provider())?;
    Ok(frame.execute_stream().await?.try_collect().await?)
}

/// One row of `figures`.
#[derive(Clone, Copy)]
struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl Row<'_> {
    fn int(&self, name: &str) -> i32 {
        let column = self.batch.column_by_name(name);
        column.and_then(|c| c.as_primitive_opt::<Int32Type>()).map_or(0, |c| c.value(self.row))
    }

    fn number(&self) -> i32 {
        self.int("model")
    }

    fn k(&self) -> i32 {
        self.int("k")
    }

    fn is_best(&self) -> bool {
        let column = self.batch.column_by_name("best");
        column.and_then(|c| c.as_boolean_opt()).is_some_and(|c| c.value(self.row))
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let column = self.batch.column_by_name(name)?.as_binary_opt::<i32>()?;
        column.is_valid(self.row).then(|| column.value(self.row).to_vec())
    }
}

fn chosen<'a>(batches: &'a [RecordBatch], name: &str, choice: Choice) -> Result<Row<'a>> {
    let all =
        batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| Row { batch, row }));
    let all: Vec<Row<'_>> = all.collect();
    let is_meant = |row: &&Row<'_>| match choice {
        Choice::Best => row.is_best(),
        Choice::K(k) => row.is_best() && u32::try_from(row.k()) == Ok(k),
        Choice::Number(number) => u32::try_from(row.number()) == Ok(number),
    };
    let meant: Vec<&Row<'_>> = all.iter().filter(is_meant).collect();
    let known = |of: fn(&Row<'_>) -> i32, rows: &mut dyn Iterator<Item = &Row<'_>>| {
        rows.map(|row| of(row).to_string()).collect::<Vec<_>>().join(", ")
    };
    let best = || known(|row| row.k(), &mut all.iter().filter(|row| row.is_best()));
    match (&meant[..], choice) {
        ([one], _) => Ok(**one),
        (_, Choice::Best) => Err(Error::usage(format!(
            "'{name}' has models of several k ({}): pass --k with one of them",
            best()
        ))),
        (_, Choice::K(k)) => {
            Err(Error::usage(format!("'{name}' has no model of k {k}, expected one of {}", best())))
        }
        (_, Choice::Number(number)) => Err(Error::usage(format!(
            "'{name}' has no model {number}, expected one of {}",
            known(|row| row.number(), &mut all.iter())
        ))),
    }
}

/// What the columns of the table `model` say of what was clustered.
fn features(model: &SourceTable, properties: &BTreeMap<String, String>) -> Features {
    if let (Some(ra), Some(dec)) = (properties.get("ra"), properties.get("dec")) {
        return Features::Sky([ra.clone(), dec.clone()]);
    }
    let fields = model.schema.fields().iter();
    let columns = fields.filter_map(|field| field.name().strip_prefix("c_"));
    Features::Columns(columns.map(str::to_owned).collect())
}

/// What properties say of the place of each column: `origin exponent integer`, if it is not plain.
fn places(columns: &[String], properties: &BTreeMap<String, String>) -> Result<Vec<Place>> {
    let place = |column: &String| {
        let key = format!("place.{column}");
        let Some(text) = properties.get(&key) else { return Ok(Place::PLAIN) };
        Place::parse(text).ok_or_else(|| damaged(&key))
    };
    columns.iter().map(place).collect()
}

fn damaged(key: &str) -> Error {
    Error::data(format!("property '{key}' of the result cannot be read: run kmeans again"))
}
