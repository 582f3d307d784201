//! What libtorch has and tch 0.24 does not expose, behind a safe API.
//!
//! This is the only crate of the workspace that contains `unsafe` code. Each module wraps one facility:
//!
//! * [`foreach`]: operators over whole lists of tensors (one kernel launch instead of hundreds);
//! * [`optim`]: the fused AdamW operator;
//! * [`layers`]: linear layers that keep little for the backward pass;
//! * [`dropout`]: dropout whose mask is a function of a key;
//! * [`transfer`]: copies from the host to a device;
//! * [`runtime`]: process-wide switches (TF32, determinism, heap, loading CUDA).
pub mod dropout;
mod ffi;
pub mod foreach;
pub mod layers;
pub mod optim;
pub mod runtime;
pub mod transfer;

/// Why a call into libtorch failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorchError {
    /// libtorch threw; the first line of its message.
    #[error("libtorch: {0}")]
    Libtorch(String),
    /// Lists that belong together differ in length.
    #[error("{what}: {left} tensors against {right}")]
    LengthMismatch {
        /// The operation that was asked for.
        what: &'static str,
        /// Length of the first list.
        left: usize,
        /// Length of the other list.
        right: usize,
    },
    /// A tensor that must hold memory is undefined.
    #[error("{what}: tensor {index} is undefined")]
    Undefined {
        /// The operation that was asked for.
        what: &'static str,
        /// Position in its list.
        index: usize,
    },
}

impl From<tch::TchError> for TorchError {
    /// Keeps the first line; the rest of libtorch's messages is a C++ stack.
    fn from(error: tch::TchError) -> Self {
        let text = match error {
            tch::TchError::Torch(text) => text,
            other => other.to_string(),
        };
        Self::Libtorch(text.lines().next().unwrap_or_default().to_owned())
    }
}
