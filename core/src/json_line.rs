//! A line that holds one JSON object, cut into its members (RFC 8259).
//!
//! Nothing is converted: a member is its key and its value as they are written, and the caller reads of
//! them what it wants. The whole line is checked, members that nobody wants too. Characters below U+0020
//! may stand in texts as they are.

use std::borrow::Cow;

/// Values inside values, at most.
const MAX_DEPTH: usize = 100;

/// What is no JSON, and where: a byte of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong there.
    pub what: &'static str,
    /// The place.
    pub at: usize,
}

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number
    Number,
    /// Text in quotes
    Text,
    /// A list
    List,
    /// An object
    Object,
}

/// A value as it is written; of a text what is between its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// Its kind.
    pub kind: Kind,
    /// How it is written.
    pub written: &'a str,
    /// Whether a text holds escapes: see [`unescaped`].
    pub has_escapes: bool,
    /// Where it begins in its line, a quote included.
    pub begin: usize,
    /// Where it ends.
    pub end: usize,
}

/// A key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key, of kind text.
    pub key: Value<'a>,
    /// The value.
    pub value: Value<'a>,
}

/// Calls `each` for the members of the object in `line`, in order.
///
/// # Errors
/// What is broken. Members before it have been seen by `each`.
pub fn members<'a>(line: &'a str, mut each: impl FnMut(Member<'a>)) -> Result<(), Broken> {
    let mut parser = Parser { text: line, at: 0 };
    parser.blanks();
    match parser.byte() {
        Some(b'{') => {}
        Some(b'[') => return Err(parser.broken("a list")),
        _ => return Err(parser.broken("no object")),
    }
    parser.object(0, |key, value| each(Member { key, value }))?;
    parser.blanks();
    match parser.byte() {
        None => Ok(()),
        Some(_) => Err(parser.broken("text behind the object")),
    }
}

/// The value that begins at byte `at` of `line`, unless it is broken or holds others.
pub(crate) fn value_at(line: &str, at: usize) -> Option<Value<'_>> {
    let mut parser = Parser { text: line, at };
    match parser.byte()? {
        b'{' | b'[' => None,
        _ => parser.value(0).ok(),
    }
}

/// A text of which [`members`] has seen that its escapes are right, with their characters.
pub fn unescaped<'a>(value: &Value<'a>) -> Cow<'a, str> {
    if !value.has_escapes {
        return Cow::Borrowed(value.written);
    }
    let mut text = String::with_capacity(value.written.len());
    let mut rest = value.written;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let length = match escape(&rest.as_bytes()[at..]) {
            Some((c, length)) => {
                text.push(c);
                length
            }
            None => 1, // not seen by `members`
        };
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The character of the escape that `bytes` begin with, and how many bytes it has.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let simple = |c| Some((c, 2));
    match bytes.get(1)? {
        b'"' => simple('"'),
        b'\\' => simple('\\'),
        b'/' => simple('/'),
        b'b' => simple('\u{8}'),
        b'f' => simple('\u{c}'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'u' => {
            let high = hex(bytes, 2)?;
            if let Some(c) = char::from_u32(high) {
                return Some((c, 6));
            }
            if bytes.get(6..8)? != b"\\u" {
                return None;
            }
            let pair = [high, hex(bytes, 8)?].map(u16::try_from);
            let pair = pair.into_iter().flatten(); // four digits are 16 bits
            Some((char::decode_utf16(pair).next()?.ok()?, 12))
        }
        _ => None,
    }
}

