use crate::dedup::TooMany;
use crate::image::ImageError;
use crate::rules;
use crate::shard::{ManifestError, PackError, ReadError};
use crate::source::SourceError;
use crate::storage::StorageError;

/// Why a build ended before its end. What was done so far stays; the same command goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The build file is not what it should be.
    #[error("line {line}: {problem}")]
    File {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A value of the configuration is impossible.
    #[error("configuration: {field} = {value}: {problem}")]
    Config {
        /// The key.
        field: &'static str,
        /// What was given.
        value: String,
        /// What would be valid.
        problem: String,
    },
    /// A caption rule is impossible.
    #[error("configuration: {0}")]
    Rules(#[from] rules::Error),
    /// A source cannot be opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The output or a source's storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A corpus to exclude cannot be read.
    #[error("duplicates.exclude: {0}")]
    Exclude(#[from] ReadError),
    /// The output folder holds another build.
    #[error("{path:?} holds an unfinished build of another configuration: give another folder, or delete it")]
    OtherBuild {
        /// The folder.
        path: String,
    },
    /// The output folder holds a finished corpus of another configuration.
    #[error("{path:?} holds a finished corpus of another configuration: give another folder, or delete it")]
    OtherCorpus {
        /// The folder.
        path: String,
    },
    /// Another process builds into the same folder.
    #[error("another build is writing into {path:?}: wait for its end, or give another folder")]
    Busy {
        /// The output folder.
        path: String,
    },
    /// A source would read what is written.
    #[error("{out:?} is a folder that the source {source_path:?} reads: give a folder outside of it")]
    OutputInSource {
        /// The output folder.
        out: String,
        /// The source.
        source_path: String,
    },
    /// The sources hold nothing at all.
    #[error("no record in {sources}: check the paths, or give the sources' kinds in a build file")]
    NoRecords {
        /// The sources with the kinds that they were read as.
        sources: String,
    },
    /// The sources changed between two passes.
    #[error(
        "record {number} is not the one that was surveyed: a source changed; delete {path:?} and start again"
    )]
    Changed {
        /// Number of the record.
        number: u64,
        /// The folder of the unfinished build.
        path: String,
    },
    /// A file of the unfinished build is gone.
    #[error("{path:?} is gone: another build deleted it; give the same command again")]
    Gone {
        /// The file.
        path: String,
    },
    /// A file of the unfinished build is damaged.
    #[error("{path:?}: {problem}; delete the folder and start again")]
    Workspace {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// Nothing is left to write.
    #[error(
        "no record is left of {records}: see dropped.jsonl and report.json in {path:?} for the rules that took them"
    )]
    Nothing {
        /// Records read.
        records: u64,
        /// The output folder.
        path: String,
    },
    /// An image that was decoded once could not be stored.
    #[error("image of {origin}: {source}")]
    Image {
        /// Where the record stands.
        origin: String,
        /// Why.
        source: ImageError,
    },
    /// A sample could not be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The manifest could not be written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The tables of the duplicate rules are full.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Something could not be put into JSON, which valid records do not cause.
    #[error("a record cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}
