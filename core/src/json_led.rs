//! Lines of JSON that are written like one before them: the same keys in the same order, with the same
//! bytes between the values. Such a line is read in place, without a look at its keys.

use crate::json_line::{self, Member, Value};

/// How lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    /// For each value what is written before it, and the column that it goes to.
    parts: Vec<(Box<[u8]>, Option<usize>)>,
    /// What is written behind the last.
    tail: Box<[u8]>,
}

impl Led {
    /// Learns it from `line`; `column_of` says where each member goes.
    ///
    /// `None` if the line is broken.
    pub fn learn(
        line: &str,
        mut column_of: impl FnMut(Member<'_>) -> Option<usize>,
    ) -> Option<Self> {
        let bytes = line.as_bytes();
        let (mut parts, mut end) = (Vec::new(), 0);
        json_line::members(line, |member| {
            parts.push((bytes[end..member.value.begin].into(), column_of(member)));
            end = member.value.end;
        })
        .ok()?;
        Some(Self { parts, tail: bytes[end..].into() })
    }

    /// Gives the values of `line` to `each` with their columns, if it is written in this way and no value
    /// holds others or has escapes. If it is not, `each` may have got some of them.
    pub fn read<'a>(&self, line: &'a str, mut each: impl FnMut(usize, Value<'a>)) -> bool {
        let mut at = 0;
        for (before, column) in &self.parts {
            if !line.as_bytes()[at..].starts_with(before) {
                return false;
            }
            // What is before a value ends with an ASCII character.
            let Some(value) = json_line::value_at(line, at + before.len()) else { return false };
            if value.has_escapes {
                return false;
            }
            if let Some(column) = column {
                each(*column, value);
            }
            at = value.end;
        }
        line.as_bytes()[at..] == *self.tail
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(led: &Led, line: &str) -> Option<Vec<(usize, String)>> {
        let mut found = Vec::new();
        led.read(line, |column, value| found.push((column, value.written.to_owned())))
            .then_some(found)
    }

    fn led(line: &str) -> Led {
        Led::learn(line, |member| ["a", "b"].iter().position(|name| *name == member.key.written))
            .unwrap()
    }

    #[rstest]
    #[case(r#"{"b": 1, "x": "y", "a": null}"#, Some(&[(1, "1"), (0, "null")][..]))]
    #[case(r#"{"b": "é", "x": 7, "a": true}"#, Some(&[(1, "é"), (0, "true")][..]))]
    #[case(r#"{"b": -1.5e3, "x": "", "a": ""}"#, Some(&[(1, "-1.5e3"), (0, "")][..]))]
    #[case(r#"{"b": 1, "x": "y", "a": 2} "#, None)] // another end
    #[case(r#"{"b":1, "x": "y", "a": 2}"#, None)]
    #[case(r#"{"b": 1, "a": "y", "x": 2}"#, None)]
    #[case(r#"{"b": 1, "x": "y"}"#, None)]
    #[case(r#"{"b": 1, "x": "y", "a": 2, "c": 3}"#, None)]
    #[case(r#"{"b": 1, "x": {"a": 2}, "a": 2}"#, None)]
    #[case(r#"{"b": "\u0031", "x": 1, "a": 2}"#, None)]
    #[case(r#"{"b": 01, "x": 1, "a": 2}"#, None)]
    #[case(r#"{"b": nan, "x": 1, "a": 2}"#, None)]
    #[case(r#"{"b": 1, "x": "y", "a": 2"#, None)]
    #[case(r#"{"b": "1, "x": "y", "a": 2}"#, None)]
    fn a_line_written_in_this_way_is_read(
        #[case] line: &str,
        #[case] expected: Option<&[(usize, &str)]>,
    ) {
        let expected =
            expected.map(|all| all.iter().map(|(c, value)| (*c, (*value).to_owned())).collect());
        assert_eq!(read(&led(r#"{"b": 1, "x": "y", "a": null}"#), line), expected);
    }

    #[test]
    fn an_object_without_members_has_a_way_too() {
        assert_eq!(read(&led("{ }"), "{ }"), Some(vec![]));
        assert_eq!(read(&led("{ }"), "{}"), None);
        assert_eq!(Led::learn("{", |_| None), None);
    }
}
