//! Debian packages, downloaded with the user's own `apt-get` and unpacked with `dpkg-deb`.
//!
//! `apt-get download` needs no root: it takes the version that the user's release has, from the sources, proxy and keys
//! that the user has set, and checks its signature. What is unpacked is read through a [`Storage`], so no link of a
//! package leads out of it.
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::{FetchError, failed};
use crate::storage::{Storage, StorageError, one_line};

/// The programs that fetch and unpack Debian packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    /// apt-get.
    pub apt_get: PathBuf,
    /// dpkg-deb.
    pub dpkg_deb: PathBuf,
}

impl Default for Tools {
    /// Those on the user's `PATH`.
    fn default() -> Self {
        Self { apt_get: "apt-get".into(), dpkg_deb: "dpkg-deb".into() }
    }
}

/// A package as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its name.
    pub package: String,
    /// Its version, which is that of the user's release.
    pub version: String,
    /// BLAKE3 of its archive, hexadecimal.
    pub blake3: String,
}

impl Tools {
    /// Says early that there is no dpkg-deb, before anything large is downloaded.
    pub(super) fn check(&self) -> Result<(), FetchError> {
        self.dpkg_deb("--version", [OsStr::new("--version")]).map(drop)
    }

    /// The archive of `package`, downloaded into the empty folder `work`.
    pub(super) fn download(&self, package: &str, work: &Path) -> Result<PathBuf, FetchError> {
        let refused = |reason| FetchError::AptGet { package: package.to_owned(), reason };
        let output = Command::new(&self.apt_get)
            .args(["-qq", "download", package])
            .current_dir(work)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => FetchError::NoAptGet { program: self.apt_get.clone() },
                _ => refused(one_line(&error.to_string())),
            })?;
        if !output.status.success() {
            return Err(refused(complaint(&output)));
        }
        let entries = fs::read_dir(work).map_err(failed("list", work))?;
        let mut files = entries.filter_map(Result::ok).map(|entry| entry.path());
        let archive = files.find(|path| path.extension().is_some_and(|extension| extension == "deb"));
        archive.ok_or_else(|| refused("it wrote no archive".to_owned()))
    }

    /// What `archive` says of itself.
    pub(super) fn release(&self, package: &'static str, archive: &Path) -> Result<Release, FetchError> {
        let output =
            self.dpkg_deb(package, [OsStr::new("-f"), archive.as_os_str(), OsStr::new("Version")])?;
        let version = one_line(&String::from_utf8_lossy(&output.stdout));
        if version.is_empty() {
            return Err(contents(package, "it does not say its version"));
        }
        let file = File::open(archive).map_err(failed("open", archive))?;
        let mut hash = blake3::Hasher::new();
        hash.update_reader(file).map_err(failed("read", archive))?;
        Ok(Release { package: package.to_owned(), version, blake3: hash.finalize().to_hex().to_string() })
    }

    /// The files of `archive`, unpacked into the folder `into`.
    pub(super) fn unpack(
        &self,
        package: &'static str,
        archive: &Path,
        into: &Path,
    ) -> Result<Unpacked, FetchError> {
        self.dpkg_deb(package, [OsStr::new("-x"), archive.as_os_str(), into.as_os_str()])?;
        Ok(Unpacked { package, storage: Storage::open_path(into)? })
    }

    fn dpkg_deb<'a>(
        &self,
        package: &str,
        args: impl IntoIterator<Item = &'a OsStr>,
    ) -> Result<Output, FetchError> {
        let refused = |reason| FetchError::DpkgDeb { package: package.to_owned(), reason };
        let output = Command::new(&self.dpkg_deb).args(args).stdin(Stdio::null()).output();
        let output = output.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FetchError::NoDpkgDeb { program: self.dpkg_deb.clone() },
            _ => refused(one_line(&error.to_string())),
        })?;
        match output.status.success() {
            true => Ok(output),
            false => Err(refused(complaint(&output))),
        }
    }
}

/// Why a program failed, in its own words; of apt's, those that are no warnings.
fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("E: ")).collect();
    let said = if errors.is_empty() { one_line(&said) } else { one_line(&errors.join(" ")) };
    if said.is_empty() { format!("it failed with {}", output.status) } else { said }
}

pub(super) fn contents(package: &str, reason: &str) -> FetchError {
    FetchError::Contents { package: package.to_owned(), reason: one_line(reason) }
}

/// An unpacked package, of which nothing is believed.
pub(super) struct Unpacked {
    package: &'static str,
    storage: Storage,
}

impl Unpacked {
    /// Names of all files below `folder`, links to files included, sorted by their bytes.
    pub(super) fn files(&self, folder: &str) -> Result<Vec<String>, FetchError> {
        self.storage.list(folder).map_err(|error| match error {
            StorageError::Missing { .. } | StorageError::NotAFolder { .. } => {
                self.broken(&format!("it has no folder {folder:?}"))
            }
            error => self.refused(folder, error),
        })
    }

    /// The bytes of the file `name`; none if there is no such file.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Bytes>, FetchError> {
        match self.storage.file(name).and_then(|file| file.read_all(limit)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(
                StorageError::Missing { .. }
                | StorageError::NotAFile { .. }
                | StorageError::NotAFolder { .. }
                | StorageError::Name { .. },
            ) => Ok(None),
            Err(error) => Err(self.refused(name, error)),
        }
    }

    /// The error for a package that is not as it should be.
    pub(super) fn broken(&self, reason: &str) -> FetchError {
        contents(self.package, reason)
    }

    fn refused(&self, name: &str, error: StorageError) -> FetchError {
        match error {
            StorageError::Escapes { .. } => {
                self.broken(&format!("its {name:?} is a link that leads out of it"))
            }
            StorageError::TooLarge { size, limit, .. } => {
                self.broken(&format!("its {name:?} has {size} bytes, more than {limit}"))
            }
            error => FetchError::Storage(error),
        }
    }
}
