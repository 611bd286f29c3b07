//! A pattern of `SIMILAR TO` as a regular expression. As in the SQL standard it matches the whole text: `%`
//! is any text, `_` any character; `|`, `*`, `+`, `?`, `{2,3}`, `( )` and `[ ]` are those of regular
//! expressions, and every other character is itself.

use crate::error::{Error, Result};

/// The regular expression; `\` escapes unless another character does.
///
/// # Errors
/// If the pattern ends within an escape or a bracket.
pub(super) fn regular_expression(pattern: &str, escape: Option<char>) -> Result<String> {
    let escape = escape.unwrap_or('\\');
    let mut regular = String::from("^(?s:");
    let mut in_brackets = false;
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            _ if letter == escape => {
                let next = letters.next().ok_or_else(|| unfinished(pattern, "an escape"))?;
                push_literal(&mut regular, next);
            }
            ']' if in_brackets => {
                in_brackets = false;
                regular.push(']');
            }
            '[' | '&' | '~' | '\\' if in_brackets => regular.extend(['\\', letter]),
            _ if in_brackets => regular.push(letter),
            '[' => {
                in_brackets = true;
                regular.push('[');
            }
            '%' => regular.push_str(".*"),
            '_' => regular.push('.'),
            '(' => regular.push_str("(?:"),
            '|' | '*' | '+' | '?' | '{' | '}' | ')' => regular.push(letter),
            _ => push_literal(&mut regular, letter),
        }
    }
    if in_brackets {
        return Err(unfinished(pattern, "a bracket"));
    }
    Ok(regular + ")$")
}

fn push_literal(regular: &mut String, letter: char) {
    if letter.is_ascii_punctuation() && letter != '_' {
        regular.push('\\');
    }
    regular.push(letter);
}

fn unfinished(pattern: &str, what: &str) -> Error {
    Error::usage(format!("the pattern '{pattern}' of SIMILAR TO ends within {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_the_standard_become_regular_expressions() {
        let cases = [
            ("a%", "^(?s:a.*)$"),
            ("_.b", r"^(?s:.\.b)$"),
            ("(a|b){2}", "^(?s:(?:a|b){2})$"),
            ("[^a-c]+", "^(?s:[^a-c]+)$"),
            (r"\%\_x", r"^(?s:\%_x)$"),
            ("^$", r"^(?s:\^\$)$"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(regular_expression(pattern, None).unwrap(), expected, "{pattern}");
        }
        assert_eq!(regular_expression("a!%", Some('!')).unwrap(), r"^(?s:a\%)$");
        assert!(
            regular_expression("[a", None).is_err() && regular_expression("a\\", None).is_err()
        );
    }
}
