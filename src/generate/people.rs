//! The people tables of the 2023 k-means notebook: three tables of N rows, each row a pure function
//! of (seed, table, row number).
//!
//! | column | table 1 | table 2 | table 3 |
//! | --- | --- | --- | --- |
//! | `id_pref` | 0, 1, 2 with probability .4, .3, .3 | as table 1 | 0 for the first ⌊4N/10⌋ rows, 1 up to ⌊7N/10⌋, then 2 |
//! | `id_company` | 1 … N | N + 1 … 2N | 2N + 1 … 3N, rising with age |
//! | `age` | normal(30, sd 10) cut to [18, 99], rounded | normal(30, sd 15), same cut | as table 2, ascending |
//! | `weight` | uniform, 50 < w < 99 | normal(70, sd 10) cut to [50, 99] | 50 + √age |
//! | `shoulder_circumference` | uniform, 30 < s < 60 | as table 1 | 10 + 2 ln age |
//!
//! Ages are whole years; weights and circumferences have two decimals: they are drawn as hundredths
//! and divided by 100, so 55.48 is the number nearest to 55.48. No value is NULL or NaN. Cutting comes
//! before rounding: 18 and 99 own half a year each. Units are those of the notebook, kg and cm.
//!
//! The same bits on every machine: all draws are integer arithmetic (`draws`, `discrete`), and what is
//! left in floating point is rounded as IEEE 754 says (√ and the division) or comes from the crate
//! `libm` rather than from the system (ln, erf).

use std::fmt;
use std::ops::Range;

use rand::distr::{Distribution, Uniform};

use super::discrete::Discrete;
use super::draws::Column;
use super::slice::Slice;
use crate::error::{Error, Result};

/// One row of a people table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Person {
    /// The prefecture, 0 to 2: the Hive key.
    pub id_pref: i32,
    /// Unique over the three tables.
    pub id_company: i64,
    /// Whole years, 18 to 99.
    pub age: i32,
    /// Kilograms, two decimals.
    pub weight: f64,
    /// Centimetres, two decimals.
    pub shoulder_circumference: f64,
}

/// Which of the three tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeopleTable {
    /// Everything drawn alone, weights uniform.
    Table1,
    /// Everything drawn alone, weights normal, ages more widely spread.
    Table2,
    /// Sorted by age; all else follows from it.
    Table3,
}

impl PeopleTable {
    /// The three tables, in the order of their ids.
    pub const ALL: [Self; 3] = [Self::Table1, Self::Table2, Self::Table3];

    /// The name of the table's directory.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table1 => "table1",
            Self::Table2 => "table2",
            Self::Table3 => "table3",
        }
    }
}

impl fmt::Display for PeopleTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The three tables for one number of rows and one seed, and the slice of them that is asked for.
#[derive(Debug)]
pub struct People {
    rows: u64,
    slice: Slice,
    table1: Independent,
    table2: Independent,
    table3: Sorted,
}

impl People {
    /// The largest number of rows a table may have, 2^40.
    pub const MAX_ROWS: u64 = 1 << 40;

    /// Tables of `rows` rows each, from `seed`; `slice` limits what [`Self::slice_rows`] names, and
    /// changes no row. Counting the ages of table 3 takes about 0.3 s for 10^9 rows.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) if `rows` is 0 or above [`Self::MAX_ROWS`].
    pub fn new(rows: u64, seed: u64, slice: Option<Slice>) -> Result<Self> {
        if rows == 0 || rows > Self::MAX_ROWS {
            let max = Self::MAX_ROWS;
            return Err(Error::usage(format!("rows is {rows}, expected 1 to {max} (a table)")));
        }
        let ages = |sd| Discrete::cut_normal(30.0, sd, 18, 99);
        Ok(Self {
            rows,
            slice: slice.unwrap_or_default(),
            table1: Independent::new(seed, "table1", ages(10.0), Hundredths::uniform(5001, 9899)),
            table2: Independent::new(
                seed,
                "table2",
                ages(15.0),
                Hundredths::Normal(Discrete::cut_normal(7000.0, 1000.0, 5000, 9900)),
            ),
            table3: Sorted::new(rows, seed, &ages(15.0)),
        })
    }

    /// Rows of each whole table.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The row numbers, from 0, of the slice: the same for each table.
    pub fn slice_rows(&self) -> Range<u64> {
        self.slice.of(0..self.rows)
    }

    /// The row of `table` at `row`, counted from 0; any row, whatever the slice.
    ///
    /// # Panics
    /// If `row` is not below [`Self::rows`].
    #[inline]
    pub fn person(&self, table: PeopleTable, row: u64) -> Person {
        assert!(row < self.rows, "row {row} of a table of {} rows", self.rows);
        let id = i64::try_from(row + 1).expect("at most 2^40 rows");
        let rows = i64::try_from(self.rows).expect("at most 2^40 rows");
        match table {
            PeopleTable::Table1 => self.table1.person(row, id),
            PeopleTable::Table2 => self.table2.person(row, rows + id),
            PeopleTable::Table3 => self.table3.person(row, 2 * rows + id),
        }
    }
}

