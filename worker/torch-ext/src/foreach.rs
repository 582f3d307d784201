//! Operators over lists of tensors: `at::_foreach_*`.
use tch::Tensor;

use crate::TorchError;
use crate::ffi::{self, check, handles};

fn same_length(what: &'static str, left: usize, right: usize) -> Result<(), TorchError> {
    if left == right { Ok(()) } else { Err(TorchError::LengthMismatch { what, left, right }) }
}

pub(crate) fn all_defined(what: &'static str, tensors: &[Tensor]) -> Result<(), TorchError> {
    match tensors.iter().position(|t| !t.defined()) {
        None => Ok(()),
        Some(index) => Err(TorchError::Undefined { what, index }),
    }
}

/// `target ← target + weight · (end − target)`, for every pair, in place and without gradient.
///
/// With `weight = 1 − m` this is the exponential moving average `m·target + (1 − m)·end`.
pub fn lerp(targets: &mut [Tensor], ends: &[Tensor], weight: f64) -> Result<(), TorchError> {
    same_length("foreach lerp", targets.len(), ends.len())?;
    all_defined("foreach lerp", targets)?;
    all_defined("foreach lerp", ends)?;
    let (t, e) = (handles(targets), handles(ends));
    // SAFETY: both arrays hold `n` live handles, borrowed for the length of the call.
    check(unsafe { ffi::tx_foreach_lerp(t.as_ptr(), e.as_ptr(), t.len(), weight) })
}

/// `target ← target + other`, for every pair, in place and without gradient.
pub fn add(targets: &mut [Tensor], others: &[Tensor]) -> Result<(), TorchError> {
    same_length("foreach add", targets.len(), others.len())?;
    all_defined("foreach add", targets)?;
    all_defined("foreach add", others)?;
    let (t, o) = (handles(targets), handles(others));
    // SAFETY: as in `lerp`.
    check(unsafe { ffi::tx_foreach_add(t.as_ptr(), o.as_ptr(), t.len()) })
}

/// `target ← target · factor`, in place and without gradient; `factor` is one number on the tensors' device, so
/// that a factor computed there (gradient clipping) needs no round trip.
pub fn mul(targets: &mut [Tensor], factor: &Tensor) -> Result<(), TorchError> {
    all_defined("foreach mul", targets)?;
    let t = handles(targets);
    // SAFETY: as in `lerp`; `factor` is a live handle.
    check(unsafe { ffi::tx_foreach_mul(t.as_ptr(), t.len(), factor.as_ptr()) })
}

/// The 2-norm of all tensors taken as one vector, as a tensor of no dimensions on their device.
pub fn global_norm(tensors: &[Tensor]) -> Result<Tensor, TorchError> {
    all_defined("global norm", tensors)?;
    let t = handles(tensors);
    let mut out = std::ptr::null_mut();
    // SAFETY: as in `lerp`; on success the shim hands over ownership of one new handle.
    unsafe {
        check(ffi::tx_global_norm(t.as_ptr(), t.len(), &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// Drops every tensor's gradient, which frees its memory; the next backward pass allocates it anew.
pub fn clear_grads(tensors: &[Tensor]) -> Result<(), TorchError> {
    all_defined("clear gradients", tensors)?;
    let t = handles(tensors);
    // SAFETY: as in `lerp`. The gradient is interior state of the tensor that tch, too, changes through `&self`.
    check(unsafe { ffi::tx_clear_grads(t.as_ptr(), t.len()) })
}

/// Makes `grad`, which has the shape of `tensor`, its gradient.
pub fn set_grad(tensor: &Tensor, grad: &Tensor) -> Result<(), TorchError> {
    if !tensor.defined() || !grad.defined() || tensor.size() != grad.size() {
        return Err(TorchError::Libtorch("a gradient must have the shape of its tensor".to_owned()));
    }
    // SAFETY: two live handles; see `clear_grads` on interior state.
    check(unsafe { ffi::tx_set_grad(tensor.as_ptr(), grad.as_ptr()) })
}
