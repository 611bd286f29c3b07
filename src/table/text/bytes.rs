//! The text of a file: its bytes, decompressed and decoded while they stream.
//!
//! The first bytes say what a file is, whatever its name says: compressed by gzip (RFC 1952), Zstandard
//! (RFC 8878) or bzip2, several members in a row as one text; or in UTF-16. What is compressed is
//! decompressed on a thread of its own, a piece at a time. Latin-1 is what browsers take it for:
//! Windows-1252, in which no byte is wrong; it must be asked for.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use datafusion::common::runtime::SpawnedTask;
use encoding_rs::{DecoderResult, UTF_16BE, UTF_16LE, WINDOWS_1252};
use flate2::read::MultiGzDecoder;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectMeta, ObjectStore};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::format::{Compression, Decoding, Encoding};
use crate::cancel::CancelFlag;
use crate::compute::compute;
use crate::error::{Error, Result};

/// Bytes that are read from a local file, or decompressed, at a time.
const PIECE_BYTES: usize = 1 << 20;
/// Bytes of an object that are asked for at a time.
const REQUEST_BYTES: u64 = 8 << 20;
/// Pieces that wait between two threads.
const PIECES_AHEAD: usize = 2;
/// Bytes that say what a file is.
const MAGIC_BYTES: usize = 16;

/// A text on its way.
pub(crate) type TextStream = BoxStream<'static, Result<Bytes>>;

/// Runs `read` on a thread of its own over the pieces of `text`. It may end before they do.
///
/// # Errors
/// Those of `text`, then those of `read`.
pub(super) async fn read_through<T: Send + 'static>(
    mut text: TextStream,
    read: impl FnOnce(Receiver<Bytes>, &CancelFlag) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (send, receive) = channel(1);
    let reading = compute(move |stop| read(receive, stop));
    let feeding = async move {
        while let Some(piece) = text.try_next().await? {
            if send.send(piece).await.is_err() {
                break; // the reader knows enough
            }
        }
        Ok(())
    };
    let (found, fed): (_, Result<()>) = futures::join!(reading, feeding);
    fed?; // else the reader saw an early end
    found
}

/// The text of a file, and how its bytes become text where that is not `given`; of a file that is plain the
/// first `max_bytes` only. `shown` names it in errors.
pub(crate) async fn open(
    store: &dyn ObjectStore,
    path: &Path,
    shown: &str,
    given: (Option<Compression>, Option<Encoding>),
    max_bytes: Option<u64>,
) -> Result<(Decoding, TextStream)> {
    let (first, bytes) = peek(raw(store, path, None).await?).await?;
    let compression = match given.0 {
        Some(known) => known,
        None => compression_of(&first, shown)?,
    };
    let bytes = match max_bytes.filter(|_| compression == Compression::None) {
        Some(max) => first_bytes(bytes, max),
        None => bytes,
    };
    let bytes = decompressed(bytes, compression, shown);
    let (first, bytes) = peek(bytes).await?;
    let encoding = given.1.unwrap_or_else(|| encoding_of(&first));
    let decoding = Decoding { compression, encoding };
    Ok((decoding, decoded(bytes, encoding, shown)))
}

/// The text of a file as it was listed, in UTF-8 as its bytes are; on an object store a piece at a time, so
/// that no more than one waits for who reads slowly.
pub(crate) async fn of_object(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    shown: &str,
) -> Result<TextStream> {
    let first = 0..meta.size.min(REQUEST_BYTES);
    let got = store.get_opts(&meta.location, pinned(meta, first)).await?;
    let bytes = match got.payload {
        GetResultPayload::File(file, _) => pieces(file, 0..got.meta.size).boxed(),
        GetResultPayload::Stream(bytes) => {
            let first = bytes.map_err(Error::from);
            first.chain(requested(Arc::clone(store), meta.clone())).boxed()
        }
    };
    let (first, bytes) = peek(bytes).await?;
    let bytes = decompressed(bytes, compression_of(&first, shown)?, shown);
    Ok(decoded(bytes, Encoding::Utf8, shown))
}

/// The pieces of an object behind the first.
fn requested(
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
) -> impl Stream<Item = Result<Bytes>> + Send {
    stream::try_unfold(REQUEST_BYTES, move |from| {
        let (store, meta) = (Arc::clone(&store), meta.clone());
        async move {
            if from >= meta.size {
                return Ok(None);
            }
            let end = meta.size.min(from + REQUEST_BYTES);
            let got = store.get_opts(&meta.location, pinned(&meta, from..end)).await?;
            Ok(Some((got.bytes().await?, end)))
        }
    })
}

