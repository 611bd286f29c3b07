//! Whether the first line of a CSV file names the columns.
//!
//! It does if it holds no number. With numbers it does only if the lines below show it: it is quoted and
//! their numbers are not; or it holds text, and its numbers are names: 2019, 2020, 2021 over other
//! numbers, or 0, 1, 2 as pandas writes them. All else is a row. What remains a guess is said.

use pleiad_core::records::Record;

use super::values::Seen;

/// A field of a line as far as the guess needs it.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) value: String,
    pub(super) is_quoted: bool,
    seen: Seen,
}

impl Cell {
    pub(super) fn is_number(&self) -> bool {
        self.seen.is_number()
    }
}

/// The cells of a line.
pub(super) fn cells(record: &Record<'_>, decimal: u8) -> Vec<Cell> {
    let cells = record.values().enumerate().map(|(field, value)| {
        let mut seen = Seen::default();
        seen.look_at(&value, decimal);
        Cell { value: value.into_owned(), is_quoted: record.is_quoted(field), seen }
    });
    cells.collect()
}

/// What the first line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) is_header: bool,
    pub(super) why: &'static str,
    /// Whether it could well be the other.
    pub(super) is_unsure: bool,
}

const fn header(why: &'static str) -> Guess {
    Guess { is_header: true, why, is_unsure: false }
}

const fn row(why: &'static str) -> Guess {
    Guess { is_header: false, why, is_unsure: true }
}

/// Guesses from the first lines.
pub(super) fn guess(lines: &[Vec<Cell>]) -> Guess {
    let Some((first, rows)) = lines.split_first() else { return header("there is no line") };
    let columns: Vec<Column<'_>> =
        first.iter().enumerate().map(|(place, cell)| Column::new(cell, place, rows)).collect();
    let numbers: Vec<&Column<'_>> = columns.iter().filter(|column| column.is_number()).collect();
    if !columns.iter().any(Column::is_value) {
        let is_plain = rows.is_empty() || columns.iter().any(|column| !column.rows.is_text());
        let why = match is_plain {
            true => "it holds no number",
            false => "it holds no number, but neither do the lines below",
        };
        return Guess { is_unsure: !is_plain, ..header(why) };
    }
    if rows.is_empty() {
        return row("it holds a number, and there is no line below");
    }
    let is_quoted = first.iter().all(|cell| cell.is_quoted || cell.value.is_empty());
    let are_bare = numbers.iter().all(|column| !column.rows_are_quoted);
    if is_quoted && are_bare {
        return Guess { is_unsure: true, ..header("it is quoted, and the numbers below are not") };
    }
    let has_text = columns.iter().any(|column| !column.is_value());
    if !has_text {
        return row("it holds only numbers");
    }
    if !are_names(&numbers) {
        return row("it holds a number");
    }
    let is_over_numbers = columns.iter().any(|column| {
        !column.is_value() && !column.first.value.trim().is_empty() && column.rows.is_number()
    });
    let all_differ = numbers.iter().all(|column| column.is_other());
    if is_over_numbers && all_differ {
        let why = "it holds text over numbers, and numbers over other numbers";
        return Guess { is_unsure: true, ..header(why) };
    }
    if is_series(&numbers) && numbers.iter().any(|column| column.is_other()) {
        let why = "its numbers are a series, and those below are not";
        return Guess { is_unsure: true, ..header(why) };
    }
    row("it holds a number")
}

/// A field of the first line and what is below it.
struct Column<'a> {
    first: &'a Cell,
    rows: Seen,
    rows_are_quoted: bool,
    least: f64,
    most: f64,
}

