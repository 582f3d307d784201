//! Process-wide switches of libtorch. Call them at the start of `main`, before the first tensor.
use tch::Device;

use crate::TorchError;
use crate::ffi::{self, check};

/// Lets CUDA multiply float32 matrices in TF32 (10-bit mantissa), which tensor cores do several times faster.
pub fn allow_tf32(allow: bool) -> Result<(), TorchError> {
    // SAFETY: a plain integer.
    check(unsafe { ffi::tx_set_tf32(allow.into()) })
}

/// Makes libtorch choose deterministic kernels, or fail where it has none. On CUDA call it before the first matrix
/// product: it sets `CUBLAS_WORKSPACE_CONFIG`, unless that is set, which cuBLAS reads once.
pub fn deterministic(on: bool) -> Result<(), TorchError> {
    // SAFETY: a plain integer.
    check(unsafe { ffi::tx_set_deterministic(on.into()) })
}

/// Keeps freed memory in the heap (Linux, glibc). A training step allocates and frees the same gigabytes again and
/// again; without this the kernel zeroes them each time.
///
/// Peak memory stays the same, but memory is not given back between steps.
pub fn keep_heap() -> Result<(), TorchError> {
    // SAFETY: no arguments; must precede the first large allocation to have its full effect, not for soundness.
    check(unsafe { ffi::tx_keep_heap() })
}

/// Loads the CUDA half of libtorch and returns the number of devices.
///
/// It is not linked, so that one binary also runs where no CUDA library is installed. Call it before anything else
/// asks libtorch about CUDA, because libtorch remembers the first answer.
pub fn load_cuda() -> Result<usize, TorchError> {
    let mut count = 0;
    // SAFETY: the library registers itself in its static initialisers; `count` is a live out-pointer.
    unsafe {
        check(ffi::tx_load_cuda())?;
        check(ffi::tx_device_count(&mut count))?;
    }
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Waits until everything launched on `device` has run. Does nothing on the CPU.
pub fn synchronize(device: Device) -> Result<(), TorchError> {
    match device {
        // SAFETY: a plain integer.
        Device::Cuda(index) => check(unsafe { ffi::tx_synchronize(index as i32) }),
        Device::Cpu | Device::Mps | Device::Vulkan => Ok(()),
    }
}

/// The most device memory that libtorch's allocator has held so far, in bytes; `None` on the CPU.
pub fn peak_device_bytes(device: Device) -> Result<Option<u64>, TorchError> {
    match device {
        Device::Cuda(index) => {
            let mut bytes = 0;
            // SAFETY: a plain integer and a live out-pointer.
            check(unsafe { ffi::tx_peak_device_bytes(index as i32, &mut bytes) })?;
            Ok(u64::try_from(bytes).ok())
        }
        Device::Cpu | Device::Mps | Device::Vulkan => Ok(None),
    }
}
