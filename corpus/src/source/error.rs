use crate::storage::StorageError;

/// Why a source as a whole cannot be read. A record that cannot be read is a [`BadRecord`](crate::record::BadRecord).
///
/// Every message is one line that names the place and the remedy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Its storage did not give it.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The kind of the source is not to be told from its name or content.
    #[error("cannot tell what {location:?} is{hint}: give its kind, one of {}", super::Kind::NAMES)]
    Unknown {
        /// The path or URL.
        location: String,
        /// What was seen, or nothing.
        hint: &'static str,
    },
    /// The kind's name is unknown.
    #[error("{name:?} is no kind of source: give one of {}", super::Kind::NAMES)]
    Kind {
        /// The name given.
        name: String,
    },
    /// A folder has none of the files that the kind needs.
    #[error("no {wanted} in {location:?}: check the path, or give another kind of source")]
    NoFiles {
        /// The path or URL.
        location: String,
        /// What was looked for.
        wanted: &'static str,
    },
    /// The file is not what its kind says.
    #[error("{path:?} is not {wanted}: {reason}")]
    NotThat {
        /// The file.
        path: String,
        /// What it should be, with its article.
        wanted: &'static str,
        /// What is wrong, on one line.
        reason: String,
    },
    /// The file is compressed as a whole, and its parts are read from where they lie.
    #[error("{path:?} is compressed, and images are read from their places in it: unpack it first (gunzip)")]
    Compressed {
        /// The file.
        path: String,
    },
    /// A table lacks a column.
    #[error("{path:?} has no column {wanted:?}: it has {found}; name the columns of image and caption")]
    Column {
        /// The file.
        path: String,
        /// The column looked for.
        wanted: String,
        /// The columns there are.
        found: String,
    },
    /// A table has two columns of one name.
    #[error("{path:?} has two columns {name:?}: rename one of them")]
    TwoColumns {
        /// The file.
        path: String,
        /// The name.
        name: String,
    },
    /// The build has no reader for the kind.
    #[error("{path:?} is a Parquet file: build with the cargo feature \"parquet\" to read it")]
    NoParquet {
        /// The file.
        path: String,
    },
}
