//! `pleiad head`, `schema`, `meta`, `count` and `summary`: what is in tables and files.

use arrow::array::{BooleanArray, Float64Array, Int32Array, StringArray, UInt64Array};
use arrow::datatypes::DataType;
use clap::{Args, ValueEnum};

use super::Context;
use super::output::Answer;
use crate::inspect::{columns, footer, head, summary};
use crate::table::SourceOptions;

/// How text files are read.
#[derive(Debug, Clone, Args)]
pub(super) struct TextFlags {
    /// Characters of CSV files
    #[arg(long, value_name = "NAME", default_value = "utf8", hide_short_help = true)]
    encoding: Encoding,

    /// Take all columns of CSV files for text, or for what their values are
    #[arg(long, value_name = "HOW", default_value = "sniff", hide_short_help = true)]
    types: Types,

    /// The type of a column of CSV files, such as code:text; may be given again for other columns
    #[arg(long = "column", value_name = "NAME:TYPE", value_parser = typed_column, hide_short_help = true)]
    declared: Vec<(String, DataType)>,
}

/// Reads `name:TYPE`.
fn typed_column(text: &str) -> Result<(String, DataType), String> {
    let known = columns::TEXT_TYPES.map(|data_type| columns::type_name(&data_type)).join(", ");
    let (name, data_type) =
        text.rsplit_once(':').ok_or_else(|| format!("expected NAME:TYPE with one of {known}"))?;
    let found = columns::type_named(data_type);
    let found = found.ok_or_else(|| format!("no type '{data_type}', expected one of {known}"))?;
    Ok((name.to_owned(), found))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Encoding {
    Utf8,
    Latin1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Types {
    Sniff,
    Text,
}

impl TextFlags {
    fn options(&self) -> SourceOptions {
        SourceOptions {
            encoding: match self.encoding {
                Encoding::Utf8 => crate::table::Encoding::Utf8,
                Encoding::Latin1 => crate::table::Encoding::Latin1,
            },
            text: self.types == Types::Text,
            types: self.declared.clone(),
            ..SourceOptions::default()
        }
    }
}

/// Show the first rows of tables
///
/// LOCATION is a CSV, JSON lines or Parquet file, a directory of such files, a dataset or a part of
/// one. Each table is a table of the answer. An empty value of a text file is NULL.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad head people/table1
  pleiad head people/table1 -n 3 --json")]
pub struct Head {
    /// What to show: a file, a directory, a dataset or one of its tables
    #[arg(value_name = "LOCATION")]
    location: String,

    /// Rows to show
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    rows: usize,

    #[command(flatten)]
    text: TextFlags,
}

impl Head {
    /// Reads and prints.
    ///
    /// # Errors
    /// See [`head::head`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let options = self.text.options();
        let heads = head::head(&context.session()?, &self.location, &options, self.rows).await?;
        let answers = heads.into_iter().map(|h| Answer::rows(h.table, h.schema, h.rows));
        context.print(&answers.collect::<Vec<_>>())
    }
}

/// Show the columns of tables, their types, and who says so
///
/// `sql` is the name as SQL wants it, in quotes where it has to be. `source` says where the type
/// comes from: declared (by a dataset), footer (of Parquet), sniffed (from all values of a text file)
/// or path (Hive directories, whose keys are text). A text column holds anything that no other type
/// holds as it is written, such as 07.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad schema people
  pleiad schema people/table1 --json")]
pub struct Schema {
    /// What to look at: a file, a directory, a dataset or one of its tables
    #[arg(value_name = "LOCATION")]
    location: String,

    #[command(flatten)]
    text: TextFlags,
}

impl Schema {
    /// Looks and prints.
    ///
    /// # Errors
    /// See [`columns::columns`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let found = columns::columns(&context.stores, &self.location, &self.text.options()).await?;
        let text = |text: fn(&columns::Column) -> &str| {
            StringArray::from_iter_values(found.iter().map(text))
        };
        let nullable: Vec<_> = found.iter().map(|column| column.nullable).collect();
        let answer = Answer::build("columns")
            .column("table", text(|column| &column.table))
            .column("column", text(|column| &column.name))
            .column("type", text(|column| &column.data_type))
            .column("nullable", BooleanArray::from(nullable))
            .column("sql", text(|column| &column.sql))
            .column("source", text(|column| column.origin.name()))
            .done();
        context.print(&[answer])
    }
}

