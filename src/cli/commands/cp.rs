//! `pleiad cp`: copies of objects and files, from or to S3.

use std::io::Read;

use arrow::array::{StringArray, UInt64Array};
use bytes::Bytes;
use clap::Args;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};

use super::mirror::NameFlags;
use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::cli::exit::after;
use crate::error::{Error, Result};
use crate::objects::copy::{self, Copied, CopyOptions};
use crate::objects::filter::Filter;

/// Bytes of standard input that are read at a time.
const PIECE: usize = 1 << 20;

/// Copy objects and files, from or to S3
///
/// FROM is an object, a pattern in quotes, or with --recursive a folder, whose content is copied below
/// TO. TO is the name of the copy, or a folder if it exists as one or ends in `/`. Several FROM go into the
/// folder TO, folders under their names. `-` is standard input or output. A copy appears when it
/// is complete. An existing object is not replaced without --force; this is checked before anything is
/// copied. A dataset is copied without the records of its runs and with its manifest last. It cannot be
/// copied into another dataset.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad cp people/properties copied.properties
  pleiad cp people copy --recursive")]
pub(crate) struct Cp {
    /// Objects, patterns or folders to copy; `-` is standard input
    #[arg(value_name = "FROM", required = true)]
    from: Vec<String>,

    /// Name of the copy, or folder to copy into; `-` is standard output
    #[arg(value_name = "TO", required = true)]
    to: String,

    /// Copy a folder and everything in it
    #[arg(short, long)]
    recursive: bool,

    /// Replace existing objects
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    names: NameFlags,
}

impl Cp {
    /// Copies and prints.
    ///
    /// # Errors
    /// See [`copy::copy`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        if self.to == "-" {
            return self.to_stdout(context).await;
        }
        let made = match &self.from[..] {
            [from] if from == "-" => {
                let to = context.stores.parse(&self.to)?;
                vec![copy::receive(&context.stores, stdin(), &to, self.force).await?]
            }
            from => {
                let copies = Copies {
                    from,
                    to: &self.to,
                    recursive: self.recursive,
                    force: self.force,
                    filter: self.names.filter()?,
                };
                copies.make(context).await?
            }
        };
        context.print(&[copied("copied", &made)]).map_err(|error| after("the copy is made", error))
    }

    async fn to_stdout(&self, context: &Context) -> anyhow::Result<()> {
        let [from] = &self.from[..] else {
            return Err(Error::usage("standard output takes one object: use pleiad cat").into());
        };
        let from = context.stores.parse_existing(from)?;
        context.print_bytes(copy::read(&context.stores, &from).await?).await
    }
}

/// Standard input in pieces, read by a thread of its own.
fn stdin() -> copy::Pieces {
    let (mut sender, pieces) = mpsc::channel(2);
    let read = move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let read = (&mut input).take(PIECE as u64).read_to_end(&mut piece);
            let failed = |cause| Error::io("read standard input", cause);
            let piece = read.map(|_bytes| Bytes::from(piece)).map_err(failed);
            let is_last = piece.as_ref().map_or(true, Bytes::is_empty);
            let is_empty = piece.as_ref().is_ok_and(Bytes::is_empty);
            let sent = is_empty || futures::executor::block_on(sender.send(piece)).is_ok();
            if is_last || !sent {
                return;
            }
        }
    };
    std::thread::spawn(read);
    pieces.boxed()
}

/// Copies of several things.
pub(super) struct Copies<'a> {
    pub(super) from: &'a [String],
    pub(super) to: &'a str,
    pub(super) recursive: bool,
    pub(super) force: bool,
    pub(super) filter: Filter,
}

impl Copies<'_> {
    /// Makes them, one FROM after the other.
    pub(super) async fn make(self, context: &Context) -> Result<Vec<Copied>> {
        let stores = &context.stores;
        let to = stores.parse(self.to)?;
        let is_one = self.from.len() == 1;
        let options = CopyOptions {
            force: self.force,
            recursive: self.recursive,
            into_folder: self.to.ends_with('/') || !is_one,
            filter: self.filter,
        };
        let mut plans = Vec::new();
        for text in self.from {
            let from = stores.parse_existing(text)?;
            // Several folders keep their names, as with `cp -r a b dir`.
            let is_folder = !is_one && from.glob().is_none() && self.recursive;
            let to = match is_folder && copy::is_folder(stores, &from).await? {
                true => to.join(from.name()),
                false => to.clone(),
            };
            plans.push(copy::plan(stores, &from, &to, &options).await?);
        }
        copy::run(stores, plans, self.force, &context.watch).await
    }
}

/// Copies as a table.
pub(super) fn copied(name: &str, made: &[Copied]) -> Answer {
    let texts = |text: fn(&Copied) -> String| StringArray::from_iter_values(made.iter().map(text));
    Answer::build(name)
        .column("size", UInt64Array::from_iter_values(made.iter().map(|copy| copy.size)))
        .column("from", texts(|copy| copy.from.to_string()))
        .column("to", texts(|copy| copy.to.to_string()))
        .done()
}
