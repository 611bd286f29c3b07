//! A new file that grows piece by piece, past the page cache where the system can.
//!
//! Such a file is of no use before its bytes are on the disk, and a table may be larger than the
//! memory. Written directly, its bytes are not copied into the cache and push nothing out of it. The
//! price is paid by the first reader of the table, who reads the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::effects::{self, Effect};
use super::local::{LocalFiles, failed};
use crate::error::Result;

/// Direct writes begin at a multiple of this, in memory and in the file: enough for usual disks.
const BLOCK: usize = 4096;

/// The most bytes that are set in order for one write: a buffer that stays in a core's cache.
const MAX_BYTES: usize = 64 * BLOCK;

/// Buffers for the next writes. They pass from thread to thread: an allocator holds back what each
/// thread that ever wrote has freed.
static BUFFERS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A file that grows. It is open only while bytes are written: thousands of these grow at once.
#[derive(Debug)]
pub struct NewFile {
    files: LocalFiles,
    path: PathBuf,
    /// The name that errors give it.
    shown: PathBuf,
    /// Bytes in the file: whole blocks, until it is complete.
    written: u64,
    /// What follows them, less than a block.
    rest: Vec<u8>,
    is_direct: bool,
}

impl NewFile {
    /// Makes the file, and directories that are missing.
    ///
    /// # Errors
    /// If the file exists or a call fails.
    pub fn create(files: &LocalFiles, path: &Path) -> Result<Self> {
        files.create_empty(path, path)?;
        Ok(Self {
            files: files.clone(),
            path: path.to_owned(),
            shown: path.to_owned(),
            written: 0,
            rest: Vec::new(),
            is_direct: cfg!(target_os = "linux"),
        })
    }

    /// Fills the empty file at `path`, through the page cache; errors call it `shown`.
    pub(super) fn over(files: &LocalFiles, path: &Path, shown: &Path) -> Self {
        Self {
            files: files.clone(),
            path: path.to_owned(),
            shown: shown.to_owned(),
            written: 0,
            rest: Vec::new(),
            is_direct: false,
        }
    }

    /// Adds bytes to the file. It is not a call of the protocol, which begins when the file is complete.
    ///
    /// # Errors
    /// If the file is not there, or the disk is full or fails.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        let mut buffer = buffers().pop().unwrap_or_else(|| Vec::with_capacity(BLOCK + MAX_BYTES));
        buffer.resize(buffer.as_ptr().align_offset(BLOCK), 0);
        let start = buffer.len();
        buffer.append(&mut self.rest);
        loop {
            let (taken, later) = bytes.split_at(bytes.len().min(start + MAX_BYTES - buffer.len()));
            buffer.extend_from_slice(taken);
            let whole = buffer.len() - (buffer.len() - start) % BLOCK;
            self.write_blocks(&buffer[start..whole])
                .map_err(|cause| failed("write", &self.shown, cause))?;
            if later.is_empty() {
                self.rest.extend_from_slice(&buffer[whole..]);
                buffer.clear();
                buffers().push(buffer);
                return Ok(());
            }
            buffer.truncate(start);
            bytes = later;
        }
    }

    /// Writes what is left and waits until all bytes are on the disk.
    ///
    /// # Errors
    /// If the disk is full or fails.
    pub fn complete(&mut self) -> Result<()> {
        self.files.count();
        let completed = self.write(&self.rest, false).and_then(|file| file.sync_all());
        completed.map_err(|cause| failed("write", &self.shown, cause))?;
        effects::note(|| Effect::Sync(self.path.clone()));
        self.written = self.size();
        self.rest.clear();
        Ok(())
    }

    /// The bytes so far.
    pub fn size(&self) -> u64 {
        self.written + self.rest.len() as u64
    }

    /// Writes whole blocks, directly if that works here.
    fn write_blocks(&mut self, blocks: &[u8]) -> io::Result<()> {
        if blocks.is_empty() {
            return Ok(());
        }
        let mut file = self.write(blocks, self.is_direct);
        if self.is_direct && file.as_ref().is_err_and(is_refusal) {
            self.is_direct = false;
            file = self.write(blocks, false);
        }
        file?;
        self.written += blocks.len() as u64;
        Ok(())
    }

    /// Writes behind what is written.
    fn write(&self, bytes: &[u8], directly: bool) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true);
        if directly {
            set_direct(&mut options);
        }
        let mut file = options.open(&self.path)?;
        file.seek(SeekFrom::Start(self.written))?;
        file.write_all(bytes)?;
        Ok(file)
    }
}

fn buffers() -> MutexGuard<'static, Vec<Vec<u8>>> {
    BUFFERS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(target_os = "linux")]
fn set_direct(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_DIRECT);
}

/// Elsewhere bytes go through the cache.
#[cfg(not(target_os = "linux"))]
fn set_direct(_: &mut OpenOptions) {}

/// Whether the file system writes nothing directly, or in larger blocks only.
fn is_refusal(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Appends the pieces to a new file and gives it back with what is on the disk then.
    fn grown(is_direct: bool, begun: &[u8], pieces: &[&[u8]]) -> (NewFile, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/part");
        let mut file = NewFile::create(&LocalFiles::default(), &path).unwrap();
        file.is_direct &= is_direct;
        std::fs::write(&path, begun).unwrap();
        file.written = begun.len() as u64;
        pieces.iter().for_each(|piece| file.append(piece).unwrap());
        file.complete().unwrap();
        (file, std::fs::read(&path).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_file_holds_what_was_appended(
            sizes in prop::collection::vec(
                prop_oneof![0..9000_usize, Just(BLOCK), MAX_BYTES - 2..MAX_BYTES + 2, Just(2 * MAX_BYTES + BLOCK)],
                0..6,
            ),
            is_direct: bool,
        ) {
            let bytes: Vec<u8> = (0..=250).cycle().take(sizes.iter().sum()).collect();
            let mut rest = &bytes[..];
            let pieces: Vec<_> = (sizes.iter())
                .map(|size| rest.split_off(..*size).expect("the sum is the length"))
                .collect();
            let (file, found) = grown(is_direct, b"", &pieces);
            prop_assert_eq!(file.size(), bytes.len() as u64);
            prop_assert!(found == bytes, "{} bytes, {} expected", found.len(), bytes.len());
        }
    }

    #[test]
    fn a_file_system_that_refuses_direct_writes_gets_others() {
        // Most disks take nothing directly behind a single byte.
        let (block, blocks) = ([1; BLOCK], [2; 3 * BLOCK + 5]);
        let (file, found) = grown(true, b"0", &[&block, &blocks]);
        assert_eq!(found, [&b"0"[..], &block, &blocks].concat());
        assert_eq!(file.size(), found.len() as u64);
    }

    #[test]
    fn a_file_that_is_there_or_gone_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        let mut file = NewFile::create(&LocalFiles::default(), &path).unwrap();
        NewFile::create(&LocalFiles::default(), &path).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        let error = file.append(&[0; BLOCK]).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}
