//! The header of an ECSV file (Astropy's APE 6): comments that hold YAML with the names and types of the
//! columns. Read are the delimiter, and name and datatype of each column; no more of YAML is needed.

use arrow::datatypes::DataType;

/// What such a header says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ecsv {
    pub(super) delimiter: u8,
    /// The columns with their types, if it is one that text has.
    pub(super) columns: Vec<(String, Option<DataType>)>,
}

/// Reads the comments before a header, each without its mark; `None` if they are none of ECSV.
pub(super) fn parse(comments: &[&str]) -> Option<Ecsv> {
    let (first, rest) = comments.split_first()?;
    if !first.trim_start().starts_with("%ECSV") {
        return None;
    }
    let mut ecsv = Ecsv { delimiter: b' ', columns: Vec::new() };
    for line in rest {
        let line = line.trim();
        let entries = line.strip_prefix("- ").unwrap_or(line).trim();
        // A column may be one line: - {name: ra, unit: deg, datatype: float64}
        match entries.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            Some(inner) => inner.split(',').for_each(|entry| ecsv.take(entry)),
            None => ecsv.take(entries),
        }
    }
    Some(ecsv)
}

impl Ecsv {
    fn take(&mut self, entry: &str) {
        let Some((key, value)) = entry.split_once(':') else { return };
        let value = value.trim();
        let bare = value.trim_matches(['\'', '"']);
        match key.trim() {
            "delimiter" => {
                self.delimiter = match bare {
                    "\\t" => b'\t',
                    other => other.bytes().next().unwrap_or(b' '),
                }
            }
            "name" => self.columns.push((bare.to_owned(), None)),
            "datatype" => {
                if let Some((_, data_type)) = self.columns.last_mut() {
                    *data_type = type_of(bare);
                }
            }
            _ => {}
        }
    }
}

fn type_of(name: &str) -> Option<DataType> {
    match name {
        "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32" => {
            Some(DataType::Int64)
        }
        "uint64" => Some(DataType::UInt64),
        "float16" | "float32" | "float64" => Some(DataType::Float64),
        "bool" => Some(DataType::Boolean),
        "string" => Some(DataType::Utf8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_types_and_delimiter_are_read() {
        let comments = [
            " %ECSV 1.0",
            " ---",
            " delimiter: ','",
            " datatype:",
            " -",
            "   name: source_id",
            "   datatype: int64",
            "   description: an id, with: colons",
            " - {name: ra, unit: deg, datatype: float64}",
            " - {name: 'note', datatype: string}",
        ];
        let expected = Ecsv {
            delimiter: b',',
            columns: vec![
                ("source_id".to_owned(), Some(DataType::Int64)),
                ("ra".to_owned(), Some(DataType::Float64)),
                ("note".to_owned(), Some(DataType::Utf8)),
            ],
        };
        assert_eq!(parse(&comments), Some(expected));
        assert_eq!(parse(&[" source: station 12"]), None);
        assert_eq!(parse(&[]), None);
    }
}
