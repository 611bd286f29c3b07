//! The integration tests, one binary.
#![cfg(test)]

mod support {
    pub(crate) mod golden; // expected texts, and how to accept new ones
    pub(crate) mod shared; // files that are not kept in the repository
}

mod cli; // the binary from outside: exit codes, streams, signals, help
mod generate; // law 1: the same rows from any slice, batch size and number of streams
mod process; // signals, panics, closed pipes, terminals
