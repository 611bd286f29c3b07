//! `extent(x1, …, xd)`: the range of each column, and how many values cannot be used.
//!
//! The answer is `STRUCT(rows, usable, columns LIST(STRUCT(lo, hi, nulls, nans, infinite)))`: the
//! least and greatest finite value of each column (NULL where there is none; +0.0 for -0.0), how many
//! values are not finite numbers, and how many rows have a finite value in every column. A weight is a column
//! like any other.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type};
use bytes::{Buf, BufMut, TryGetError};
use datafusion::common::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{AggregateUDF, Documentation};

use super::arguments::{self, failed};
use super::context::FunctionContext;
use super::fold::{self, Core, Fold};
use super::sections::CLUSTERING;
use crate::centroids::block::{ColumnSlice, Number, with_values};
use crate::centroids::groups::Groups;
use crate::centroids::kernel::BLOCK;
use crate::error::Error;
use crate::isa::{Isa, Task};

/// The function, for a session.
pub(super) fn extent(context: &FunctionContext) -> AggregateUDF {
    fold::function::<ExtentOf>(context)
}

/// What is known about the values of one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColumnExtent {
    /// The least finite value; infinite where there is none.
    pub lo: f64,
    /// The greatest finite value; minus infinity where there is none.
    pub hi: f64,
    /// How many values are NULL.
    pub nulls: u64,
    /// How many values are NaN.
    pub nans: u64,
    /// How many values are infinite.
    pub infinite: u64,
}

/// What is known about the rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableExtent {
    /// How many rows there are.
    pub rows: u64,
    /// How many of them have a finite value in every column.
    pub usable: u64,
    /// The columns, in the order of the arguments.
    pub columns: Vec<ColumnExtent>,
}

impl ColumnExtent {
    const NOTHING: Self =
        Self { lo: f64::INFINITY, hi: f64::NEG_INFINITY, nulls: 0, nans: 0, infinite: 0 };

    /// Notes a value; whether it is a finite number.
    fn note(&mut self, value: Option<f64>) -> bool {
        match value {
            None => self.nulls += 1,
            Some(x) if x.is_nan() => self.nans += 1,
            Some(x) if x.is_infinite() => self.infinite += 1,
            Some(x) => {
                self.widen(x + 0.0, x + 0.0);
                return true;
            }
        }
        false
    }

    fn widen(&mut self, lo: f64, hi: f64) {
        self.lo = self.lo.min(lo);
        self.hi = self.hi.max(hi);
    }
}

impl TableExtent {
    /// The extent of no rows.
    pub fn new(columns: usize) -> Self {
        Self { rows: 0, usable: 0, columns: vec![ColumnExtent::NOTHING; columns] }
    }

    /// Adds the extent of other rows.
    ///
    /// # Errors
    /// Of another number of columns.
    pub fn merge(&mut self, other: &Self) -> crate::error::Result<()> {
        if self.columns.len() != other.columns.len() {
            return Err(Error::internal("an extent to merge is of other columns"));
        }
        self.rows += other.rows;
        self.usable += other.usable;
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            mine.widen(theirs.lo, theirs.hi);
            mine.nulls += theirs.nulls;
            mine.nans += theirs.nans;
            mine.infinite += theirs.infinite;
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.put_u64_le(self.rows);
        out.put_u64_le(self.usable);
        for ColumnExtent { lo, hi, nulls, nans, infinite } in &self.columns {
            out.put_f64_le(*lo);
            out.put_f64_le(*hi);
            [nulls, nans, infinite].into_iter().for_each(|count| out.put_u64_le(*count));
        }
    }

    fn read(mut bytes: &[u8]) -> Result<Self, TryGetError> {
        let (rows, usable) = (bytes.try_get_u64_le()?, bytes.try_get_u64_le()?);
        let mut columns = Vec::new();
        while bytes.has_remaining() {
            columns.push(ColumnExtent {
                lo: bytes.try_get_f64_le()?,
                hi: bytes.try_get_f64_le()?,
                nulls: bytes.try_get_u64_le()?,
                nans: bytes.try_get_u64_le()?,
                infinite: bytes.try_get_u64_le()?,
            });
        }
        Ok(Self { rows, usable, columns })
    }
}

