//! The one integration binary.
#![cfg(test)]

mod grid; // law 4 on random skies
mod grid_golden; // the tables computed by independent scripts
mod support;
