//! The sections of the documentation that our functions appear in.

use datafusion::logical_expr::DocSection;

/// What k-means is made of.
pub(super) const CLUSTERING: DocSection =
    DocSection { include: true, label: "Clustering Functions", description: None };

/// Positions and blocks.
pub(super) const SKY: DocSection =
    DocSection { include: true, label: "Sky Functions", description: None };

/// Text.
pub(super) const TEXT: DocSection =
    DocSection { include: true, label: "Text Functions", description: None };

/// Windows of time.
pub(super) const TIME: DocSection =
    DocSection { include: true, label: "Time Functions", description: None };
