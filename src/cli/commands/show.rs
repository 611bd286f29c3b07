//! `pleiad show`: what a dataset says of itself.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, StringArray, UInt32Array, UInt64Array, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use clap::Args;

use super::ls::listing;
use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::error::{Error, Result};
use crate::inspect::dataset;
use crate::objects;
use crate::partition::block_record;
use crate::partition::stored::Stored;
use crate::storage::Location;
use crate::table::commit::{self, PastRun};
use crate::table::{Manifest, Mode};

/// Show a dataset: which command made it, its tables, blocks, files, properties and runs
///
/// Without an option, prints the tables `dataset`, with one row about the current version, and `tables`.
/// Everything comes from the manifest; no data is read. A location that is not a dataset is listed
/// instead. --properties also reads a file of Java properties, or the file `properties` of a folder.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad show people
  pleiad show people --manifest --json")]
pub(crate) struct Show {
    /// The dataset
    #[arg(value_name = "OUT")]
    location: String,

    #[command(flatten)]
    what: What,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
#[expect(clippy::struct_excessive_bools, reason = "one of four, or none")]
struct What {
    /// Show its properties, one row per key
    #[arg(long)]
    properties: bool,

    /// Show its blocks: own and margin rows, bytes, and the limit on own rows (`cap`)
    #[arg(long)]
    blocks: bool,

    /// Show its files with size, rows and SHA-256
    #[arg(long)]
    manifest: bool,

    /// Show its runs, oldest first, including those that died, and which versions can still be read
    #[arg(long)]
    history: bool,
}

impl Show {
    /// Looks and prints.
    ///
    /// # Errors
    /// See [`dataset::dataset`]; a dataset without blocks.
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let location = context.stores.parse(&self.location)?;
        if self.what.history {
            let runs = commit::history(&context.stores, &location).await?;
            return context.print(&[history(&runs)]);
        }
        let Some(manifest) = dataset::dataset(&context.stores, &location).await? else {
            return self.run_on_other(context, &location).await;
        };
        match &self.what {
            What { properties: true, .. } => context.print(&[properties(&manifest.properties)]),
            What { blocks: true, .. } => context.print(&[blocks(&manifest)?]),
            What { manifest: true, .. } => context.print(&[files(&manifest)]),
            _ => context.print(&[version(&location, &manifest), tables(&manifest)]),
        }
    }

    /// What can be said of a location that is not a dataset.
    async fn run_on_other(&self, context: &Context, location: &Location) -> anyhow::Result<()> {
        if self.what.properties {
            let found = dataset::properties_at(&context.stores, location).await?;
            return context.print(&[properties(&found)]);
        }
        let entries = objects::list(&context.stores, location, false).await?;
        if self.what.blocks || self.what.manifest {
            return Err(Error::data(format!(
                "'{location}' is not a dataset: it has no manifest. Use pleiad ls to list it"
            ))
            .into());
        }
        context.note(&format!("'{location}' is not a dataset. It contains:"));
        context.print(&[listing(&entries)])
    }
}

pub(super) fn version(location: &Location, manifest: &Manifest) -> Answer {
    let text = |text: &str| StringArray::from(vec![text]);
    let count = |count: u64| UInt64Array::from(vec![count]);
    let argument = |name: &str| {
        let found = manifest.arguments.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    Answer::build("dataset")
        .column("version", count(manifest.version))
        .column("created", text(&manifest.created))
        .column("command", text(argument("command")))
        .column("mode", text(mode_name(manifest.mode)))
        .column("tables", count(manifest.tables.len() as u64))
        .column("files", count(manifest.files.len() as u64))
        .column("rows", count(manifest.rows()))
        .column("bytes", count(manifest.bytes()))
        .column("run", text(&manifest.run))
        .column("location", text(&location.to_string()))
        .done()
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Error => "error",
        Mode::Overwrite => "overwrite",
        Mode::Append => "append",
        Mode::Ignore => "ignore",
    }
}

fn tables(manifest: &Manifest) -> Answer {
    let tables = dataset::tables(manifest);
    let count =
        |count: fn(&dataset::Table) -> u64| UInt64Array::from_iter_values(tables.iter().map(count));
    let keys = tables.iter().map(|table| table.keys.join(","));
    Answer::build("tables")
        .column("table", StringArray::from_iter_values(tables.iter().map(|table| &table.name)))
        .column("rows", count(|table| table.rows))
        .column("files", count(|table| table.files))
        .column("bytes", count(|table| table.bytes))
        .column("partitions", count(|table| table.partitions))
        .column("keys", StringArray::from_iter_values(keys))
        .column("columns", count(|table| table.columns))
        .done()
}

