//! Where bytes live: `s3://bucket/key`, `file:///path`, a plain path, `memory://name/key`.
//!
//! Text is read literally, as `mc` and `aws s3` do: `%20`, blanks, `=`, `#` and emoji are part of
//! the key. Only a `file://` URL is percent-decoded, after RFC 8089. `*`, `?` and `[…]` are
//! patterns; `[*]`, `[?]` and `[[]` are those characters themselves, and that is how a location
//! prints them, so what it prints reads back as the same location.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use object_store::path::{Path as ObjectPath, PathPart};
use url::Url;

use super::environment::Environment;
use super::local::blocking;
use super::s3::{mc, odd_keys};
use super::schemes::Scheme;
use crate::error::{Error, Result};

/// A place in a store. A location with a pattern is the fixed prefix of that pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// Scheme, alias as user name, bucket and encoded key; no slash at the end.
    url: Url,
    path: ObjectPath,
    local: Option<PathBuf>,
    glob: Option<Glob>,
}

/// The pattern in a location: `*` and `?` stay inside a segment, `**` crosses segments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glob {
    /// The segments from the first with a pattern on, as written.
    tail: String,
    whole: glob::Pattern,
}

impl Glob {
    /// Whether the key of an object matches the whole pattern, fixed prefix included.
    pub fn matches(&self, path: &ObjectPath) -> bool {
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: false,
        };
        self.whole.matches_with(path.as_ref(), options)
    }
}

