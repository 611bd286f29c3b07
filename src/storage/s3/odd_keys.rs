//! Keys that the client cannot hold: with an empty segment (`a//b`, `/a`), a segment `.` or `..`, or a
//! control character. Other programs make them, and the client refuses a whole listing for one of them.
//!
//! Between the client and HTTP, listings lose such keys, which are noted for the user, or in
//! [`OddKeys::Kept`] show them in a form that the client can hold: each segment that it cannot hold is
//! written with [`MARK`]. Requests for keys in this form get the real key and a signature of their own.
//!
//! | key | form |
//! | --- | --- |
//! | `a//b` | `a/M-/b` |
//! | `a/x<tab>y` | `a/xM09y` |
//! | `M` itself | `MM` |
//!
//! Requests cannot carry the segments `.` and `..`: HTTP clients fold them out of addresses. Keys with one
//! are always left out.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use object_store::path::Path;
use object_store::{ClientOptions, CredentialProvider};

/// Begins what stands for something else. A private character, which no one writes by chance.
const MARK: char = '\u{10fffd}';

/// How many keys are noted by name.
const MAX_NOTED: usize = 10_000;

/// What listings do with odd keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OddKeys {
    /// They are left out and noted.
    Skipped,
    /// They are shown, as far as requests can carry them.
    Kept,
}

/// Keys that listings left out.
#[derive(Debug, Default)]
pub(crate) struct Skipped(Mutex<BTreeSet<String>>);

impl Skipped {
    /// Notes one.
    pub(crate) fn note(&self, location: String) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() < MAX_NOTED {
            noted.insert(location);
        }
    }

    /// Forgets what was noted of one that is shown after all, and of folders above it.
    fn forget(&self, location: &str) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|noted| !location.starts_with(noted.as_str()));
    }

    /// What was noted: how many, and the first of them.
    pub(crate) fn noted(&self) -> Option<(usize, String)> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some((noted.len(), noted.first()?.clone()))
    }
}

/// Whether the client cannot hold `key`, or would take it for another.
pub(crate) fn is_odd(key: &str) -> bool {
    key.starts_with('/') || key.contains(MARK) || Path::parse(key).is_err()
}

/// Whether a request can carry `key`.
pub(crate) fn is_sendable(key: &str) -> bool {
    !key.split('/').any(|segment| segment == "." || segment == "..")
}

/// The form of an odd key that the client can hold.
pub(crate) fn held(key: &str) -> String {
    let segment = |segment: &str| match segment {
        "" => format!("{MARK}-"),
        _ => segment.chars().fold(String::new(), |mut held, c| {
            match c {
                MARK => held.extend([MARK, MARK]),
                c if c.is_ascii_control() => held.extend([format!("{MARK}{:02x}", c as u32)]),
                c => held.push(c),
            }
            held
        }),
    };
    key.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// The key that a form stands for; all other keys are their own.
pub(crate) fn real(held: &str) -> Cow<'_, str> {
    if !held.contains(MARK) {
        return Cow::Borrowed(held);
    }
    let mut key = String::with_capacity(held.len());
    let mut letters = held.chars();
    while let Some(letter) = letters.next() {
        let code = match letter {
            MARK => letters.next(),
            other => {
                key.push(other);
                continue;
            }
        };
        match code {
            None | Some('-') => {}
            Some(MARK) => key.push(MARK),
            Some(high) => {
                let digits = [high.to_digit(16), letters.next().and_then(|low| low.to_digit(16))];
                if let [Some(high), Some(low)] = digits {
                    key.extend(char::from_u32(16 * high + low));
                }
            }
        }
    }
    Cow::Owned(key)
}

/// Makes clients that know odd keys.
#[derive(Debug)]
pub(crate) struct OddKeysConnector<C> {
    pub(crate) base: C,
    pub(crate) how: OddKeys,
    pub(crate) skipped: Arc<Skipped>,
    pub(crate) signer: Signer,
}

/// What requests for odd keys are signed with, and what the bucket is called.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    /// `s3://bucket`, or `alias/bucket`.
    pub(crate) bucket: String,
    pub(crate) region: String,
    /// `None` sends requests unsigned.
    pub(crate) keys: Option<Arc<dyn CredentialProvider<Credential = AwsCredential>>>,
}

impl<C: HttpConnector> HttpConnector for OddKeysConnector<C> {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(OddKeysHttp {
            client: self.base.connect(options)?,
            how: self.how,
            skipped: Arc::clone(&self.skipped),
            signer: self.signer.clone(),
        }))
    }
}

#[derive(Debug)]
struct OddKeysHttp {
    client: HttpClient,
    how: OddKeys,
    skipped: Arc<Skipped>,
    signer: Signer,
}

