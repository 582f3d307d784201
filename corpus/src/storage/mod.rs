//! Folders of files, on this machine or in an object store, behind one blocking type.
//!
//! A [`Storage`] is a folder: `data/shards`, `file:///data/shards`, `s3://bucket/shards`, `memory:///`. Its methods may
//! be called from any number of threads at once. Locally a read is one positioned read of the operating system, and no
//! name or link leads out of the folder; remotely it is one request, repeated by the store's own rules.
//!
//! Which object stores are linked is a choice of cargo features: `s3` (default), `gs`, `az`, `http`; local folders and
//! memory are always there. Credentials come from the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
mod error;
mod file;
mod local;
mod location;
pub(crate) mod name;
mod reader;
mod remote;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use url::Url;

pub use error::StorageError;
pub(crate) use error::one_line;
pub use file::StoredFile;
pub use reader::StorageReader;

use file::{FileBytes, read_remote};
use local::{Local, refused};
use location::{Place, parse, without_secrets};
use remote::Remote;

/// A folder of files at a path or an object-store URL. Cloning is cheap and shares the folder.
#[derive(Debug, Clone)]
pub struct Storage {
    backend: Backend,
    location: Arc<str>,
    /// Folder of local files that are not whole yet; beside their place if there is none.
    unfinished: Option<Arc<str>>,
}

#[derive(Debug, Clone)]
enum Backend {
    Local(Arc<Local>),
    Remote(Remote),
}

/// What lies directly in a folder of a storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Name, from the storage's folder on.
    pub name: String,
    /// Whether it is a folder, or a link to one.
    pub is_folder: bool,
    /// Whether it is a link.
    pub is_link: bool,
}

/// A claim on a storage, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: Option<std::fs::File>,
}

impl Storage {
    /// The folder at `location`: a path of an existing folder, or a URL with the scheme `file`, `memory` or one of an
    /// object store.
    ///
    /// Each `memory:` storage is its own, shared by its clones.
    pub fn open(location: &str) -> Result<Self, StorageError> {
        match parse(location)? {
            Place::Path(path) => Self::open_path(Path::new(&path)),
            Place::Url(url) => Self::open_url(&url),
        }
    }

    /// As [`Storage::open`]; a local folder that does not exist is made.
    pub fn create(location: &str) -> Result<Self, StorageError> {
        if let Place::Path(path) = parse(location)? {
            std::fs::create_dir_all(&path).map_err(|error| refused("make the folder", path, &error))?;
        }
        Self::open(location)
    }

    /// The local folder at `path`.
    pub fn open_path(path: &Path) -> Result<Self, StorageError> {
        let shown = path.to_string_lossy();
        let local =
            Local::open(path).map_err(|error| refused("open the folder", shown.to_string(), &error))?;
        Ok(Self { backend: Backend::Local(Arc::new(local)), location: shown.into(), unfinished: None })
    }

    fn open_url(url: &Url) -> Result<Self, StorageError> {
        let location = without_secrets(url);
        match Remote::open(url) {
            Ok(remote) => {
                Ok(Self { backend: Backend::Remote(remote), location: location.into(), unfinished: None })
            }
            Err(error) => {
                let said = one_line(&error.to_string());
                let has_secret = url.password().is_some() || url.query().is_some();
                let reason = if said.contains("not enabled") {
                    "build with the cargo feature of its store: s3, gs, az or http".to_owned()
                } else if has_secret || said.contains("recognise") {
                    // The answer repeats the URL.
                    "give a URL of the scheme file, memory, s3, gs, az or http".to_owned()
                } else {
                    said
                };
                Err(StorageError::Location { location, reason })
            }
        }
    }

    /// The same folder. A process that is killed while it writes locally leaves its unfinished file in `folder`, instead
    /// of beside its place.
    #[must_use]
    pub fn with_unfinished_in(self, folder: &str) -> Self {
        Self { unfinished: Some(folder.into()), ..self }
    }

    /// Claims a local storage by its file `name`; `None` if another process has claimed it. An object store has no such
    /// claims, and everybody gets one.
    pub fn lock(&self, name: &str) -> Result<Option<Lock>, StorageError> {
        let name = self.name(name)?;
        match &self.backend {
            Backend::Local(local) => {
                let file = local.lock(&name).map_err(|error| self.refused("lock", &name, &error))?;
                Ok(file.map(|file| Lock { _file: Some(file) }))
            }
            Backend::Remote(_) => Ok(Some(Lock { _file: None })),
        }
    }

