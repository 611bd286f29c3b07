//! What a run keeps of each step, durable before the next begins, so that a killed run can go on.
//!
//! `OUT/_runs/<run>/kept/steps/00012.json` holds the options, the pinned files and every model with
//! its centroids as bits: going on gives the same bits as never having stopped.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::bits::{from_bits, to_bits};
use super::model::{ModelState, Role, StepFacts, StopReason};
use super::params::Params;
use crate::error::{Error, Result};
use crate::table::{InputRecord, Premises};

/// One kept step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step that all moving models have done.
    pub step: u64,
    /// Options that decide the result.
    options: Vec<(String, String)>,
    /// Pinned files.
    inputs: Vec<InputRecord>,
    /// Models in their order.
    models: Vec<ModelRecord>,
}

impl StepRecord {
    /// What is kept after `step`.
    pub(super) fn new(
        step: u64,
        params: &Params,
        inputs: &[InputRecord],
        models: &[ModelState],
    ) -> Self {
        Self {
            step,
            options: params.record(),
            inputs: inputs.to_vec(),
            models: models.iter().map(ModelRecord::of).collect(),
        }
    }

    /// The record as JSON.
    ///
    /// # Errors
    /// Never for records of this program.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let failed = |cause| Error::internal("a step cannot be written down").caused_by(cause);
        serde_json::to_vec(self).map_err(failed)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// Bytes that are not a record are bad data.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|cause| damaged().caused_by(cause))
    }

    /// The models as they were kept.
    ///
    /// # Errors
    /// A record that this program did not write is bad data.
    pub(super) fn models(&self) -> Result<Vec<ModelState>> {
        self.models.iter().map(ModelRecord::model).collect()
    }

    /// Checks that a run with these options over these files may go on from here.
    ///
    /// # Errors
    /// The first difference, as a usage error.
    pub(super) fn check(&self, params: &Params, inputs: &[InputRecord]) -> Result<()> {
        let killed = Premises { options: &self.options, inputs: &self.inputs };
        Premises { options: &params.record(), inputs }.check_resume(killed)
    }
}

fn damaged() -> Error {
    Error::data("a kept step is damaged: run without --resume")
}

/// One kept model.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ModelRecord {
    /// `global`, `unweighted` or the number of a partition.
    role: String,
    start: u32,
    /// Centroids row by row, as bits in hex.
    centroids: Vec<Vec<String>>,
    /// The mean variance of the columns as bits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    variance: Vec<String>,
    history: Vec<StepFacts>,
    stopped: Option<StopReason>,
}

impl ModelRecord {
    /// What is kept of `model`.
    fn of(model: &ModelState) -> Self {
        Self {
            role: match model.role {
                Role::Global => "global".to_owned(),
                Role::Unweighted => "unweighted".to_owned(),
                Role::Local { partition } => partition.to_string(),
            },
            start: model.start,
            centroids: model.centroids.rows().into_iter().map(|row| to_bits(row.iter())).collect(),
            variance: to_bits(model.variance.iter()),
            history: model.history.clone(),
            stopped: model.stopped,
        }
    }

    /// The model as it was kept.
    ///
    /// # Errors
    /// A record that this program did not write is bad data.
    fn model(&self) -> Result<ModelState> {
        let role = match self.role.as_str() {
            "global" => Role::Global,
            "unweighted" => Role::Unweighted,
            number => Role::Local {
                partition: number.parse().map_err(|cause| damaged().caused_by(cause))?,
            },
        };
        let rows: Vec<Vec<f64>> = self
            .centroids
            .iter()
            .map(|row| from_bits(row))
            .collect::<Option<_>>()
            .ok_or_else(damaged)?;
        let columns = rows.first().map_or(0, Vec::len);
        let centroids = Array2::from_shape_vec((rows.len(), columns), rows.concat());
        Ok(ModelState {
            role,
            start: self.start,
            centroids: centroids.map_err(|cause| damaged().caused_by(cause))?,
            variance: from_bits(&self.variance).ok_or_else(damaged)?.first().copied(),
            history: self.history.clone(),
            stopped: self.stopped,
        })
    }
}
