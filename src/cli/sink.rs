//! Where the bytes of an answer go: standard output, or FILE, which is written beside itself and renamed
//! when it is complete, unless it is a device or a pipe.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::exit::StdoutClosed;
use crate::error::{Error, Result};
use crate::storage::{LocalFiles, PendingFile};

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 16;

/// One open output. Dropped before it is finished, it leaves no FILE.
#[derive(Debug)]
pub(super) struct Sink {
    buffer: Option<BufWriter<Remembering>>,
    target: Target,
}

/// What bytes are written to.
enum Inner {
    Stream(Box<dyn Write>),
    File(PendingFile),
}

#[derive(Debug)]
enum Target {
    Stdout,
    Device(PathBuf),
    File(PathBuf),
}

impl Sink {
    pub(super) fn stdout() -> Self {
        Self::over(Inner::Stream(Box::new(io::stdout())), Target::Stdout)
    }

    /// Opens FILE.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn file(path: &Path) -> Result<Self> {
        let failed = |cause| failed(path, cause);
        let path = path.to_owned();
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            let device = File::options().write(true).open(&path).map_err(failed)?;
            return Ok(Self::over(Inner::Stream(Box::new(device)), Target::Device(path)));
        }
        // The target of a link is written, and the link stays.
        let path =
            path.canonicalize().or_else(|_new| std::path::absolute(&path)).map_err(failed)?;
        if let Some(folder) = path.parent() {
            folder.metadata().map_err(failed)?;
        }
        let files = LocalFiles::default();
        files.remove_leftovers_of(&path).ok(); // what killed processes left does no harm
        let file = PendingFile::create(&files, &path, true)?;
        Ok(Self::over(Inner::File(file), Target::File(path)))
    }

    fn over(inner: Inner, target: Target) -> Self {
        let sink = Remembering { inner, failure: None };
        Self { buffer: Some(BufWriter::with_capacity(BUFFER_BYTES, sink)), target }
    }

    /// The place for bytes; [`Self::settle`] says whether they arrived.
    pub(super) fn writer(&mut self) -> &mut BufWriter<impl Write + use<>> {
        self.buffer.as_mut().expect("open until it is finished")
    }

    /// What encoding gave, when its bytes have been written: a failed write counts first, since encoders
    /// turn it into text.
    ///
    /// # Errors
    /// Those of `result`; a write that failed; [`StdoutClosed`] when no one reads standard output.
    pub(super) fn settle<T, E: Into<anyhow::Error>>(
        &mut self,
        result: Result<T, E>,
    ) -> anyhow::Result<T> {
        let buffer = self.buffer.as_mut().expect("open until it is finished");
        let flushed = if result.is_ok() { buffer.flush() } else { Ok(()) };
        let failure = buffer.get_mut().failure.take().or(flushed.err());
        match (failure, &self.target) {
            (None, _) => result.map_err(Into::into),
            (Some(cause), Target::Stdout) if cause.kind() == io::ErrorKind::BrokenPipe => {
                Err(StdoutClosed.into())
            }
            (Some(cause), Target::Stdout) => {
                Err(Error::io("write to standard output", cause).into())
            }
            (Some(cause), Target::Device(path) | Target::File(path)) => {
                Err(failed(path, cause).into())
            }
        }
    }

    /// Gives FILE its name.
    ///
    /// # Errors
    /// If it cannot.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.settle(Ok::<_, Error>(()))?;
        // What is settled is flushed: there is nothing in the buffer.
        let inner = self.buffer.take().map(|buffer| buffer.into_parts().0.inner);
        if let Some(Inner::File(file)) = inner {
            file.finish()?;
        }
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            drop(buffer.into_parts()); // without a second try to write what could not be written
        }
    }
}

fn failed(path: &Path, cause: io::Error) -> Error {
    if let Some(error) = cause.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return error.clone();
    }
    Error::io(format!("write '{}'", path.display()), cause)
}

/// A writer that remembers why it failed: the encoders of Arrow turn that into text.
struct Remembering {
    inner: Inner,
    failure: Option<io::Error>,
}

impl std::fmt::Debug for Remembering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remembering").field("failure", &self.failure).finish_non_exhaustive()
    }
}

impl Remembering {
    fn remember<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let copy = io::Error::new(error.kind(), error.to_string());
            self.failure = Some(error);
            copy
        })
    }
}

impl Write for Remembering {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = match &mut self.inner {
            Inner::Stream(stream) => stream.write(bytes),
            Inner::File(file) => file.write(bytes),
        };
        self.remember(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = match &mut self.inner {
            Inner::Stream(stream) => stream.flush(),
            Inner::File(file) => file.flush(),
        };
        self.remember(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_left_is_told_apart_from_a_bad_answer() {
        let mut sink = Sink::over(Inner::Stream(Box::new(Broken)), Target::Stdout);
        let written = sink.writer().write_all(b"x").map_err(|_text| Error::data("as text"));
        assert!(sink.settle(written).expect_err("broken").is::<StdoutClosed>());
        let mut sink = Sink::over(Inner::Stream(Box::new(Broken)), Target::Stdout);
        let bad = sink.settle(Err::<(), _>(Error::data("a bad answer")));
        assert_eq!(bad.expect_err("bad").to_string(), "a bad answer");
    }

    #[test]
    fn a_file_that_is_not_finished_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.csv");
        let mut sink = Sink::file(&path).expect("a file");
        sink.writer().write_all(b"x").expect("written");
        drop(sink);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
        let mut sink = Sink::file(&path).expect("a file");
        sink.writer().write_all(b"x").expect("written");
        sink.finish().expect("finished");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "x");
    }

    #[test]
    fn a_link_stays_and_its_target_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("x.csv"), folder.path().join("link.csv"));
        std::fs::write(&path, "old").expect("written");
        std::os::unix::fs::symlink("x.csv", &link).expect("a link");
        let mut sink = Sink::file(&link).expect("a file");
        sink.writer().write_all(b"new").expect("written");
        sink.finish().expect("finished");
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "new");
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("a folder").count(),
            2,
            "nothing beside it"
        );
    }
}
