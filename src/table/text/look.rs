//! The rows of a CSV file, looked at on all cores.
//!
//! The text is cut into blocks behind line ends, and each is looked at by itself, as if a record began with
//! it. If the block before ends within a record, because a value in quotes holds the line end, what that
//! block left is looked at again together with this one. So blocks say the same as one reader would.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use pleiad_core::records::{Dialect, Fault, Records, Step};
use tokio::runtime::Handle;

use super::bytes::TextStream;
use super::format::Split;
use super::values::Seen;
use crate::compute::compute;
use crate::error::Result;

/// Bytes of text that make a block, with the rest of their last line.
const BLOCK_BYTES: usize = if cfg!(test) { 1 } else { 1 << 20 };
/// Bytes of text at least between two places where streams may begin; a test's text has a few.
const SPLIT_BYTES: u64 = if cfg!(test) { 8 } else { 4 << 20 };

/// How rows are looked at.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) dialect: Dialect,
    pub(super) max_line: usize,
    pub(super) decimal: u8,
    /// Words for NULL.
    pub(super) nulls: Vec<String>,
    /// How many columns there are.
    pub(super) width: usize,
    /// The places of those whose values are looked at.
    pub(super) open: Vec<usize>,
}

/// Text from a place on.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Where it begins in the text.
    pub(super) at: u64,
    pub(super) bytes: Bytes,
}

/// What rows have shown.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) columns: Vec<Seen>,
    pub(super) rows: u64,
    /// Comments between them.
    pub(super) comments: u64,
    /// Whether a value holds a line end.
    pub(super) has_newlines: bool,
    /// Records that begin about [`SPLIT_BYTES`] apart, in order.
    pub(super) splits: Vec<Split>,
    /// What comes next is no row.
    pub(super) trouble: Option<Trouble>,
    /// The next line.
    line: u64,
}

/// What is no row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Fault(Fault),
    /// A line with another number of fields.
    Ragged {
        line: u64,
        fields: usize,
        /// How the line begins.
        begin: String,
    },
}

/// Where the look at a block has ended.
enum End {
    Whole,
    /// The bytes from here on are no whole record.
    Open(usize),
    Trouble(Trouble),
}

/// What a block has shown.
struct Part {
    columns: Vec<Seen>,
    rows: u64,
    comments: u64,
    has_newlines: bool,
    /// Lines, without that of an open record.
    lines: u64,
    end: End,
}

/// Looks at the rows of `first`, which begins in line `line`, and of `text`, which follows it. If it `is_cut`
/// the last line may not be whole and does not count then.
pub(super) async fn look(
    rule: Rule,
    (first, line): (Block, u64),
    text: TextStream,
    is_cut: bool,
) -> Result<Looked> {
    let rule = Arc::new(rule);
    let mut looked = Looked {
        columns: vec![Seen::default(); rule.width],
        rows: 0,
        comments: 0,
        has_newlines: false,
        splits: Vec::new(),
        trouble: None,
        line,
    };
    let at_once = Handle::current().metrics().num_workers() + 1;
    let parts = blocks(first, text, rule.max_line).map_ok(|block| part(&rule, block, false));
    let mut parts = parts.try_buffered(at_once).boxed();
    let mut open: Option<Block> = None;
    while let Some((block, found)) = parts.try_next().await? {
        let (block, found) = match open.take() {
            None => (block, found),
            Some(left) => {
                let joined = left.and(&block);
                // A long record is looked at again only when there is twice as much of it.
                if block.bytes.len() < left.bytes.len() && left.bytes.len() <= rule.max_line {
                    open = Some(joined);
                    continue;
                }
                part(&rule, joined, false).await?
            }
        };
        open = looked.add(&block, found);
        if looked.trouble.is_some() {
            return Ok(looked);
        }
    }
    if let Some(left) = open.filter(|_| !is_cut) {
        let (block, found) = part(&rule, left, true).await?;
        looked.add(&block, found);
    }
    Ok(looked)
}

impl Looked {
    /// Adds a block, if it is known that a record begins with it; and what it leaves open.
    fn add(&mut self, block: &Block, part: Part) -> Option<Block> {
        let last = self.splits.last().map_or(0, |split| split.byte);
        if self.splits.is_empty() || block.at >= last + SPLIT_BYTES {
            self.splits.push(Split { byte: block.at, line: self.line });
        }
        for (column, seen) in self.columns.iter_mut().zip(&part.columns) {
            *column = column.and(*seen);
        }
        let line = self.line;
        self.rows += part.rows;
        self.comments += part.comments;
        self.has_newlines |= part.has_newlines;
        self.line += part.lines;
        match part.end {
            End::Whole => None,
            End::Open(at) => {
                Some(Block { at: block.at + at as u64, bytes: block.bytes.slice(at..) })
            }
            End::Trouble(trouble) => {
                self.trouble = Some(trouble.behind(line));
                None
            }
        }
    }
}

