//! What several tests need.

pub(crate) mod shared; // files of ../shared/data
pub(crate) mod sky; // the sky partitioner in memory