/// Reads row `row` of an answer.
///
/// # Errors
/// Of an array that is not such an answer.
pub fn read_extent(array: &dyn Array, row: usize) -> crate::error::Result<TableExtent> {
    if *array.data_type() != ExtentOf::result() || row >= array.len() || array.is_null(row) {
        return Err(Error::internal("expected an extent"));
    }
    let count = |array: &dyn Array, row| {
        u64::try_from(array.as_primitive::<Int64Type>().value(row))
            .map_err(|e| Error::internal("an extent counts below zero").caused_by(e))
    };
    let result = array.as_struct();
    let columns = result.column(2).as_list::<i32>().value(row);
    let columns = columns.as_struct();
    let bound = |column: usize, row, none| {
        let bounds = columns.column(column).as_primitive::<Float64Type>();
        if bounds.is_null(row) { none } else { bounds.value(row) }
    };
    let column = |row| -> crate::error::Result<ColumnExtent> {
        Ok(ColumnExtent {
            lo: bound(0, row, f64::INFINITY),
            hi: bound(1, row, f64::NEG_INFINITY),
            nulls: count(columns.column(2), row)?,
            nans: count(columns.column(3), row)?,
            infinite: count(columns.column(4), row)?,
        })
    };
    Ok(TableExtent {
        rows: count(result.column(0), row)?,
        usable: count(result.column(1), row)?,
        columns: (0..columns.len()).map(column).collect::<Result<_, _>>()?,
    })
}

#[derive(Debug)]
struct ExtentOf;

impl Fold for ExtentOf {
    type Core = Measuring;

    const NAME: &'static str = "extent";

    fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
        arguments::coerce(Self::NAME, types, &[])
    }

    fn result() -> DataType {
        DataType::Struct(fields())
    }

    fn documentation() -> &'static Documentation {
        static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
            Documentation::builder(
                CLUSTERING,
                "The least and greatest finite value of each column, with the counts of NULLs, NaNs \
                 and infinities, and the number of rows without any.",
                "extent(x1, …, xd)",
            )
            .with_argument("x1, …, xd", "Numbers.")
            .with_sql_example("SELECT extent(age, weight) FROM people")
            .build()
        });
        &DOCUMENTATION
    }

    fn core(args: &AccumulatorArgs<'_>, _: &FunctionContext) -> Result<Measuring> {
        Ok(Measuring { isa: Isa::best(), columns: args.exprs.len() })
    }
}

fn column_fields() -> Fields {
    vec![
        Field::new("lo", DataType::Float64, true),
        Field::new("hi", DataType::Float64, true),
        Field::new("nulls", DataType::Int64, false),
        Field::new("nans", DataType::Int64, false),
        Field::new("infinite", DataType::Int64, false),
    ]
    .into()
}

fn fields() -> Fields {
    let columns = Field::new_list_field(DataType::Struct(column_fields()), false);
    vec![
        Field::new("rows", DataType::Int64, false),
        Field::new("usable", DataType::Int64, false),
        Field::new_list("columns", columns, false),
    ]
    .into()
}

#[derive(Debug)]
struct Measuring {
    isa: Isa,
    columns: usize,
}

impl Measuring {
    /// Whole blocks of finite values at once; whether that was possible.
    fn note_block(
        &self,
        columns: &[ColumnSlice<'_>],
        (start, end): (usize, usize),
        bounds: &mut [(f64, f64)],
        into: &mut TableExtent,
    ) -> bool {
        let mut finite = true;
        for (column, bounds) in columns.iter().zip(&mut *bounds) {
            *bounds = (f64::INFINITY, f64::NEG_INFINITY);
            with_values!(*column, values => {
                let values = &values[start..end];
                self.isa.run(Bounds { values, bounds, finite: &mut finite });
            });
        }
        if finite {
            into.rows += (end - start) as u64;
            into.usable += (end - start) as u64;
            for (column, (lo, hi)) in into.columns.iter_mut().zip(bounds) {
                column.widen(*lo, *hi);
            }
        }
        finite
    }
}

impl Core for Measuring {
    type State = TableExtent;
    /// The bounds of each column of a block.
    type Scratch = Vec<(f64, f64)>;

    fn start(&self) -> TableExtent {
        TableExtent::new(self.columns)
    }

    fn scratch(&self) -> Self::Scratch {
        vec![(0.0, 0.0); self.columns]
    }

