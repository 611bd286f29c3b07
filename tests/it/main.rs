//! The integration tests, one binary.
#![cfg(test)]

mod support {
    pub(crate) mod golden; // expected texts, and how to accept new ones
    pub(crate) mod shared; // files that are not kept in the repository
}

mod generate; // law 1: the same rows from any slice, batch size and number of streams
