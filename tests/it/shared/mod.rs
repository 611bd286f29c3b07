//! Tests on data of others in `../shared/data`. It cannot be shipped: without that folder they pass
//! without a look, and one line says so.

mod data_lab; // files of the course, listed and counted
mod dbscan; // labels of scikit-learn, from files to labels
mod dbscan_local; // the same in one block and by blocks
mod grid; // blocks of 2017 and ours on real catalogues
mod kmeans; // point sets with known clusters
mod partition; // whole jobs on real catalogues
mod stream; // the streaming lab's recorded data
mod table; // a CSV file of a city

use std::io::Write;

use crate::support::shared::shared;

#[test]
fn the_suite_runs_or_says_that_it_is_skipped() {
    if shared("golden").is_none() {
        // Written past the capture of what passing tests print.
        writeln!(std::io::stderr(), "shared: skipped, '../shared/data' is not there").unwrap();
    }
}