/// Show what Parquet files say of themselves: row groups, columns, bounds
///
/// Table `columns` has one line for each column of each row group; `sorted` is the place of the column
/// in the order of rows, negative if descending. Table `files` has one line a file.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad meta 'people/table1/*/*.parquet'
  pleiad meta 'people/table1/*/*.parquet' --show files")]
pub struct Meta {
    /// A Parquet file, or a pattern in quotes
    #[arg(value_name = "FILE")]
    location: String,
}

impl Meta {
    /// Reads footers and prints.
    ///
    /// # Errors
    /// See [`footer::footers`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
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

/// Count the rows of tables
///
/// Manifests and footers tell without reading rows; text files are read through. The answer has one
/// line a table.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad count people
  pleiad count 'people/table*' --json")]
pub struct Count {
    /// What to count: a file, a directory, a dataset, a part of one, or a pattern in quotes
    #[arg(value_name = "LOCATION")]
    location: String,

    #[command(flatten)]
    text: TextFlags,
}

impl Count {
    /// Counts and prints.
    ///
    /// # Errors
    /// See [`summary::count`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let found =
            summary::count(&context.session()?, &self.location, &self.text.options()).await?;
        let count = |count: fn(&summary::Counted) -> u64| {
            UInt64Array::from_iter_values(found.iter().map(count))
        };
        let tables = found.iter().map(|table| table.table.as_str());
        let answer = Answer::build("tables")
            .column("table", StringArray::from_iter_values(tables))
            .column("rows", count(|table| table.rows))
            .column("files", count(|table| table.files))
            .column("bytes", count(|table| table.bytes))
            .done();
        context.print(&[answer])
    }
}

/// Sum up the columns of tables: NULLs, bounds, mean, distinct values
///
/// One pass over the rows. Distinct values are estimated, within about 2 %. NaN is counted in `nans`
/// and is neither the least nor the greatest value, nor part of the mean.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad summary people/table1
  pleiad summary people --columns age,weight --json")]
pub struct Summary {
    /// What to sum up: a file, a directory, a dataset, a part of one, or a pattern in quotes
    #[arg(value_name = "LOCATION")]
    location: String,

    /// Columns to sum up [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,

    #[command(flatten)]
    text: TextFlags,
}

impl Summary {
    /// Sums up and prints.
    ///
    /// # Errors
    /// See [`summary::summary`].
    pub async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let session = context.session()?;
        let found =
            summary::summary(&session, &self.location, &self.text.options(), &self.columns).await?;
        let count = |count: fn(&summary::Summary) -> Option<u64>| {
            found.iter().map(count).collect::<UInt64Array>()
        };
        let text = |text: fn(&summary::Summary) -> Option<&str>| {
            StringArray::from_iter(found.iter().map(text))
        };
        let means = found.iter().map(|column| column.mean).collect::<Float64Array>();
        let answer = Answer::build("columns")
            .column("table", text(|column| Some(&column.table)))
            .column("column", text(|column| Some(&column.column)))
            .column("type", text(|column| Some(&column.data_type)))
            .column("rows", count(|column| Some(column.rows)))
            .column("nulls", count(|column| Some(column.nulls)))
            .column("nans", count(|column| column.nans))
            .column("min", text(|column| column.min.as_deref()))
            .column("max", text(|column| column.max.as_deref()))
            .column("mean", means)
            .column("approx_distinct", count(|column| column.approx_distinct))
            .done();
        context.print(&[answer])
    }
}
