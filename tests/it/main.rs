//! The integration tests, one binary.
#![cfg(test)]

mod support {
    pub(crate) mod clustering; // small tables, and k-means over them
    pub(crate) mod faults; // requests that fail on plan
    pub(crate) mod golden; // expected texts, and how to accept new ones
    pub(crate) mod s3; // an S3 server in process, with and without a socket
    pub(crate) mod scratch; // locations to write to, sessions
    pub(crate) mod scripted; // a server whose answers are written down
    pub(crate) mod shared; // files that are not kept in the repository
    pub(crate) mod sky; // the sky partitioner in memory
}

mod cli; // the binary from outside: exit codes, streams, signals, help
mod commands; // whole jobs with the binary, on files and on S3
mod functions; // the k-means functions in SQL, and a golden run of them
mod generate; // law 1: the same rows from any slice, batch size and number of streams
mod grid; // law 4 on random skies
mod grid_golden; // blocks and margins, against tables computed by independent scripts
mod kmeans; // golden runs of the driver, and scikit-learn's cost
mod kmeans_laws; // law 3: the same bits however rows are cut and read; no NaN; scans; plans
mod kmeans_mistakes; // input and options that k-means refuses
mod partition; // the sky partitioner, whole jobs
mod process; // signals, panics, closed pipes, terminals
mod sky_functions; // the functions of the sky in SQL
mod storage; // one suite for all stores
mod storage_messages; // what users see when a store refuses
mod table; // write, commit, read; published or absent
mod tidy; // the sources, tested like code
