//! DBSCAN, exact and block by block: the labels of scikit-learn whatever the blocks.
//!
//! Ester et al. 1996. [`local`] clusters the rows of one block; [`merge`] joins what blocks found
//! out about each other's rows and numbers the clusters.

pub mod local; // one block: coordinates in, labels and contacts out
pub mod merge; // contacts of all blocks in, cluster numbers out
