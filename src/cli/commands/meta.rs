//! `pleiad meta`: the footers of Parquet files.

use arrow::array::{BooleanArray, Int32Array, StringArray, UInt64Array};
use clap::Args;

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::inspect::footer;

/// Show the metadata of Parquet files: row groups, columns, bounds, compression
///
/// Prints two tables. `columns` has one row for each column of each row group; `sorted` is the position
/// of the column in the sort order, negative if descending. `files` has one row per file.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad meta 'people/table1/*/*.parquet'
  pleiad meta 'people/table1/*/*.parquet' --show files")]
pub(crate) struct Meta {
    /// A Parquet file, or a pattern in quotes
    #[arg(value_name = "FILE")]
    location: String,
}

impl Meta {
    /// Reads footers and prints.
    ///
    /// # Errors
    /// See [`footer::footers`].
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let location = context.stores.parse(&self.location)?;
        let found = footer::footers(&context.stores, &location).await?;
        context.print(&[chunks(&found), files(&found)])
    }
}

fn chunks(files: &[footer::Footer]) -> Answer {
    let chunks = || files.iter().flat_map(|file| &file.chunks);
    let count =
        |count: fn(&footer::Chunk) -> u64| chunks().map(count).map(Some).collect::<UInt64Array>();
    let text =
        |text: fn(&footer::Chunk) -> Option<&str>| StringArray::from_iter(chunks().map(text));
    let is =
        |is: fn(&footer::Chunk) -> bool| BooleanArray::from(chunks().map(is).collect::<Vec<_>>());
    let names = files.iter().flat_map(|file| file.chunks.iter().map(|_| file.file.to_string()));
    let names: Vec<_> = names.collect();
    let sorted = chunks().map(|chunk| chunk.sorted);
    Answer::build("columns")
        .column("row_group", count(|chunk| chunk.row_group))
        .column("column", text(|chunk| Some(&chunk.column)))
        .column("type", text(|chunk| Some(&chunk.data_type)))
        .column("rows", count(|chunk| chunk.rows))
        .column("nulls", chunks().map(|chunk| chunk.nulls).collect::<UInt64Array>())
        .column("min", text(|chunk| chunk.min.as_deref()))
        .column("max", text(|chunk| chunk.max.as_deref()))
        .column("bytes", count(|chunk| chunk.bytes))
        .column("plain_bytes", count(|chunk| chunk.plain_bytes))
        .column("compression", text(|chunk| Some(&chunk.compression)))
        .column("encodings", text(|chunk| Some(&chunk.encodings)))
        .column("page_index", is(|chunk| chunk.page_index))
        .column("bloom_filter", is(|chunk| chunk.bloom_filter))
        .column("sorted", sorted.collect::<Int32Array>())
        .column("file", StringArray::from(names))
        .done()
}

fn files(files: &[footer::Footer]) -> Answer {
    let count =
        |count: fn(&footer::Footer) -> u64| UInt64Array::from_iter_values(files.iter().map(count));
    let texts = |text: fn(&footer::Footer) -> Option<String>| {
        StringArray::from_iter(files.iter().map(text))
    };
    let versions = files.iter().map(|file| file.version);
    Answer::build("files")
        .column("rows", count(|file| file.rows))
        .column("row_groups", count(|file| file.row_groups))
        .column("columns", count(|file| file.columns))
        .column("bytes", count(|file| file.size))
        .column("created_by", texts(|file| file.created_by.clone()))
        .column("version", Int32Array::from_iter_values(versions))
        .column("notes", texts(|file| Some(file.notes.join(" "))))
        .column("file", texts(|file| Some(file.file.to_string())))
        .done()
}
