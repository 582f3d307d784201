//! The error type of the crate.
use std::path::PathBuf;

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something in this crate was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A size in the configuration is impossible.
    #[error("configuration: {field} = {value}: {problem}")]
    Config {
        /// Path of the key, for example `text.heads`.
        field: &'static str,
        /// What was given.
        value: String,
        /// What is wrong and what would be valid.
        problem: String,
    },
    /// An input tensor does not fit.
    #[error("{what}: expected {expected}, found {found}")]
    Input {
        /// Which input.
        what: &'static str,
        /// What it must look like.
        expected: String,
        /// What it looks like.
        found: String,
    },
    /// A step method was called out of turn.
    #[error("step {asked} cannot {verb}: {state}")]
    Step {
        /// The step that was named.
        asked: u64,
        /// `begin`, `compute` or `commit`.
        verb: &'static str,
        /// Where the trainer stands.
        state: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Tensors of a file do not fit the model; every offender is listed.
    #[error("{source_name}: {report}")]
    Weights {
        /// Where the tensors came from.
        source_name: String,
        /// Every missing, surplus and wrongly shaped tensor.
        report: crate::weights::Mismatch,
    },
    /// libtorch refused or failed.
    #[error(transparent)]
    Torch(#[from] torch_ext::TorchError),
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        Self::Torch(error.into())
    }
}
