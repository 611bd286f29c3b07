//! The integration tests, one binary.
#![cfg(test)]

mod support {
    pub(crate) mod faults; // requests that fail on plan
    pub(crate) mod s3; // an S3 server in process, with and without a socket
    pub(crate) mod scratch; // locations to write to, sessions
    pub(crate) mod scripted; // a server whose answers are written down
}

mod storage; // one suite for all stores
mod storage_messages; // what users see when a store refuses
mod table; // write, commit, read; published or absent
