//! A folder of this machine, reached only through its own descriptor: no name, link or race leads out of it.
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File as CapFile, OpenOptions};

use super::{Entry, StorageError, name};

#[derive(Debug)]
pub(super) struct Local {
    dir: Dir,
    path: PathBuf,
}

type Result<T> = io::Result<T>;

impl Local {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self { dir, path: path.canonicalize().unwrap_or_else(|_| path.to_owned()) })
    }

    /// Where the folder was when it was opened, without links.
    pub(super) fn path(&self) -> &Path {
        &self.path
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

    /// Lets `fill` write the file. What it returns comes back; an error of its own leaves the old file.
    ///
    /// Until it is whole it lies in the folder `unfinished`, or beside its place.
    pub(super) fn write_with<E>(
        &self,
        name: &str,
        unfinished: Option<&str>,
        fill: impl FnOnce(&mut dyn Write) -> std::result::Result<(), E>,
    ) -> Result<std::result::Result<(), E>> {
        let (folder, file) = name::split(name);
        let home = self.folder(folder)?;
        let place = self.folder(unfinished.unwrap_or(folder))?;
        let mut whole = Unfinished::new(&place)?;
        if let Err(error) = fill(&mut whole.file) {
            return Ok(Err(error));
        }
        whole.file.sync_all()?;
        whole.replace(&home, file)?;
        sync_folder(&home)?;
        Ok(Ok(()))
    }

    /// Writes the file if there is none of that name; `false` if there is one.
    pub(super) fn write_new(&self, name: &str, unfinished: Option<&str>, bytes: &[u8]) -> Result<bool> {
        let (folder, file) = name::split(name);
        let home = self.folder(folder)?;
        let place = self.folder(unfinished.unwrap_or(folder))?;
        let mut whole = Unfinished::new(&place)?;
        whole.file.write_all(bytes)?;
        whole.file.sync_all()?;
        // Unlike a rename, a second name is refused where there is a file.
        match place.hard_link(&whole.name, &home, file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            linked => linked?,
        }
        sync_folder(&home)?;
        Ok(true)
    }

    /// The file `name`, made if need be, locked for this process; `None` if another holds it.
    pub(super) fn lock(&self, name: &str) -> Result<Option<File>> {
        let (folder, file) = name::split(name);
        let file = self.folder(folder)?.open_with(file, OpenOptions::new().write(true).create(true))?;
        let file = file.into_std();
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            // A file system without locks; what is written there is still whole.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(Some(file)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// A folder in this one, made if need be.
    fn folder(&self, name: &str) -> Result<Dir> {
        if name.is_empty() {
            return self.dir.try_clone();
        }
        match self.dir.open_dir(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.dir.create_dir_all(name)?;
                self.dir.open_dir(name)
            }
            opened => opened,
        }
    }

    /// Removes a folder with all that is in it, if it is there.
    pub(super) fn delete_folder(&self, name: &str) -> Result<()> {
        match self.dir.remove_dir_all(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
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

/// A file that is being written; it is removed unless it gets its name.
struct Unfinished<'d> {
    dir: &'d Dir,
    name: String,
    file: CapFile,
    has_place: bool,
}

impl<'d> Unfinished<'d> {
    fn new(dir: &'d Dir) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!(".unfinished-{}-{number}", std::process::id());
            match dir.open_with(&name, OpenOptions::new().write(true).create_new(true)) {
                // Left by a killed process that had the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                opened => return Ok(Self { dir, name, file: opened?, has_place: false }),
            }
        }
    }

    fn replace(mut self, home: &Dir, name: &str) -> Result<()> {
        self.dir.rename(&self.name, home, name)?;
        self.has_place = true;
        Ok(())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.has_place {
            // Whoever dropped it reports why; that a file stays is not worth more.
            let _ = self.dir.remove_file(&self.name);
        }
    }
}

/// A new name survives a power cut only once its folder is written too.
fn sync_folder(dir: &Dir) -> Result<()> {
    dir.try_clone()?.into_std_file().sync_all().or_else(|error| match error.kind() {
        // Some file systems do not sync folders.
        io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => Ok(()),
        _ => reopened_sync(dir, error),
    })
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
