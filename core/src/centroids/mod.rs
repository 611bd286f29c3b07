//! The pure core of the k-means functions: numbers in, numbers out, no engine and no Arrow.
//!
//! A row is read into a [`block`], quantised ([`fixed`]), labelled ([`kernel`]) and added to
//! [`totals`]; what all of them need to know about centroids and columns is a [`model`]. A [`sample`]
//! starts a run, the [`farthest`] rows repair empty clusters.

pub mod adder; // the loop that makes totals
pub mod block; // 512 usable rows, widened and quantised
pub mod farthest; // the rows farthest from their centroids
pub mod fixed; // floats as integers, and means of them as floats
pub mod groups; // where the rows of a batch go
pub mod kernel; // nearest centroids, one body for every instruction set
pub mod model; // centroids and the box of the rows
mod model_bytes; // a model as bytes
pub mod sample; // the rows of lowest hash
mod scatter; // a block into the lines of its clusters
pub mod totals; // the integer sums per cluster