fn pinned(meta: &ObjectMeta, range: Range<u64>) -> GetOptions {
    let range = Some(range).filter(|range| !range.is_empty()).map(GetRange::Bounded);
    GetOptions { range, if_match: meta.e_tag.clone(), ..GetOptions::default() }
}

/// The text of a file whose decoding is known; of a plain file the bytes of `range`.
pub(crate) async fn text(
    store: &dyn ObjectStore,
    path: &Path,
    shown: &str,
    decoding: Decoding,
    range: Option<Range<u64>>,
) -> Result<TextStream> {
    let bytes = raw(store, path, range).await?;
    Ok(decoded(decompressed(bytes, decoding.compression, shown), decoding.encoding, shown))
}

/// The bytes of a file.
async fn raw(
    store: &dyn ObjectStore,
    path: &Path,
    range: Option<Range<u64>>,
) -> Result<TextStream> {
    let range = range.map(GetRange::Bounded);
    let got = store.get_opts(path, GetOptions { range, ..GetOptions::default() }).await?;
    let range = got.range.clone();
    Ok(match got.payload {
        GetResultPayload::File(file, _) => pieces(file, range).boxed(),
        GetResultPayload::Stream(bytes) => bytes.map_err(Error::from).boxed(),
    })
}

/// A local file in pieces; the store would give it in 8 KiB. The memory of a piece is used again once it is
/// dropped: the first use of a page costs as much as reading it.
fn pieces(file: std::fs::File, range: Range<u64>) -> impl Stream<Item = Result<Bytes>> + Send {
    let start = (file, range, BytesMut::new());
    stream::try_unfold(start, |(mut file, range, mut buffer)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let wanted = usize::try_from(range.end - range.start).unwrap_or(PIECE_BYTES);
        let reading = SpawnedTask::spawn_blocking(move || {
            buffer.resize(wanted.min(PIECE_BYTES), 0);
            file.seek(SeekFrom::Start(range.start))?;
            file.read_exact(&mut buffer)?;
            let piece = buffer.split().freeze();
            io::Result::Ok((file, piece, buffer))
        });
        let read = reading.await.map_err(|e| Error::internal("a read panicked").caused_by(e))?;
        let (file, piece, buffer) = read.map_err(|cause| Error::io("cannot read a file", cause))?;
        let next = range.start + piece.len() as u64..range.end;
        Ok(Some((piece, (file, next, buffer))))
    })
}

/// The first bytes of a stream, and all of it.
async fn peek(bytes: TextStream) -> Result<(Bytes, TextStream)> {
    let mut bytes = bytes.fuse();
    let mut first = BytesMut::new();
    while first.len() < MAGIC_BYTES
        && let Some(piece) = bytes.try_next().await?
    {
        match first.is_empty() {
            true => first = BytesMut::from(piece),
            false => first.extend_from_slice(&piece),
        }
    }
    let first = first.freeze();
    Ok((first.clone(), stream::once(async { Ok(first) }).chain(bytes).boxed()))
}

fn first_bytes(bytes: TextStream, max: u64) -> TextStream {
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let cut = stream::try_unfold((bytes, max), |(mut bytes, left)| async move {
        match bytes.try_next().await? {
            Some(piece) if left > 0 => {
                let piece = piece.slice(..piece.len().min(left));
                let left = left - piece.len();
                Ok(Some((piece, (bytes, left))))
            }
            _ => Ok::<_, Error>(None),
        }
    });
    cut.boxed()
}

/// What the first bytes say of the compression. What is no text at all is refused.
fn compression_of(first: &[u8], shown: &str) -> Result<Compression> {
    let is = |magic: &[u8]| first.starts_with(magic);
    let refused = |what: &str| Err(Error::data(format!("file '{shown}' is {what}")));
    match first {
        _ if is(b"\x1f\x8b") => Ok(Compression::Gzip),
        _ if is(b"\x28\xb5\x2f\xfd") => Ok(Compression::Zstd),
        [b'B', b'Z', b'h', b'1'..=b'9', b'1' | 0x17, ..] => Ok(Compression::Bzip2),
        _ if is(b"\xfd7zXZ\0") => refused("compressed by xz, which is not read: decompress it"),
        _ if is(b"\x04\x22\x4d\x18") => {
            refused("compressed by lz4, which is not read: decompress it")
        }
        _ if is(b"PK\x03\x04") => refused("a zip archive, which is not read: unpack it"),
        _ if is(b"PAR1") => {
            refused("Parquet, though its name ends otherwise: rename it to .parquet")
        }
        _ => Ok(Compression::None),
    }
}

