use std::io;
use std::path::{Path, PathBuf};

use crate::storage::{StorageError, one_line};

/// Why a package could not be fetched.
///
/// Every message is one line that names the place and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// There is no npm.
    #[error("cannot run {program:?}: install Node.js with npm (on Debian: apt-get install npm)")]
    NoNpm {
        /// The program looked for.
        program: PathBuf,
    },
    /// npm could not be started, or failed.
    #[error("npm pack {package}: {reason}; check that npm reaches its registry (npm ping)")]
    Npm {
        /// Package and version.
        package: String,
        /// What it said, on one line.
        reason: String,
    },
    /// The package is not what a package is.
    #[error("the package {package} cannot be unpacked: {reason}")]
    Package {
        /// Package and version.
        package: String,
        /// What is wrong, on one line.
        reason: String,
    },
    /// There is no apt-get.
    #[error(
        "cannot run {program:?}: this corpus comes from Debian packages; fetch it on Debian, Ubuntu or a container of one"
    )]
    NoAptGet {
        /// The program looked for.
        program: PathBuf,
    },
    /// There is no dpkg-deb.
    #[error(
        "cannot run {program:?}: install dpkg, which unpacks Debian packages (on Debian: apt-get install dpkg)"
    )]
    NoDpkgDeb {
        /// The program looked for.
        program: PathBuf,
    },
    /// apt-get could not be started, or failed.
    #[error(
        "apt-get download {package}: {reason}; refresh the lists (apt-get update, as root) and check that your release \
         has the package (apt-cache policy {package})"
    )]
    AptGet {
        /// The package.
        package: String,
        /// What it said, on one line.
        reason: String,
    },
    /// dpkg-deb could not be started, or failed.
    #[error("dpkg-deb on {package}: {reason}; check that the disk has room, and fetch it again")]
    DpkgDeb {
        /// The package.
        package: String,
        /// What it said, on one line.
        reason: String,
    },
    /// The content of a Debian package is not what is looked for in it.
    #[error(
        "the package {package} cannot be used: {reason}; fetch it again, or from another release of the distribution"
    )]
    Contents {
        /// The package.
        package: String,
        /// What is wrong, on one line.
        reason: String,
    },
    /// Something else lies where the corpus should.
    #[error("{path:?} is there and is no finished fetch: move it away, or give another folder")]
    Occupied {
        /// The path.
        path: PathBuf,
    },
    /// The folder cannot be written.
    #[error("cannot {action} {path:?}: {reason}")]
    Folder {
        /// What was tried.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

pub(super) fn failed<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> FetchError + 'p {
    move |error| FetchError::Folder { action, path: path.to_owned(), reason: one_line(&error.to_string()) }
}
