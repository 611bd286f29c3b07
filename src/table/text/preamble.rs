//! What comes before the first row of a CSV file: marks, comments, the header, lines of units; and the
//! delimiter, which is the one that gives the first hundred lines one and the same number of fields.

use pleiad_core::records::{Dialect, Fault, Records, Step};

use super::ecsv::{self, Ecsv};
use super::header::{Cell, cells, guess};
use super::options::{Header, TextOptions};

/// Delimiters that are looked for; of two as frequent the first.
const DELIMITERS: [u8; 4] = *b",;\t|";
/// Lines that are looked at.
const FIRST_LINES: usize = 100;
/// The mark of byte order in UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Something that was found in a text file, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about: delimiter, header, comments.
    pub what: &'static str,
    /// What was found.
    pub value: String,
    /// Why it was taken.
    pub why: String,
    /// Whether it is a guess that a user should hear of.
    pub is_guess: bool,
}

/// What the first bytes of a file say.
#[derive(Debug)]
pub(super) struct Preamble {
    pub(super) dialect: Dialect,
    /// Where the first row begins, and the number of its line.
    pub(super) begin: u64,
    pub(super) line: u64,
    pub(super) header: bool,
    /// The names of the columns as they are written; one at least.
    pub(super) names: Vec<String>,
    pub(super) ecsv: Option<Ecsv>,
    pub(super) findings: Vec<Finding>,
}

/// Why there is no preamble.
#[derive(Debug)]
pub(super) enum Unusable {
    Fault(Fault),
    /// A sentence about the file, without its name.
    Said(String),
    /// No record is whole.
    TooShort,
}

impl From<Fault> for Unusable {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The first bytes of a file.
#[derive(Clone, Copy)]
pub(super) struct Start<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether they are all.
    pub(super) is_whole: bool,
    pub(super) options: &'a TextOptions,
    /// What a first reading has found out about escapes and comments.
    pub(super) learned: Learned,
    /// The names of the columns, if they are given.
    pub(super) names: Option<&'a [String]>,
}

/// What only the rows show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Learned {
    /// Quotes in values are written with a backslash.
    pub(super) escapes: bool,
    /// Lines with `#` are between the rows.
    pub(super) comments: bool,
}

/// A place in the bytes, with the number of its line.
#[derive(Clone, Copy)]
struct At {
    byte: usize,
    line: u64,
}

/// A line of the file, cut.
struct Row {
    cells: Vec<Cell>,
    end: At,
}

/// Finds what comes before the rows.
pub(super) fn find(start: Start<'_>) -> Result<Preamble, Unusable> {
    let mut findings = Vec::new();
    let mut at = At { byte: 0, line: 1 };
    if start.bytes.starts_with(MARK) {
        at.byte = MARK.len();
    }
    refuse_markup(&start.bytes[at.byte..])?;
    for _ in 0..start.options.skip {
        at = start.line(at)?.1;
    }
    let stated = start.stated_delimiter(&mut at, &mut findings)?;
    let comments = start.comments(&mut at, &mut findings)?;
    let ecsv = ecsv::parse(&comments);
    let dialect = start.dialect(!comments.is_empty());
    let known = start.options.delimiter.or(stated).or(ecsv.as_ref().map(|ecsv| ecsv.delimiter));
    let delimiter = match known {
        Some(known) => known,
        None => start.delimiter(at, dialect, &mut findings),
    };
    let dialect = Dialect { delimiter, ..dialect };
    let rows = start.rows(at, dialect)?;
    let Some(first) = rows.first() else {
        let what = if comments.is_empty() { "is empty" } else { "has comments only" };
        return Err(match start.is_whole {
            true => Unusable::Said(format!("{what}, expected a header")),
            false => Unusable::TooShort,
        });
    };
    let (names, header) = match start.names {
        Some(names) => (names.to_vec(), start.repeats(&rows, names)),
        None => start.names(&rows, &comments, delimiter, &mut findings),
    };
    let mut end = if header == NamesIn::FirstLine { first.end } else { at };
    if header != NamesIn::Nowhere {
        end = after_units(&rows, end, header, &mut findings);
    }
    Ok(Preamble {
        dialect,
        begin: end.byte as u64,
        line: end.line,
        header: header != NamesIn::Nowhere,
        names: without_trailing(names, &rows),
        ecsv,
        findings,
    })
}