impl Trouble {
    /// The same with so many lines before it.
    fn behind(self, lines: u64) -> Self {
        match self {
            Self::Fault(fault) => Self::Fault(fault.behind(lines)),
            Self::Ragged { line, fields, begin } => {
                Self::Ragged { line: line + lines, fields, begin }
            }
        }
    }
}

impl Block {
    /// This and what follows it.
    fn and(&self, next: &Self) -> Self {
        let mut bytes = BytesMut::with_capacity(self.bytes.len() + next.bytes.len());
        bytes.extend_from_slice(&self.bytes);
        bytes.extend_from_slice(&next.bytes);
        Self { at: self.at, bytes: bytes.freeze() }
    }
}

/// The text in blocks that end behind a line end, unless a line is longer than the longest or the text ends.
fn blocks(
    first: Block,
    text: TextStream,
    max_line: usize,
) -> impl Stream<Item = Result<Block>> + Send {
    let left = Left { at: first.at, bytes: BytesMut::from(first.bytes), known: 0 };
    stream::try_unfold(Some((text, left)), move |state| async move {
        let Some((mut text, mut left)) = state else { return Ok(None) };
        loop {
            let end = match left.bytes.len() {
                ..BLOCK_BYTES => None,
                length if length > max_line.max(BLOCK_BYTES).saturating_add(2) => Some(length),
                _ => last_line_end(&left.bytes[left.known..]).map(|end| left.known + end),
            };
            if let Some(end) = end {
                let block = left.take(end);
                return Ok(Some((block, Some((text, left)))));
            }
            // A CR may be the first half of a line end.
            left.known = match left.bytes.len() {
                ..BLOCK_BYTES => 0,
                length => length.saturating_sub(1),
            };
            let Some(piece) = text.try_next().await? else {
                let block = left.take(left.bytes.len());
                return Ok((!block.bytes.is_empty()).then_some((block, None)));
            };
            left.push(piece);
        }
    })
}

/// Text of which no block is made yet.
struct Left {
    at: u64,
    bytes: BytesMut,
    /// The first bytes that are known to have no line end.
    known: usize,
}

impl Left {
    fn push(&mut self, piece: Bytes) {
        match self.bytes.is_empty() {
            true => self.bytes = BytesMut::from(piece),
            false => self.bytes.extend_from_slice(&piece),
        }
    }

    /// The bytes before `end`.
    fn take(&mut self, end: usize) -> Block {
        let block = Block { at: self.at, bytes: self.bytes.split_to(end).freeze() };
        (self.at, self.known) = (self.at + end as u64, 0);
        block
    }
}

/// The place behind the last line end; behind a CR only if it is known that no LF follows.
fn last_line_end(bytes: &[u8]) -> Option<usize> {
    let behind = |place: usize| place + 1;
    let lf = bytes.iter().rposition(|byte| *byte == b'\n').map(behind);
    let cr = || {
        let known = bytes.split_last().map_or(&[][..], |(_, known)| known);
        known.iter().rposition(|byte| *byte == b'\r').map(behind)
    };
    lf.or_else(cr)
}

/// Looks at a block on a thread of its own.
fn part(
    rule: &Arc<Rule>,
    block: Block,
    is_last: bool,
) -> impl Future<Output = Result<(Block, Part)>> + Send + use<> {
    let rule = Arc::clone(rule);
    compute(move |_| {
        let part = rule.look_at(&block, is_last);
        Ok((block, part))
    })
}