impl Location {
    /// Reads a location as a user writes it. `alias/bucket/key` is one on S3 if `MC_HOST_<alias>`
    /// is set; a leading `./` or `/` makes it a local path.
    ///
    /// # Errors
    /// If the scheme is not one of ours, a bucket is missing, a key has an empty or dotted segment,
    /// a pattern is malformed, or the text holds credentials (which it then does not repeat).
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_in(text, &Environment::default())
    }

    /// [`Location::parse`] with the variables of `environment`.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub fn parse_in(text: &str, environment: &Environment) -> Result<Self> {
        if text.is_empty() || text == "-" {
            return Err(Error::usage(format!("'{text}' is not a location: name a path or a URL")));
        }
        if text.chars().any(|c| c.is_ascii_control()) {
            return Err(Error::usage(format!(
                "'{}' has a control character, which no location can hold",
                text.escape_debug()
            )));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return match mc::split_alias(text, environment) {
                Some((alias, rest)) => Self::remote(Scheme::S3, Some(alias), rest, text),
                None => Self::local(text, text),
            };
        };
        match Scheme::named(scheme) {
            Some(Scheme::S3) => {
                let (alias, rest) = split_user(rest, environment)?;
                Self::remote(Scheme::S3, alias, rest, text)
            }
            Some(Scheme::Memory) => Self::remote(Scheme::Memory, None, rest, text),
            Some(Scheme::File) => Self::file_url(text, rest),
            None => Err(unknown_scheme(scheme, text)),
        }
    }

    /// [`Location::parse_in`] for what is there already: on S3 a key may also have empty segments and
    /// control characters, as other programs make them.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub fn parse_existing_in(text: &str, environment: &Environment) -> Result<Self> {
        let refused = match Self::parse_in(text, environment) {
            Ok(location) => return Ok(location),
            Err(refused) => refused,
        };
        let remote = match text.split_once("://") {
            Some((scheme, rest)) if Scheme::named(scheme) == Some(Scheme::S3) => {
                split_user(rest, environment).ok()
            }
            Some(_) => None,
            None => mc::split_alias(text, environment).map(|(alias, rest)| (Some(alias), rest)),
        };
        let named = remote.and_then(|(alias, rest)| Some((alias, rest.split_once('/')?)));
        let Some((alias, (bucket, key))) = named else { return Err(refused) };
        let Some(key) = unescape(key).filter(|key| odd_keys::is_odd(key)) else {
            return Err(refused);
        };
        if !odd_keys::is_sendable(&key) {
            return Err(Error::usage(format!(
                "'{text}' has a segment '.' or '..', which no address of a request can have: rename or \
                 remove the object with a program that sends keys in another way, such as \
                 aws s3api delete-objects"
            )));
        }
        let mut location = Self::remote(Scheme::S3, alias, bucket, text)?;
        for segment in odd_keys::held(&key).split('/') {
            location.push(&PathPart::parse(segment).map_err(|_invalid| refused.clone())?);
        }
        Ok(location)
    }

    fn remote(scheme: Scheme, alias: Option<&str>, rest: &str, text: &str) -> Result<Self> {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(Error::usage(format!(
                "'{text}' has no bucket: write {scheme}://BUCKET/KEY"
            )));
        }
        let name_ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !bucket.chars().all(name_ok) {
            return Err(Error::usage(format!(
                "bucket '{bucket}' has a character other than letters, digits, '.', '-' and '_'"
            )));
        }
        let mut url = Url::parse(&format!("{scheme}://{bucket}"))
            .map_err(|cause| Error::usage(format!("'{text}' is not a location: {cause}")))?;
        if let Some(alias) = alias {
            url.set_username(alias).expect("a URL with a host takes a user name");
        }
        let root = Self { url, path: ObjectPath::default(), local: None, glob: None };
        root.extended(key, text)
    }

    fn file_url(text: &str, rest: &str) -> Result<Self> {
        let path = rest.strip_prefix("localhost").unwrap_or(rest);
        if !path.starts_with('/') {
            return Err(Error::usage(format!(
                "'{text}' is not a file URL: file:///absolute/path has three slashes"
            )));
        }
        if path.contains(PATTERN) {
            return Self::local(path, text);
        }
        let url = Url::parse(&format!("file://{}", path.replace('#', "%23")));
        let decoded = url.ok().and_then(|url| url.to_file_path().ok());
        match decoded.as_deref().and_then(Path::to_str) {
            Some(path) => Self::local(&escape(path), text),
            None => Err(Error::usage(format!("'{text}' is not a file URL"))),
        }
    }

    fn local(path: &str, text: &str) -> Result<Self> {
        let absolute = absolute(Path::new(path))
            .map_err(|cause| Error::io(format!("cannot resolve '{text}'"), cause))?;
        let Some(absolute) = absolute.to_str() else {
            return Err(Error::usage(format!("the directory of '{text}' is not UTF-8")));
        };
        let url = Url::parse("file:///").expect("a constant URL");
        let root = Self { url, path: ObjectPath::default(), local: Some("/".into()), glob: None };
        let location = root.extended(absolute, text)?;
        // A URL reads a first segment such as `C|` as a drive of another system.
        match location.url.to_file_path() {
            Ok(path) if Some(&path) == location.local.as_ref() => Ok(location),
            _ => Err(Error::usage(format!("'{text}' cannot be a file URL: use another name"))),
        }
    }

    /// Adds `key` as the user wrote it: the literal segments, then the pattern, if there is one.
    fn extended(self, key: &str, text: &str) -> Result<Self> {
        let key = key.strip_prefix('/').filter(|_| self.local.is_some()).unwrap_or(key);
        let key = key.strip_suffix('/').unwrap_or(key);
        if key.is_empty() {
            return Ok(self);
        }
        let mut fixed = self;
        let mut segments = key.split('/');
        let mut tail: Vec<&str> = Vec::new();
        for segment in segments.by_ref() {
            let Some(literal) = unescape(segment) else {
                tail.push(segment);
                break;
            };
            let part = match PathPart::parse(&literal) {
                Ok(part) if !literal.is_empty() => part,
                _ => {
                    return Err(Error::usage(format!(
                        "'{text}' has the segment '{literal}', but segments of a key are not \
                         empty, '.' or '..'"
                    )));
                }
            };
            fixed.push(&part);
        }
        tail.extend(segments);
        if tail.is_empty() {
            return Ok(fixed);
        }
        let tail = tail.join("/");
        let prefix = glob::Pattern::escape(fixed.path.as_ref());
        let between = if prefix.is_empty() { "" } else { "/" };
        let whole = glob::Pattern::new(&format!("{prefix}{between}{tail}")).map_err(|cause| {
            Error::usage(format!(
                "pattern '{tail}' in '{text}': {}; write '[[]' for a literal '['",
                cause.msg
            ))
        })?;
        fixed.glob = Some(Glob { tail, whole });
        Ok(fixed)
    }

    fn push(&mut self, part: &PathPart<'_>) {
        self.url
            .path_segments_mut()
            .expect("our schemes have segments")
            .pop_if_empty()
            .push(part.as_ref());
        self.path = self.path.clone().join(part.clone());
        if let Some(local) = &mut self.local {
            local.push(part.as_ref());
        }
    }

    /// Scheme, bucket and key, percent-encoded, without a slash at the end (but `file:///`).
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Scheme and bucket: the key of the store in [`Stores`](super::Stores).
    pub fn store_url(&self) -> Url {
        let mut url = self.url.clone();
        url.set_path(if self.local.is_some() { "/" } else { "" });
        url
    }

    /// The key inside the store.
    pub fn path(&self) -> &ObjectPath {
        &self.path
    }

    /// The absolute path, if this is a local file or directory.
    pub fn local_path(&self) -> Option<&Path> {
        self.local.as_deref()
    }

    /// Whether this is a directory of this machine, or a link to one.
    pub async fn is_directory(&self) -> bool {
        let Some(path) = self.local.clone() else { return false };
        blocking(move || Ok(path.is_dir())).await.is_ok_and(|is_directory| is_directory)
    }

    /// How the store is reached.
    pub(crate) fn scheme(&self) -> Scheme {
        Scheme::of(&self.url).expect("a location is made with one of our schemes")
    }

    /// The pattern, if the text had `*`, `?` or `[`.
    pub fn glob(&self) -> Option<&Glob> {
        self.glob.as_ref()
    }

    /// The last segment; of a whole bucket, its name.
    pub fn name(&self) -> &str {
        self.path.filename().or(self.url.host_str()).unwrap_or("/")
    }

    /// The place `relative` to this one: segments with `/` between them, as an object store shows
    /// them. Empty segments are skipped; what no key can hold (`..`, control characters) is
    /// percent-encoded, so no name from outside leads out of here. The pattern is dropped.
    #[must_use]
    pub fn join(&self, relative: &str) -> Self {
        let mut joined = Self { glob: None, ..self.clone() };
        for segment in relative.split('/').filter(|segment| !segment.is_empty()) {
            joined.push(&PathPart::parse(segment).unwrap_or_else(|_| PathPart::from(segment)));
        }
        joined
    }

    /// The alias of `mc` that serves this bucket, if the location names one.
    pub(crate) fn alias(&self) -> Option<&str> {
        Some(self.url.username()).filter(|alias| !alias.is_empty())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.alias() {
            Some(alias) => write!(f, "{alias}/")?,
            None if self.local.is_none() => write!(f, "{}://", self.url.scheme())?,
            None => {}
        }
        f.write_str(self.url.host_str().unwrap_or_default())?;
        if self.local.is_some() || !self.path.is_root() {
            f.write_str("/")?;
        }
        f.write_str(&escape(&odd_keys::real(self.path.as_ref())))?;
        match &self.glob {
            Some(glob) if self.path.is_root() && self.local.is_some() => f.write_str(&glob.tail),
            Some(glob) => write!(f, "/{}", glob.tail),
            None => Ok(()),
        }
    }
}