/// Where the names of the columns are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NamesIn {
    Nowhere,
    FirstLine,
    Comment,
}

impl<'a> Start<'a> {
    /// The line at a place without its end, and the place behind it.
    fn line(&self, at: At) -> Result<(&'a [u8], At), Unusable> {
        let rest = &self.bytes[at.byte..];
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let (length, end) = match length {
            Some(length) => {
                let is_pair = rest[length..].starts_with(b"\r\n");
                (length, length + 1 + usize::from(is_pair))
            }
            None if self.is_whole => (rest.len(), rest.len()),
            None => return Err(Unusable::TooShort),
        };
        Ok((&rest[..length], At { byte: at.byte + end, line: at.line + 1 }))
    }

    /// Passes over empty lines, and over a first line `sep=;`, which says the delimiter.
    fn stated_delimiter(
        &self,
        at: &mut At,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<u8>, Unusable> {
        self.pass_blank(at)?;
        if at.byte >= self.bytes.len() {
            return Ok(None);
        }
        let (line, next) = self.line(*at)?;
        let line = line.trim_ascii();
        let Some([stated]) = line.strip_prefix(b"sep=").or_else(|| line.strip_prefix(b"SEP="))
        else {
            return Ok(None);
        };
        *at = next;
        self.pass_blank(at)?;
        findings.push(Finding {
            what: "delimiter",
            value: shown(*stated),
            why: "the first line says sep=".to_owned(),
            is_guess: false,
        });
        Ok(Some(*stated))
    }

    fn pass_blank(&self, at: &mut At) -> Result<(), Unusable> {
        while at.byte < self.bytes.len() {
            let (line, next) = self.line(*at)?;
            if !line.trim_ascii().is_empty() {
                break;
            }
            *at = next;
        }
        Ok(())
    }

    /// The comments at a place, without their marks, and the place behind them.
    fn comments(&self, at: &mut At, findings: &mut Vec<Finding>) -> Result<Vec<&'a str>, Unusable> {
        let mark = match self.options.comment {
            Some(mark) => mark.0,
            None => Some(b'#'),
        };
        let Some(mark) = mark else { return Ok(Vec::new()) };
        let mut comments = Vec::new();
        while at.byte < self.bytes.len() {
            let (line, next) = self.line(*at)?;
            if let Some(comment) = line.strip_prefix(&[mark]) {
                comments.push(str::from_utf8(comment).unwrap_or_default());
            } else if !line.trim_ascii().is_empty() || comments.is_empty() {
                break;
            }
            *at = next;
        }
        if !comments.is_empty() {
            findings.push(Finding {
                what: "comments",
                value: lines(comments.len() as u64),
                why: format!("they begin with {} and come first", char::from(mark)),
                is_guess: self.options.comment.is_none(),
            });
        }
        Ok(comments)
    }

    fn dialect(&self, has_comments: bool) -> Dialect {
        let options = self.options;
        let plain = Dialect::default();
        let has_comments = has_comments || self.learned.comments;
        Dialect {
            delimiter: plain.delimiter,
            quote: options.quote.map_or(plain.quote, |mark| mark.0),
            escape: match options.escape {
                Some(mark) => mark.0,
                None => self.learned.escapes.then_some(b'\\'),
            },
            comment: match options.comment {
                Some(mark) => mark.0,
                None => has_comments.then_some(b'#'),
            },
        }
    }

