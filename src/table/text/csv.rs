//! What a CSV file is: what comes before its rows, and the types of its columns.
//!
//! For the types the whole file is read once and every value of the columns that are needed looked at
//! ([`super::values`]): nothing that is computed with is guessed from a sample. A preview may ask for one. An
//! empty value is NULL.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use pleiad_core::records::Fault;

use super::bytes::{self as text_bytes, TextStream};
use super::format::{Compression, CsvLines, Decoding, Lines, TextColumn, TextFile};
use super::guess::Guess;
use super::look::{self, Block, Looked, Rule, Trouble};
use super::options::{TextOptions, Types};
use super::preamble::{self, Finding, Learned, Preamble, Start, Unusable};
use super::values::Seen;
use crate::compute::compute;
use crate::error::{Error, Result};

/// Bytes in which is looked for what comes before the rows.
const FIRST_BYTES: usize = 64 * 1024;
/// The least bytes of a file of which it pays to guess: a look at a smaller one takes milliseconds.
const GUESSED_BYTES: u64 = 4 << 20;

/// What is known of a text file after a look at it.
#[derive(Clone, Debug)]
pub(crate) struct TextFacts {
    pub(crate) file: TextFile,
    /// How many rows there are, if all of the file was read.
    pub(crate) rows: Option<u64>,
    /// What was found, and why.
    pub(crate) findings: Vec<Finding>,
}

/// How a file is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    /// The names of the columns, which the first line then need not hold.
    pub(crate) names: Option<&'a [String]>,
    /// What the user says of the file.
    pub(crate) options: &'a TextOptions,
    /// The columns whose types matter, in small letters, if not all do; the others are text.
    pub(crate) needed: Option<&'a BTreeSet<String>>,
    /// Look only at about this many bytes of the file.
    pub(crate) sample: Option<u64>,
}

/// Reads the file at `path`, which has `size` bytes, through; `shown` names it in errors.
pub(crate) async fn inspect(
    store: &dyn ObjectStore,
    (path, size): (&Path, u64),
    shown: &str,
    look: Look<'_>,
) -> Result<TextFacts> {
    let mut learned = Learned::default();
    loop {
        let given = (look.options.compression, look.options.encoding);
        let (decoding, text) = text_bytes::open(store, path, shown, given, look.sample).await?;
        let sample = look.sample.filter(|sample| !decoding.is_plain() || *sample < size);
        let reading = Reading::new(decoding, look, shown, learned, sample);
        match Arc::new(reading).run(text).await? {
            Read::Done(facts) => return Ok(*facts),
            Read::Again(more) => learned = more,
        }
    }
}

/// What the first bytes of a file say of it, if that can be checked while its rows are read, and pays.
pub(crate) async fn guess(
    store: &dyn ObjectStore,
    (path, size): (&Path, u64),
    shown: &str,
    look: Look<'_>,
) -> Result<Option<TextFacts>> {
    if size < GUESSED_BYTES || look.sample.is_some() {
        return Ok(None);
    }
    let given = (look.options.compression, look.options.encoding);
    let (decoding, mut text) = text_bytes::open(store, path, shown, given, None).await?;
    let reading = Arc::new(Reading::new(decoding, look, shown, Learned::default(), None));
    let (head, preamble, is_whole) = reading.begin(&mut text).await?;
    let columns = reading.columns(&preamble);
    let checked = columns.open();
    // ECSV says types itself, and without columns to check a look is as fast.
    if is_whole || preamble.ecsv.is_some() || checked.is_empty() {
        return Ok(None);
    }
    let looked = reading.look(&preamble, &columns, head, None).await?;
    let is_odd = looked.trouble.is_some()
        || looked.comments > 0
        || looked.has_newlines
        || looked.rows == 0
        || looked.columns.iter().any(|seen| seen.has_decimal_commas());
    if is_odd {
        return Ok(None);
    }
    let rows = looked.rows;
    let mut facts = reading.facts(preamble, columns, looked, true);
    if let Lines::Csv(lines) = &mut facts.file.lines {
        lines.newlines_in_values = false;
        lines.splits = Arc::default();
        let checked = checked.into_iter().map(|place| (place, lines.columns[place].seen));
        lines.guess = Some(Arc::new(Guess::new(size, rows, checked.collect())));
    }
    Ok(Some(facts))
}

