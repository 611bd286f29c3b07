//! Files that are not what they say: a damaged Parquet or CSV file is read, or refused with an error
//! of its own kind; nothing panics, and nothing is taken for a bug of this program.
//!
//! `PLEIAD_TEST_CASES` sets the number of cases of each property; `just soak` gives 10,000.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use object_store::{ObjectStoreExt, PutPayload};
use pleiad::cli::terminal::variable;
use pleiad::error::{Error, Kind, Result};
use pleiad::fuzzing;
use pleiad::grid::{Bounds, Cells, Frame, Grid, GridShape, Margin, Plan};
use pleiad::storage::{Location, StorageOptions, Stores};
use pleiad::table::{Source, SourceOptions};
use proptest::prelude::*;

use crate::support::scratch::session;

/// Where a file is damaged.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Overwrite(prop::sample::Index, Vec<u8>),
    Insert(prop::sample::Index, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    let bytes = || prop::collection::vec(any::<u8>(), 1..12);
    prop_oneof![
        at().prop_map(Damage::Cut),
        (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (at(), bytes()).prop_map(|(at, bytes)| Damage::Overwrite(at, bytes)),
        (at(), bytes()).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

fn damaged(whole: &[u8], damages: &[Damage], from: usize) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for damage in damages {
        if bytes.len() <= from {
            break;
        }
        let place = |at: &prop::sample::Index| from + at.index(bytes.len() - from);
        match damage {
            Damage::Cut(at) => bytes.truncate(place(at)),
            Damage::Flip(at, bit) => {
                let at = place(at);
                bytes[at] ^= 1 << bit;
            }
            Damage::Overwrite(at, new) => {
                let at = place(at);
                let end = (at + new.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&new[..end - at]);
            }
            Damage::Insert(at, new) => {
                let at = place(at);
                bytes.splice(at..at, new.iter().copied());
            }
        }
    }
    bytes
}

/// Reads every row of a file with this name and these bytes. Decoders of pages panic on some; the
/// program turns that into exit code 65 (`cli::exit`), and so does this.
fn read(name: &str, bytes: Vec<u8>) -> Result<usize> {
    let read = std::panic::AssertUnwindSafe(|| read_all(name, bytes));
    std::panic::catch_unwind(read).unwrap_or_else(|_| Err(Error::data("a decoder panicked")))
}

fn read_all(name: &str, bytes: Vec<u8>) -> Result<usize> {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    });
    RUNTIME.block_on(async {
        let stores = Stores::new(StorageOptions::default());
        let at = Location::parse(&format!("memory://name/in/{name}")).unwrap();
        let store = stores.open(&at).unwrap();
        store.objects().put(at.path(), PutPayload::from(Bytes::from(bytes))).await.unwrap();
        let source = Source::open(&stores, &at.to_string(), &SourceOptions::default()).await?;
        let session = session(&stores, 1, 8192);
        session.register_table("t", source.tables[0].provider())?;
        let batches = session.sql("SELECT * FROM t").await?.collect().await?;
        Ok(batches.iter().map(arrow::array::RecordBatch::num_rows).sum())
    })
}

/// A good error for damaged data says that the data is damaged.
fn is_fair(error: &Error) -> bool {
    matches!(error.kind(), Kind::Data | Kind::InputMissing | Kind::Limit)
}

static PARQUET: LazyLock<Vec<u8>> = LazyLock::new(|| {
    use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..500))),
        ("x", Arc::new(Float64Array::from_iter_values((0..500).map(|i| f64::from(i) / 7.)))),
        ("name", Arc::new(StringArray::from_iter_values((0..500).map(|i| format!("n{}", i % 9))))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
});

const CSV: &str = "id,x,name\n1,2.5,anna\n2,-3e9,\"b, c\"\n3,,\"quo\"\"te\"\n4,1,d\n";

