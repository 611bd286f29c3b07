//! Java properties files (`java.util.Properties`): one `key=value` a line, sorted by key.
//!
//! Written in ASCII: other characters become `\uXXXX`, UTF-16 pairs beyond the basic plane. Read
//! by the whole rule: comments, `:` and blanks as separators, continued lines, every escape.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::error::{Error, Result};

/// The text of a properties file.
pub fn render(properties: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (key, value) in properties {
        escape(key, true, &mut text);
        text.push('=');
        escape(value, false, &mut text);
        text.push('\n');
    }
    text
}

/// Reads a properties file. If a key appears twice, its last value counts.
///
/// # Errors
/// If a `\u` is not followed by four hex digits, or the digits make no character.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>> {
    let mut properties = BTreeMap::new();
    let mut lines = text.split(['\n', '\r']).enumerate();
    while let Some((number, line)) = lines.next() {
        let line = line.trim_start_matches(BLANK);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = line.to_owned();
        while is_continued(&whole) {
            whole.pop();
            // `\r\n` is one line end, but two separators to `split`.
            let next = lines.by_ref().map(|(_, next)| next).find(|next| !next.is_empty());
            whole.push_str(next.unwrap_or_default().trim_start_matches(BLANK));
        }
        let (key, value) = cut(&whole);
        let at = |text| {
            unescape(text)
                .map_err(|what| Error::data(format!("properties, line {}: {what}", number + 1)))
        };
        properties.insert(at(key)?, at(value)?);
    }
    Ok(properties)
}

const BLANK: [char; 3] = [' ', '\t', '\u{c}'];

fn escape(text: &str, is_key: bool, into: &mut String) {
    for (index, c) in text.chars().enumerate() {
        match c {
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            '\u{c}' => into.push_str("\\f"),
            ' ' if is_key || index == 0 => into.push_str("\\ "),
            '=' | ':' if is_key => into.extend(['\\', c]),
            '#' | '!' if is_key && index == 0 => into.extend(['\\', c]),
            ' '..='~' => into.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(into, "\\u{unit:04X}").expect("writing to a String cannot fail");
                }
            }
        }
    }
}

/// Whether `line` ends with an odd number of backslashes.
fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Cuts a line at the first separator that is not escaped.
fn cut(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let separates = !escaped && (c == '=' || c == ':' || BLANK.contains(&c));
        escaped = c == '\\' && !escaped;
        separates
    });
    let Some(end) = end else { return (line, "") };
    let rest = line[end..].trim_start_matches(BLANK);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches(BLANK))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let c = match c {
            '\\' => match rest.next() {
                None => break,
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('f') => '\u{c}',
                Some('u') => {
                    let digits: String = rest.by_ref().take(4).collect();
                    let is_hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                    match u16::from_str_radix(&digits, 16) {
                        Ok(unit) if is_hex => units.push(unit),
                        _ => return Err(format!("'\\u{digits}' is not \\u and four hex digits")),
                    }
                    continue;
                }
                Some(other) => other,
            },
            other => other,
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).map_err(|_lone| format!("'{text}' holds half of a UTF-16 pair"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_rendered_reads_back(
            properties in prop::collection::btree_map(any::<String>(), any::<String>(), 0..4),
        ) {
            let text = render(&properties);
            prop_assert!(text.is_ascii());
            prop_assert_eq!(parse(&text).unwrap(), properties);
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            parse(&text).ok();
        }
    }

    #[test]
    fn keys_are_sorted_and_values_readable() {
        let properties = [("rows", "20"), ("blocks.max level", "a=b # é")];
        let properties = properties.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(render(&properties), "blocks.max\\ level=a=b # \\u00E9\nrows=20\n");
    }

    /// The forms named in the documentation of `java.util.Properties.load`.
    #[test]
    fn java_forms_are_read() {
        let text = "# comment\r\n! too\r\n Truth = Beauty\nTruth2:Beauty\nfruits  apple, \\\r\n   pear\ncheeses\n";
        let expected =
            [("Truth", "Beauty"), ("Truth2", "Beauty"), ("fruits", "apple, pear"), ("cheeses", "")];
        let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn a_bad_escape_names_its_line() {
        let error = parse("a=1\nb=\\u00G0").unwrap_err();
        assert_eq!(
            error.to_string(),
            "properties, line 2: '\\u00G0' is not \\u and four hex digits"
        );
    }
}
