//! S3: which server, with which keys, and how requests are sent.

pub(crate) mod buckets; // the buckets of a server
pub(crate) mod client; // the client of one bucket
pub(crate) mod credentials; // where keys come from, in which order
pub(crate) mod http; // counts requests, decides what is tried again
pub(crate) mod keys; // an access key, and where a setting was read
pub(crate) mod mc; // MC_HOST_<alias> and mc's config.json
pub(crate) mod odd_keys; // keys that the client cannot hold
pub(crate) mod parts; // the parts of an open upload
pub(crate) mod presign; // links to objects
pub(crate) mod profile; // the config and credentials files of the AWS tools
pub(crate) mod request; // requests that the client has no call for
pub(crate) mod settings; // flags, and what they and the environment come to
pub(crate) mod silence; // servers that do not answer
pub(crate) mod shown; // settings as a person may see them
pub(crate) mod uploads; // the open uploads of a bucket