fn hex(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
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

    /// Passes over the object that begins here.
    fn object(
        &mut self,
        depth: usize,
        mut each: impl FnMut(Value<'a>, Value<'a>),
    ) -> Result<(), Broken> {
        self.between(b'}', "no end of an object", |parser| {
            if parser.byte() != Some(b'"') {
                return Err(parser.broken("no name in quotes"));
            }
            let key = parser.text()?;
            parser.blanks();
            if parser.byte() != Some(b':') {
                return Err(parser.broken("no ':' behind a name"));
            }
            parser.at += 1;
            parser.blanks();
            each(key, parser.value(depth + 1)?);
            Ok(())
        })
    }

    /// Passes over what is between brackets, with commas between.
    fn between(
        &mut self,
        close: u8,
        open: &'static str,
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
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.broken(open)),
            }
            self.blanks();
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, Broken> {
        if depth > MAX_DEPTH {
            return Err(self.broken("more than a hundred values inside each other"));
        }
        let begin = self.at;
        let kind = match self.byte() {
            Some(b'"') => return self.text(),
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Kind::Number
            }
            Some(b'n') => self.word("null", Kind::Null)?,
            Some(b't') => self.word("true", Kind::Boolean)?,
            Some(b'f') => self.word("false", Kind::Boolean)?,
            Some(b'{') => {
                self.object(depth, |_, _| {})?;
                Kind::Object
            }
            Some(b'[') => {
                self.between(b']', "no end of a list", |parser| parser.value(depth + 1).map(drop))?;
                Kind::List
            }
            _ => return Err(self.broken("no value")),
        };
        let (written, end) = (&self.text[begin..self.at], self.at);
        Ok(Value { kind, written, has_escapes: false, begin, end })
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<Kind, Broken> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.broken("no value"));
        }
        self.at += word.len();
        Ok(kind)
    }

    /// The text in quotes that begins here.
    fn text(&mut self) -> Result<Value<'a>, Broken> {
        let quote = self.at;
        let bytes = self.text.as_bytes();
        let mut has_escapes = false;
        self.at += 1;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    let (_, length) = escape(&bytes[self.at..])
                        .ok_or_else(|| self.broken("an escape that is not known"))?;
                    has_escapes = true;
                    self.at += length;
                }
                Some(_) => self.at += 1,
                None => return Err(Broken { what: "a quote that does not end", at: quote }),
            }
        }
        let written = &self.text[quote + 1..self.at];
        self.at += 1;
        Ok(Value { kind: Kind::Text, written, has_escapes, begin: quote, end: self.at })
    }

    fn number(&mut self) -> Result<(), Broken> {
        let begin = self.at;
        let broken = Broken { what: "no number", at: begin };
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        let starts_with_zero = self.byte() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (starts_with_zero && whole > 1) {
            return Err(broken);
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(broken);
            }
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(broken);
            }
        }
        match self.byte() {
            Some(b'-' | b'+' | b'.') => Err(broken),
            _ => Ok(()),
        }
    }

    /// Passes over digits; how many.
    fn digits(&mut self) -> usize {
        let begin = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - begin
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn cut(line: &str) -> Result<Vec<(String, String)>, Broken> {
        let mut found = Vec::new();
        members(line, |member| {
            let value = unescaped(&member.value).into_owned();
            found.push((unescaped(&member.key).into_owned(), value));
        })?;
        Ok(found)
    }

    #[rstest]
    #[case("{}", &[])]
    #[case(r#" { "a" : 1 , "b":"x y" } "#, &[("a", "1"), ("b", "x y")])]
    #[case(r#"{"a":-0.5e+3,"b":null,"c":true}"#, &[("a", "-0.5e+3"), ("b", "null"), ("c", "true")])]
    #[case(r#"{"a":[1,{"b":"}"}],"c":{"d":{}}}"#, &[("a", r#"[1,{"b":"}"}]"#), ("c", r#"{"d":{}}"#)])]
    #[case(r#"{"\u0061\n":"\ud83d\ude00\"\/é"}"#, &[("a\n", "😀\"/é")])]
    #[case(r#"{"a":1,"a":2}"#, &[("a", "1"), ("a", "2")])]
    fn a_line_has_its_members(#[case] line: &str, #[case] expected: &[(&str, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        assert_eq!(cut(line), Ok(expected));
    }

    #[rstest]
    #[case("[1]", "a list", 0)]
    #[case("null", "no object", 0)]
    #[case("{\"a\":", "no value", 5)]
    #[case("{\"a\":1", "no end of an object", 6)]
    #[case("{\"a\":[1", "no end of a list", 7)]
    #[case("{\"a\" 1}", "no ':' behind a name", 5)]
    #[case("{\"a\":1,}", "no name in quotes", 7)]
    #[case("{\"a\":1 \"b\":2}", "no end of an object", 7)]
    #[case("{\"a\":NaN}", "no value", 5)]
    #[case("{\"a\":nul}", "no value", 5)]
    #[case("{\"a\":1}{\"a\":2}", "text behind the object", 7)]
    #[case("{\"a\":\"x}", "a quote that does not end", 5)]
    #[case("{\"a\":\"\\x\"}", "an escape that is not known", 6)]
    #[case("{\"a\":\"\\ud83d\"}", "an escape that is not known", 6)]
    #[case("{\"a\":\"\\u12", "an escape that is not known", 6)]
    #[case("{\"a\":1-2}", "no number", 5)]
    #[case("{\"a\":01}", "no number", 5)]
    #[case("{\"a\":1.}", "no number", 5)]
    #[case("{\"a\":-}", "no number", 5)]
    #[case("{\"a\":1e}", "no number", 5)]
    fn what_is_no_json_is_named(#[case] line: &str, #[case] what: &'static str, #[case] at: usize) {
        assert_eq!(cut(line), Err(Broken { what, at }));
        let deep = "[".repeat(200);
        assert!(cut(&format!("{{\"a\":{deep}")).is_err());
    }
}
