//! What `farthest_rows` and `sample_rows` share: each row of a block has a rank, and the rows of the
//! best ranks are kept with their values.

use std::fmt;

use arrow::array::{ArrayRef, BooleanArray};
use datafusion::common::Result;

use super::arguments::{CallColumns, failed};
use super::context::{FunctionContext, Ready};
use super::fold::Core;
use crate::cancel::CancelFlag;
use crate::centroids::block::RowBlock;
use crate::centroids::groups::Groups;
use crate::centroids::model::ModelSet;
use crate::isa::Isa;

/// The rows that were picked so far.
pub(super) trait Picked: fmt::Debug + Send + Sync {
    /// How many bytes they occupy.
    fn bytes(&self) -> usize;

    /// Appends the state that travels between streams.
    fn write(&self, out: &mut Vec<u8>);

    /// Adds what [`Self::write`] wrote.
    fn merge_bytes(&mut self, bytes: &[u8]) -> crate::error::Result<()>;
}

/// A way to rank rows.
pub(super) trait Pick: fmt::Debug + Send + Sync + 'static {
    /// The rows it keeps.
    type Picked: Picked;

    /// The ranks of the rows of a block.
    type Ranks: fmt::Debug + Send + Sync;

    /// No rows.
    fn start(&self, models: &ModelSet) -> Self::Picked;

    /// A buffer.
    fn ranks(&self) -> Self::Ranks;

    /// How many bytes the buffer occupies.
    fn ranks_bytes(ranks: &Self::Ranks) -> usize;

    /// How many ranks a row has.
    fn rankings(&self, models: &ModelSet) -> usize;

    /// Finds rank number `ranking` of the rows of a block.
    fn rank(
        &self,
        isa: Isa,
        models: &ModelSet,
        ranking: usize,
        block: &RowBlock,
        ranks: &mut Self::Ranks,
    );

    /// Whether row `row` of the block could be kept; spares the caller its values.
    fn could_take(picked: &Self::Picked, ranking: usize, ranks: &Self::Ranks, row: usize) -> bool;

    /// Offers row `row` of the block.
    fn add(
        picked: &mut Self::Picked,
        ranking: usize,
        ranks: &Self::Ranks,
        row: usize,
        values: &[f64],
        weight: i64,
    );

    /// A result for each state.
    fn answer(&self, models: &ModelSet, states: &[Self::Picked]) -> ArrayRef;
}

/// A call that picks rows.
#[derive(Debug)]
pub(super) struct Picking<P> {
    isa: Isa,
    models: Ready<ModelSet>,
    columns: CallColumns,
    cancelled: CancelFlag,
    pick: P,
}

/// Buffers for a block.
#[derive(Debug)]
pub(super) struct Scratch<R> {
    block: RowBlock,
    ranks: R,
    values: Vec<f64>,
}

impl<P: Pick> Picking<P> {
    pub(super) fn new(
        context: &FunctionContext,
        models: Ready<ModelSet>,
        columns: CallColumns,
        pick: P,
    ) -> Self {
        let cancelled = context.cancelled().clone();
        Self { isa: Isa::best(), models, columns, cancelled, pick }
    }

    /// Offers the rows of the block, as long as somebody waits; by how many bytes the states grew.
    fn offer(
        &self,
        Scratch { block, ranks, values }: &mut Scratch<P::Ranks>,
        into: &mut Groups<'_, P::Picked>,
    ) -> crate::error::Result<usize> {
        let mut grown = 0;
        for ranking in 0..self.pick.rankings(&self.models) {
            self.cancelled.check()?;
            self.pick.rank(self.isa, &self.models, ranking, block, ranks);
            for row in 0..block.rows() {
                let picked = into.of(block.origins[row]);
                if !P::could_take(picked, ranking, ranks, row) {
                    continue;
                }
                values.clear();
                values.extend(block.coordinates(row));
                let before = picked.bytes();
                P::add(picked, ranking, ranks, row, values, block.weights[row]);
                grown += picked.bytes() - before;
            }
        }
        Ok(grown)
    }
}

impl<P: Pick> Core for Picking<P> {
    type State = P::Picked;
    type Scratch = Scratch<P::Ranks>;

    fn start(&self) -> P::Picked {
        self.pick.start(&self.models)
    }

    fn scratch(&self) -> Self::Scratch {
        let columns = self.models.columns();
        Scratch {
            block: RowBlock::new(columns, 0),
            ranks: self.pick.ranks(),
            values: Vec::with_capacity(columns),
        }
    }

    fn update(
        &self,
        scratch: &mut Self::Scratch,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut into: Groups<'_, P::Picked>,
    ) -> Result<usize> {
        let mut grown = 0;
        self.columns.for_each_block(
            self.isa,
            (&self.models, &self.cancelled),
            (values, filter),
            scratch,
            |scratch| &mut scratch.block,
            |scratch| {
                grown += self.offer(scratch, &mut into).map_err(failed)?;
                Ok(())
            },
        )?;
        Ok(grown)
    }

    fn write(&self, state: &P::Picked, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn merge(&self, state: &mut P::Picked, bytes: &[u8]) -> Result<()> {
        state.merge_bytes(bytes).map_err(failed)
    }

    fn evaluate(&self, states: &[P::Picked]) -> Result<ArrayRef> {
        Ok(self.pick.answer(&self.models, states))
    }

    fn state_bytes(&self, state: &P::Picked) -> usize {
        state.bytes()
    }

    fn scratch_bytes(&self, scratch: &Self::Scratch) -> usize {
        scratch.block.bytes() + P::ranks_bytes(&scratch.ranks) + scratch.values.capacity() * 8
    }
}
