//! A script cut into statements, by the tokens of SQL: a `;` in a string, a comment or between `$$` is
//! not one of its ends.
//!
//! `${name}` is replaced by the value of a variable, on tokens too, so that a value never becomes SQL: inside
//! `'…'` and `"…"` it is part of that text, whatever quotes it holds; alone it is a number, or else a
//! string. `${name:-default}` has a value where none is set. Inside quotes `$${` is `${` itself. Comments are
//! left alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::{DataFusionError, Span as EngineSpan};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{
    Location, Span, Token, TokenWithSpan, Tokenizer, TokenizerError,
};

use super::dialect::in_our_words;
use crate::error::{Error, Kind, Result};

/// Characters of a statement that an error shows.
const SHOWN: usize = 70;

/// Variables of a script by name.
pub type Variables = BTreeMap<String, String>;

/// One statement, not yet parsed, with its place.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Its tokens with their places in the script, without the `;`.
    pub(super) tokens: Vec<TokenWithSpan>,
    /// Its first line as written.
    first_line: String,
    /// What the script is called.
    origin: Arc<str>,
}

/// Cuts `text` into statements; `origin` names it in errors. Empty statements are left out.
///
/// # Errors
/// A string, comment or quoted name that does not end; an unknown variable.
pub fn split(origin: &str, text: &str, variables: &Variables) -> Result<Vec<Statement>> {
    let origin: Arc<str> = origin.into();
    // sqlparser takes a byte order mark for an unknown character.
    let text = &with_line_ends(text.strip_prefix('\u{feff}').unwrap_or(text));
    let tokens = Tokenizer::new(&GenericDialect {}, text)
        .with_unescape(true)
        .tokenize_with_location()
        .map_err(|error| not_sql(&origin, &error))?;
    let mut statements = Vec::new();
    for tokens in tokens.split(|token| token.token == Token::SemiColon) {
        let Some(first) = tokens.iter().find(|token| !is_space(token)) else { continue };
        let line = text.lines().nth(index(first.span.start.line)).unwrap_or_default();
        let first_line: String = line.chars().skip(index(first.span.start.column)).collect();
        let mut statement = Statement {
            tokens: tokens.to_vec(),
            first_line: shortened(first_line.split(';').next().unwrap_or_default().trim()),
            origin: Arc::clone(&origin),
        };
        statement.tokens = statement.substituted(variables)?;
        statements.push(statement);
    }
    Ok(statements)
}

/// `text` with ends of lines that sqlparser knows: a comment does not end at a carriage return alone. Those
/// in quotes stay.
fn with_line_ends(text: &str) -> Cow<'_, str> {
    if !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    let mut known = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    // What ends the quote or the comment.
    let mut inside = None;
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        if letter == '\r' && next != Some('\n') && matches!(inside, None | Some('\n')) {
            known.push('\n');
            inside = None;
            continue;
        }
        known.push(letter);
        inside = match (inside, letter, next) {
            (None, '-', Some('-')) => Some('\n'),
            (None, '/', Some('*')) => {
                known.extend(letters.next());
                Some('*')
            }
            (None, '\'' | '"' | '`', _) => Some(letter),
            (Some('*'), '*', Some('/')) => None,
            (Some('*'), ..) => Some('*'),
            (Some(end), ..) if end == letter => None,
            (inside, ..) => inside,
        };
    }
    Cow::Owned(known)
}

/// Whether `text` ends within a statement: no `;` after its last token, or something is open.
pub fn is_unfinished(text: &str) -> bool {
    match Tokenizer::new(&GenericDialect {}, text).tokenize() {
        Ok(tokens) => {
            let last = tokens.iter().rev().find(|token| !matches!(token, Token::Whitespace(_)));
            last.is_some_and(|token| *token != Token::SemiColon)
        }
        Err(_open) => true,
    }
}

/// `text` with `other` in the place of each constant that follows a name or a string of which `is_meant` is
/// true, as in `name = 'x'`, `name => 1` and `'name' 'x'`; nothing if it is not made of tokens of SQL.
pub fn without_literals(
    text: &str,
    is_meant: impl Fn(&str) -> bool,
    other: &str,
) -> Option<String> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).with_unescape(false).tokenize().ok()?;
    let mut kept = String::with_capacity(text.len());
    let mut after_name = false;
    for token in tokens {
        let is_text = token_text(&token).is_some() && !matches!(token, Token::Word(_));
        if after_name && (is_text || matches!(token, Token::Number(..))) {
            kept.extend(["'", other, "'"]);
            after_name = false;
            continue;
        }
        match &token {
            Token::Whitespace(_) => {}
            Token::Eq | Token::DoubleEq | Token::Neq | Token::RArrow | Token::Assignment => {}
            other => after_name = token_text(other).is_some_and(&is_meant),
        }
        kept.push_str(&token.to_string());
    }
    Some(kept)
}