/// What the first bytes say of the encoding: UTF-16 has a mark, or every other byte is 0.
fn encoding_of(first: &[u8]) -> Encoding {
    match first {
        [0xFF, 0xFE, ..] => Encoding::Utf16Le,
        [0xFE, 0xFF, ..] => Encoding::Utf16Be,
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Encoding::Utf16Le,
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => Encoding::Utf16Be,
        _ => Encoding::Utf8,
    }
}

fn decompressed(bytes: TextStream, compression: Compression, shown: &str) -> TextStream {
    let name = match compression {
        Compression::None => return bytes,
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
        Compression::Bzip2 => "bzip2",
    };
    let (send, receive) = channel::<Result<Bytes>>(PIECES_AHEAD);
    let (send_raw, receive_raw) = channel::<Result<Bytes>>(PIECES_AHEAD);
    let feeding = SpawnedTask::spawn(async move {
        let mut bytes = bytes;
        while let Some(piece) = bytes.next().await {
            if send_raw.send(piece).await.is_err() {
                break; // no one reads any more
            }
        }
    });
    let shown = shown.to_owned();
    let working = SpawnedTask::spawn_blocking(move || {
        let raw = Pieces { receive: receive_raw, failed: send.clone(), current: Bytes::new() };
        if let Err(cause) = decompress(raw, compression, &send) {
            let error = Error::data(format!("file '{shown}' is not complete {name} data: {cause}"));
            // The first error is the one that is seen; without a reader there is none to tell.
            drop(send.blocking_send(Err(error.caused_by(cause))));
        }
    });
    let tasks = (feeding, working);
    stream::unfold((receive, tasks), |(mut receive, tasks)| async move {
        receive.recv().await.map(|piece| (piece, (receive, tasks)))
    })
    .boxed()
}

