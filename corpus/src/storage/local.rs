//! A folder of this machine, reached only through its own descriptor: no name, link or race leads out of it.
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::{Entry, StorageError, name};

#[derive(Debug)]
pub(super) struct Local {
    dir: Dir,
}

type Result<T> = io::Result<T>;

impl Local {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self { dir: Dir::open_ambient_dir(path, ambient_authority())? })
    }

    /// The file and its size.
    pub(super) fn file(&self, name: &str) -> Result<(File, u64)> {
        // Asked before opening, since opening a pipe would wait for somebody to write into it.
        if !self.dir.metadata(name)?.is_file() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let file = self.dir.open(name)?.into_std();
        let size = file.metadata()?.len();
        Ok((file, size))
    }

    pub(super) fn size(&self, name: &str) -> Result<u64> {
        let metadata = self.dir.metadata(name)?;
        if metadata.is_file() { Ok(metadata.len()) } else { Err(io::ErrorKind::IsADirectory.into()) }
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.write_with(name, |file| file.write_all(bytes)).and_then(|written| written)
    }

    /// Lets `fill` write the file. What it returns comes back; an error of its own leaves the old file.
    pub(super) fn write_with<E>(
        &self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> std::result::Result<(), E>,
    ) -> Result<std::result::Result<(), E>> {
        let (folder, file) = name::split(name);
        let made;
        let dir = if folder.is_empty() {
            &self.dir
        } else {
            made = match self.dir.open_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.dir.create_dir_all(folder)?;
                    self.dir.open_dir(folder)?
                }
                opened => opened?,
            };
            &made
        };
        let mut temporary = cap_tempfile::TempFile::new(dir)?;
        if let Err(error) = fill(&mut temporary) {
            return Ok(Err(error));
        }
        temporary.as_file().sync_all()?;
        temporary.replace(file)?;
        // The new name survives a power cut only once its folder is written too.
        dir.try_clone()?.into_std_file().sync_all().or_else(|error| match error.kind() {
            // Some file systems do not sync folders.
            io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => {
                Ok(())
            }
            _ => reopened_sync(dir, error),
        })?;
        Ok(Ok(()))
    }

    pub(super) fn delete(&self, name: &str) -> Result<()> {
        self.dir.remove_file(name)?;
        // A folder that became empty goes too, as it does in an object store. One that is not empty refuses to go.
        let mut folder = name::split(name).0;
        while !folder.is_empty() && self.dir.remove_dir(folder).is_ok() {
            folder = name::split(folder).0;
        }
        Ok(())
    }

    /// What lies directly in `folder`, in no order.
    ///
    /// Links are listed as what they lead to; those that lead nowhere or out of the storage count as files, so that
    /// reading them says what is wrong.
    pub(super) fn entries(&self, folder: &str) -> Result<Vec<Entry>> {
        let entries = if folder.is_empty() { self.dir.entries()? } else { self.dir.read_dir(folder)? };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            // A name that is not UTF-8 cannot be put into an index; it is shown with replacement characters, so that
            // whoever asks for it gets an error instead of silence.
            let name = name::join(folder, &entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            let is_link = kind.is_symlink();
            let is_folder = kind.is_dir()
                || (is_link && self.dir.metadata(&name).is_ok_and(|metadata| metadata.is_dir()));
            found.push(Entry { name, is_folder, is_link });
        }
        Ok(found)
    }
}

/// `cap-std` opens folders with `O_PATH` where it can, and such a descriptor cannot be synced.
fn reopened_sync(dir: &Dir, first: io::Error) -> Result<()> {
    match dir.open(".") {
        Ok(folder) => folder.sync_all(),
        Err(_) => Err(first),
    }
}

/// `StorageError` for `path` from what the operating system said.
pub(super) fn refused(action: &'static str, path: String, error: &io::Error) -> StorageError {
    StorageError::from_io(action, path, error)
}