/// What came of a reading.
enum Read {
    Done(Box<TextFacts>),
    /// The rows showed what the first lines did not.
    Again(Learned),
}

/// One reading of a file.
struct Reading {
    decoding: Decoding,
    options: TextOptions,
    names: Option<Vec<String>>,
    needed: Option<BTreeSet<String>>,
    sample: Option<u64>,
    shown: String,
    learned: Learned,
}

impl Reading {
    fn new(
        decoding: Decoding,
        look: Look<'_>,
        shown: &str,
        learned: Learned,
        sample: Option<u64>,
    ) -> Self {
        Self {
            decoding,
            options: look.options.clone(),
            names: look.names.map(<[String]>::to_vec),
            needed: look.needed.cloned(),
            sample,
            shown: shown.to_owned(),
            learned,
        }
    }

    async fn run(self: Arc<Self>, mut text: TextStream) -> Result<Read> {
        let (head, preamble, is_whole) = self.begin(&mut text).await?;
        let columns = self.columns(&preamble);
        let is_cut = self.is_sampled(is_whole);
        let rest = (!is_cut).then_some(text);
        let looked = self.look(&preamble, &columns, head, rest).await?;
        if let Some(trouble) = &looked.trouble {
            return match self.learns(trouble) {
                Some(learned) => Ok(Read::Again(learned)),
                None => Err(self.refused(trouble, &preamble, &looked)),
            };
        }
        Ok(Read::Done(Box::new(self.facts(preamble, columns, looked, is_cut))))
    }

    /// Looks at the rows in the first bytes and in the rest of the text. Without a rest the last line may be
    /// cut.
    async fn look(
        &self,
        preamble: &Preamble,
        columns: &Columns,
        head: Bytes,
        rest: Option<TextStream>,
    ) -> Result<Looked> {
        let rule = Rule {
            dialect: preamble.dialect,
            max_line: self.options.max_line_bytes(),
            decimal: self.options.decimal.0,
            nulls: self.options.nulls.clone(),
            width: columns.columns.len(),
            open: columns.open(),
        };
        let begin = usize::try_from(preamble.begin).unwrap_or(usize::MAX).min(head.len());
        let first = Block { at: preamble.begin, bytes: head.slice(begin..) };
        let is_cut = rest.is_none();
        let rest = rest.unwrap_or_else(|| stream::empty().boxed());
        look::look(rule, (first, preamble.line), rest, is_cut).await
    }

    /// What is known after a look at the rows.
    fn facts(
        &self,
        preamble: Preamble,
        columns: Columns,
        looked: Looked,
        is_cut: bool,
    ) -> TextFacts {
        let max_line = self.options.max_line_bytes();
        let mut findings = preamble.findings;
        columns.note(&mut findings);
        if looked.comments > 0 {
            findings.push(Finding {
                what: "comments",
                value: preamble::lines(looked.comments),
                why: "they begin with the mark of comments and are between the rows".to_owned(),
                is_guess: self.options.comment.is_none(),
            });
        }
        let is_escaped = preamble.dialect.escape.is_some() && self.options.escape.is_none();
        if is_escaped {
            findings.push(Finding {
                what: "escape",
                value: "\\".to_owned(),
                why: "quotes in values are written \\\"".to_owned(),
                is_guess: true,
            });
        }
        let lines = CsvLines {
            dialect: preamble.dialect,
            begin: preamble.begin,
            begin_line: preamble.line,
            header: preamble.header,
            newlines_in_values: looked.has_newlines || is_cut,
            splits: looked.splits.into(),
            decimal: self.options.decimal.0,
            nulls: self.options.null_words(),
            columns: columns.done(&looked.columns, &mut findings),
            guess: None,
        };
        let rows = (!is_cut).then_some(looked.rows);
        let file = TextFile { decoding: self.decoding, lines: Lines::Csv(lines), max_line };
        TextFacts { file, rows, findings }
    }

    /// Whether the bytes so far are the sample. Its last line may be cut; of a compressed file the text may
    /// really have ended.
    fn is_sampled(&self, has_ended: bool) -> bool {
        let may_be_all = self.decoding.compression != Compression::None;
        self.sample.is_some() && !(has_ended && may_be_all)
    }

