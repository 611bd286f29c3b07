//! What a run says about itself: its blocks, and the properties of its dataset, written and read.

use std::collections::BTreeMap;

use crate::dbscan::input::Input;
use crate::dbscan::options::Params;
use crate::dbscan::outcome::{BlockSummary, Outcome};
use crate::dbscan::plan::BlockPlan;
use crate::dbscan::plan::block_rows::{RowsByBlock, row_bytes};
use crate::error::{Error, Result};

/// The blocks of a plan.
pub(crate) fn planned<const D: usize>(plan: &BlockPlan<D>) -> Vec<BlockSummary> {
    facts(plan, plan.blocks().iter().map(|block| (block.own, block.margin)))
}

/// The blocks as they got their rows.
pub(crate) fn scattered<const D: usize>(
    plan: &BlockPlan<D>,
    by_block: &RowsByBlock<D>,
) -> Vec<BlockSummary> {
    facts(plan, by_block.blocks.iter().map(|part| (part.own_rows, part.margin_rows)))
}

fn facts<const D: usize>(
    plan: &BlockPlan<D>,
    rows: impl Iterator<Item = (u64, u64)>,
) -> Vec<BlockSummary> {
    let cost: f64 = plan.blocks().iter().map(|block| block.cost).sum();
    let numbered = (0..).zip(plan.blocks()).zip(rows);
    let facts = numbered.map(|((block, planned), (own_rows, margin_rows))| BlockSummary {
        block,
        lo: planned.region.lo.to_vec(),
        hi: planned.region.hi.to_vec(),
        own_rows,
        margin_rows,
        cost_share: if cost > 0.0 { planned.cost / cost } else { 0.0 },
        bytes: (own_rows + margin_rows) * row_bytes::<D>(),
    });
    facts.collect()
}

/// The stored blocks as they were read; where they lie, their dataset says.
pub(crate) fn stored<const D: usize>(by_block: &RowsByBlock<D>) -> Vec<BlockSummary> {
    let all: u64 = by_block.blocks.iter().map(|part| part.own_rows + part.margin_rows).sum();
    let facts = (0..).zip(&by_block.blocks).map(|(block, part)| {
        let rows = part.own_rows + part.margin_rows;
        BlockSummary {
            block,
            lo: Vec::new(),
            hi: Vec::new(),
            own_rows: part.own_rows,
            margin_rows: part.margin_rows,
            cost_share: rows as f64 / all.max(1) as f64,
            bytes: rows * row_bytes::<D>(),
        }
    });
    facts.collect()
}

/// The properties that a run publishes; [`Clustering::read`] reads them back.
pub(crate) fn properties(
    input: &Input,
    params: &Params,
    outcome: &Outcome,
) -> BTreeMap<String, String> {
    let counts = &outcome.counts;
    let own = [
        (DRIVER, OWN_DRIVER.to_owned()),
        (INPUT, input.location().to_string()),
        ("margin_rows", outcome.margin_rows().to_string()),
        ("blocks.count", outcome.blocks.len().to_string()),
        ("verify", params.options().verify.map_or("no".to_owned(), |verify| verify.to_string())),
        (ROWS, outcome.rows.to_string()),
        ("skipped", outcome.skipped.to_string()),
        (CLUSTERS, outcome.clusters().to_string()),
        ("core", counts.core.to_string()),
        ("border_rows", counts.border.to_string()),
        ("noise", counts.noise.to_string()),
        ("ambiguous", counts.ambiguous.to_string()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    params.record().into_iter().chain(own).collect()
}

const DRIVER: &str = "driver";
/// The name of this driver.
pub(crate) const OWN_DRIVER: &str = "dbscan";
const INPUT: &str = "input.location";
const ROWS: &str = "rows";
const CLUSTERS: &str = "clusters";

/// A published result, as its properties describe it.
#[derive(Debug, Clone)]
pub(crate) struct Clustering {
    /// What was clustered, as [`Source::open`](crate::table::Source::open) takes it.
    pub(crate) input: String,
    /// The columns and parameters.
    pub(crate) params: Params,
    /// Rows of the input.
    pub(crate) rows: u64,
    pub(crate) clusters: u64,
}

impl Clustering {
    /// The result in the dataset at `location`, which has these properties.
    ///
    /// # Errors
    /// A dataset that another command wrote, as a data error; properties that no run writes, as an
    /// internal one.
    pub(crate) fn read(location: &str, properties: &BTreeMap<String, String>) -> Result<Self> {
        let property = |name: &str| properties.get(name).map(String::as_str);
        match property(DRIVER) {
            Some(OWN_DRIVER) => {}
            Some(other) => {
                return Err(Error::data(format!(
                    "dataset '{location}' was not written by pleiad dbscan, but by pleiad {other}"
                )));
            }
            None => {
                return Err(Error::data(format!(
                    "dataset '{location}' was not written by pleiad dbscan"
                )));
            }
        }
        let number = |name: &str| {
            let found = property(name);
            found.and_then(|found| found.parse().ok()).ok_or_else(|| {
                Error::internal(format!(
                    "property '{name}' of dataset '{location}' is {found:?}, expected a number"
                ))
            })
        };
        let (rows, clusters) = (number(ROWS)?, number(CLUSTERS)?);
        let input = property(INPUT).ok_or_else(|| {
            Error::internal(format!("dataset '{location}' has no property '{INPUT}'"))
        })?;
        let params = Params::from_record(property)?;
        Ok(Self { input: input.to_owned(), params, rows, clusters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dbscan::options::Options;
    use crate::error::Kind;

    #[test]
    fn a_result_without_its_rows_is_our_mistake_and_not_an_empty_one() {
        let column = |name: &str| Some(name.to_owned());
        let options =
            Options { x: column("x"), y: column("y"), eps: Some(2.0), ..Options::default() };
        let params = Params::new(options).unwrap();
        let written = [(DRIVER, OWN_DRIVER), (INPUT, "points"), (ROWS, "7"), (CLUSTERS, "2")];
        let written = written.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut properties: BTreeMap<_, _> = params.record().into_iter().chain(written).collect();
        let read = Clustering::read("out", &properties).unwrap();
        assert_eq!((read.rows, read.clusters, read.input.as_str()), (7, 2, "points"));
        assert_eq!(read.params.record(), params.record());
        properties.insert(ROWS.to_owned(), "seven".to_owned());
        let error = Clustering::read("out", &properties).unwrap_err();
        assert_eq!(error.kind(), Kind::Internal, "{error}");
        properties.insert(DRIVER.to_owned(), "kmeans".to_owned());
        let error = Clustering::read("out", &properties).unwrap_err();
        assert_eq!(
            error.to_string(),
            "dataset 'out' was not written by pleiad dbscan, but by pleiad kmeans"
        );
    }
}