fn cases() -> ProptestConfig {
    let cases = variable("PLEIAD_TEST_CASES").map_or(64, |cases| cases.parse().unwrap());
    ProptestConfig::with_cases(cases)
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_damaged_parquet_file_is_read_or_refused(
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        if let Err(error) = read("f.parquet", damaged(&PARQUET, &damages, 0)) {
            prop_assert!(is_fair(&error), "{:?}: {error}", error.kind());
        }
    }

    /// The footer is where sizes and offsets are.
    #[test]
    fn a_damaged_footer_is_read_or_refused(damages in prop::collection::vec(damage(), 1..4)) {
        let from = PARQUET.len() - 600;
        if let Err(error) = read("f.parquet", damaged(&PARQUET, &damages, from)) {
            prop_assert!(is_fair(&error), "{:?}: {error}", error.kind());
        }
    }

    #[test]
    fn a_damaged_csv_file_is_read_or_refused(damages in prop::collection::vec(damage(), 1..6)) {
        if let Err(error) = read("f.csv", damaged(CSV.as_bytes(), &damages, 0)) {
            prop_assert!(is_fair(&error), "{:?}: {error}", error.kind());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for name in ["f.parquet", "f.csv"] {
            if let Err(error) = read(name, bytes.clone()) {
                prop_assert!(is_fair(&error), "{:?}: {error}", error.kind());
            }
        }
    }
}

/// A reader of bytes, and bytes that it reads.
type Reader = (fn(&[u8]) -> Result<()>, Vec<u8>);

/// A block of DBSCAN without rows: a mark, the numbers of words of both parts, and five lengths.
fn block_of_no_rows() -> Vec<u8> {
    let lengths = [0_u64, 5, 0, 0, 0, 0, 0];
    b"PLDBSC01".iter().copied().chain(lengths.into_iter().flat_map(u64::to_le_bytes)).collect()
}

/// The targets in `fuzz/`, but for those of files, each with a sample.
fn readers() -> [Reader; 7] {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/releases/0.1.0/");
    let manifest = std::fs::read(format!("{golden}blocks/_manifest/00000001.json")).unwrap();
    let properties = std::fs::read(format!("{golden}blocks/properties")).unwrap();
    let sphere = Bounds { lon_min: 0.0, lon_max: 360.0, lat_min: -90.0, lat_max: 90.0 };
    let shape = GridShape::new(4, 3).unwrap();
    let grid = Grid::new(Frame::Ecliptic, 0.0, sphere, shape).unwrap();
    let plan = Plan::uncut(grid, Margin::arcsec(30.0).unwrap());
    [
        (fuzzing::manifest, manifest),
        (fuzzing::plan, plan.encode()),
        (fuzzing::cells, Cells::of_blocks(plan).encode()),
        (fuzzing::statements, b"SELECT 'a' -- b\n; COPY (SELECT 1) TO 'x.csv'; /* c */".to_vec()),
        (fuzzing::properties, properties),
        (fuzzing::mc_host, b"https://KEY:SECRET:TOKEN/+=@play.example:9000".to_vec()),
        (fuzzing::block_result, block_of_no_rows()),
    ]
}

#[test]
fn every_reader_reads_its_sample() {
    for (index, (read, sample)) in readers().into_iter().enumerate() {
        read(&sample).unwrap_or_else(|error| panic!("reader {index}: {error}"));
    }
}

proptest! {
    #![proptest_config(cases())]

    /// What the targets of `fuzz/` check.
    #[test]
    fn damaged_records_are_read_or_refused(damages in prop::collection::vec(damage(), 1..4)) {
        for (read, sample) in readers() {
            if let Err(error) = read(&damaged(&sample, &damages, 0)) {
                prop_assert!(error.kind() != Kind::Internal, "{error}");
            }
        }
    }

    #[test]
    fn any_bytes_are_a_record_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for (read, _) in readers() {
            if let Err(error) = read(&bytes) {
                prop_assert!(error.kind() != Kind::Internal, "{error}");
            }
        }
    }
}
