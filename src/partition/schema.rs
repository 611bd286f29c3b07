//! `--schema FILE.sql`: the columns of text files without header, as one CREATE TABLE.
//!
//! Types are mapped here, because those of astronomy's schemas are older than SQL's: FLOAT, REAL and
//! DOUBLE of any precision are doubles; NUMBER, NUMERIC and DECIMAL (p, 0) are the smallest integer
//! that holds p digits; CHAR, VARCHAR and TEXT are text. Every column may be NULL.

use datafusion::sql::sqlparser::ast::{DataType as Written, ExactNumberInfo, Statement};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::error::{Error, Result};

/// Columns with their types as SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSchema {
    columns: Vec<(String, String)>,
}

impl TextSchema {
    /// Reads the text of a file, which errors call `name`.
    ///
    /// # Errors
    /// Of text that is not one CREATE TABLE, or of a type that is not known.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let wrong = |what: String| Error::data(format!("schema '{name}' {what}"));
        let statements = Parser::parse_sql(&GenericDialect {}, text)
            .map_err(|cause| wrong(format!("cannot be read: {cause}")).caused_by(cause))?;
        let [Statement::CreateTable(table)] = statements.as_slice() else {
            return Err(wrong("is not one CREATE TABLE".into()));
        };
        let columns = table.columns.iter().map(|column| {
            let sql_type = sql_type(&column.data_type).ok_or_else(|| {
                wrong(format!(
                    "gives '{}' the type {}, expected a number or text",
                    column.name.value, column.data_type
                ))
            })?;
            Ok((column.name.value.clone(), sql_type))
        });
        Ok(Self { columns: columns.collect::<Result<_>>()? })
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The type of a column as the engine's SQL has it.
    pub fn sql_type(&self, name: &str) -> Option<&str> {
        let column = self.columns.iter().find(|(known, _)| known == name);
        column.map(|(_, sql_type)| sql_type.as_str())
    }
}

fn sql_type(written: &Written) -> Option<String> {
    let known = match written {
        Written::Float(_) | Written::Real | Written::Double(_) | Written::DoublePrecision => {
            "DOUBLE".to_owned()
        }
        Written::Numeric(size) | Written::Decimal(size) | Written::Dec(size) => digits(size)?,
        Written::TinyInt(_) | Written::SmallInt(_) => "SMALLINT".into(),
        Written::Int(_) | Written::Integer(_) => "INT".into(),
        Written::BigInt(_) => "BIGINT".into(),
        Written::Boolean | Written::Bool => "BOOLEAN".into(),
        Written::Char(_)
        | Written::Character(_)
        | Written::Varchar(_)
        | Written::Text
        | Written::String(_) => "VARCHAR".into(),
        Written::Custom(name, size) => match name.to_string().to_ascii_uppercase().as_str() {
            "NUMBER" => {
                let size: Vec<u64> = size.iter().map_while(|part| part.parse().ok()).collect();
                of_digits(*size.first()?, size.get(1).copied().unwrap_or(0))?
            }
            "VARCHAR2" => "VARCHAR".into(),
            _ => return None,
        },
        _ => return None,
    };
    Some(known)
}

fn digits(size: &ExactNumberInfo) -> Option<String> {
    match size {
        ExactNumberInfo::None => of_digits(38, 0),
        ExactNumberInfo::Precision(p) => of_digits(*p, 0),
        ExactNumberInfo::PrecisionAndScale(p, s) => of_digits(*p, u64::try_from(*s).ok()?),
    }
}

fn of_digits(precision: u64, scale: u64) -> Option<String> {
    Some(match (precision, scale) {
        (..=4, 0) => "SMALLINT".into(),
        (..=9, 0) => "INT".into(),
        (..=19, 0) => "BIGINT".into(),
        (..=38, scale) => format!("DECIMAL({precision}, {scale})"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_oracle_and_of_sql_are_known() {
        let text = "CREATE TABLE Source (id NUMBER(19, 0) NOT NULL, n NUMBER(4,0), ra FLOAT(24), \
                    d DECIMAL(9), e NUMERIC(10, 3), f REAL, name CHAR(8), v VARCHAR(3))";
        let schema = TextSchema::parse(text, "s.sql").unwrap();
        let found: Vec<_> = schema.columns.iter().map(|(_, sql)| sql.as_str()).collect();
        let expected = [
            "BIGINT",
            "SMALLINT",
            "DOUBLE",
            "INT",
            "DECIMAL(10, 3)",
            "DOUBLE",
            "VARCHAR",
            "VARCHAR",
        ];
        assert_eq!(found, expected);
        assert_eq!(schema.sql_type("ra"), Some("DOUBLE"));
    }

    #[test]
    fn what_is_no_schema_is_named() {
        let error = |text: &str| TextSchema::parse(text, "s.sql").unwrap_err().to_string();
        assert_eq!(error("SELECT 1"), "schema 's.sql' is not one CREATE TABLE");
        assert_eq!(
            error("CREATE TABLE t (x GEOMETRY)"),
            "schema 's.sql' gives 'x' the type GEOMETRY, expected a number or text"
        );
    }
}