impl Rule {
    fn look_at(&self, block: &Block, is_last: bool) -> Part {
        let mut records = Records::over(&block.bytes, self.dialect, self.max_line, (block.at, 0));
        match block.bytes.last() {
            _ if is_last => records.end(),
            // No LF follows, and with one there is no doubt of that.
            Some(b'\r') => records.push(b"\n"),
            _ => {}
        }
        let (mut columns, mut rows) = (vec![Seen::default(); self.width], 0);
        let end = loop {
            match records.step() {
                Ok(Step::Record) => {}
                Ok(Step::More | Step::End) => {
                    let read = records.after().0 - block.at;
                    let read = usize::try_from(read).unwrap_or(usize::MAX);
                    break match read < block.bytes.len() {
                        true => End::Open(read),
                        false => End::Whole,
                    };
                }
                Err(fault) => break End::Trouble(Trouble::Fault(fault)),
            }
            let record = match records.record() {
                Ok(record) => record,
                Err(fault) => break End::Trouble(Trouble::Fault(fault)),
            };
            if !record.fits(self.width) {
                break End::Trouble(Trouble::Ragged {
                    line: record.line,
                    fields: record.width(),
                    begin: record.text().chars().take(40).collect(),
                });
            }
            rows += 1;
            for place in &self.open {
                let column = &mut columns[*place];
                if column.is_settled() {
                    continue;
                }
                let value = record.value(*place);
                if !self.nulls.iter().any(|null| *null == value) {
                    column.look_at(&value, self.decimal);
                }
            }
        };
        Part {
            columns,
            rows,
            comments: records.comments(),
            has_newlines: records.has_newlines(),
            lines: records.after().1,
            end,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(dialect: Dialect, max_line: usize) -> Rule {
        Rule { dialect, max_line, decimal: b'.', nulls: Vec::new(), width: 2, open: vec![0, 1] }
    }

    /// What blocks show of a text that comes in pieces of `size`.
    fn looked(text: &str, dialect: Dialect, size: usize, max_line: usize) -> Looked {
        let pieces = text.as_bytes().chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece)));
        let pieces = stream::iter(pieces.collect::<Vec<_>>()).boxed();
        let first = Block { at: 0, bytes: Bytes::new() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let looking = look(rule(dialect, max_line), (first, 1), pieces, false);
        runtime.block_on(looking).unwrap()
    }

    /// Where the records begin of a text that begins at a place of the file.
    fn begins(text: &str, dialect: Dialect, at: Split) -> Vec<Split> {
        let mut records = Records::new(dialect, 1000, at.byte, at.line);
        records.push(text.as_bytes());
        records.end();
        let mut begins = Vec::new();
        while let Ok(Step::Record) = records.step() {
            let line = records.record().unwrap().line;
            begins.push(Split { byte: records.offset(), line });
        }
        begins
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9]{1,3}([.][0-9])?",
            "[a-cé# ]{0,3}",
            Just("2024-02-29".to_owned()),
            Just("a\"b".to_owned()),
            "\"([a\n\r,#]|\"\"){0,6}\"",
        ]
    }

    fn text() -> impl Strategy<Value = String> {
        let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r"), Just("\n\n")];
        let row = (value(), value(), end.clone()).prop_map(|(a, b, end)| format!("{a},{b}{end}"));
        let comment = end.prop_map(|end| format!("#\"{end}"));
        let line = prop_oneof![9 => row, 1 => comment];
        let rows = prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat());
        let rest = prop_oneof![6 => Just(""), 1 => Just("1,2"), 1 => Just("1"), 1 => Just("1,\"x")];
        (rows, rest).prop_map(|(rows, rest)| rows + rest)
    }

    proptest! {
        #[test]
        fn blocks_say_what_one_reader_says(
            text in text(),
            size in 1_usize..20,
            comments in any::<bool>(),
        ) {
            let dialect = Dialect { comment: comments.then_some(b'#'), ..Dialect::default() };
            let whole = Block { at: 0, bytes: Bytes::copy_from_slice(text.as_bytes()) };
            let expected = rule(dialect, 1000).look_at(&whole, true);
            let found = looked(&text, dialect, size, 1000);
            let trouble = match expected.end {
                End::Trouble(trouble) => Some(trouble.behind(1)),
                End::Whole | End::Open(_) => None,
            };
            prop_assert_eq!((found.rows, found.trouble), (expected.rows, trouble));
            prop_assert_eq!(found.comments, expected.comments);
            prop_assert_eq!(found.has_newlines, expected.has_newlines);
            for (found, expected) in found.columns.iter().zip(&expected.columns) {
                prop_assert_eq!(found.data_type(), expected.data_type());
                prop_assert_eq!(found.has_decimal_commas(), expected.has_decimal_commas());
            }
            let mut all = begins(&text, dialect, Split { byte: 0, line: 1 });
            for split in found.splits {
                all.retain(|begin| begin.byte >= split.byte);
                let rest = &text[usize::try_from(split.byte).unwrap()..];
                prop_assert_eq!(&begins(rest, dialect, split), &all, "from {:?}", split);
            }
        }
    }

    #[test]
    fn a_long_record_in_quotes_is_one_record() {
        let text = format!("1,\"{}\"\n2,x\n", "x\n".repeat(5000));
        for size in [1, 7, 100, 100_000] {
            let found = looked(&text, Dialect::default(), size, 20_000);
            assert_eq!((found.rows, found.has_newlines, found.trouble), (2, true, None));
            let found = looked(&text, Dialect::default(), size, 1000);
            assert!(matches!(found.trouble, Some(Trouble::Fault(_))), "{:?}", found.trouble);
        }
    }
}
