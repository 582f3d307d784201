//! What callers that share a step's logical ranks tell each other.
use tch::Tensor;

use crate::error::Result;
use crate::forward::MicroBatch;
use crate::trainer::LocalStep;

/// The logical ranks that one caller computes: a contiguous block.
#[derive(Debug, Clone, Copy)]
pub struct Share<'a> {
    /// The first of them.
    pub first_rank: u64,
    /// One micro-batch each.
    pub batches: &'a [MicroBatch],
}

/// The way from one caller's share to the whole step.
pub trait Exchange {
    /// Called once a step, when this caller's share is computed. Returns the results of all logical ranks, in order.
    ///
    /// With [`Reduction::Ordered`](crate::trainer::Reduction::Ordered) that includes every rank's gradients, and `sums`
    /// is empty. With [`Reduction::Accumulate`](crate::trainer::Reduction::Accumulate) `sums` are this caller's
    /// gradients, and become those of all callers added up.
    fn all_ranks(&mut self, own: LocalStep, sums: &mut [Tensor]) -> Result<LocalStep>;
}

/// A caller that computes every logical rank itself.
#[derive(Debug, Clone, Copy)]
pub struct Alone;

impl Exchange for Alone {
    fn all_ranks(&mut self, own: LocalStep, _sums: &mut [Tensor]) -> Result<LocalStep> {
        Ok(own)
    }
}
