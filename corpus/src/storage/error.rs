use std::io;
use std::ops::Range;

/// Why a storage did not do what it was asked.
///
/// Every message is one line that names the path; paths are escaped, so that a line break inside one does not break
/// the line. Reasons of the operating system or of a remote store are part of the line, shortened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The text does not name a storage.
    #[error("{location:?} is no storage: {reason}")]
    Location {
        /// The path or URL given, without user and password.
        location: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// The name cannot be a file's name in any storage.
    #[error("{name:?} is not a name inside {storage:?}: {problem}")]
    Name {
        /// The storage.
        storage: String,
        /// The name given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The name leads out of the folder, through a link.
    #[error("{path:?} leads out of its folder through a link: put the file itself there")]
    Escapes {
        /// The path.
        path: String,
    },
    /// There is nothing at the path.
    #[error("{path:?} does not exist: check the path")]
    Missing {
        /// The path.
        path: String,
    },
    /// There is something at the path that has no bytes to read: a folder, a pipe, a device.
    #[error("{path:?} is not a file: give the path of a file")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// There is a file where a folder is needed.
    #[error("{path:?} is not a folder: give the path of a folder")]
    NotAFolder {
        /// The path.
        path: String,
    },
    /// The file is shorter than the range asked for.
    #[error(
        "{path:?} has no bytes {}..{}, only {size}: it is cut short, or its index is another file's",
        range.start,
        range.end
    )]
    Range {
        /// The path.
        path: String,
        /// The range asked for.
        range: Range<u64>,
        /// Bytes of the file.
        size: u64,
    },
    /// The file is larger than its reader allows.
    #[error(
        "{path:?} has {size} bytes, more than the limit of {limit}: raise the limit or leave the file out"
    )]
    TooLarge {
        /// The path.
        path: String,
        /// Bytes of the file or range.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// The operating system or the remote store refused.
    #[error("cannot {action} {path:?}: {reason}")]
    Failed {
        /// What was tried: "read", "list", …
        action: &'static str,
        /// The path.
        path: String,
        /// The answer, on one line.
        reason: String,
        /// Whether the same call may succeed later.
        transient: bool,
    },
}

impl StorageError {
    /// Whether the same call may succeed later: the network or a busy store failed, not the request.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Failed { transient: true, .. })
    }

    /// Whether the fault is the named file's own, so that another file of the storage may well be readable.
    ///
    /// The rest (no permission, a broken disk, a store that is not reached) says nothing about the data.
    pub fn blames_the_file(&self) -> bool {
        match self {
            Self::Name { .. }
            | Self::Escapes { .. }
            | Self::Missing { .. }
            | Self::NotAFile { .. }
            | Self::NotAFolder { .. }
            | Self::Range { .. }
            | Self::TooLarge { .. } => true,
            Self::Location { .. } | Self::Failed { .. } => false,
        }
    }

    pub(super) fn from_io(action: &'static str, path: String, error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::NotFound => Self::Missing { path },
            Kind::NotADirectory => Self::NotAFolder { path },
            Kind::IsADirectory => Self::NotAFile { path },
            // What `cap-std` says when a path leaves its folder; a plain refusal carries an errno instead.
            Kind::PermissionDenied if error.raw_os_error().is_none() => Self::Escapes { path },
            kind => {
                let transient = matches!(
                    kind,
                    Kind::Interrupted
                        | Kind::WouldBlock
                        | Kind::TimedOut
                        | Kind::ResourceBusy
                        | Kind::StaleNetworkFileHandle
                );
                Self::Failed { action, path, reason: one_line(&error.to_string()), transient }
            }
        }
    }

    pub(super) fn from_store(action: &'static str, path: String, error: &object_store::Error) -> Self {
        use object_store::Error as E;
        let reason = one_line(&error.to_string());
        let transient = match error {
            E::NotFound { .. } => return Self::Missing { path },
            // After its own retries the store reports as `Generic` what the network did, and also the statuses it has no
            // error for; of those, a refusal (4xx) stays one unless it says "too late" or "too many".
            E::Generic { .. } => {
                let status = reason.split_once("status code: ").map_or("", |(_, status)| status);
                !status.starts_with('4') || status.starts_with("408") || status.starts_with("429")
            }
            _ => false,
        };
        Self::Failed { action, path, reason, transient }
    }
}

/// `text` on one line of at most 300 characters.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut line = String::new();
    for (count, c) in text.split_whitespace().collect::<Vec<_>>().join(" ").chars().enumerate() {
        if count == LONGEST {
            line.push('…');
            break;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    line
}
