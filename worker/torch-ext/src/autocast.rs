//! Mixed precision by libtorch's autocast, on CPU and CUDA, with a chosen type.
use std::ffi::c_int;
use std::marker::PhantomData;

use tch::{Device, Kind};

use crate::TorchError;
use crate::ffi::{self, check};

/// Autocast is on for one device type on this thread while this lives; dropping it restores what was before and
/// frees the cached casts.
#[derive(Debug)]
pub struct Autocast {
    device_type: c_int,
    was_enabled: c_int,
    was_type: c_int,
    // Autocast is a property of the thread: the guard must not leave it.
    not_send: PhantomData<*const ()>,
}

impl Autocast {
    /// Turns autocast on. `kind` is [`Kind::BFloat16`] or [`Kind::Half`].
    pub fn new(device: Device, kind: Kind) -> Result<Self, TorchError> {
        // c10::DeviceType and c10::ScalarType, which libtorch keeps stable because checkpoints hold them.
        let device_type = if device == Device::Cpu { 0 } else { 1 };
        let scalar_type = match kind {
            Kind::Half => 5,
            Kind::BFloat16 => 15,
            other => {
                return Err(TorchError::Libtorch(format!(
                    "autocast takes bfloat16 or float16, got {other:?}"
                )));
            }
        };
        let (mut was_enabled, mut was_type) = (0, 0);
        // SAFETY: plain integers and two live out-pointers.
        check(unsafe { ffi::tx_autocast_push(device_type, scalar_type, &mut was_enabled, &mut was_type) })?;
        Ok(Self { device_type, was_enabled, was_type, not_send: PhantomData })
    }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // SAFETY: plain integers that `push` produced. The call only assigns thread-locals; a failure has no remedy.
        let _ = unsafe { ffi::tx_autocast_pop(self.device_type, self.was_enabled, self.was_type) };
    }
}
