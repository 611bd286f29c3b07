//! The columns of what is stored: names as SQL needs them, types as people say them, and who says so.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::{
    ALL_KEYWORDS, ALL_KEYWORDS_INDEX, RESERVED_FOR_COLUMN_ALIAS, RESERVED_FOR_TABLE_ALIAS,
};
use datafusion::sql::sqlparser::parser::Parser;

use crate::error::Result;
use crate::session::quote_identifier;
use crate::storage::Stores;
use crate::table::{Format, Source, SourceOptions, SourceTable};

pub use crate::table::type_name;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Its type, see [`type_name`].
    pub data_type: String,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// Its name in SQL: quoted where the engine would take it for something else.
    pub sql: String,
    /// Where the type comes from.
    pub origin: Origin,
}

/// Where the type of a column comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The manifest of a dataset.
    Declared,
    /// The footers of Parquet files.
    Footer,
    /// The values of text files.
    Sniffed,
    /// The names of Hive directories, which say nothing of types.
    Path,
}

impl Origin {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Footer => "footer",
            Self::Sniffed => "sniffed",
            Self::Path => "path",
        }
    }
}

/// The columns of the tables at a location, each table's in order, its keys last.
///
/// # Errors
/// As [`Source::open`].
pub async fn columns(
    stores: &Arc<Stores>,
    text: &str,
    options: &SourceOptions,
) -> Result<Vec<Column>> {
    let source = Source::open(stores, text, options).await?;
    let is_declared = source.manifest.is_some();
    Ok(source.tables.iter().flat_map(|table| of_table(table, is_declared)).collect())
}

fn of_table(table: &SourceTable, is_declared: bool) -> impl Iterator<Item = Column> {
    let is_key = |name: &str| table.keys.iter().any(|key| key.name() == name);
    table.schema.fields().iter().map(move |field| Column {
        table: table.name.clone(),
        name: field.name().clone(),
        data_type: type_name(field.data_type()),
        nullable: field.is_nullable(),
        sql: sql_name(field.name()),
        origin: match &table.format {
            _ if is_declared => Origin::Declared,
            _ if is_key(field.name()) => Origin::Path,
            Format::Parquet => Origin::Footer,
            _ => Origin::Sniffed,
        },
    })
}

/// A column's name as SQL wants it: bare if that is read back as this column, else in quotes.
pub fn sql_name(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    match is_plain && !is_reserved(name) && is_identifier(name) {
        true => name.to_owned(),
        false => quote_identifier(name),
    }
}

/// Whether a word ends an expression in some place, where its name would be read as a clause.
fn is_reserved(word: &str) -> bool {
    if word == "case" {
        return true; // a name only where no expression can begin
    }
    let place = ALL_KEYWORDS.binary_search(&word.to_uppercase().as_str());
    place.is_ok_and(|place| {
        let keyword = &ALL_KEYWORDS_INDEX[place];
        RESERVED_FOR_COLUMN_ALIAS.contains(keyword) || RESERVED_FOR_TABLE_ALIAS.contains(keyword)
    })
}

/// Whether a plain word is read as a name, not as a keyword, a literal or a function.
fn is_identifier(word: &str) -> bool {
    let select = format!("SELECT {word}, {word} + 1 FROM t WHERE {word} = 1 ORDER BY {word}");
    let parsed = Parser::parse_sql(&GenericDialect {}, &select).unwrap_or_default();
    let [Statement::Query(query)] = parsed.as_slice() else { return false };
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    matches!(select.projection.as_slice(), [SelectItem::UnnamedExpr(Expr::Identifier(_)), _])
        && select.from.len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_sql_would_read_something_else() {
        for bare in ["age", "_x", "id_pref", "date", "a1"] {
            assert_eq!(sql_name(bare), bare);
        }
        for quoted in
            ["Num_Acc", "order", "select", "null", "true", "case", "end", "1a", "a b", "é", ""]
        {
            assert_eq!(sql_name(quoted), format!("\"{quoted}\""));
        }
        assert_eq!(sql_name("a\"b"), "\"a\"\"b\"");
    }
}
