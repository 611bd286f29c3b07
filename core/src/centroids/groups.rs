//! Where the rows of a batch go: all into one state, or each into the state of its group.

/// The states that a batch is folded into.
#[derive(Debug)]
pub enum Groups<'a, S> {
    /// All rows belong to one group.
    One(&'a mut S),
    /// Row `i` belongs to `states[groups[i]]`.
    Each {
        /// A state for each group.
        states: &'a mut [S],
        /// The group of each row of the batch.
        groups: &'a [usize],
    },
}

impl<S> Groups<'_, S> {
    /// The state of row `row` of the batch.
    #[inline]
    pub fn of(&mut self, row: u32) -> &mut S {
        match self {
            Self::One(state) => state,
            Self::Each { states, groups } => &mut states[groups[row as usize]],
        }
    }
}
