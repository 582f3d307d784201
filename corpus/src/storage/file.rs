use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use super::local::refused;
use super::remote::Remote;
use super::{StorageError, StorageReader};

/// An open file of a storage: its ranges are read from any number of threads. Cloning shares the file.
#[derive(Debug, Clone)]
pub struct StoredFile {
    pub(super) size: u64,
    pub(super) path: Arc<str>,
    pub(super) bytes: FileBytes,
}

#[derive(Debug, Clone)]
pub(super) enum FileBytes {
    Local(Arc<File>),
    Remote(Remote, Arc<str>),
}

impl StoredFile {
    /// Bytes of the file when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Path or URL, for messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The bytes of `range`; fewer are an error. Memory is the length of the range.
    pub fn read_range(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        let path = || self.path.to_string();
        if range.start > range.end || range.end > self.size {
            return Err(StorageError::Range { path: path(), range, size: self.size });
        }
        match &self.bytes {
            FileBytes::Local(file) => {
                // Asked for first, since zeroed memory, which costs nothing where it comes fresh from the system, is had
                // from a macro that ends the process if there is none.
                let fits = |&long: &usize| Vec::<u8>::new().try_reserve_exact(long).is_ok();
                let long = range.end - range.start;
                let long = usize::try_from(long).ok().filter(fits).ok_or_else(|| StorageError::TooLarge {
                    path: path(),
                    size: long,
                    limit: isize::MAX as u64,
                })?;
                let mut bytes = vec![0; long];
                file.read_exact_at(&mut bytes, range.start).map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => {
                        let size = file.metadata().map_or(self.size, |now| now.len());
                        StorageError::Range { path: path(), range, size }
                    }
                    _ => refused("read", path(), &error),
                })?;
                Ok(bytes.into())
            }
            FileBytes::Remote(remote, name) => read_remote(remote, name, path(), range, Some(self.size)),
        }
    }

    /// All bytes of the file, if they are at most `limit`.
    pub fn read_all(&self, limit: u64) -> Result<Bytes, StorageError> {
        if self.size > limit {
            return Err(StorageError::TooLarge { path: self.path.to_string(), size: self.size, limit });
        }
        self.read_range(0..self.size)
    }

    /// Reads the file from its start, a piece at a time.
    pub fn reader(&self) -> StorageReader {
        self.reader_from(0)
    }

    /// Reads the file from byte `start` on, a piece at a time.
    pub fn reader_from(&self, start: u64) -> StorageReader {
        StorageReader::new(self.clone(), start.min(self.size)..self.size)
    }
}

pub(super) fn read_remote(
    remote: &Remote,
    name: &str,
    path: String,
    range: Range<u64>,
    size: Option<u64>,
) -> Result<Bytes, StorageError> {
    // Stores refuse an empty range, and each answers in its own way where the file ends early.
    let size_now = || match size {
        Some(size) => Ok(size),
        None => remote
            .size(name)
            .map_err(|error| StorageError::from_store("ask the size of", path.clone(), &error)),
    };
    if range.start >= range.end {
        let size = size_now()?;
        return if range.start == range.end && range.end <= size {
            Ok(Bytes::new())
        } else {
            Err(StorageError::Range { path, range, size })
        };
    }
    match remote.read_range(name, range.clone()) {
        Ok(bytes) if bytes.len() as u64 == range.end - range.start => Ok(bytes),
        Ok(_) => Err(StorageError::Range { size: size_now()?, path, range }),
        Err(error) => match size_now() {
            Ok(size) if range.end > size => Err(StorageError::Range { path, range, size }),
            _ => Err(StorageError::from_store("read", path, &error)),
        },
    }
}
