use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, Schema};
use datafusion::execution::memory_pool::UnboundedMemoryPool;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::storage::{StorageOptions, Stores};
use crate::table::text::csv::TextFacts;
use crate::table::text::format::CsvLines;
use crate::table::text::options::TextOptions;
use crate::table::text::{csv, join, json};

/// A text as a file of a store.
struct Stored {
    store: Arc<InMemory>,
    name: &'static str,
    size: u64,
}

impl Stored {
    async fn new(name: &'static str, text: &str) -> Self {
        let store = Arc::new(InMemory::new());
        store.put(&Path::from(name), text.to_owned().into()).await.unwrap();
        Self { store, name, size: text.len() as u64 }
    }

    /// What a look at it says, or at its first bytes.
    async fn looked_at(&self, sample: Option<u64>) -> Result<TextFacts> {
        let (path, options) = (Path::from(self.name), TextOptions::default());
        let look = csv::Look { names: None, options: &options, needed: None, sample };
        let file = (&path, self.size);
        match self.name.ends_with("csv") {
            true => csv::inspect(self.store.as_ref(), file, self.name, look).await,
            false => json::inspect(self.store.as_ref(), file, self.name, look).await,
        }
    }

    /// The batches of the ranges between `cuts`, range by range.
    async fn batches(&self, facts: &TextFacts, cuts: &[usize]) -> Result<Vec<RecordBatch>> {
        let stores = Stores::new(StorageOptions::default());
        let location = stores.parse("memory://x/y").unwrap();
        let opener = TextOpener {
            store: Arc::clone(&self.store) as _,
            place: DatasetRoot::at(&stores, &location).unwrap(),
            pool: Arc::new(UnboundedMemoryPool::default()),
            schema: schema(facts),
            batch_rows: 2,
        };
        let mut batches = Vec::new();
        for range in cuts.windows(2) {
            let [start, end] = [range[0], range[1]].map(|at| i64::try_from(at).unwrap());
            let file = PartitionedFile::new(self.name, self.size).with_range(start, end);
            let file = file.with_extension(facts.file.clone());
            let rows = opener.open(file)?.await?;
            batches.extend(rows.try_collect::<Vec<_>>().await?);
        }
        Ok(batches)
    }
}

fn schema(facts: &TextFacts) -> SchemaRef {
    Arc::new(Schema::new(join::fields(std::iter::once(&facts.file))))
}

/// The numbers that the ranges of a file between `cuts` hold, range by range.
async fn read(name: &'static str, text: &str, cuts: &[usize]) -> Vec<i64> {
    let file = Stored::new(name, text).await;
    let mut facts = file.looked_at(None).await.unwrap();
    if let Lines::Csv(lines) = &mut facts.file.lines {
        lines.splits = splits(text, lines);
    }
    let batches = file.batches(&facts, cuts).await.unwrap();
    let columns = batches.iter().map(|batch| batch.column(0).as_primitive::<Int64Type>());
    columns.flat_map(|column| column.values().to_vec()).collect()
}

/// Every record of a text.
fn splits(text: &str, lines: &CsvLines) -> Arc<[Split]> {
    let mut records = Records::new(lines.dialect, 1000, lines.begin, lines.begin_line);
    records.push(&text.as_bytes()[usize::try_from(lines.begin).unwrap()..]);
    records.end();
    let mut splits = Vec::new();
    while records.step().unwrap() == Step::Record {
        let line = records.record().unwrap().line;
        splits.push(Split { byte: records.offset(), line });
    }
    splits.into()
}

#[rstest]
#[case("x.csv", "\u{feff}a,b\n1,x\n22,y\n\n333,z\n4,\n")]
#[case("x.csv", "a,b\r\n1,x\r\n22,y\r\n333,zzzz\r\n4,w")]
#[case("x.csv", "a,b\r1,x\r22,y\r333,z\r4,w\r")]
#[case("x.csv", "# c\na,b\n1,x\n# d\n22,y\n333,z\n4,w\n")]
#[case("x.csv", "a,b\n1,\"x\n\n5,y\"\n22,\"\n7,\"\"\n\"\n333,zz\n4,w\n")]
#[case("x.jsonl", "{\"a\":1}\n{\"a\":22}\n\n{\"a\":333}\n{\"a\":4}")]
#[tokio::test]
async fn a_line_belongs_to_the_range_it_begins_in(#[case] name: &'static str, #[case] text: &str) {
    let size = text.len();
    for first in 0..=size {
        for second in first..=size {
            let found = read(name, text, &[0, first, second, size]).await;
            assert_eq!(found, [1, 22, 333, 4], "{text:?} cut at {first} and {second}");
        }
    }
}

