//! What values of JSON look like: kinds, members, numbers as they are written.
//!
//! A member that is null or absent says nothing. Values of one kind have a type; of several they are text,
//! each as it is written, and so are numbers that no type holds exactly.

use arrow::datatypes::{DataType, Field, Fields};
use std::sync::Arc;

use super::values::Seen;

/// Values inside values, at most.
const MAX_DEPTH: usize = 100;

/// What the values of one place have shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shape {
    kinds: u8,
    numbers: Seen,
    items: Option<Box<Shape>>,
    members: Vec<(String, Shape)>,
}

const NUMBER: u8 = 1;
const BOOLEAN: u8 = 2;
const TEXT: u8 = 4;
const LIST: u8 = 8;
const OBJECT: u8 = 16;

impl Shape {
    /// The members of an object.
    pub(crate) fn members(&self) -> &[(String, Self)] {
        &self.members
    }

    /// The type that holds the values.
    pub(crate) fn data_type(&self) -> DataType {
        let nested = |shape: &Self, name: &str| Arc::new(Field::new(name, shape.data_type(), true));
        match self.kinds {
            NUMBER => self.numbers.data_type(),
            BOOLEAN => DataType::Boolean,
            LIST => match &self.items {
                Some(items) => DataType::List(nested(items, "item")),
                None => DataType::List(nested(&Self::default(), "item")),
            },
            OBJECT if !self.members.is_empty() => {
                let fields = self.members.iter().map(|(name, shape)| nested(shape, name));
                DataType::Struct(Fields::from_iter(fields))
            }
            _ => DataType::Utf8,
        }
    }

    /// Whether values of this shape are read as `data_type` as they are written.
    pub(crate) fn reads_as(&self, data_type: &DataType) -> bool {
        match data_type {
            DataType::Utf8 => self.kinds & !TEXT == 0,
            DataType::List(item) => self.items.iter().all(|i| i.reads_as(item.data_type())),
            DataType::Struct(fields) => self.members.iter().all(|(name, shape)| {
                fields.find(name).is_none_or(|(_, field)| shape.reads_as(field.data_type()))
            }),
            _ => true,
        }
    }

    /// What both have shown.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.kinds |= other.kinds;
        self.numbers = self.numbers.and(other.numbers);
        if let Some(items) = &other.items {
            self.items.get_or_insert_default().merge(items);
        }
        for (name, shape) in &other.members {
            self.member(name).merge(shape);
        }
    }

    fn member(&mut self, name: &str) -> &mut Self {
        let place = match self.members.iter().position(|(known, _)| known == name) {
            Some(place) => place,
            None => {
                self.members.push((name.to_owned(), Self::default()));
                self.members.len() - 1
            }
        };
        &mut self.members[place].1
    }

    /// Adds the object that a line holds.
    pub(crate) fn look_at(&mut self, line: &str) -> Result<(), Broken> {
        let mut parser = Parser { text: line, at: 0 };
        parser.blanks();
        if parser.byte() == Some(b'[') {
            return Err(Broken { what: "a list", at: parser.at });
        }
        if parser.byte() != Some(b'{') {
            return Err(parser.broken("no object"));
        }
        parser.value(Some(self), 0)?;
        parser.blanks();
        match parser.byte() {
            None => Ok(()),
            Some(_) => Err(parser.broken("text behind the object")),
        }
    }
}

/// What is not JSON, and where in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) what: &'static str,
    pub(crate) at: usize,
}

