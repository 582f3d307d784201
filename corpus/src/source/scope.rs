//! What every reader needs to know about the file it reads.
use std::io;
use std::sync::Arc;

use super::text_file::{GZIP, TextFile};
use super::{Options, SourceError};
use crate::record::{At, BadRecord, ImageRef, Origin, Problem};
use crate::storage::{Storage, StorageError, StoredFile, name};

pub(super) struct Scope {
    source: Arc<str>,
    pub(super) file: Arc<str>,
    pub(super) storage: Storage,
    pub(super) options: Arc<Options>,
    /// Where absolute paths begin, once one was met.
    root: Option<Storage>,
}

impl Scope {
    pub(super) fn new(source: Arc<str>, file: &str, storage: Storage, options: Arc<Options>) -> Self {
        Self { source, file: file.into(), storage, options, root: None }
    }

    pub(super) fn path(&self) -> String {
        self.storage.path(&self.file)
    }

    /// Folder of the file in the storage.
    pub(super) fn folder(&self) -> &str {
        name::split(&self.file).0
    }

    fn open(&self) -> Result<StoredFile, SourceError> {
        Ok(self.storage.file(&self.file)?)
    }

    pub(super) fn origin(&self, at: At) -> Origin {
        Origin { source: self.source.clone(), file: self.file.clone(), at }
    }

    pub(super) fn bad(&self, at: At, problem: Problem) -> BadRecord {
        BadRecord { origin: self.origin(at), problem: Box::new(problem) }
    }

    /// The file, for reading from any place in it.
    pub(super) fn open_places(&self) -> Result<StoredFile, SourceError> {
        let file = self.open()?;
        let head = file.read_range(0..file.size().min(GZIP.len() as u64))?;
        if head == GZIP { Err(SourceError::Compressed { path: self.path() }) } else { Ok(file) }
    }

    /// The file as text.
    pub(super) fn open_text(&self) -> Result<TextFile, SourceError> {
        TextFile::open(&self.open()?).map_err(|error| self.unreadable(error))
    }

    /// The bad record for a file that cannot be read on.
    pub(super) fn unread(&self, at: At, error: io::Error) -> BadRecord {
        self.bad(at, TextFile::problem(error, &self.path()))
    }

    pub(super) fn not_that(&self, wanted: &'static str, reason: &str) -> SourceError {
        SourceError::NotThat { path: self.path(), wanted, reason: reason.to_owned() }
    }

    /// As [`Scope::not_that`], for what the operating system said.
    pub(super) fn unreadable(&self, error: io::Error) -> SourceError {
        match TextFile::problem(error, &self.path()) {
            Problem::Storage(error) => SourceError::Storage(error),
            problem => self.not_that("readable", &problem.to_string()),
        }
    }

    /// The image that a record names by `path`, and the key that follows from the name.
    pub(super) fn image(&mut self, path: &str) -> Result<(ImageRef, String), Problem> {
        let refused =
            |problem: &'static str| Problem::Path { path: path.chars().take(200).collect(), problem };
        let rest = path.strip_prefix(self.options.strip_prefix.as_str()).unwrap_or(path);
        // What is left of a path whose beginning was taken off is relative, slash or not.
        let stripped = rest.len() < path.len();
        let rest = if stripped { rest.trim_start_matches('/') } else { rest };
        if ["http://", "https://", "s3://", "gs://"].iter().any(|scheme| rest.starts_with(scheme)) {
            return Err(refused("is a URL: download the images first (img2dataset does)"));
        }
        let (storage, name) = match rest.strip_prefix('/') {
            Some(below) if self.options.absolute_paths => {
                if self.root.is_none() {
                    self.root = Some(Storage::open("/").map_err(Problem::Storage)?);
                }
                (self.root.as_ref(), name::normal(below).map_err(refused)?.into_owned())
            }
            Some(_) => return Err(refused("is absolute: strip its beginning or allow absolute paths")),
            None => match &self.options.images {
                Some(images) => (Some(images), name::normal(rest).map_err(refused)?.into_owned()),
                None => {
                    // Checked before it is joined, so that it cannot climb through the file's own folder.
                    let below = name::normal(rest).map_err(refused)?;
                    (Some(&self.storage), name::join(self.folder(), &below))
                }
            },
        };
        let storage = storage.unwrap_or(&self.storage).clone();
        let key = name::normal(rest.trim_start_matches('/')).map_err(refused)?;
        let (folder, file) = name::split(&key);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| if stem.is_empty() { file } else { stem });
        let key = name::join(folder, stem);
        Ok((ImageRef::File { storage, name }, key))
    }

    /// The text file `name` of the storage, if there is one; at most the bytes of a record.
    pub(super) fn text(&self, name: &str, what: &'static str) -> Result<String, Problem> {
        let limit = self.options.record_bytes as u64;
        let file = self.storage.file(name)?;
        match file.read_all(limit) {
            Err(StorageError::TooLarge { .. }) => Err(Problem::TooLong { what, limit }),
            Err(error) => Err(Problem::Storage(error)),
            Ok(bytes) => text(&bytes, what),
        }
    }
}

/// `bytes` as text, without a byte order mark.
pub(super) fn text(bytes: &[u8], what: &'static str) -> Result<String, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::NotUtf8 { what })?;
    if text.contains('\0') {
        return Err(Problem::Nul { field: what.to_owned() });
    }
    Ok(text.to_owned())
}
