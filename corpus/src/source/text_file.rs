//! Text that is read from front to back, compressed with gzip or not.
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::record::Problem;
use crate::storage::{StorageError, StorageReader, StoredFile, one_line};

/// First bytes of a gzip stream. No text that is read here begins with them.
pub(super) const GZIP: &[u8] = b"\x1f\x8b";

/// Unpacked bytes that are held.
const UNPACKED: usize = 64 << 10;

/// A text file. The content decides whether it is unpacked, not the name.
///
/// A gzip stream may stand for a thousand times its size and no more, by its format; whoever reads here holds one record
/// of bounded length, so that costs time, not memory.
#[derive(Debug)]
pub(super) enum TextFile {
    Plain(StorageReader),
    Gzip(Box<BufReader<MultiGzDecoder<StorageReader>>>),
}

impl TextFile {
    pub(super) fn open(file: &StoredFile) -> io::Result<Self> {
        let mut reader = file.reader();
        let is_gzip = reader.fill_buf()?.starts_with(GZIP);
        Ok(match is_gzip {
            true => Self::Gzip(Box::new(BufReader::with_capacity(UNPACKED, MultiGzDecoder::new(reader)))),
            false => Self::Plain(reader),
        })
    }

    /// What a failed reading means: the storage's own error, or a stream that cannot be unpacked.
    pub(super) fn problem(error: io::Error, path: &str) -> Problem {
        let is_storage = error.get_ref().is_some_and(|inner| inner.is::<StorageError>());
        match error.kind() {
            _ if is_storage || error.raw_os_error().is_some() => {
                Problem::Storage(StorageReader::storage_error(error, path))
            }
            io::ErrorKind::UnexpectedEof => Problem::Cut { what: "the gzip stream" },
            _ => {
                let reason = format!("{}; the rest of the file is left out", one_line(&error.to_string()));
                Problem::Syntax { format: "gzip", reason }
            }
        }
    }
}

impl Read for TextFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Gzip(reader) => reader.read(buffer),
        }
    }
}

impl BufRead for TextFile {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Plain(reader) => reader.fill_buf(),
            Self::Gzip(reader) => reader.fill_buf(),
        }
    }

    fn consume(&mut self, count: usize) {
        match self {
            Self::Plain(reader) => reader.consume(count),
            Self::Gzip(reader) => reader.consume(count),
        }
    }
}