fn decompress(
    raw: Pieces,
    compression: Compression,
    send: &Sender<Result<Bytes>>,
) -> io::Result<()> {
    let mut reader: Box<dyn Read> = match compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(raw)),
        Compression::Zstd => Box::new(zstd::Decoder::new(raw)?),
        Compression::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(raw)),
        Compression::None => Box::new(raw),
    };
    loop {
        let mut piece = BytesMut::zeroed(PIECE_BYTES);
        let mut filled = 0;
        while filled < piece.len() {
            match reader.read(&mut piece[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(again) if again.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        let is_last = filled < piece.len();
        piece.truncate(filled);
        if send.blocking_send(Ok(piece.freeze())).is_err() || is_last {
            return Ok(());
        }
    }
}

/// Bytes that come from another task, for a reader that blocks.
struct Pieces {
    receive: Receiver<Result<Bytes>>,
    /// Who learns that the store failed.
    failed: Sender<Result<Bytes>>,
    current: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receive.blocking_recv() {
                Some(Ok(bytes)) => self.current = bytes,
                Some(Err(error)) => {
                    drop(self.failed.blocking_send(Err(error)));
                    return Err(io::Error::other("the file could not be read"));
                }
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.current.len());
        self.current.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}

/// The characters of a text as UTF-8. UTF-8 itself is checked by whoever reads it.
fn decoded(bytes: TextStream, encoding: Encoding, shown: &str) -> TextStream {
    let encoding = match encoding {
        Encoding::Utf8 => return bytes,
        Encoding::Latin1 => WINDOWS_1252,
        Encoding::Utf16Le => UTF_16LE,
        Encoding::Utf16Be => UTF_16BE,
    };
    let decoder = encoding.new_decoder_without_bom_handling();
    let shown = shown.to_owned();
    let start = (bytes, Some(decoder), 0_u64, shown);
    stream::try_unfold(start, |(mut bytes, decoder, before, shown)| async move {
        let Some(mut decoder) = decoder else { return Ok(None) };
        let (piece, is_last) = match bytes.try_next().await? {
            Some(piece) => (piece, false),
            None => (Bytes::new(), true),
        };
        let most = decoder.max_utf8_buffer_length_without_replacement(piece.len());
        let mut text = BytesMut::zeroed(most.unwrap_or(0));
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(&piece, &mut text, is_last);
        if result != DecoderResult::InputEmpty {
            return Err(Error::data(format!(
                "file '{shown}' is not {} near byte {}: pass --encoding",
                decoder.encoding().name(),
                before + read as u64
            )));
        }
        text.truncate(written);
        let before = before + piece.len() as u64;
        let decoder = Some(decoder).filter(|_| !is_last);
        Ok(Some((text.freeze(), (bytes, decoder, before, shown))))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use rstest::rstest;

    use super::*;

    async fn opened(bytes: Vec<u8>) -> Result<(Decoding, Vec<u8>)> {
        let (store, path) = (InMemory::new(), Path::from("x"));
        store.put(&path, bytes.into()).await.unwrap();
        let (decoding, text) = open(&store, &path, "x", (None, None), None).await?;
        let pieces: Vec<Bytes> = text.try_collect().await?;
        Ok((decoding, pieces.concat()))
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn utf16(text: &str, high_first: bool, mark: bool) -> Vec<u8> {
        let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
        units.flat_map(|u| if high_first { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    }

    #[tokio::test]
    async fn the_first_bytes_say_what_a_file_is() {
        let text = "a,b\n1,é🦀\n".repeat(300_000);
        let plain = text.as_bytes();
        let both = [gzip(&plain[..10]), gzip(&plain[10..])].concat();
        let bzip2 = {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        };
        for (bytes, compression) in [
            (plain.to_vec(), Compression::None),
            (both, Compression::Gzip),
            (zstd::encode_all(plain, 1).unwrap(), Compression::Zstd),
            (bzip2, Compression::Bzip2),
        ] {
            let (decoding, found) = opened(bytes).await.unwrap();
            assert_eq!(decoding, Decoding { compression, encoding: Encoding::Utf8 });
            assert!(found == plain, "{compression:?}");
        }
    }

    #[rstest]
    #[case(false, true, Encoding::Utf16Le)]
    #[case(true, true, Encoding::Utf16Be)]
    #[case(false, false, Encoding::Utf16Le)]
    #[case(true, false, Encoding::Utf16Be)]
    #[tokio::test]
    async fn utf16_is_found(
        #[case] high_first: bool,
        #[case] mark: bool,
        #[case] expected: Encoding,
    ) {
        let text = "id,name\n1,é🦀\n".repeat(10);
        let (decoding, found) = opened(utf16(&text, high_first, mark)).await.unwrap();
        assert_eq!(decoding.encoding, expected);
        let found = String::from_utf8(found).unwrap();
        assert_eq!(found.trim_start_matches('\u{feff}'), text);
    }

    #[rstest]
    #[case(b"\xfd7zXZ\0abc", "file 'x' is compressed by xz, which is not read: decompress it")]
    #[case(b"PK\x03\x04abc", "file 'x' is a zip archive, which is not read: unpack it")]
    #[case(b"\x1f\x8b\x08\x00\x00", "file 'x' is not complete gzip data: ")]
    #[case(b"\xff\xfea\0,", "file 'x' is not UTF-16LE near byte ")]
    #[tokio::test]
    async fn what_is_not_read_is_named(#[case] bytes: &[u8], #[case] expected: &str) {
        let error = opened(bytes.to_vec()).await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    /// The table of the WHATWG's Encoding Standard, index-windows-1252.
    #[tokio::test]
    async fn latin1_is_windows_1252_and_no_byte_is_wrong_in_it() {
        let high = "\u{20ac}\u{81}\u{201a}\u{192}\u{201e}\u{2026}\u{2020}\u{2021}\u{2c6}\u{2030}\
                    \u{160}\u{2039}\u{152}\u{8d}\u{17d}\u{8f}\u{90}\u{2018}\u{2019}\u{201c}\u{201d}\
                    \u{2022}\u{2013}\u{2014}\u{2dc}\u{2122}\u{161}\u{203a}\u{153}\u{9d}\u{17e}\u{178}";
        let expected: String = (0..=0x7f_u8)
            .map(char::from)
            .chain(high.chars())
            .chain((0xa0..=0xff_u8).map(char::from))
            .collect();
        let bytes = Bytes::from((0..=255).collect::<Vec<u8>>());
        let stream = stream::once(async { Ok(bytes) }).boxed();
        let text: Vec<Bytes> = decoded(stream, Encoding::Latin1, "x").try_collect().await.unwrap();
        assert_eq!(text.concat(), expected.as_bytes());
    }
}