#[async_trait]
impl HttpService for OddKeysHttp {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if let Some(keys) = keys_to_delete(&request) {
            return self.delete(&request, &keys).await;
        }
        if let Some(address) = real_address(&request.uri().to_string()) {
            self.readdress(&mut request, &address).await?;
        }
        let is_listing = request.uri().query().is_some_and(|query| query.contains("list-type="));
        let answer = self.client.execute(request).await?;
        if !is_listing || !answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let body = body.bytes().await?;
        let changed = std::str::from_utf8(&body).ok().and_then(|listing| self.listing(listing));
        let body = changed.map_or_else(|| body.into(), HttpResponseBody::from);
        Ok(HttpResponse::from_parts(head, body))
    }
}

impl OddKeysHttp {
    /// A listing without its odd keys, or with their forms; nothing if it has none.
    fn listing(&self, listing: &str) -> Option<String> {
        let mut changed = None;
        for (entry, name) in [("Contents", "Key"), ("CommonPrefixes", "Prefix")] {
            let text = changed.as_deref().unwrap_or(listing);
            changed = self.entries(text, entry, name).or(changed);
        }
        changed
    }

    fn entries(&self, listing: &str, entry: &str, name: &str) -> Option<String> {
        let [begin, end] = [format!("<{entry}>"), format!("</{entry}>")];
        let [name_begin, name_end] = [format!("<{name}>"), format!("</{name}>")];
        let mut kept = String::new();
        let mut copied = 0;
        for (start, _) in listing.match_indices(&begin) {
            let length = listing[start..].find(&end)? + end.len();
            let inner = &listing[start..start + length];
            let at = inner.find(&name_begin)? + name_begin.len();
            let written = &inner[at..at + inner[at..].find(&name_end)?];
            let key = unescaped(written);
            let keeps = self.how == OddKeys::Kept && is_sendable(&key);
            // The client takes the marker of a folder, `a/`, for an object `a`.
            let is_marker = keeps && entry == "Contents" && key.ends_with('/');
            if !is_marker && !is_odd(&key) {
                continue;
            }
            kept.push_str(&listing[copied..start]);
            copied = start + length;
            let shown = format!("{}/{key}", self.signer.bucket);
            if keeps {
                self.skipped.forget(&shown);
                kept.push_str(&inner[..at]);
                kept.push_str(&escaped(&held(&key)));
                kept.push_str(&inner[at + written.len()..]);
            } else {
                self.skipped.note(shown);
            }
        }
        (copied > 0).then(|| kept + &listing[copied..])
    }

    /// Sends a request to another address, signed for it.
    async fn readdress(&self, request: &mut HttpRequest, address: &str) -> Result<(), HttpError> {
        let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
            HttpError::new(HttpErrorKind::Unknown, std::io::Error::other(cause))
        };
        *request.uri_mut() = address.parse().map_err(|cause| failed(Box::new(cause)))?;
        request.headers_mut().remove("authorization");
        if let Some(keys) = &self.signer.keys {
            let credential = keys.get_credential().await.map_err(|cause| failed(cause.into()))?;
            AwsAuthorizer::new(&credential, "s3", &self.signer.region).authorize(request, None);
        }
        Ok(())
    }

    /// Removes keys one by one: a list of keys is XML, which holds no control characters.
    async fn delete(
        &self,
        request: &HttpRequest,
        keys: &[String],
    ) -> Result<HttpResponse, HttpError> {
        let address = request.uri().to_string();
        let bucket = address.split('?').next().unwrap_or_default().trim_end_matches('/');
        for key in keys {
            let mut single = HttpRequest::new(HttpRequestBody::empty());
            *single.method_mut() = "DELETE".parse().expect("a method of HTTP");
            let address = format!("{bucket}/{}", percent_encoded(&real(key), "/"));
            self.readdress(&mut single, &address).await?;
            let answer = self.client.execute(single).await?;
            if !answer.status().is_success() && answer.status().as_u16() != 404 {
                return Ok(answer);
            }
        }
        let done = |key: &String| format!("<Deleted><Key>{}</Key></Deleted>", escaped(key));
        let done: String = keys.iter().map(done).collect();
        let answer = format!("<DeleteResult>{done}</DeleteResult>");
        Ok(HttpResponse::new(HttpResponseBody::from(answer)))
    }
}

/// The keys of a request that removes several, if one of them is odd.
fn keys_to_delete(request: &HttpRequest) -> Option<Vec<String>> {
    let body = request.body().as_bytes().filter(|_| request.uri().query() == Some("delete"))?;
    let body = std::str::from_utf8(body).ok().filter(|body| body.contains(MARK))?;
    let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
    Some(keys.map(|(key, _)| unescaped(key).into_owned()).collect())
}

