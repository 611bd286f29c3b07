//! The `pleiad` binary: parse, run, print the error chain, exit.

fn main() {}
