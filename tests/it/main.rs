//! The integration tests, one binary.
#![cfg(test)]

mod support {
    pub(crate) mod shared; // files that are not kept in the repository
}

mod functions; // the k-means functions in SQL, and a golden run of them