    /// The first bytes, what they say, and whether they are all.
    async fn begin(self: &Arc<Self>, text: &mut TextStream) -> Result<(Bytes, Preamble, bool)> {
        let mut wanted =
            self.sample.map_or(FIRST_BYTES, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let (mut head, mut is_whole) = (BytesMut::new(), false);
        loop {
            while head.len() < wanted && !is_whole {
                match text.try_next().await? {
                    Some(piece) => head.extend_from_slice(&piece),
                    None => is_whole = true,
                }
            }
            let (reading, bytes) = (Arc::clone(self), head.freeze());
            let found = compute(move |_| {
                let found = reading.preamble(&bytes, is_whole);
                Ok((bytes, found))
            });
            let (bytes, found) = found.await?;
            match found {
                Ok(preamble) => return Ok((bytes, preamble, is_whole)),
                Err(Unusable::Said(what)) => {
                    return Err(Error::data(format!("file '{}' {what}", self.shown)));
                }
                Err(Unusable::Fault(fault)) => return Err(refused(&fault, &self.shown)),
                Err(Unusable::TooShort) if is_whole || bytes.len() > self.longest_head() => {
                    let max = self.options.max_line_bytes();
                    return Err(refused(&Fault::TooLong { line: 1, max }, &self.shown));
                }
                Err(Unusable::TooShort) => wanted = bytes.len().max(FIRST_BYTES) * 2,
            }
            head = BytesMut::from(bytes);
        }
    }

    /// What the first bytes say.
    fn preamble(&self, bytes: &[u8], is_whole: bool) -> Result<Preamble, Unusable> {
        let start = Start {
            bytes,
            is_whole: is_whole && !self.is_sampled(is_whole),
            options: &self.options,
            learned: self.learned,
            names: self.names.as_deref(),
        };
        match preamble::find(start) {
            // Of a sample that ends in its first line, that line is all there is to know.
            Err(Unusable::TooShort) if is_whole => {
                preamble::find(Start { is_whole: true, ..start })
            }
            found => found,
        }
    }

    /// No more is held to find the first record.
    fn longest_head(&self) -> usize {
        self.options.max_line_bytes().saturating_mul(2).saturating_add(FIRST_BYTES)
    }

    /// What a line that is no row says about the file, if the user does not.
    fn learns(&self, trouble: &Trouble) -> Option<Learned> {
        let (options, learned) = (&self.options, self.learned);
        match trouble {
            Trouble::Fault(Fault::AfterQuote { is_escaped: true, .. }) => {
                let is_open = options.escape.is_none() && !learned.escapes;
                is_open.then_some(Learned { escapes: true, ..learned })
            }
            Trouble::Ragged { begin, .. } if begin.starts_with('#') => {
                let is_open = options.comment.is_none() && !learned.comments;
                is_open.then_some(Learned { comments: true, ..learned })
            }
            _ => None,
        }
    }

    /// The error of a line that is no row.
    fn refused(&self, trouble: &Trouble, preamble: &Preamble, looked: &Looked) -> Error {
        let shown = &self.shown;
        let (line, found, begin) = match trouble {
            Trouble::Fault(fault) => return refused(fault, shown),
            Trouble::Ragged { line, fields, begin } => (line, fields, begin),
        };
        let hint = match looked.rows {
            ..10 => ": lines before the header are left out with --skip N",
            _ => "",
        };
        Error::data(format!(
            "file '{shown}': line {line} has {found} field{}, expected {} separated by {}: \
             '{begin}'{hint}",
            if *found == 1 { "" } else { "s" },
            looked.columns.len(),
            match preamble.dialect.delimiter {
                b'\t' => "tab".to_owned(),
                other => format!("'{}'", char::from(other)),
            },
        ))
    }

    /// The columns, before a value was seen.
    fn columns(&self, preamble: &Preamble) -> Columns {
        let mut renamed = Vec::new();
        let names = unique(&preamble.names, &mut renamed);
        let is_needed = |name: &String| {
            self.needed.as_ref().is_none_or(|needed| needed.contains(&name.to_lowercase()))
        };
        let declared = |name: &String| {
            let given = self.options.declared.iter().find(|(known, _)| known == name);
            let of_file = || {
                let columns = preamble.ecsv.as_ref().map_or(&[][..], |ecsv| &ecsv.columns);
                let found = columns.iter().find(|(known, _)| known == name);
                found.and_then(|(_, data_type)| data_type.clone())
            };
            match given {
                Some((_, data_type)) => (Some(data_type.clone()), false),
                None if self.options.types == Types::Text => (Some(DataType::Utf8), false),
                None if !is_needed(name) => (Some(DataType::Utf8), false),
                None => (of_file(), true),
            }
        };
        let columns = names.into_iter().map(|name| {
            let (declared, by_file) = declared(&name);
            Column { name, declared, by_file }
        });
        Columns { columns: columns.collect(), renamed, delimiter: preamble.dialect.delimiter }
    }
}

/// Names that are each there once: an empty one is its number, the second `ra` is `ra_1`.
fn unique(names: &[String], renamed: &mut Vec<String>) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let written: BTreeSet<&str> = names.iter().map(|name| name.trim()).collect();
    let numbered = (1..).zip(names).map(|(number, name)| {
        let plain = match name.trim() {
            "" => format!("column_{number}"),
            name => name.to_owned(),
        };
        let mut name = plain.clone();
        let mut copy = 0;
        while taken.contains(&name) || (copy > 0 && written.contains(name.as_str())) {
            copy += 1;
            name = format!("{plain}_{copy}");
        }
        if copy > 0 {
            renamed.push(format!("{plain} as {name}"));
        }
        taken.insert(name.clone());
        name
    });
    numbered.collect()
}

