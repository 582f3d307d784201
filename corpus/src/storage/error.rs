use std::io;
use std::ops::Range;

use rustix::io::Errno;

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
    /// A link that leads to itself, through others or at once.
    #[error("{path:?} is a link that leads in a circle: put the file itself there")]
    Circle {
        /// The path.
        path: String,
    },
    /// The store or the file system has no files of such a name.
    #[error("{path:?} cannot be the name of a file here: {problem}")]
    BadName {
        /// The path, at most 200 characters.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
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
    /// The disk is full, or the part of it that one may use.
    #[error("no space is left for {path:?}: make room and give the same command again")]
    Full {
        /// The path.
        path: String,
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
            | Self::Circle { .. }
            | Self::BadName { .. }
            | Self::Missing { .. }
            | Self::NotAFile { .. }
            | Self::NotAFolder { .. }
            | Self::Range { .. }
            | Self::TooLarge { .. } => true,
            Self::Location { .. } | Self::Full { .. } | Self::Failed { .. } => false,
        }
    }

    pub(super) fn from_io(action: &'static str, path: String, error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::NotFound => Self::Missing { path },
            Kind::NotADirectory => Self::NotAFolder { path },
            Kind::IsADirectory => Self::NotAFile { path },
            Kind::StorageFull | Kind::QuotaExceeded => Self::Full { path },
            Kind::InvalidFilename => Self::bad_name(&path, TOO_LONG),
            _ if Errno::from_io_error(error) == Some(Errno::LOOP) => Self::Circle { path },
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
                ) || Errno::from_io_error(error) == Some(Errno::IO); // what a soft mount says of a server that is away
                Self::Failed { action, path, reason: one_line(&error.to_string()), transient }
            }
        }
    }

    pub(super) fn from_store(action: &'static str, path: String, error: &object_store::Error) -> Self {
        use object_store::Error as E;
        let reason = one_line(&error.to_string());
        let transient = match error {
            E::NotFound { .. } => return Self::Missing { path },
            E::InvalidPath { .. } => return Self::bad_name(&path, "it has a control character"),
            E::Generic { .. } if reason.contains("KeyTooLong") => return Self::bad_name(&path, TOO_LONG),
            // After its own retries the store reports as `Generic` what the network did, and also the statuses it has no
            // error for; of those, a refusal (4xx) stays one unless it says "too late" or "too many".
            E::Generic { .. } => {
                let status = reason.split_once("status code: ").map_or("", |(_, status)| status);
                !status.starts_with('4') || status.starts_with("408") || status.starts_with("429")
            }
            // Replaced while it was read.
            E::Precondition { .. } => true,
            _ => false,
        };
        let reason = remedy(error, &reason).map_or(reason.clone(), str::to_owned);
        Self::Failed { action, path, reason, transient }
    }

    fn bad_name(path: &str, problem: &'static str) -> Self {
        Self::BadName { path: path.chars().take(200).collect(), problem }
    }
}

const TOO_LONG: &str = "it, or a part of it, is longer than names may be";

/// What a store means by an answer that does not say what to do.
fn remedy(error: &object_store::Error, reason: &str) -> Option<&'static str> {
    use object_store::Error as E;
    match error {
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            Some("the store refuses: check its credentials and what they may do")
        }
        E::Generic { .. } if reason.contains("NoSuchBucket") => {
            Some("there is no such bucket: check its name")
        }
        // The address where a machine in Amazon's cloud asks for its role.
        E::Generic { .. } if reason.contains("169.254.169.254") => Some(
            "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket",
        ),
        // The client's words for an address without TLS.
        E::Generic { .. } if reason.contains("builder error") => {
            Some("the address of the store cannot be used: if it begins with http, set AWS_ALLOW_HTTP=true")
        }
        _ => None,
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
