use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::ops::Range;

use bytes::Bytes;

use super::{StorageError, StoredFile};

/// Bytes fetched first: whoever wants a header only should not pay for a large piece.
const FIRST: u64 = 64 << 10;
/// Bytes fetched at most: large enough that a request to a distant store is not mostly waiting.
const LARGEST: u64 = 4 << 20;

/// A file of a storage, or a range of one, read from front to back in pieces of 64 KiB to 4 MiB; it keeps one piece.
///
/// A failure is an [`io::Error`] that carries the [`StorageError`]; [`StorageReader::storage_error`] gets it out.
#[derive(Debug)]
pub struct StorageReader {
    file: StoredFile,
    range: Range<u64>,
    /// Position in the file of the first byte of `piece`.
    next: u64,
    piece: Bytes,
    /// Bytes of the piece that is fetched next; doubles up to [`LARGEST`].
    ahead: u64,
}

impl StorageReader {
    pub(super) fn new(file: StoredFile, range: Range<u64>) -> Self {
        Self { file, next: range.start, range, piece: Bytes::new(), ahead: FIRST }
    }

    /// Bytes from the start to what is read next.
    pub fn position(&self) -> u64 {
        self.next - self.range.start
    }

    /// The storage's error in one that a reader returned.
    pub fn storage_error(error: io::Error, path: &str) -> StorageError {
        let found = error.get_ref().and_then(|inner| inner.downcast_ref::<StorageError>());
        found.cloned().unwrap_or_else(|| StorageError::from_io("read", path.to_owned(), &error))
    }
}

impl Read for StorageReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for StorageReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() && self.next < self.range.end {
            let end = (self.next + self.ahead).min(self.range.end);
            self.ahead = (self.ahead * 2).min(LARGEST);
            self.piece = self.file.read_range(self.next..end).map_err(io::Error::other)?;
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.piece.len());
        self.piece = self.piece.slice(count..);
        self.next += count as u64;
    }
}

impl Seek for StorageReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => (self.range.end - self.range.start).checked_add_signed(by),
            SeekFrom::Current(by) => self.position().checked_add_signed(by),
        };
        let next = position.and_then(|position| self.range.start.checked_add(position));
        let next = next.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        match next.checked_sub(self.next) {
            // Within the piece that is here already.
            Some(ahead) if ahead < self.piece.len() as u64 => self.consume(ahead as usize),
            ahead => {
                self.next = next;
                // A short step ahead is still reading from front to back, and a piece spares many requests.
                if ahead.is_none_or(|ahead| ahead > LARGEST) {
                    self.ahead = FIRST;
                }
                self.piece = Bytes::new();
            }
        }
        Ok(self.position())
    }
}