/// What starts a pattern.
const PATTERN: [char; 3] = ['*', '?', '['];

/// `text` with every character that would start a pattern put into brackets.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match PATTERN.contains(&c) {
            true => escaped.extend(['[', c, ']']),
            false => escaped.push(c),
        }
    }
    escaped
}

/// The characters a segment stands for, or `None` if it is a pattern.
fn unescape(segment: &str) -> Option<String> {
    let mut literal = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some(at) = rest.find(PATTERN) {
        let escaped = rest[at..].get(..3).filter(|s| s.starts_with('[') && s.ends_with(']'))?;
        let c = escaped.chars().nth(1).filter(|c| PATTERN.contains(c))?;
        literal.push_str(&rest[..at]);
        literal.push(c);
        rest = &rest[at + 3..];
    }
    literal.push_str(rest);
    Some(literal)
}

/// An absolute path without `.`, `..` or doubled slashes. `..` after a symbolic link is what the
/// system says it is, so that part must exist to be followed.
fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    let mut folded = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        match component {
            Component::ParentDir => {
                folded = folded.canonicalize().unwrap_or(folded);
                folded.pop();
            }
            other => folded.push(other),
        }
    }
    Ok(folded)
}

/// Splits `alias@bucket/key`. Any other `:` or `@` in the place of a bucket is taken for
/// credentials and refused without repeating it.
fn split_user<'a>(rest: &'a str, environment: &Environment) -> Result<(Option<&'a str>, &'a str)> {
    let authority = rest.split('/').next().unwrap_or_default();
    match rest.split_once('@') {
        Some((alias, rest)) if mc::is_alias(alias, environment) => Ok((Some(alias), rest)),
        _ if !authority.contains(['@', ':']) => Ok((None, rest)),
        _ => Err(credentials_in_location()),
    }
}

/// The refusal of a scheme that is none of ours.
fn unknown_scheme(scheme: &str, text: &str) -> Error {
    Error::usage(match scheme.to_ascii_lowercase().as_str() {
        "hdfs" | "viewfs" => format!(
            "'{text}' is on Hadoop, which is not supported: use distcp first to copy it to s3://"
        ),
        _ => format!("'{scheme}://' is not supported, expected {} or a path", Scheme::all()),
    })
}

/// The refusal of `s3://key:secret@bucket`, which repeats nothing of it.
pub(super) fn credentials_in_location() -> Error {
    Error::usage(
        "credentials inside a location are refused: write s3://BUCKET/KEY and set \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile",
    )
}

#[cfg(test)]
#[path = "location_tests.rs"]
mod tests;