/// The text of a name or of a string.
fn token_text(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) => Some(&word.value),
        Token::SingleQuotedString(text)
        | Token::DoubleQuotedString(text)
        | Token::NationalStringLiteral(text)
        | Token::EscapedStringLiteral(text)
        | Token::UnicodeStringLiteral(text)
        | Token::HexStringLiteral(text) => Some(text),
        Token::DollarQuotedString(quoted) => Some(&quoted.value),
        _ => None,
    }
}

fn index(one_based: u64) -> usize {
    usize::try_from(one_based.saturating_sub(1)).unwrap_or(usize::MAX)
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line.to_owned(),
    }
}

fn not_sql(origin: &str, error: &TokenizerError) -> Error {
    let Location { line, column } = error.location;
    Error::usage(format!("{origin}:{line}:{column}: {}", lowered(&error.message)))
}

/// A sentence of a library with a small first letter, and no full stop.
fn lowered(sentence: &str) -> String {
    let sentence = sentence.trim().trim_end_matches('.');
    let mut letters = sentence.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            format!("{}{}", first.to_lowercase(), &sentence[first.len_utf8()..])
        }
        _ => sentence.to_owned(),
    }
}

impl Statement {
    /// What it makes or removes, as a sentence: `created table people`.
    pub fn made(&self) -> Option<String> {
        let mut tokens = self
            .tokens
            .iter()
            .map(|token| &token.token)
            .filter(|token| !matches!(token, Token::Whitespace(_)));
        let verb = match tokens.next()?.to_string().to_uppercase().as_str() {
            "CREATE" => "created",
            "DROP" => "dropped",
            _ => return None,
        };
        let mut kind = None;
        for token in tokens {
            let word = token.to_string();
            match word.to_uppercase().as_str() {
                "OR" | "REPLACE" | "EXTERNAL" | "UNBOUNDED" | "TEMPORARY" | "TEMP" | "IF"
                | "NOT" | "EXISTS" => {}
                "TABLE" | "VIEW" | "SCHEMA" | "FUNCTION" if kind.is_none() => {
                    kind = Some(word.to_lowercase());
                }
                _ => return Some(format!("{verb} {} {word}", kind?)),
            }
        }
        None
    }

    /// Its first line as it was written.
    pub fn first_line(&self) -> &str {
        &self.first_line
    }

    /// Where it begins.
    fn start(&self) -> Location {
        let first = self.tokens.iter().find(|token| !is_space(token));
        first.map_or(Location::new(1, 1), |token| token.span.start)
    }

    /// `cause` with its place: that of the name or the word that is wrong, where that is known.
    pub fn failed(&self, cause: DataFusionError) -> Error {
        let place = cause.diagnostic().and_then(|diagnostic| diagnostic.span).map(begin);
        let error = Error::from(cause);
        let (message, reported) = reported_place(&error.to_string());
        let place = reported.or(place).filter(|place| self.holds(*place));
        let error = match message == error.to_string() {
            true => error,
            false => Error::new(error.kind(), message),
        };
        self.failed_at(place, error)
    }

    /// `cause` with the place that the engine found, if it is in the statement.
    pub(super) fn failed_in(&self, span: Option<EngineSpan>, cause: Error) -> Error {
        self.failed_at(span.map(begin).filter(|place| self.holds(*place)), cause)
    }

    /// `cause` with the place of the statement.
    pub fn refused(&self, cause: Error) -> Error {
        self.failed_at(None, cause)
    }

    fn failed_at(&self, place: Option<Location>, cause: Error) -> Error {
        let Location { line, column } = place.unwrap_or_else(|| self.start());
        let Self { origin, first_line, .. } = self;
        Error::new(cause.kind(), format!("{origin}:{line}:{column}: {first_line}")).caused_by(cause)
    }

    /// Whether a place is in the statement: a view, say, brings places of another one.
    fn holds(&self, place: Location) -> bool {
        let end = self.tokens.last().map_or(place, |token| token.span.end);
        self.start() <= place && place <= end
    }

