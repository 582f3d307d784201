//! The C functions of `cpp/`. Private: the sibling modules wrap each in a safe function.
use std::ffi::{CStr, c_char, c_double, c_int};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::TorchError;

unsafe extern "C" {
    fn tx_last_error() -> *const c_char;
    pub(crate) fn tx_fused_adamw(
        params: *const *const C_tensor,
        grads: *const *const C_tensor,
        exp_avgs: *const *const C_tensor,
        exp_avg_sqs: *const *const C_tensor,
        n: usize,
        step: *const C_tensor,
        lr: c_double,
        beta1: c_double,
        beta2: c_double,
        weight_decay: c_double,
        eps: c_double,
    ) -> c_int;
    pub(crate) fn tx_foreach_lerp(
        this: *const *const C_tensor,
        end: *const *const C_tensor,
        n: usize,
        weight: c_double,
    ) -> c_int;
    pub(crate) fn tx_foreach_add(
        this: *const *const C_tensor,
        other: *const *const C_tensor,
        n: usize,
    ) -> c_int;
    pub(crate) fn tx_foreach_mul(this: *const *const C_tensor, n: usize, factor: *const C_tensor) -> c_int;
    pub(crate) fn tx_global_norm(tensors: *const *const C_tensor, n: usize, out: *mut *mut C_tensor)
    -> c_int;
    pub(crate) fn tx_clear_grads(tensors: *const *const C_tensor, n: usize) -> c_int;
    pub(crate) fn tx_set_grad(tensor: *const C_tensor, grad: *const C_tensor) -> c_int;
    pub(crate) fn tx_set_tf32(allow: c_int) -> c_int;
    pub(crate) fn tx_set_deterministic(on: c_int) -> c_int;
    pub(crate) fn tx_keep_heap() -> c_int;
    pub(crate) fn tx_load_cuda() -> c_int;
    pub(crate) fn tx_device_count(out: *mut c_int) -> c_int;
    pub(crate) fn tx_synchronize(device: c_int) -> c_int;
    pub(crate) fn tx_peak_device_bytes(device: c_int, out: *mut i64) -> c_int;
    pub(crate) fn tx_upload(host: *const C_tensor, device: c_int, out: *mut *mut C_tensor) -> c_int;
    pub(crate) fn tx_linear(
        x: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> c_int;
    pub(crate) fn tx_matmul_fp32(a: *const C_tensor, b: *const C_tensor, out: *mut *mut C_tensor) -> c_int;
    pub(crate) fn tx_mlp(
        x: *const C_tensor,
        w1: *const C_tensor,
        b1: *const C_tensor,
        w2: *const C_tensor,
        b2: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> c_int;
    pub(crate) fn tx_keyed_dropout(
        x: *const C_tensor,
        p: c_double,
        key: i64,
        out: *mut *mut C_tensor,
    ) -> c_int;
}

/// Turns a shim status into a result, taking the message the shim left for this thread.
pub(crate) fn check(status: c_int) -> Result<(), TorchError> {
    if status == 0 {
        return Ok(());
    }
    // SAFETY: the shim returns a pointer to a thread-local, NUL-terminated string that lives until the next failure
    // on this thread; it is copied before anything else runs.
    let message = unsafe { CStr::from_ptr(tx_last_error()) };
    Err(TorchError::Libtorch(message.to_string_lossy().into_owned()))
}

/// The raw handles of `tensors`, valid while the slice is borrowed.
pub(crate) fn handles(tensors: &[Tensor]) -> Vec<*const C_tensor> {
    tensors.iter().map(Tensor::as_ptr).collect()
}
