use albef_corpus::order::OrderError;
use albef_corpus::shard::ReadError;

use super::picture::PictureError;

/// Why a step cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The corpora cannot be ordered.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The configuration of the augmentation is wrong.
    #[error(transparent)]
    Augment(#[from] albef_corpus::augment::Error),
    /// The text encoder's vocabulary or its limits are wrong.
    #[error(transparent)]
    Text(#[from] albef_corpus::text::Error),
    /// The storage did not give the bytes that were written, and asking again did not help.
    #[error("step {step}, logical rank {logical_rank}, sample {index}: {source}")]
    Read {
        /// The step.
        step: u64,
        /// The logical rank.
        logical_rank: u64,
        /// Its index in the batch.
        index: u64,
        /// What happened.
        source: ReadError,
    },
    /// One picture after another could not be decoded.
    #[error(
        "step {step}, logical rank {logical_rank}, sample {index}: {tries} pictures in a row cannot be decoded, \
         the last at {place}; build the corpus again"
    )]
    NoPicture {
        /// The step.
        step: u64,
        /// The logical rank.
        logical_rank: u64,
        /// Its index in the batch.
        index: u64,
        /// How many were tried.
        tries: u64,
        /// Where the last of them lies.
        place: String,
        /// What is wrong with it.
        source: PictureError,
    },
    /// Threads cannot be started.
    #[error("the loader's threads cannot be started: {0}; lower data.threads")]
    Threads(String),
    /// A thread of the loader ended without a word.
    #[error("the loader ended before step {0}: one of its threads failed, and its message stands above")]
    Ended(u64),
}
