//! What helps to choose parameters and to trust a result: red flags, the k-distance curve, `--verify`.

pub(crate) mod advise; // red flags; pure
pub mod distances; // the k-distance curve
pub(crate) mod probe; // labels of some rows against the definition
mod tree; // the k-th nearest row; pure