fn properties(properties: &std::collections::BTreeMap<String, String>) -> Answer {
    Answer::build("properties")
        .column("key", StringArray::from_iter_values(properties.keys()))
        .column("value", StringArray::from_iter_values(properties.values()))
        .done()
}

fn files(manifest: &Manifest) -> Answer {
    let files = &manifest.files;
    let count = |count: fn(&crate::table::manifest::FileRecord) -> u64| {
        UInt64Array::from_iter_values(files.iter().map(count))
    };
    Answer::build("files")
        .column("table", StringArray::from_iter_values(files.iter().map(|file| &file.table)))
        .column("rows", count(|file| file.rows))
        .column("bytes", count(|file| file.size))
        .column("sha256", StringArray::from_iter_values(files.iter().map(|file| &file.sha256)))
        .column("path", StringArray::from_iter_values(files.iter().map(|file| &file.path)))
        .done()
}

/// The lines of `blocks.csv` with their types, and the cap beside them.
fn blocks(manifest: &Manifest) -> Result<Answer> {
    let (names, lines) = block_record::block_lines(manifest)?;
    let columns = names.iter().enumerate().map(|(index, name)| {
        let values = lines.iter().map(|line| line.get(index).map_or("", String::as_str));
        (name.as_str(), typed(&values.collect::<Vec<_>>()))
    });
    let split = Stored::read(manifest)?.and_then(|stored| stored.blocks?.split);
    let cap = split.map(|split| split.max_rows);
    let cap = UInt64Array::from(vec![cap; lines.len()]);
    let (names, arrays): (Vec<_>, Vec<ArrayRef>) =
        columns.chain([("cap", Arc::new(cap) as ArrayRef)]).unzip();
    let fields = names
        .iter()
        .zip(&arrays)
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
    Ok(Answer::rows("blocks", schema, vec![batch]))
}

/// Texts as whole numbers if all are, else as numbers, else as they are; an empty one is NULL.
fn typed(values: &[&str]) -> ArrayRef {
    fn parsed<T: std::str::FromStr>(values: &[&str]) -> Option<Vec<Option<T>>> {
        let parse = |value: &&str| match *value {
            "" => Some(None),
            value => value.parse().ok().map(Some),
        };
        values.iter().map(parse).collect()
    }
    if values.iter().all(|value| value.is_empty()) {
        return new_null_array(&DataType::Utf8, values.len());
    }
    match (parsed::<u64>(values), parsed::<f64>(values)) {
        (Some(whole), _) => Arc::new(UInt64Array::from(whole)),
        (None, Some(numbers)) => Arc::new(Float64Array::from(numbers)),
        (None, None) => {
            let texts = values.iter().map(|value| Some(*value).filter(|value| !value.is_empty()));
            Arc::new(texts.collect::<StringArray>())
        }
    }
}

fn history(runs: &[PastRun]) -> Answer {
    let text = |text: fn(&PastRun) -> Option<&str>| StringArray::from_iter(runs.iter().map(text));
    let count =
        |count: fn(&PastRun) -> Option<u64>| runs.iter().map(count).collect::<UInt64Array>();
    let pids = runs.iter().map(|run| run.process.as_ref().map(|(_, pid)| *pid));
    let arguments = runs.iter().map(|run| {
        let words = run.arguments.iter().map(|(name, value)| format!("{name}={value}"));
        words.collect::<Vec<_>>().join(" ")
    });
    Answer::build("runs")
        .column("run", text(|run| Some(&run.run)))
        .column("state", text(|run| Some(run.fate.name())))
        .column("version", count(|run| run.version))
        .column("started", text(|run| run.started.as_deref()))
        .column("ended", text(|run| run.ended.as_deref()))
        .column("rows", count(|run| run.rows))
        .column("bytes", count(|run| run.bytes))
        .column("readable", runs.iter().map(|run| run.readable).collect::<BooleanArray>())
        .column("mode", text(|run| run.mode.map(mode_name)))
        .column("host", text(|run| run.process.as_ref().map(|(host, _)| host.as_str())))
        .column("pid", pids.collect::<UInt32Array>())
        .column("arguments", StringArray::from_iter_values(arguments))
        .done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_the_narrowest_numbers_that_hold_all() {
        let of = |values: &[&str]| typed(values).data_type().clone();
        assert_eq!(of(&["1", "", "20"]), DataType::UInt64);
        assert_eq!(of(&["1", "-0.5"]), DataType::Float64);
        assert_eq!(of(&["1", "dense"]), DataType::Utf8);
        assert_eq!(of(&["", ""]), DataType::Utf8);
    }
}