/// What the first `sample` bytes say, and the file as it is read between `cuts` while its rows are checked;
/// only what is confirmed.
async fn guessed(
    file: &Stored,
    sample: u64,
    cuts: &[usize],
) -> Option<(SchemaRef, Vec<RecordBatch>)> {
    let mut facts = file.looked_at(Some(sample)).await.ok()?;
    let Lines::Csv(lines) = &mut facts.file.lines else { return None };
    let checked = lines.columns.iter().map(|column| column.seen).enumerate();
    let guess = Arc::new(Guess::new(file.size, 0, checked.collect()));
    (lines.newlines_in_values, lines.splits) = (false, Arc::default());
    lines.guess = Some(Arc::clone(&guess));
    // The file may be more than its first bytes even where these are all of it.
    let batches = file.batches(&facts, cuts).await.ok()?;
    guess.confirmed().map(|_| (schema(&facts), batches))
}

fn odd_value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[0-9]{1,3}",
        3 => "[0-9]{1,2}[.][0-9]{1,2}",
        1 => Just("1234567890123456789".to_owned()),
        1 => Just("007".to_owned()),
        1 => Just("NA".to_owned()),
        1 => Just(String::new()),
        1 => Just("48,5".to_owned()).prop_map(|value| format!("\"{value}\"")),
        1 => "[a-cé #]{0,3}",
        1 => "\"([a1\n\r,#]|\"\"){0,9}\"",
    ]
}

fn odd_text() -> impl Strategy<Value = String> {
    let end = prop_oneof![6 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\n\n")];
    let row = (odd_value(), odd_value(), end).prop_map(|(a, b, end)| format!("{a},{b}{end}"));
    let line = prop_oneof![30 => row, 1 => Just("#,\n".to_owned()), 1 => Just("1\n".to_owned())];
    prop::collection::vec(line, 1..24).prop_map(|lines| format!("a,b\n{}", lines.concat()))
}

proptest! {
    /// What first bytes say counts only if a look at the whole file says the same; then the rows are the same.
    #[test]
    fn what_is_confirmed_is_what_a_look_at_the_whole_file_says(
        text in odd_text(),
        sample in 4_u64..200,
        cut in (0_usize..400, 0_usize..400),
    ) {
        let size = text.len();
        let mut cuts = [0, cut.0.min(size), cut.1.min(size), size];
        cuts.sort_unstable();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let file = Stored::new("x.csv", &text).await;
            let Some((found, batches)) = guessed(&file, sample, &cuts).await else { return Ok(()) };
            let facts = file.looked_at(None).await.unwrap();
            prop_assert_eq!(&found, &schema(&facts), "{:?} by {}", text, sample);
            let Lines::Csv(lines) = &facts.file.lines else { panic!("a CSV file") };
            prop_assert!(facts.findings.iter().all(|finding| finding.what != "decimal"));
            prop_assert!(facts.findings.iter().all(|finding| finding.what != "comments"));
            prop_assert!(lines.dialect.comment.is_none());
            let expected = file.batches(&facts, &[0, size]).await.unwrap();
            let joined = |batches: &[RecordBatch]| arrow::compute::concat_batches(&found, batches);
            prop_assert_eq!(joined(&batches).unwrap(), joined(&expected).unwrap(), "{:?}", text);
            Ok(())
        })?;
    }
}

/// The rows of a file that is as it looks at first are confirmed however it is cut.
#[rstest]
#[case("a,b\n1,x\n22,y\n\n333,z\n4,w\n")]
#[case("a,b\r\n1,0.5\r\n22,1.25\r\n333,NA\r\n4,")]
#[tokio::test]
async fn what_is_as_it_looks_is_confirmed(#[case] text: &'static str) {
    let file = Stored::new("x.csv", text).await;
    for first in 0..=text.len() {
        for second in first..=text.len() {
            let cuts = [0, first, second, text.len()];
            assert!(guessed(&file, 13, &cuts).await.is_some(), "{text:?} cut at {cuts:?}");
        }
    }
}

/// Nothing counts unless all of the file was read, and every record begins where a range took one to begin.
#[rstest]
#[case("a,b\n1,x\n2,x\n3,\"x\n4,y\n5,z\"\n6,x\n", true)]
#[case("a,b\n1,x\n2,x\n3,x\n4,y\n5.5,z\n6,x\n", false)]
#[case("a,b\n1,x\n2,x\n3,x\n4,y\n05,z\n6,x\n", false)]
#[tokio::test]
async fn what_is_not_as_it_looks_is_not_confirmed(
    #[case] text: &'static str,
    #[case] may_be_confirmed: bool,
) {
    let file = Stored::new("x.csv", text).await;
    let (inside, size) = (text.find("4,y").unwrap(), text.len());
    for cut in [inside - 1, inside, inside + 1] {
        assert!(guessed(&file, 13, &[0, cut, size]).await.is_none(), "{text:?} cut at {cut}");
    }
    assert!(guessed(&file, 13, &[0, inside]).await.is_none());
    assert!(guessed(&file, 13, &[inside, size]).await.is_none());
    assert_eq!(guessed(&file, 13, &[0, size]).await.is_some(), may_be_confirmed);
}