/// An address of a form as that of its key.
fn real_address(address: &str) -> Option<String> {
    let mark = percent_encoded(&MARK.to_string(), "");
    if !address.contains(&mark) {
        return None;
    }
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let origin = path.find("://").map_or(0, |at| at + "://".len());
    let origin = path[origin..].find('/').map_or(path.len(), |at| origin + at);
    let path = percent_encoded(&real(&percent_decoded(&path[origin..])), "/");
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if value.contains(&mark) => {
            format!("{name}={}", percent_encoded(&real(&percent_decoded(value)), ""))
        }
        _ => pair.to_owned(),
    };
    let query: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    Some(format!("{}{path}{mark}{}", &address[..origin], query.join("&")))
}

/// As S3 signs it: all but letters, digits, `-._~` and the characters of `kept`.
fn percent_encoded(text: &str, kept: &str) -> String {
    let encode = |byte: u8| match char::from(byte) {
        c if c.is_ascii_alphanumeric() || "-._~".contains(c) || kept.contains(c) => c.to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let digit = |at: usize| char::from(*others.get(at)?).to_digit(16);
        let code =
            digit(0).zip(digit(1)).and_then(|(high, low)| u8::try_from(16 * high + low).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            _ => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Text of XML, read.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        read.push_str(before);
        let (name, after) = after.split_once(';').unwrap_or((after, ""));
        let number = name.strip_prefix('#').and_then(|number| match number.strip_prefix('x') {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => number.parse().ok(),
        });
        match name {
            "amp" => read.push('&'),
            "lt" => read.push('<'),
            "gt" => read.push('>'),
            "quot" => read.push('"'),
            "apos" => read.push('\''),
            _ => read.extend(number.and_then(char::from_u32)),
        }
        rest = after;
    }
    read.push_str(rest);
    Cow::Owned(read)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ODD: [&str; 9] =
        ["a//b", "/a", "a//", "//", "a/x\ty", "\u{1}", "a\n/b", "\u{10fffd}", "\u{10fffd}-/ü//1"];

    #[test]
    fn every_odd_key_has_a_form_that_the_client_holds() {
        for key in ODD {
            let form = held(key);
            assert!(is_odd(key) && is_sendable(key), "{key:?}");
            assert_eq!(Path::parse(&form).map(String::from).ok(), Some(form.clone()), "{key:?}");
            assert_eq!(real(&form), key);
            assert_eq!(
                real_address(&format!("http://h/b/{}", percent_encoded(&form, "/"))),
                Some(format!("http://h/b/{}", percent_encoded(key, "/"))),
                "{key:?}"
            );
        }
        for key in ["a/b", "a b/ü%20&=", "dir/", "..a/.b", "", "a=1/x.csv"] {
            assert!(!is_odd(key), "{key:?}");
            assert_eq!(real(key), key);
        }
        assert!(is_odd("a/../b") && is_odd(".") && !is_sendable("a/../b") && !is_sendable("./a"));
    }

    fn http(how: OddKeys) -> OddKeysHttp {
        let client = HttpClient::new(NoServer);
        let bucket = "s3://b".to_owned();
        let signer = Signer { bucket, region: "r".to_owned(), keys: None };
        OddKeysHttp { client, how, skipped: Arc::default(), signer }
    }

    #[derive(Debug)]
    struct NoServer;

    #[async_trait]
    impl HttpService for NoServer {
        async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
            unreachable!("nothing is sent")
        }
    }

    #[test]
    fn listings_lose_odd_keys_or_show_their_forms() {
        let entry = |key: &str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        let page = |entries: &[&str]| {
            let entries: String = entries.iter().map(|key| entry(key)).collect();
            format!("<R><Prefix>a//</Prefix>{entries}</R>")
        };
        let keys = ["a/1", "a//2&amp;", "a/&#x9;3", "a/../4", "a&lt;5"];
        let skipping = http(OddKeys::Skipped);
        assert_eq!(skipping.listing(&page(&keys)), Some(page(&["a/1", "a&lt;5"])));
        assert_eq!(skipping.skipped.noted(), Some((3, "s3://b/a/\t3".to_owned())));
        let keeping = http(OddKeys::Kept);
        let keys = [&keys[..], &["a/6/"]].concat();
        let marks = ["a/\u{10fffd}-/2&amp;", "a/\u{10fffd}093", "a&lt;5", "a/6/\u{10fffd}-"];
        let kept = page(&[&["a/1"], &marks[..]].concat());
        assert_eq!(keeping.listing(&page(&keys)), Some(kept));
        assert_eq!(keeping.skipped.noted(), Some((1, "s3://b/a/../4".to_owned())));
        assert_eq!(skipping.listing(&page(&["a/1"])), None);
        let folders = "<CommonPrefixes><Prefix>a//</Prefix></CommonPrefixes>";
        assert_eq!(skipping.listing(folders).as_deref(), Some(""));
    }
}