/// A column while its file is read.
struct Column {
    name: String,
    declared: Option<DataType>,
    /// Whether the file says its type, not the user.
    by_file: bool,
}

/// The columns of a file while it is read.
struct Columns {
    columns: Vec<Column>,
    renamed: Vec<String>,
    delimiter: u8,
}

impl Columns {
    fn note(&self, findings: &mut Vec<Finding>) {
        if !self.renamed.is_empty() {
            findings.push(Finding {
                what: "names",
                value: self.renamed.join(", "),
                why: "the header has these names more than once".to_owned(),
                is_guess: true,
            });
        }
    }

    /// The places of those whose values matter: the user does not say their types.
    fn open(&self) -> Vec<usize> {
        let is_open = |column: &Column| column.declared.is_none() || column.by_file;
        (0..self.columns.len()).filter(|place| is_open(&self.columns[*place])).collect()
    }

    fn done(self, seen: &[Seen], findings: &mut Vec<Finding>) -> Arc<[TextColumn]> {
        let mut commas = Vec::new();
        let columns = self.columns.into_iter().zip(seen).map(|(column, seen)| {
            let Column { name, declared, by_file } = column;
            let seen = *seen;
            let holds = |data_type: &DataType| seen.fits(data_type);
            // What the file says of itself holds only if its values obey.
            let declared = declared.filter(|data_type| !by_file || holds(data_type));
            if declared.is_none() && seen.has_decimal_commas() && self.delimiter != b',' {
                commas.push(name.clone());
            }
            TextColumn { name, seen, declared }
        });
        let columns: Arc<[TextColumn]> = columns.collect();
        if !commas.is_empty() {
            findings.push(Finding {
                what: "decimal",
                value: format!("{} as text", commas.join(", ")),
                why: "all values look like 48,86: --decimal , reads them as numbers".to_owned(),
                is_guess: true,
            });
        }
        columns
    }
}

/// The error of the file `shown`.
pub(super) fn refused(fault: &Fault, shown: &str) -> Error {
    let what = match fault {
        Fault::TooLong { line, max } => format!(
            "line {line} is longer than {max} bytes, the most that is read: if it is right, pass \
                 --max-line SIZE"
        ),
        Fault::Unterminated { line } => format!(
            "the quote that opens in line {line} does not end: close it, or pass --quote none"
        ),
        Fault::AfterQuote { line, .. } => format!(
            "line {line} has text behind a quote that ends: pass --quote none, or --escape with what \
                 is written before a quote"
        ),
        Fault::NotUtf8 { byte, .. } => {
            return Error::data(format!(
                "file '{shown}' is not UTF-8 at byte {byte}: convert it, or pass --encoding latin1 \
                     (in SQL: OPTIONS ('encoding' 'latin1'))"
            ));
        }
    };
    Error::data(format!("file '{shown}': {what}"))
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