    /// Whether this folder is `other` or lies in it.
    pub fn is_within(&self, other: &Self) -> bool {
        match (&self.backend, &other.backend) {
            (Backend::Local(this), Backend::Local(other)) => this.path().starts_with(other.path()),
            (Backend::Remote(_), Backend::Remote(_)) => {
                let [this, other] = [self, other].map(|storage| storage.location.trim_end_matches('/'));
                this.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            _ => false,
        }
    }

    /// Where the folder is, without user and password.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// All bytes of the file `name`.
    ///
    /// Memory is the file's size; read what strangers made with [`StoredFile`], after a look at its size.
    pub fn read(&self, name: &str) -> Result<Bytes, StorageError> {
        match &self.backend {
            Backend::Local(_) => {
                let file = self.file(name)?;
                file.read_range(0..file.size())
            }
            Backend::Remote(remote) => {
                let name = self.name(name)?;
                remote.read(&name).map_err(|error| self.failed("read", &name, &error))
            }
        }
    }

    /// The bytes of `range` of the file `name`; fewer are an error.
    pub fn read_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        match &self.backend {
            Backend::Local(_) => self.file(name)?.read_range(range),
            Backend::Remote(remote) => {
                let name = self.name(name)?;
                read_remote(remote, &name, self.path(&name), range, None)
            }
        }
    }

    /// Opens the file `name` for reading many ranges of it.
    pub fn file(&self, name: &str) -> Result<StoredFile, StorageError> {
        let name = self.name(name)?;
        let path: Arc<str> = self.path(&name).into();
        match &self.backend {
            Backend::Local(local) => {
                let (file, size) = local.file(&name).map_err(|error| self.refused("open", &name, &error))?;
                Ok(StoredFile { size, path, bytes: FileBytes::Local(Arc::new(file)) })
            }
            Backend::Remote(remote) => {
                let size = remote.size(&name).map_err(|error| self.failed("open", &name, &error))?;
                let bytes = FileBytes::Remote(remote.clone(), name.into());
                Ok(StoredFile { size, path, bytes })
            }
        }
    }

    /// Bytes of the file `name`.
    pub fn size(&self, name: &str) -> Result<u64, StorageError> {
        let name = self.name(name)?;
        match &self.backend {
            Backend::Local(local) => {
                local.size(&name).map_err(|error| self.refused("ask the size of", &name, &error))
            }
            Backend::Remote(remote) => {
                remote.size(&name).map_err(|error| self.failed("ask the size of", &name, &error))
            }
        }
    }

