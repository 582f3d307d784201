//! Linear layers with float32 weights that keep little for the backward pass.
//!
//! Activations may be float32 or bfloat16; weights are cast to their type, in the backward pass again, and gradients
//! of weights come out in float32.
use tch::Tensor;

use crate::TorchError;
use crate::ffi::{self, check};

/// `x Wᵀ + b`: `[…, in]`, `[out, in]`, `[out]` → `[…, out]`; differentiable once.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor, TorchError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: three live handles; on success the shim hands over ownership of one new handle.
    unsafe {
        check(ffi::tx_linear(x.as_ptr(), weight.as_ptr(), bias.as_ptr(), &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// `a b` of float32 matrices `[m, k]` and `[k, n]`, in float32 even where TF32 is allowed; differentiable once.
pub fn matmul_fp32(a: &Tensor, b: &Tensor) -> Result<Tensor, TorchError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: two live handles; on success the shim hands over ownership of one new handle.
    unsafe {
        check(ffi::tx_matmul_fp32(a.as_ptr(), b.as_ptr(), &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

/// `gelu(x W₁ᵀ + b₁) W₂ᵀ + b₂` with exact GELU: `[…, in]` → `[…, out]`; differentiable once. GELU's output is not kept
/// but made again in the backward pass.
pub fn mlp(
    x: &Tensor,
    (w1, b1): (&Tensor, &Tensor),
    (w2, b2): (&Tensor, &Tensor),
) -> Result<Tensor, TorchError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: five live handles; on success the shim hands over ownership of one new handle.
    unsafe {
        check(ffi::tx_mlp(x.as_ptr(), w1.as_ptr(), b1.as_ptr(), w2.as_ptr(), b2.as_ptr(), &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}
