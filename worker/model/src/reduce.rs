//! Adding gradients of logical ranks in an order that does not depend on how many workers computed them.
use tch::Tensor;

use crate::error::{Error, Result};

/// Gradients of one logical rank, in the order of the parameters.
pub type RankGradients = Vec<Tensor>;

/// Adds the gradients of all logical ranks along one fixed binary tree: ranks 0+1, 2+3, …, then pairs of those sums.
/// The same inputs give the same bits wherever they were computed. Overwrites its inputs.
pub fn ordered_sum(mut ranks: Vec<RankGradients>) -> Result<RankGradients> {
    while ranks.len() > 1 {
        let mut next = Vec::with_capacity(ranks.len().div_ceil(2));
        let mut iter = ranks.into_iter();
        while let Some(mut left) = iter.next() {
            if let Some(right) = iter.next() {
                torch_ext::foreach::add(&mut left, &right)?;
            }
            next.push(left);
        }
        ranks = next;
    }
    ranks.pop().ok_or(Error::Input {
        what: "gradients to add",
        expected: "at least one logical rank".into(),
        found: "none".into(),
    })
}
