//! Options of the commands that read text files.

use arrow::datatypes::DataType;
use clap::{Args, ValueEnum};

use crate::inspect::columns;
use crate::table::SourceOptions;

/// How text files are read.
#[derive(Debug, Clone, Args)]
pub(super) struct TextFlags {
    /// Character encoding of CSV files
    #[arg(long, value_name = "NAME", default_value = "utf8", hide_short_help = true)]
    encoding: Encoding,

    /// Types of CSV columns: `sniff` finds them from the values, `text` reads everything as text
    #[arg(long, value_name = "HOW", default_value = "sniff", hide_short_help = true)]
    types: Types,

    /// Type of one CSV column, such as code:text; may be repeated
    #[arg(long = "column", value_name = "NAME:TYPE", value_parser = typed_column, hide_short_help = true)]
    declared: Vec<(String, DataType)>,

    /// Read a directory even if it looks like the output of an unfinished job, or a dataset without its
    /// manifest
    #[arg(long, hide_short_help = true)]
    allow_incomplete: bool,
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
    pub(super) fn options(&self) -> SourceOptions {
        SourceOptions {
            encoding: match self.encoding {
                Encoding::Utf8 => crate::table::Encoding::Utf8,
                Encoding::Latin1 => crate::table::Encoding::Latin1,
            },
            text: self.types == Types::Text,
            types: self.declared.clone(),
            allow_incomplete: self.allow_incomplete,
            ..SourceOptions::default()
        }
    }
}
