//! What the functions of the sky share: positions and plans as arguments.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;

use super::arguments::{coerce_number, failed, misused};
use super::context::{FunctionContext, Ready};
use crate::grid::{Assigner, Grid, Located, all_canonical};

/// How an argument that is a position is documented.
pub(super) const POSITION: &str =
    "A position in the frame of the plan, in degrees: two numbers, or one struct of both.";
/// How an argument that is a plan is documented.
pub(super) const PLAN: &str =
    "A plan of blocks, as `sky_grid` makes it: a constant or a bound parameter.";

/// The types of `N` numbers.
pub(super) fn coerce_numbers<const N: usize>(
    function: &str,
    types: &[DataType],
) -> Result<Vec<DataType>> {
    coerce(function, types, N, false)
}

/// The types of `numbers` numbers, then of a plan if `plan`.
fn coerce(function: &str, types: &[DataType], numbers: usize, plan: bool) -> Result<Vec<DataType>> {
    let expected = numbers + usize::from(plan);
    if types.len() != expected {
        let found = types.len();
        return misused(function, format_args!("found {found} arguments, expected {expected}"));
    }
    let of = |(index, found): (usize, &DataType)| {
        if index == numbers {
            return coerce_plan(function, found);
        }
        if coerce_number(found).is_some() {
            return Ok(DataType::Float64);
        }
        misused(function, format_args!("argument {} is {found}, expected a number", index + 1))
    };
    types.iter().enumerate().map(of).collect()
}

/// The types of a position and a plan; a position is two numbers, or one struct of them as
/// `sky_position` gives it.
pub(super) fn coerce_position(function: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [position, found] if *position == position_type() => {
            Ok(vec![position_type(), coerce_plan(function, found)?])
        }
        _ => coerce(function, types, 2, true),
    }
}

/// `STRUCT(lon, lat)`.
pub(super) fn position_type() -> DataType {
    DataType::Struct(position_fields())
}

pub(super) fn position_fields() -> Fields {
    let field = |name| Field::new(name, DataType::Float64, true);
    vec![field("lon"), field("lat")].into()
}

/// The type of a plan; an unbound placeholder is Null.
pub(super) fn coerce_plan(function: &str, found: &DataType) -> Result<DataType> {
    if found.is_binary() || *found == DataType::Null {
        return Ok(DataType::BinaryView);
    }
    misused(function, format_args!("the plan is {found}, expected the bytes of one"))
}

/// The columns of a call, all of `rows` rows.
pub(super) fn columns(args: &[ColumnarValue], rows: usize) -> Result<Vec<ArrayRef>> {
    args.iter().map(|arg| arg.to_array(rows)).collect()
}

/// Positions of a batch, `None` where a coordinate is NULL.
pub(super) struct Positions<'a> {
    lon: &'a Float64Array,
    lat: &'a Float64Array,
}

impl<'a> Positions<'a> {
    /// The positions in two columns, or in one of structs.
    pub(super) fn in_columns(columns: &'a [ArrayRef]) -> Self {
        match columns {
            [position] => {
                let position = position.as_struct();
                Self::of(position.column(0), position.column(1))
            }
            _ => Self::of(&columns[0], &columns[1]),
        }
    }

    /// The positions in two columns of `Float64`.
    pub(super) fn of(lon: &'a ArrayRef, lat: &'a ArrayRef) -> Self {
        Self { lon: lon.as_primitive::<Float64Type>(), lat: lat.as_primitive::<Float64Type>() }
    }

    /// The columns themselves, if all rows are usable positions in their one form: then nothing has
    /// to be looked at row by row.
    pub(super) fn canonical(&self) -> Option<[&'a Float64Array; 2]> {
        let all = self.lon.null_count() == 0
            && self.lat.null_count() == 0
            && all_canonical(self.lon.values(), self.lat.values());
        all.then_some([self.lon, self.lat])
    }

    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<(f64, f64)> {
        self.is_known(row).then(|| (self.lon.value(row), self.lat.value(row)))
    }

    #[inline]
    fn is_known(&self, row: usize) -> bool {
        self.lon.is_valid(row) && self.lat.is_valid(row)
    }

    /// The rows where no coordinate is NULL.
    pub(super) fn known(&self) -> Option<NullBuffer> {
        NullBuffer::union(self.lon.nulls(), self.lat.nulls()).filter(|all| all.null_count() > 0)
    }

    /// Where each row lies in the grid, `None` also where a coordinate is NULL.
    pub(super) fn located<'b>(&'b self, grid: &'b Grid) -> impl Iterator<Item = Option<Located>> {
        // What the slot of a NULL holds is located too, and dropped.
        let all = grid.locate_all(self.lon.values(), self.lat.values());
        all.enumerate().map(|(row, at)| at.filter(|_| self.is_known(row)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Option<(f64, f64)>> {
        (0..self.lon.len()).map(|row| self.get(row))
    }
}

/// The plan of a call, made ready; `None` if it is NULL.
pub(super) fn plan(
    function: &str,
    context: &FunctionContext,
    argument: &ColumnarValue,
) -> Result<Option<Ready<Assigner>>> {
    match argument {
        ColumnarValue::Scalar(ScalarValue::BinaryView(Some(bytes))) => {
            context.plan(bytes).map(Some).map_err(failed)
        }
        ColumnarValue::Scalar(_) => Ok(None),
        ColumnarValue::Array(_) => misused(function, "the plan must be a constant"),
    }
}
