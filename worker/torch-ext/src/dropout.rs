//! Dropout on the CPU whose mask is a pure function of (key, element index).
use tch::{Device, Tensor};

use crate::TorchError;
use crate::ffi::{self, check};

/// Zeroes each element with probability `p` and scales the rest by `1 / (1 − p)`; differentiable.
///
/// `x` lies on the CPU and is float32 or bfloat16. The same key and shape give the same mask for any number of
/// threads. On other devices use libtorch's own dropout, which is fused there.
pub fn keyed(x: &Tensor, p: f64, key: i64) -> Result<Tensor, TorchError> {
    if x.device() != Device::Cpu {
        return Err(TorchError::Libtorch(format!("keyed dropout runs on the CPU, got {:?}", x.device())));
    }
    if !(0.0..1.0).contains(&p) {
        return Err(TorchError::Libtorch(format!("dropout probability {p} is not in [0, 1)")));
    }
    let mut out = std::ptr::null_mut();
    // SAFETY: `x` is a live handle; on success the shim hands over ownership of one new handle.
    unsafe {
        check(ffi::tx_keyed_dropout(x.as_ptr(), p, key, &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}