/// A line with the values that `data_type` has as text in quotes, as they are written.
pub(crate) fn as_text(line: &str, fields: &Fields) -> Result<String, Broken> {
    let mut text = String::with_capacity(line.len() + 16);
    let mut parser = Parser { text: line, at: 0 };
    parser.blanks();
    parser.copy(&DataType::Struct(fields.clone()), &mut text)?;
    Ok(text)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn broken(&self, what: &'static str) -> Broken {
        Broken { what, at: self.at }
    }

    fn take(&mut self, wanted: u8, what: &'static str) -> Result<(), Broken> {
        self.blanks();
        if self.byte() != Some(wanted) {
            return Err(self.broken(what));
        }
        self.at += 1;
        self.blanks();
        Ok(())
    }

    /// Passes over a value, which `shape` learns of.
    fn value(&mut self, shape: Option<&mut Shape>, depth: usize) -> Result<(), Broken> {
        if depth > MAX_DEPTH {
            return Err(self.broken("more than a hundred values inside each other"));
        }
        let mut nothing = Shape::default();
        let shape = shape.unwrap_or(&mut nothing);
        match self.byte() {
            Some(b'{') => {
                shape.kinds |= OBJECT;
                self.each(b'}', |parser| {
                    let name = parser.string()?;
                    parser.take(b':', "no ':' behind a name")?;
                    parser.value(Some(shape.member(&name)), depth + 1)
                })
            }
            Some(b'[') => {
                shape.kinds |= LIST;
                self.each(b']', |parser| {
                    parser.value(Some(shape.items.get_or_insert_default()), depth + 1)
                })
            }
            Some(b'"') => {
                shape.kinds |= TEXT;
                self.string().map(drop)
            }
            Some(b't' | b'f') => {
                shape.kinds |= BOOLEAN;
                self.word()
            }
            Some(b'n') => self.word(),
            Some(b'-' | b'0'..=b'9') => {
                shape.kinds |= NUMBER;
                shape.numbers.look_at(self.number()?, b'.');
                Ok(())
            }
            _ => Err(self.broken("no value")),
        }
    }

    /// Passes over what is between brackets, with commas between.
    fn each(
        &mut self,
        close: u8,
        mut one: impl FnMut(&mut Self) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        self.at += 1;
        self.blanks();
        if self.byte() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            one(self)?;
            self.blanks();
            match self.byte() {
                Some(b',') => self.take(b',', "no comma")?,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.broken("no end of an object or a list")),
            }
        }
    }

    fn word(&mut self) -> Result<(), Broken> {
        let rest = &self.text[self.at..];
        let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word));
        match word {
            Some(word) => {
                self.at += word.len();
                Ok(())
            }
            None => Err(self.broken("no value")),
        }
    }

    fn number(&mut self) -> Result<&'a str, Broken> {
        let rest = &self.text[self.at..];
        let is_part = |byte: u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let number = &rest[..length];
        if number.parse::<f64>().is_err() {
            return Err(self.broken("no number"));
        }
        self.at += length;
        Ok(number)
    }

    /// A text in quotes, its escapes undone.
    fn string(&mut self) -> Result<String, Broken> {
        if self.byte() != Some(b'"') {
            return Err(self.broken("no name in quotes"));
        }
        let begin = self.at;
        self.at += 1;
        loop {
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err(Broken { what: "a quote that does not end", at: begin }),
            }
        }
        self.at += 1;
        let written = &self.text[begin..self.at];
        match written.contains('\\') {
            false => Ok(written[1..written.len() - 1].to_owned()),
            true => serde_json::from_str(written)
                .map_err(|_escape| Broken { what: "an escape that is not known", at: begin }),
        }
    }

    /// Copies a value; where it is to be text and is not, it is put in quotes.
    fn copy(&mut self, data_type: &DataType, into: &mut String) -> Result<(), Broken> {
        let begin = self.at;
        match (self.byte(), data_type) {
            (Some(b'{'), DataType::Struct(fields)) => {
                into.push('{');
                let mut is_first = true;
                self.each(b'}', |parser| {
                    if !std::mem::take(&mut is_first) {
                        into.push(',');
                    }
                    let from = parser.at;
                    let name = parser.string()?;
                    into.push_str(&parser.text[from..parser.at]);
                    parser.take(b':', "no ':' behind a name")?;
                    into.push(':');
                    match fields.find(&name) {
                        Some((_, field)) => parser.copy(field.data_type(), into),
                        None => parser.copy(&DataType::Null, into),
                    }
                })?;
                into.push('}');
            }
            (Some(b'['), DataType::List(item)) => {
                into.push('[');
                let mut is_first = true;
                self.each(b']', |parser| {
                    if !std::mem::take(&mut is_first) {
                        into.push(',');
                    }
                    parser.copy(item.data_type(), into)
                })?;
                into.push(']');
            }
            (first, _) => {
                self.value(None, 0)?;
                let written = &self.text[begin..self.at];
                let is_quoted = matches!(first, Some(b'"' | b'n')) || !data_type.is_string();
                match is_quoted {
                    true => into.push_str(written),
                    false => {
                        into.push('"');
                        for c in written.chars() {
                            if matches!(c, '"' | '\\') {
                                into.push('\\');
                            }
                            into.push(c);
                        }
                        into.push('"');
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn shape(lines: &[&str]) -> Shape {
        let mut shape = Shape::default();
        lines.iter().for_each(|line| shape.look_at(line).unwrap());
        shape
    }

    #[rstest]
    #[case(&[r#"{"a":1}"#, r#"{"a":2}"#], DataType::Int64)]
    #[case(&[r#"{"a":1}"#, r#"{"a":2.5}"#, r#"{"a":null}"#, "{}"], DataType::Float64)]
    #[case(&[r#"{"a":1}"#, r#"{"a":9007199254740993}"#, r#"{"a":0.5}"#], DataType::Decimal128(17, 1))]
    #[case(&[r#"{"a":true}"#, r#"{"a":1}"#], DataType::Utf8)]
    #[case(&[r#"{"a":"x"}"#, r#"{"a":{"k":1}}"#, r#"{"a":[1]}"#], DataType::Utf8)]
    #[case(&[r#"{"a":null}"#], DataType::Utf8)]
    #[case(&[r#"{"a":[1, 2.5]}"#, r#"{"a":[]}"#],
        DataType::List(Arc::new(Field::new("item", DataType::Float64, true))))]
    #[case(&[r#" { "a" : { "b" : "x\"\u00e9" , "c" : [ ] } } "#, r#"{"a":{"b":1}}"#],
        DataType::Struct(Fields::from(vec![
            Field::new("b", DataType::Utf8, true),
            Field::new("c", DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))), true),
        ])))]
    fn a_type_holds_every_value(#[case] lines: &[&str], #[case] expected: DataType) {
        let shape = shape(lines);
        assert_eq!(shape.members()[0].1.data_type(), expected);
    }

    #[rstest]
    #[case("[1]", "a list", 0)]
    #[case("1", "no object", 0)]
    #[case("{\"a\":", "no value", 5)]
    #[case("{\"a\":1", "no end of an object or a list", 6)]
    #[case("{\"a\" 1}", "no ':' behind a name", 5)]
    #[case("{\"a\":NaN}", "no value", 5)]
    #[case("{\"a\":1}{", "text behind the object", 7)]
    #[case("{\"a\":\"x}", "a quote that does not end", 5)]
    #[case("{\"a\":1-2}", "no number", 5)]
    fn what_is_no_json_is_named(#[case] line: &str, #[case] what: &'static str, #[case] at: usize) {
        assert_eq!(Shape::default().look_at(line), Err(Broken { what, at }));
        let deep = "[".repeat(200);
        assert!(Shape::default().look_at(&format!("{{\"a\":{deep}")).is_err());
    }

    #[test]
    fn values_of_several_kinds_are_text_as_they_are_written() {
        let lines = [r#"{"a":1.50,"t":"x","n":1}"#, r#"{"t":{"k": "é\""},"a":true, "z":[1]}"#];
        let fields = Fields::from(vec![
            Field::new("a", DataType::Utf8, true),
            Field::new("t", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
        ]);
        assert!(!shape(&lines).reads_as(&DataType::Struct(fields.clone())));
        assert_eq!(as_text(lines[0], &fields).unwrap(), r#"{"a":"1.50","t":"x","n":1}"#);
        let expected = r#"{"t":"{\"k\": \"é\\\"\"}","a":"true","z":[1]}"#;
        assert_eq!(as_text(lines[1], &fields).unwrap(), expected);
    }
}
