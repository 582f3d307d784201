//! Which number types the arithmetic of a model uses.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tch::Kind;

/// Arithmetic of the large matrix products. Parameters, moments, the twin, similarities, softmax of the losses and
/// the losses themselves are float32 in every mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32 throughout.
    Fp32,
    /// float32 with TF32 matrix products on CUDA; the same as [`Precision::Fp32`] on the CPU.
    Tf32,
    /// bfloat16 activations and matrix products with float32 accumulation.
    Bf16,
}

impl Precision {
    /// The type that activations have.
    pub fn kind(self) -> Kind {
        match self {
            Self::Fp32 | Self::Tf32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
        }
    }

    /// Sets libtorch's process-wide switches for this mode.
    pub fn activate(self) -> crate::Result<()> {
        Ok(torch_ext::runtime::allow_tf32(self == Self::Tf32)?)
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp32 => "fp32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fp32" => Ok(Self::Fp32),
            "tf32" => Ok(Self::Tf32),
            "bf16" => Ok(Self::Bf16),
            other => Err(format!("unknown dtype '{other}': use fp32, tf32 or bf16")),
        }
    }
}
