//! What a run publishes: its tables, its properties, and some rows of it for a picture.

pub(crate) mod clusters; // the table `clusters`
pub(crate) mod labels; // the table `labels`
pub(crate) mod record; // what a run says about itself
pub mod sample; // rows of a result for a picture
