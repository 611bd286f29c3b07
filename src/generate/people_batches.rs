//! People as Arrow record batches.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result as EngineResult;

use super::people::{People, PeopleTable};
use super::provider::{Generator, StreamProvider};

/// The columns of a people table, in order; none has NULLs.
static PEOPLE: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("id_pref", DataType::Int32, false),
        Field::new("id_company", DataType::Int64, false),
        Field::new("age", DataType::Int32, false),
        Field::new("weight", DataType::Float64, false),
        Field::new("shoulder_circumference", DataType::Float64, false),
    ]))
});

/// The slice's rows of one people table, as a table to scan.
pub type PeopleSource = StreamProvider<PeopleRows>;

/// The rows of one people table.
#[derive(Debug)]
pub struct PeopleRows {
    people: Arc<People>,
    table: PeopleTable,
}

impl PeopleSource {
    /// The rows of `table` that `people` names with [`People::slice_rows`].
    pub fn new(people: Arc<People>, table: PeopleTable) -> Self {
        Self::of(PeopleRows { people, table })
    }
}

impl Generator for PeopleRows {
    fn schema(&self) -> &SchemaRef {
        &PEOPLE
    }

    fn rows(&self) -> Range<u64> {
        self.people.slice_rows()
    }

    fn batch(&self, rows: Range<u64>) -> EngineResult<RecordBatch> {
        let capacity = usize::try_from(rows.end - rows.start).expect("a batch fits into memory");
        let mut id_pref = Vec::with_capacity(capacity);
        let mut id_company = Vec::with_capacity(capacity);
        let mut age = Vec::with_capacity(capacity);
        let mut weight = Vec::with_capacity(capacity);
        let mut shoulder_circumference = Vec::with_capacity(capacity);
        for row in rows {
            let person = self.people.person(self.table, row);
            id_pref.push(person.id_pref);
            id_company.push(person.id_company);
            age.push(person.age);
            weight.push(person.weight);
            shoulder_circumference.push(person.shoulder_circumference);
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(id_pref)),
            Arc::new(Int64Array::from(id_company)),
            Arc::new(Int32Array::from(age)),
            Arc::new(Float64Array::from(weight)),
            Arc::new(Float64Array::from(shoulder_circumference)),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&PEOPLE), columns)?)
    }
}
