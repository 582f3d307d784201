//! Random generators that are a pure function of what they are for.
//!
//! Everything random in a step is keyed by (seed, step, logical rank), so that a step can be computed again, by any
//! worker, with the same result.
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a generator is used for; two purposes never share a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights and queues.
    Init = 0,
    /// Masked positions and their replacements.
    Masking = 1,
    /// Hard negatives.
    Negatives = 2,
    /// Dropout of the online network.
    Dropout = 3,
    /// Dropout of the momentum twin.
    TwinDropout = 4,
}

/// Names the random choices of one logical rank in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepKey {
    /// Seed of the job.
    pub seed: u64,
    /// Optimizer step, counted from 0.
    pub step: u64,
    /// Index in the job's fixed virtual world.
    pub logical_rank: u64,
}

impl StepKey {
    /// The generator for `purpose`. The four numbers are the ChaCha key itself, so distinct keys give independent
    /// streams.
    pub fn generator(&self, purpose: Purpose) -> ChaCha8Rng {
        let mut key = [0; 32];
        for (slot, word) in
            key.chunks_exact_mut(8).zip([self.seed, self.step, self.logical_rank, purpose as u64])
        {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        ChaCha8Rng::from_seed(key)
    }

    /// A 63-bit seed for `purpose`, for generators that take one number.
    pub fn seed_for(&self, purpose: Purpose) -> i64 {
        (self.generator(purpose).random::<u64>() >> 1) as i64
    }
}