/// A table whose columns are drawn independently of each other.
#[derive(Debug)]
struct Independent {
    prefs: (Column, Uniform<u32>),
    ages: (Column, Discrete),
    weights: (Column, Hundredths),
    circumferences: (Column, Hundredths),
}

impl Independent {
    fn new(seed: u64, table: &str, ages: Discrete, weights: Hundredths) -> Self {
        let column = |name| Column::new(seed, &format!("people.{table}.{name}"));
        Self {
            prefs: (column("id_pref"), Uniform::new(0, 10).expect("0 is below 10")),
            ages: (column("age"), ages),
            weights: (column("weight"), weights),
            circumferences: (column("shoulder_circumference"), Hundredths::uniform(3001, 5999)),
        }
    }

    #[inline]
    fn person(&self, row: u64, id_company: i64) -> Person {
        let (column, tenths) = &self.prefs;
        let id_pref = match tenths.sample(&mut column.at(row)) {
            0..4 => 0,
            4..7 => 1,
            _ => 2,
        };
        let (column, law) = &self.ages;
        let age = law.sample(&mut column.at(row));
        let (column, law) = &self.weights;
        let weight = law.sample(*column, row);
        let (column, law) = &self.circumferences;
        let shoulder_circumference = law.sample(*column, row);
        Person { id_pref, id_company, age, weight, shoulder_circumference }
    }
}

/// A law of numbers with two decimals.
#[derive(Debug)]
enum Hundredths {
    Uniform(Uniform<i32>),
    Normal(Discrete),
}

impl Hundredths {
    /// Each of `first..=last` hundredths as likely as any other.
    fn uniform(first: i32, last: i32) -> Self {
        Self::Uniform(Uniform::new_inclusive(first, last).expect("first is not above last"))
    }

    #[inline]
    fn sample(&self, column: Column, row: u64) -> f64 {
        let mut draws = column.at(row);
        let hundredths = match self {
            Self::Uniform(law) => law.sample(&mut draws),
            Self::Normal(law) => law.sample(&mut draws),
        };
        f64::from(hundredths) / 100.0
    }
}

/// The table that is sorted by age. N sorted draws are N draws counted by age, so the counts are
/// drawn, once, and a row finds its age among the running counts.
#[derive(Debug)]
struct Sorted {
    /// The row at which the next age begins, for each age in ascending order.
    ends: Vec<u64>,
    /// Age, weight and circumference of each of them.
    bodies: Vec<(i32, f64, f64)>,
    /// The rows at which prefecture 1 and 2 begin.
    prefs: [u64; 2],
}

impl Sorted {
    fn new(rows: u64, seed: u64, ages: &Discrete) -> Self {
        let counts = ages.counts(rows, &mut Column::new(seed, "people.table3.age").at(0));
        let mut end = 0;
        let ends = counts.iter().map(|(_, count)| {
            end += count;
            end
        });
        Self {
            ends: ends.collect(),
            bodies: counts.iter().map(|(age, _)| body(*age)).collect(),
            prefs: [rows * 4 / 10, rows * 7 / 10],
        }
    }

    #[inline]
    fn person(&self, row: u64, id_company: i64) -> Person {
        let [one, two] = self.prefs;
        let id_pref = i32::from(row >= one) + i32::from(row >= two);
        let (age, weight, shoulder_circumference) =
            self.bodies[self.ends.partition_point(|end| *end <= row)];
        Person { id_pref, id_company, age, weight, shoulder_circumference }
    }
}

/// Age with the weight 50 + √age and the circumference 10 + 2 ln age, to two decimals.
fn body(age: i32) -> (i32, f64, f64) {
    let years = f64::from(age);
    let hundredths = |x: f64| (x * 100.0).round();
    let weight = (5000.0 + hundredths(years.sqrt())) / 100.0;
    (age, weight, hundredths(10.0 + 2.0 * libm::log(years)) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_and_logarithms_stay_off_rounding_ties() {
        // so that no last bit of √ or ln can move a hundredth
        for age in 18..=99 {
            let years = f64::from(age);
            for x in [100.0 * years.sqrt(), 200.0 * years.ln()] {
                assert!((x.fract() - 0.5).abs() > 1e-4, "age {age}: {x}");
            }
        }
    }

    #[test]
    fn senseless_numbers_of_rows_are_refused() {
        let message = |rows| People::new(rows, 1, None).unwrap_err().to_string();
        assert_eq!(message(0), "rows is 0, expected 1 to 1099511627776 (a table)");
        assert_eq!(
            message(1 << 41),
            "rows is 2199023255552, expected 1 to 1099511627776 (a table)"
        );
    }

    #[test]
    fn one_row_a_table_is_enough() {
        let people = People::new(1, 1, None).unwrap();
        let ids = PeopleTable::ALL.map(|table| people.person(table, 0).id_company);
        assert_eq!(ids, [1, 2, 3]);
    }
}
