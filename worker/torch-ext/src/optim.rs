//! The fused AdamW operator, `at::_fused_adamw_`: one pass over the memory of parameters, gradients and moments.
use tch::Tensor;

use crate::TorchError;
use crate::ffi::{self, check, handles};
use crate::foreach::all_defined;

/// Numbers of one AdamW update (Loshchilov & Hutter 2019, arXiv:1711.05101).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
}

/// One group's tensors, position by position.
#[derive(Debug)]
pub struct Group<'a> {
    /// Parameters, updated in place.
    pub params: &'a mut [Tensor],
    /// Their gradients.
    pub grads: &'a [Tensor],
    /// First moments, updated in place.
    pub exp_avgs: &'a mut [Tensor],
    /// Second moments, updated in place.
    pub exp_avg_sqs: &'a mut [Tensor],
}

impl AdamW {
    /// Applies one update to `group`. `step` is a float tensor of no dimensions that holds the number of this update,
    /// counted from 1, on the parameters' device.
    pub fn apply(&self, group: Group<'_>, step: &Tensor) -> Result<(), TorchError> {
        const WHAT: &str = "fused AdamW";
        let n = group.params.len();
        for (len, list) in [
            (group.grads.len(), group.grads),
            (group.exp_avgs.len(), &*group.exp_avgs),
            (group.exp_avg_sqs.len(), &*group.exp_avg_sqs),
        ] {
            if len != n {
                return Err(TorchError::LengthMismatch { what: WHAT, left: n, right: len });
            }
            all_defined(WHAT, list)?;
        }
        all_defined(WHAT, group.params)?;
        if n == 0 {
            return Ok(());
        }
        let params = handles(group.params);
        let grads = handles(group.grads);
        let exp_avgs = handles(group.exp_avgs);
        let exp_avg_sqs = handles(group.exp_avg_sqs);
        // SAFETY: four arrays of `n` live handles and one more, all borrowed for the length of the call.
        check(unsafe {
            ffi::tx_fused_adamw(
                params.as_ptr(),
                grads.as_ptr(),
                exp_avgs.as_ptr(),
                exp_avg_sqs.as_ptr(),
                n,
                step.as_ptr(),
                self.lr,
                self.beta1,
                self.beta2,
                self.weight_decay,
                self.eps,
            )
        })
    }
}
