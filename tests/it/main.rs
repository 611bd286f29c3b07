//! The integration tests, one binary.
#![cfg(test)]

mod support {
    pub(crate) mod children; // the program as a process that dies
    pub(crate) mod dbscan; // brute force, wide margins, blocks
    pub(crate) mod labels; // small tables of points, and DBSCAN over them
    pub(crate) mod endpoint; // all S3 servers that a suite can run on
    pub(crate) mod fault_http; // a connection that goes wrong on purpose
    pub(crate) mod fault_store; // a bucket in memory that goes wrong on purpose
    pub(crate) mod clustering; // small tables, and k-means over them
    pub(crate) mod faults; // requests that fail on plan
    pub(crate) mod golden; // expected texts, and how to accept new ones
    pub(crate) mod http_answers; // what such a connection answers
    pub(crate) mod moto; // a second S3 server, in Python
    pub(crate) mod proxy; // a line that is slow, or breaks
    pub(crate) mod s3; // an S3 server in process, with and without a socket
    pub(crate) mod scratch; // locations to write to, sessions
    pub(crate) mod scripted; // a server whose answers are written down
    pub(crate) mod seeded; // chance that repeats, lives that end
    pub(crate) mod data_lab; // a pod with two files, and what is asked of it
    pub(crate) mod grid_golden; // golden tables of blocks, and how they are compared
    pub(crate) mod partition; // the sky partitioner in a folder of its own
    pub(crate) mod shared; // data of others, where it is
    pub(crate) mod sky; // the sky partitioner in memory
    pub(crate) mod sql; // statements in this process
    pub(crate) mod stream; // standing queries in this process
    pub(crate) mod simulation; // several actors, in an order that a seed decides
    pub(crate) mod soon; // what has to end within a second
}

mod cli; // the binary from outside: exit codes, streams, signals, help
mod corrupt; // damaged files are read or refused
mod dbscan_local; // law 5 in one block and by any blocks, against slow answers
mod dbscan_cancel; // a dropped driver ends its threads, in every phase
mod dbscan; // law 5 from files to labels; golden labels; killed runs
mod drift; // Parquet files of other programs: types, keys, names, tables that list their own files
mod drivers_simulated; // drivers that die, in an order of calls that a seed decides
mod faults; // the tools that break things: each does what it says
mod feed; // servers of lines, and what their clients get
mod commit_races; // law 7 as a state machine over an order of calls that a seed decides
mod stream_files; // standing queries into folders of files
mod stream_sources; // where the rows of streams come from, and what goes wrong there
mod stream_stops; // standing queries that are told to end
mod lab; // the scripts of the streaming lab
mod history; // several processes whose statements must be one after the other
mod commands; // whole jobs with the binary, on files and on S3
mod functions; // the k-means functions in SQL, and a golden run of them
mod generate; // law 1: the same rows from any slice, batch size and number of streams
mod grid; // law 4 on random skies
mod grid_golden; // blocks and margins, against tables computed by independent scripts
mod data_lab; // the exercise of the data-lab course, as far as it looks at files
mod inputs;
mod nan; // NaN in comparisons, whatever row groups and statistics
mod text; // text files as people have them, whatever writes them
mod inspect; // objects and folders, first rows, columns, footers: on files and on S3
mod interrupt; // Ctrl-C in each stage of each driver
mod liveness; // runs that died on another machine
mod lost_answers; // answers that are lost, cut short or never come
mod killed; // the program killed at its calls
mod kmeans; // golden runs of the driver, and scikit-learn's cost
mod kmeans_dropped; // a dropped run ends in every phase
mod kmeans_laws; // law 3: the same bits however rows are cut and read; no NaN; scans; plans
mod kmeans_units; // neither the unit of a column nor its distance from 0 changes the clusters
mod kmeans_mistakes; // input and options that k-means refuses
mod manifests; // manifests that were edited, removed, or replaced by others
mod objects; // cp of many, mv, find, mirror: on files and on S3
mod odd_names; // names that no listing may stumble over; markers of folders
mod orphans; // uploads whose processes died
mod own_input; // runs that read what they write to
mod partition; // the sky partitioner, whole jobs
mod partition_stops; // dropped in each stage, its threads end
mod partition_limits; // what it reads, its memory, its warnings
mod process; // signals, panics, closed pipes, terminals
mod pictures; // what is drawn, read from the SVG
mod predict; // rows of other tables to the clusters of a model
mod removed; // objects that are gone, in each state of a run
mod sky_functions; // the functions of the sky in SQL
mod docs; // pages made from the code, commands of the README
mod shared; // what needs data of others
mod scripts; // the scripts in sql/, and SQL from the command line
mod slt; // SQL logic tests
mod power_loss; // disks as a power cut leaves them
mod prose; // what pages and messages say, as texts
mod seat; // what a person meets at the prompt
mod stream;
mod stream_modes; // every cell of the table of modes
mod stream_join; // joins of two streams
mod stream_progress; // what standing queries tell of their batches
mod stream_time; // law 6: standing queries equal themselves in a batch
mod secrets; // no secret in anything that is said or written
mod rows_into_datasets; // INSERT and COPY into a dataset, and one that is mixed
mod statements_stop; // a dropped statement ends, whatever its plan
mod storage; // one suite for all stores
mod storage_messages; // what users see when a store refuses
mod table; // write, commit, read; published or absent
mod tokens; // session tokens that expire in mid-run
mod unwell; // stores in trouble, changed files, and what check says
mod releases; // datasets of earlier releases are read
mod versions; // old versions: kept, read, published again, removed
mod verify; // what check says of blocks that were tampered with
mod tidy; // the sources, tested like code