    /// Whether there is a file `name`.
    pub fn exists(&self, name: &str) -> Result<bool, StorageError> {
        match self.size(name) {
            Ok(_) => Ok(true),
            Err(
                StorageError::Missing { .. }
                | StorageError::NotAFile { .. }
                | StorageError::NotAFolder { .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What lies directly in `folder` (the empty text is the storage itself), sorted by the bytes of the name.
    ///
    /// An object store has no folders, so one that does not exist there is empty.
    pub fn entries(&self, folder: &str) -> Result<Vec<Entry>, StorageError> {
        let folder = self.folder(folder)?;
        let mut entries = match &self.backend {
            Backend::Local(local) => {
                local.entries(&folder).map_err(|error| self.refused("list", &folder, &error))?
            }
            Backend::Remote(remote) => {
                remote.entries(&folder).map_err(|error| self.failed("list", &folder, &error))?
            }
        };
        entries.sort();
        Ok(entries)
    }

    /// The names of all files below `folder` (the empty text is the storage itself), sorted by their bytes; links to
    /// folders are not followed, so that a loop of links has an end.
    pub fn list(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        let folder = self.folder(folder)?;
        let mut names = Vec::new();
        match &self.backend {
            Backend::Local(_) => {
                let mut folders = vec![folder.into_owned()];
                while let Some(folder) = folders.pop() {
                    for entry in self.entries(&folder)? {
                        match entry {
                            Entry { is_folder: false, name, .. } => names.push(name),
                            Entry { is_link: false, name, .. } => folders.push(name),
                            Entry { .. } => {}
                        }
                    }
                }
            }
            Backend::Remote(remote) => {
                names = remote.list(&folder).map_err(|error| self.failed("list", &folder, &error))?;
            }
        }
        names.sort();
        Ok(names)
    }

    /// Makes the file `name` hold `bytes`, its folders included.
    ///
    /// At every moment, a crash included, the name shows the old file or the whole new one; when the call returns, the
    /// bytes are on the disk or accepted by the store.
    pub fn write(&self, name: &str, bytes: impl Into<Bytes>) -> Result<(), StorageError> {
        let (name, bytes) = (self.name(name)?, bytes.into());
        match &self.backend {
            Backend::Local(local) => {
                let fill = |file: &mut dyn Write| file.write_all(&bytes);
                let written = local.write_with(&name, self.unfinished.as_deref(), fill);
                written.and_then(|filled| filled).map_err(|error| self.refused("write", &name, &error))
            }
            Backend::Remote(remote) => {
                remote.write(&name, bytes).map_err(|error| self.failed("write", &name, &error))
            }
        }
    }

    /// As [`Storage::write`], if there is no file `name` yet; `false` if there is one. Of several writers one succeeds,
    /// except in object stores that know no conditional writes.
    pub fn write_new(&self, name: &str, bytes: impl Into<Bytes>) -> Result<bool, StorageError> {
        let (name, bytes) = (self.name(name)?, bytes.into());
        match &self.backend {
            Backend::Local(local) => local
                .write_new(&name, self.unfinished.as_deref(), &bytes)
                .map_err(|error| self.refused("write", &name, &error)),
            Backend::Remote(remote) => {
                remote.write_new(&name, bytes).map_err(|error| self.failed("write", &name, &error))
            }
        }
    }

    /// Makes the file `name` hold `pieces`, one after another, as [`Storage::write`] does and without holding all of them.
    ///
    /// A piece that is an error ends it, is returned, and leaves the old file.
    pub fn write_pieces<E: From<StorageError>>(
        &self,
        name: &str,
        pieces: impl IntoIterator<Item = Result<Vec<u8>, E>>,
    ) -> Result<(), E> {
        let name = self.name(name)?;
        match &self.backend {
            Backend::Local(local) => {
                let refused = |error| E::from(self.refused("write", &name, &error));
                let fill = |file: &mut dyn Write| {
                    pieces.into_iter().try_for_each(|piece| file.write_all(&piece?).map_err(refused))
                };
                local.write_with(&name, self.unfinished.as_deref(), fill).map_err(refused)?
            }
            Backend::Remote(remote) => {
                let failed = |error| E::from(self.failed("write", &name, &error));
                let (mut parts, mut held) = (None, Vec::new());
                for piece in pieces {
                    held.extend(piece?);
                    if held.len() >= remote::PIECE {
                        let parts = match &mut parts {
                            Some(parts) => parts,
                            none => none.insert(remote.parts(&name).map_err(failed)?),
                        };
                        parts.push(std::mem::take(&mut held).into()).map_err(failed)?;
                    }
                }
                match parts {
                    None => remote.write(&name, held.into()).map_err(failed),
                    Some(mut parts) => {
                        if !held.is_empty() {
                            parts.push(held.into()).map_err(failed)?;
                        }
                        parts.finish().map_err(failed)
                    }
                }
            }
        }
    }

    /// Removes the file `name`, and folders that become empty by it; a file that is not there is
    /// [`StorageError::Missing`].
    pub fn delete(&self, name: &str) -> Result<(), StorageError> {
        let name = self.name(name)?;
        match &self.backend {
            Backend::Local(local) => {
                local.delete(&name).map_err(|error| self.refused("delete", &name, &error))
            }
            Backend::Remote(remote) => {
                remote.delete(&name).map_err(|error| self.failed("delete", &name, &error))
            }
        }
    }

    /// Removes `folder` with all that is in it, if it is there.
    pub fn delete_folder(&self, folder: &str) -> Result<(), StorageError> {
        let folder = self.name(folder)?;
        match &self.backend {
            Backend::Local(local) => {
                local.delete_folder(&folder).map_err(|error| self.refused("delete", &folder, &error))
            }
            Backend::Remote(remote) => {
                remote.delete_folder(&folder).map_err(|error| self.failed("delete", &folder, &error))
            }
        }
    }

    /// The path or URL of the file `name`, for messages.
    pub fn path(&self, name: &str) -> String {
        name::join(self.location.trim_end_matches('/'), name)
    }

    fn name<'n>(&self, given: &'n str) -> Result<std::borrow::Cow<'n, str>, StorageError> {
        name::normal(given).map_err(|problem| self.no_name(given, problem))
    }

    fn folder<'n>(&self, given: &'n str) -> Result<std::borrow::Cow<'n, str>, StorageError> {
        name::normal_folder(given).map_err(|problem| self.no_name(given, problem))
    }

    fn no_name(&self, given: &str, problem: &'static str) -> StorageError {
        let name = given.chars().take(200).collect();
        StorageError::Name { storage: self.location.to_string(), name, problem }
    }

    fn refused(&self, action: &'static str, name: &str, error: &io::Error) -> StorageError {
        refused(action, self.path(name), error)
    }

    fn failed(&self, action: &'static str, name: &str, error: &object_store::Error) -> StorageError {
        StorageError::from_store(action, self.path(name), error)
    }
}