    fn update(
        &self,
        bounds: &mut Self::Scratch,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
        mut into: Groups<'_, TableExtent>,
    ) -> Result<usize> {
        let columns = values.iter().map(arguments::column).collect::<Result<Vec<_>>>()?;
        let all = filter.is_none() && values.iter().all(|array| array.null_count() == 0);
        let rows = values[0].len();
        for start in (0..rows).step_by(BLOCK) {
            let end = rows.min(start + BLOCK);
            if let Groups::One(extent) = &mut into
                && all
                && self.note_block(&columns, (start, end), bounds, extent)
            {
                continue;
            }
            for row in start..end {
                if filter.is_some_and(|filter| !(filter.is_valid(row) && filter.value(row))) {
                    continue;
                }
                let extent = into.of(u32::try_from(row).expect("a batch has less than 2^32 rows"));
                let mut usable = true;
                for (j, column) in columns.iter().enumerate() {
                    let value = with_values!(*column, values => values[row].widen());
                    usable &= extent.columns[j].note(values[j].is_valid(row).then_some(value));
                }
                extent.rows += 1;
                extent.usable += u64::from(usable);
            }
        }
        Ok(0)
    }

    fn write(&self, state: &TableExtent, out: &mut Vec<u8>) {
        state.write(out);
    }

    fn merge(&self, state: &mut TableExtent, bytes: &[u8]) -> Result<()> {
        let foreign = |cause| failed(Error::internal("a state is not an extent").caused_by(cause));
        let other = TableExtent::read(bytes).map_err(foreign)?;
        state.merge(&other).map_err(failed)
    }

    fn evaluate(&self, states: &[TableExtent]) -> Result<ArrayRef> {
        let columns = || states.iter().flat_map(|state| &state.columns);
        let bounds = |of: fn(&ColumnExtent) -> f64| -> ArrayRef {
            let known = columns().map(|column| Some(of(column)).filter(|x| x.is_finite()));
            Arc::new(known.collect::<Float64Array>())
        };
        let count = |n: u64| i64::try_from(n).expect("less than 2^63 rows");
        let counts = |of: fn(&ColumnExtent) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(columns().map(|column| count(of(column)))))
        };
        let list = StructArray::new(
            column_fields(),
            vec![
                bounds(|column| column.lo),
                bounds(|column| column.hi),
                counts(|column| column.nulls),
                counts(|column| column.nans),
                counts(|column| column.infinite),
            ],
            None,
        );
        let list = ListArray::new(
            Arc::new(Field::new_list_field(DataType::Struct(column_fields()), false)),
            OffsetBuffer::from_lengths(states.iter().map(|state| state.columns.len())),
            Arc::new(list),
            None,
        );
        let rows = |of: fn(&TableExtent) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(states.iter().map(|state| count(of(state)))))
        };
        let columns =
            vec![rows(|state| state.rows), rows(|state| state.usable), Arc::new(list) as _];
        Ok(Arc::new(StructArray::new(fields(), columns, None)))
    }

    fn state_bytes(&self, state: &TableExtent) -> usize {
        size_of::<TableExtent>() + size_of_val(&*state.columns)
    }

    fn scratch_bytes(&self, bounds: &Self::Scratch) -> usize {
        size_of_val(&**bounds)
    }
}

/// The least and greatest of consecutive values, eight at a time.
struct Bounds<'a, T> {
    values: &'a [T],
    bounds: &'a mut (f64, f64),
    finite: &'a mut bool,
}

impl<T: Number> Task for Bounds<'_, T> {
    #[inline(always)]
    fn run(self) {
        let (mut los, mut his) = ([f64::INFINITY; 8], [f64::NEG_INFINITY; 8]);
        let mut odd = [0.0; 8];
        let mut note = |lane: usize, x: f64| {
            los[lane] = if x < los[lane] { x } else { los[lane] };
            his[lane] = if x > his[lane] { x } else { his[lane] };
            odd[lane] += x * 0.0; // NaN from the first NaN or infinity on
        };
        let (whole, rest) = self.values.as_chunks::<8>();
        for values in whole {
            for (lane, value) in values.iter().enumerate() {
                note(lane, value.widen() + 0.0);
            }
        }
        for (lane, value) in rest.iter().enumerate() {
            note(lane, value.widen() + 0.0);
        }
        *self.finite &= odd.iter().all(|odd| !odd.is_nan());
        self.bounds.0 = los.into_iter().fold(self.bounds.0, f64::min);
        self.bounds.1 = his.into_iter().fold(self.bounds.1, f64::max);
    }
}