impl<'a> Column<'a> {
    fn new(first: &'a Cell, place: usize, rows: &[Vec<Cell>]) -> Self {
        let below = || rows.iter().filter_map(|row| row.get(place));
        let seen = below().fold(Seen::default(), |seen, cell| seen.and(cell.seen));
        let numbers = || below().filter_map(|cell| number(&cell.value));
        Self {
            first,
            rows: seen,
            rows_are_quoted: below().any(|cell| cell.is_quoted),
            least: numbers().fold(f64::INFINITY, f64::min),
            most: numbers().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    fn is_number(&self) -> bool {
        self.first.seen.is_number()
    }

    /// Whether the field is a value rather than a word: a number, or a date over dates.
    fn is_value(&self) -> bool {
        let seen = self.first.seen;
        !seen.is_empty() && !seen.is_text() && (seen.is_number() || seen == self.rows)
    }

    /// Whether no number below is like it: it is outside of their range, or they have decimals.
    fn is_other(&self) -> bool {
        let Some(first) = number(&self.first.value) else { return false };
        !self.rows.is_number()
            || !(self.least..=self.most).contains(&first)
            || (self.first.seen.is_integer() && !self.rows.is_integer())
    }
}

fn number(value: &str) -> Option<f64> {
    value.trim().parse().ok()
}

fn values(numbers: &[&Column<'_>]) -> Vec<f64> {
    numbers.iter().filter_map(|column| number(&column.first.value)).collect()
}

/// Whether they are whole, not negative, and each is there once.
fn are_names(numbers: &[&Column<'_>]) -> bool {
    let mut values = values(numbers);
    let is_whole = numbers.iter().all(|column| column.first.seen.is_integer());
    values.sort_by(f64::total_cmp);
    is_whole && values.windows(2).all(|pair| pair[0] < pair[1]) && values.first() >= Some(&0.0)
}

/// Whether they count up or down by one step, or are years where none are below.
fn is_series(numbers: &[&Column<'_>]) -> bool {
    let values = values(numbers);
    let is_year = |value: f64| (1800.0..=2100.0).contains(&value);
    let are_years = values.iter().all(|value| is_year(*value))
        && numbers.iter().all(|column| !is_year(column.least) && !is_year(column.most));
    let is_equal = |a: f64, b: f64| a.total_cmp(&b).is_eq();
    let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let has_one_step = match steps[..] {
        [] => false,
        [step] => is_equal(step.abs(), 1.0),
        [first, ..] => steps.iter().all(|step| is_equal(*step, first)),
    };
    are_years || has_one_step
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use pleiad_core::records::{Dialect, Records, Step};

    fn guessed(text: &str) -> Guess {
        let mut records = Records::new(Dialect::default(), 1000, 0, 1);
        records.push(text.as_bytes());
        records.end();
        let mut lines = Vec::new();
        while records.step().unwrap() == Step::Record {
            lines.push(cells(&records.record().unwrap(), b'.'));
        }
        guess(&lines)
    }

    #[rstest]
    #[case("a,b\n1,2\n", true)]
    #[case("a,b\nx,y\n", true)]
    #[case("a,b\n", true)]
    #[case("1,2\n3,4\n", false)]
    #[case("1,x\n2,y\n", false)]
    #[case("town,2019,2020,2021\nX,522250,522228,520774\nY,139602,139926,139619\n", true)]
    #[case("town,2019\nX,522250\nY,139602\n", true)]
    #[case("X,2019\nY,2020\n", false)]
    #[case("X,522250,522228,520774\nY,139602,139926,139619\n", false)]
    #[case(",0,1\n0,0.66,-2.8\n1,-0.4,1.1\n", true)]
    #[case("0,1,2\n0.5,0.6,0.7\n", false)]
    #[case("sensor,1,2,3\na,0.5,0.6,0.7\nb,1.5,1.6,1.7\n", true)]
    #[case("id,ra,2020,2021\n0,1.5,1,3\n1,11.5,3,4\n", true)]
    #[case("1,unknown,3.5\n2,7.5,4.5\n3,1.5,2.5\n", false)]
    #[case("\"2019\",\"2020\"\n1,2\n", true)]
    #[case("\"1\",\"2\"\n\"3\",\"4\"\n", false)]
    #[case("country,2020-01-01,2020-01-02\nFR,1,2\n", true)]
    #[case("x,2020-01-01\ny,2020-01-02\n", false)]
    fn the_first_line_is_a_header_or_a_row(#[case] text: &str, #[case] expected: bool) {
        let guess = guessed(text);
        assert_eq!(guess.is_header, expected, "{text}: {}", guess.why);
    }

    #[test]
    fn what_could_be_the_other_is_unsure() {
        assert!(!guessed("a,b\n1,2\n").is_unsure);
        assert!(guessed("a,b\nx,y\n").is_unsure);
        assert!(guessed("1,2\n3,4\n").is_unsure);
    }
}
