//! Which sample is read at which position of the stream: a pure function of (seed, position).
//!
//! A job reads one endless stream. Position `P` belongs to epoch `P / N`, where `N` is the number of samples of an epoch,
//! and to the logical rank `P mod G / B`, where `B` is the local batch and `G = V · B` the global one. Within an epoch the
//! shards are permuted and laid end to end; each logical rank gets a contiguous stretch of them, its *lane*, and reads it
//! in windows of some shards whose samples are permuted together. So a rank keeps few shards open, an epoch reads hardly
//! more than the corpus, every sample comes exactly once per epoch, and nothing depends on how many workers there are.
//!
//! Memory is one entry per shard; nothing is kept per sample.
mod epoch;
mod permutation;

pub use epoch::{Epoch, Place};
pub use permutation::{Key, Permutation, Purpose};

/// A corpus as the order sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct CorpusShape {
    /// Samples of each shard.
    pub shards: Vec<u64>,
    /// How often an epoch reads each sample on average.
    pub weight: f64,
}

/// What decides the order besides the corpora.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderConfig {
    /// Seed of the job.
    pub seed: u64,
    /// Logical ranks of the job, V.
    pub logical_ranks: u64,
    /// Samples of one logical rank in a step, B.
    pub local_batch: u64,
    /// Shards whose samples are permuted together.
    pub window: usize,
}

/// Why an order cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// A number is zero.
    #[error("{0} is 0: it must be at least 1")]
    Zero(&'static str),
    /// A weight is not a positive number.
    #[error("weight of corpus {corpus} is {weight}: it must be a positive number")]
    Weight {
        /// Position of the corpus in its list.
        corpus: usize,
        /// The weight given.
        weight: f64,
    },
    /// Nothing to read.
    #[error("corpus {corpus} gives no sample to an epoch: it has {samples} samples at weight {weight}")]
    Empty {
        /// Position of the corpus in its list.
        corpus: usize,
        /// Its samples.
        samples: u64,
        /// Its weight.
        weight: f64,
    },
    /// The numbers overflow.
    #[error("an epoch of more than 2^62 samples cannot be ordered")]
    TooLong,
}

/// The order of a job's stream.
#[derive(Debug, Clone)]
pub struct Order {
    config: OrderConfig,
    corpora: Vec<Corpus>,
    epoch_len: u64,
}

#[derive(Debug, Clone)]
struct Corpus {
    shards: Vec<u64>,
    samples: u64,
    /// Samples that an epoch reads.
    share: u64,
}

const LONGEST: u64 = 1 << 62;

impl Order {
    /// The order of the mixture of `corpora`.
    pub fn new(corpora: Vec<CorpusShape>, config: OrderConfig) -> Result<Self, OrderError> {
        for (name, value) in [
            ("logical_ranks", config.logical_ranks),
            ("local_batch", config.local_batch),
            ("window", config.window as u64),
            ("number of corpora", corpora.len() as u64),
        ] {
            if value == 0 {
                return Err(OrderError::Zero(name));
            }
        }
        let corpora = corpora
            .into_iter()
            .enumerate()
            .map(|(corpus, CorpusShape { shards, weight })| {
                if !(weight.is_finite() && weight > 0.0) {
                    return Err(OrderError::Weight { corpus, weight });
                }
                let samples = sum(shards.iter().copied()).ok_or(OrderError::TooLong)?;
                let share = (samples as f64 * weight).round();
                if share < 1.0 {
                    return Err(OrderError::Empty { corpus, samples, weight });
                }
                // Exact where no rounding is asked for.
                let share = if weight == 1.0 { samples } else { share as u64 };
                Ok(Corpus { shards, samples, share })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let epoch_len = sum(corpora.iter().map(|c| c.share)).ok_or(OrderError::TooLong)?;
        if config.logical_ranks.checked_mul(config.local_batch).is_none_or(|g| g > LONGEST) {
            return Err(OrderError::TooLong);
        }
        Ok(Self { config, corpora, epoch_len })
    }

    /// Samples of an epoch, N.
    pub fn epoch_len(&self) -> u64 {
        self.epoch_len
    }

    /// Samples of a step, G.
    pub fn global_batch(&self) -> u64 {
        self.config.logical_ranks * self.config.local_batch
    }

    /// The epoch that `position` lies in.
    pub fn epoch_of(&self, position: u64) -> u64 {
        position / self.epoch_len
    }

    /// The position of sample `index` of `logical_rank`'s batch in `step`.
    pub fn position(&self, step: u64, logical_rank: u64, index: u64) -> u64 {
        step * self.global_batch() + logical_rank * self.config.local_batch + index
    }

    /// The order of one epoch; costs one pass over the shards.
    pub fn epoch(&self, epoch: u64) -> Epoch<'_> {
        Epoch::new(self, epoch)
    }

    /// Which of `captions` is read at `position`. `captions` must not be zero.
    pub fn caption(&self, position: u64, captions: u64) -> u64 {
        let path = [self.epoch_of(position), position];
        Key::new(self.config.seed, Purpose::Caption, path).below(captions)
    }
}

/// The sum, unless it is beyond what can be ordered.
fn sum(mut numbers: impl Iterator<Item = u64>) -> Option<u64> {
    numbers.try_fold(0_u64, |sum, n| sum.checked_add(n).filter(|&s| s <= LONGEST))
}
