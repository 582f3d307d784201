//! Copies from the host to a device.
use tch::{Device, Tensor};

use crate::TorchError;
use crate::ffi::{self, check};

/// `host`, which lies on the CPU, on `device`. On CUDA through pinned memory and without waiting for the copy, which
/// what is launched after it does anyway; on the CPU the same tensor.
///
/// tch's own `pin_memory` always passes a device, at which libtorch prints a warning, twice a call.
pub fn upload(host: &Tensor, device: Device) -> Result<Tensor, TorchError> {
    let Device::Cuda(index) = device else {
        return Ok(host.f_to(device)?);
    };
    let mut out = std::ptr::null_mut();
    // SAFETY: a live handle and a plain integer; on success the shim hands over ownership of one new handle.
    unsafe {
        check(ffi::tx_upload(host.as_ptr(), index as i32, &mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}