    /// The first rows from a place on.
    fn rows(&self, at: At, dialect: Dialect) -> Result<Vec<Row>, Fault> {
        let max_line = self.options.max_line_bytes();
        let mut records = Records::new(dialect, max_line, at.byte as u64, at.line);
        records.push(&self.bytes[at.byte..]);
        if self.is_whole {
            records.end();
        }
        let mut rows = Vec::new();
        while rows.len() <= FIRST_LINES {
            match records.step() {
                Ok(Step::Record) => {}
                Ok(Step::More | Step::End) => break,
                // The reading of the whole file says it.
                Err(_) if !rows.is_empty() => break,
                Err(fault) => return Err(fault),
            }
            let (byte, line) = records.after();
            let end = At { byte: usize::try_from(byte).unwrap_or(usize::MAX), line };
            rows.push(Row { cells: cells(&records.record()?, self.options.decimal.0), end });
        }
        Ok(rows)
    }

    /// The delimiter that gives all lines the same number of fields, and more than one; where none
    /// does, the one that cuts the first line into most.
    fn delimiter(&self, at: At, dialect: Dialect, findings: &mut Vec<Finding>) -> u8 {
        let mut best = (0, b',', 0);
        for delimiter in DELIMITERS {
            let rows = self.rows(at, Dialect { delimiter, ..dialect }).unwrap_or_default();
            let Some(fields) = rows.first().map(|row| row.cells.len()) else { continue };
            let is_even = fields > 1 && rows.iter().all(|row| row.cells.len() == fields);
            let score = if is_even { FIRST_LINES * FIRST_LINES + fields } else { fields };
            if score > best.0 {
                best = (score, delimiter, fields);
            }
        }
        let (score, mut delimiter, mut fields) = best;
        let is_even = score > FIRST_LINES * FIRST_LINES;
        if fields <= 1 && self.is_cut_by_blanks(at, dialect) {
            (delimiter, fields) = (b' ', 2);
        }
        if fields > 1 {
            findings.push(Finding {
                what: "delimiter",
                value: shown(delimiter),
                why: match is_even {
                    true => format!("it cuts each of the first lines into {fields}"),
                    false => "it cuts the first line into most".to_owned(),
                },
                is_guess: false,
            });
        }
        delimiter
    }

    /// Whether a blank between values gives lines of numbers, all of one length.
    fn is_cut_by_blanks(&self, at: At, dialect: Dialect) -> bool {
        let rows = self.rows(at, Dialect { delimiter: b' ', ..dialect }).unwrap_or_default();
        let Some((first, rest)) = rows.split_first() else { return false };
        let fields = first.cells.len();
        fields > 1
            && !rest.is_empty()
            && rest
                .iter()
                .all(|row| row.cells.len() == fields && row.cells.iter().all(Cell::is_number))
    }

    /// Whether the first line repeats names that are given.
    fn repeats(&self, rows: &[Row], names: &[String]) -> NamesIn {
        let is_same = |(cell, name): (&Cell, &String)| cell.value.trim().eq_ignore_ascii_case(name);
        let repeats = match self.options.header {
            Header::Yes => true,
            Header::No => false,
            Header::Auto => rows.first().is_some_and(|row| {
                row.cells.len() == names.len() && row.cells.iter().zip(names).all(is_same)
            }),
        };
        if repeats { NamesIn::FirstLine } else { NamesIn::Nowhere }
    }