    /// The tokens with the values of variables in their places.
    fn substituted(&self, variables: &Variables) -> Result<Vec<TokenWithSpan>> {
        let mut tokens = Vec::with_capacity(self.tokens.len());
        let mut rest = &self.tokens[..];
        while let [first, others @ ..] = rest {
            rest = others;
            let span = first.span;
            let value =
                |name: &str, default: Option<&str>| self.value(name, default, span, variables);
            if let Some((name, default, end, after)) = bare_variable(first, others) {
                let span = Span::new(span.start, end);
                let value = value(name, default.as_deref())?;
                tokens.extend(literal(&value).map(|token| TokenWithSpan::new(token, span)));
                rest = after;
                continue;
            }
            let token = match &first.token {
                Token::SingleQuotedString(text) => Token::SingleQuotedString(filled(text, value)?),
                Token::Word(word) if word.quote_style.is_some() => {
                    let mut word = word.clone();
                    word.value = filled(&word.value, value)?;
                    Token::Word(word)
                }
                other => other.clone(),
            };
            tokens.push(TokenWithSpan::new(token, span));
        }
        Ok(tokens)
    }

    fn value(
        &self,
        name: &str,
        default: Option<&str>,
        at: Span,
        variables: &Variables,
    ) -> Result<String> {
        if let Some(value) = variables.get(name).map(String::as_str).or(default) {
            return Ok(value.to_owned());
        }
        let known: Vec<_> = variables.keys().map(String::as_str).collect();
        let known = match known.is_empty() {
            true => "none is set".to_owned(),
            false => format!("known are {}", known.join(", ")),
        };
        let cause = format!("variable '{name}' is not set, {known}: pass --set {name}=VALUE");
        Err(self.failed_at(Some(at.start), Error::usage(cause)))
    }
}

fn begin(span: EngineSpan) -> Location {
    Location::new(span.start.line, span.start.column)
}

/// A variable with its default, where it ends, and the tokens after it.
type Bare<'a> = (&'a str, Option<String>, Location, &'a [TokenWithSpan]);

/// The `${name}` or `${name:-default}` that begins with `first`.
fn bare_variable<'a>(first: &TokenWithSpan, others: &'a [TokenWithSpan]) -> Option<Bare<'a>> {
    let end = others.iter().position(|token| token.token == Token::RBrace)?;
    let (inside, rest) = others.split_at(end);
    let [open, name, default @ ..] = inside else { return None };
    let Token::Word(word) = &name.token else { return None };
    let is_variable = matches!(&first.token, Token::Placeholder(mark) if mark == "$")
        && open.token == Token::LBrace
        && first.span.end == open.span.start;
    let default = match default {
        [] => None,
        [colon, minus, text @ ..] if colon.token == Token::Colon && minus.token == Token::Minus => {
            Some(text.iter().map(|token| token.token.to_string()).collect())
        }
        _ => return None,
    };
    is_variable.then_some((word.value.as_str(), default, rest[0].span.end, &rest[1..]))
}

/// A value as tokens: a number, with its sign, or a string.
fn literal(value: &str) -> impl Iterator<Item = Token> + use<> {
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit())
        && unsigned.ends_with(|c: char| c.is_ascii_digit())
        && unsigned.parse::<f64>().is_ok();
    let tokens = match is_number {
        true if unsigned.len() < value.len() => {
            vec![Token::Minus, Token::Number(unsigned.to_owned(), false)]
        }
        true => vec![Token::Number(value.to_owned(), false)],
        false => vec![Token::SingleQuotedString(value.to_owned())],
    };
    tokens.into_iter()
}

/// `text` with each `${name}` and `${name:-default}` replaced; `$${` becomes `${`.
fn filled(text: &str, value: impl Fn(&str, Option<&str>) -> Result<String>) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        let named = after[2..].split_once('}').map(|(inside, after)| {
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            (name, default, after)
        });
        let named = named.filter(|(name, ..)| is_name(name));
        match (before.strip_suffix('$'), named) {
            (Some(before), _) => {
                filled.extend([before, "${"]);
                rest = &after[2..];
            }
            (None, Some((name, default, after))) => {
                filled.extend([before, &value(name, default)?]);
                rest = after;
            }
            (None, None) => {
                filled.extend([before, "${"]);
                rest = &after[2..];
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Whether `text` can name a variable.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// The sentence of an error, on one line, and the place that the parser put behind it.
fn reported_place(text: &str) -> (String, Option<Location>) {
    let text = text.trim_start_matches("sql parser error: ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts = text.rsplit_once(" at Line: ").and_then(|(said, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((said, Location::new(line.parse().ok()?, column.parse().ok()?)))
    });
    match parts {
        Some((said, place)) => (in_our_words(&lowered(said)), Some(place)),
        None => (in_our_words(&lowered(&text)), None),
    }
}

/// An error that no statement is to blame for.
pub(super) fn unknown(what: &str, name: &str, known: &[String]) -> Error {
    Error::new(Kind::Usage, format!("{what} '{name}' is not known, expected {}", known.join(", ")))
}

#[cfg(test)]
#[path = "statements_tests.rs"]
mod tests;
