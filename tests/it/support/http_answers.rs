//! What [`FaultHttp`](super::fault_http::FaultHttp) puts in place of an answer: refusals, bodies
//! that break off, flipped bits, listings of yesterday.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody};
use object_store::path::Path;

/// No answer, for a reason of this kind.
pub(super) fn no_answer(kind: HttpErrorKind) -> HttpError {
    let reason = match kind {
        HttpErrorKind::Connect => io::ErrorKind::ConnectionRefused,
        HttpErrorKind::Timeout => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::ConnectionReset,
    };
    HttpError::new(kind, io::Error::from(reason))
}

/// An answer with this status, and a body that names an error as S3 does.
pub(super) fn error(status: u16, code: &str) -> HttpResponse {
    let body = format!("<Error><Code>{code}</Code><Message>a fault on purpose</Message></Error>");
    let mut answer = HttpResponse::new(HttpResponseBody::from(body));
    *answer.status_mut() = status.try_into().unwrap();
    answer.headers_mut().insert("content-type", "application/xml".parse().unwrap());
    answer
}

/// `answer` with what `change` makes of its body. The headers stay.
pub(super) async fn with_body(
    answer: HttpResponse,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Result<HttpResponse, HttpError> {
    let (head, body) = answer.into_parts();
    let body = change(body.bytes().await?.to_vec());
    Ok(HttpResponse::from_parts(head, body.into()))
}

/// `answer` whose connection is reset after `kept` bytes of its body.
pub(super) async fn cut(answer: HttpResponse, kept: usize) -> Result<HttpResponse, HttpError> {
    part(answer, kept, Poll::Ready(())).await
}

/// `answer` whose body stops after `kept` bytes.
pub(super) async fn stop(answer: HttpResponse, kept: usize) -> Result<HttpResponse, HttpError> {
    part(answer, kept, Poll::Pending).await
}

async fn part(
    answer: HttpResponse,
    kept: usize,
    then: Poll<()>,
) -> Result<HttpResponse, HttpError> {
    let (head, body) = answer.into_parts();
    let body = body.bytes().await?;
    if body.len() <= kept {
        return Ok(HttpResponse::from_parts(head, body.into()));
    }
    let kept = Some(body.slice(..kept)).filter(|kept| !kept.is_empty());
    let part = PartOfBody { length: body.len() as u64, kept, then };
    Ok(HttpResponse::from_parts(head, HttpResponseBody::new(part)))
}

/// Some bytes, then an error, or nothing any more.
struct PartOfBody {
    length: u64,
    kept: Option<Bytes>,
    then: Poll<()>,
}

impl Body for PartOfBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        match self.kept.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => self.then.map(|()| Some(Err(no_answer(HttpErrorKind::Interrupted)))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// Flips one bit, counted from the first; behind the end it goes on from the start.
pub(super) fn flip(mut body: Vec<u8>, bit: usize) -> Vec<u8> {
    if !body.is_empty() {
        let bit = bit % (body.len() * 8);
        body[bit / 8] ^= 1 << (bit % 8);
    }
    body
}

/// A listing without its entries for these keys.
pub(super) fn without(listing: Vec<u8>, keys: &[String]) -> Vec<u8> {
    let listing = String::from_utf8(listing).unwrap();
    let mut kept = String::with_capacity(listing.len());
    let mut rest = listing.as_str();
    while let Some((before, after)) = rest.split_once("<Contents>") {
        let (entry, after) = after.split_once("</Contents>").unwrap();
        kept.push_str(before);
        if !keys.contains(&key_of(entry)) {
            kept.extend(["<Contents>", entry, "</Contents>"]);
        }
        rest = after;
    }
    (kept + rest).into_bytes()
}

fn key_of(entry: &str) -> String {
    let key = entry.split_once("<Key>").and_then(|(_, rest)| rest.split_once("</Key>"));
    let key = key.map_or("", |(key, _)| key);
    let marks = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    marks.iter().fold(key.to_owned(), |key, (mark, sign)| key.replace(mark, sign))
}

/// The key a request is about, if its bucket is the first segment of its path.
pub(super) fn key(request: &HttpRequest) -> String {
    let path = request.uri().path().trim_start_matches('/');
    let key = path.split_once('/').map_or("", |(_, key)| key);
    Path::from_url_path(key).map_or_else(|_| key.to_owned(), String::from)
}