    /// The names of the columns, and where they are.
    fn names(
        &self,
        rows: &[Row],
        comments: &[&str],
        delimiter: u8,
        findings: &mut Vec<Finding>,
    ) -> (Vec<String>, NamesIn) {
        // Units and dashes below a header are not rows.
        let dashes = rows.iter().skip(1).take(3).position(is_dashes).map_or(0, |place| place + 1);
        let rows = rows.iter().enumerate().filter(|(at, _)| *at == 0 || *at > dashes);
        let cells: Vec<_> = rows.map(|(_, row)| row.cells.clone()).collect();
        let first = cells.first().map_or(&[][..], Vec::as_slice);
        let (is_header, why, is_guess) = match self.options.header {
            Header::Yes => (true, "--header says so", false),
            Header::No => (false, "--header says so", false),
            Header::Auto => {
                let guess = guess(&cells);
                (guess.is_header, guess.why, guess.is_unsure)
            }
        };
        if self.options.header == Header::Auto
            && !is_header
            && let Some(names) = names_in_comment(comments, delimiter, first.len())
        {
            findings.push(Finding {
                what: "header",
                value: "the last comment".to_owned(),
                why: "it has as many fields as the lines below, and these hold numbers".to_owned(),
                is_guess: true,
            });
            return (names, NamesIn::Comment);
        }
        findings.push(Finding {
            what: "header",
            value: if is_header { "the first line" } else { "none" }.to_owned(),
            why: why.to_owned(),
            is_guess,
        });
        match is_header {
            true => (first.iter().map(|cell| cell.value.clone()).collect(), NamesIn::FirstLine),
            false => {
                let names = (1..=first.len()).map(|number| format!("column_{number}"));
                (names.collect(), NamesIn::Nowhere)
            }
        }
    }
}

/// Whether a row is a line below a header: nothing but dashes.
fn is_dashes(row: &Row) -> bool {
    let mut cells = row.cells.iter();
    cells.len() > 1
        && cells.all(|c| !c.value.is_empty() && c.value.bytes().all(|byte| byte == b'-'))
}

/// Passes over lines between the header and a line of dashes, as VizieR and psql write: units.
fn after_units(rows: &[Row], end: At, names: NamesIn, findings: &mut Vec<Finding>) -> At {
    let skip = usize::from(names == NamesIn::FirstLine);
    let below: Vec<&Row> = rows.iter().skip(skip).take(3).collect();
    match below.iter().copied().position(is_dashes) {
        Some(place) => {
            findings.push(Finding {
                what: "units",
                value: lines(place as u64 + 1),
                why: "a line of dashes follows the header".to_owned(),
                is_guess: false,
            });
            below[place].end
        }
        None => end,
    }
}

/// The names in the last comment if it has as many fields as the rows.
fn names_in_comment(comments: &[&str], delimiter: u8, fields: usize) -> Option<Vec<String>> {
    let last = comments.last()?.trim();
    let names: Vec<_> = last.split(char::from(delimiter)).map(|n| n.trim().to_owned()).collect();
    (fields > 1 && names.len() == fields && names.iter().all(|name| !name.is_empty()))
        .then_some(names)
}

/// The names without an empty last one that no row has a field for.
fn without_trailing(mut names: Vec<String>, rows: &[Row]) -> Vec<String> {
    let below = rows.get(1..).unwrap_or_default();
    let is_short = |row: &Row| row.cells.len() + 1 == names.len();
    if names.len() > 1
        && names.last().is_some_and(String::is_empty)
        && !below.is_empty()
        && below.iter().all(is_short)
    {
        names.pop();
    }
    names
}

/// Refuses what a server answers instead of a file.
fn refuse_markup(bytes: &[u8]) -> Result<(), Unusable> {
    let text = bytes.trim_ascii_start();
    let begins = |word: &str| {
        text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()))
    };
    let what = match () {
        () if begins("<!doctype html") || begins("<html") => "an HTML page",
        () if begins("<?xml") || begins("<votable") => "XML",
        () => return Ok(()),
    };
    Err(Unusable::Said(format!("is {what}, expected CSV: look at what it says")))
}

/// `1 line`, `2 lines`.
pub(super) fn lines(count: u64) -> String {
    format!("{count} line{}", if count == 1 { "" } else { "s" })
}

/// A character as findings show it.
fn shown(character: u8) -> String {
    match character {
        b'\t' => "tab".to_owned(),
        b' ' => "blank".to_owned(),
        other => char::from(other).escape_default().to_string(),
    }
}
