//! The few layers that everything is made of, and the settings of a forward pass.
use std::cell::Cell;

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::params::{Init, Scope};

/// Settings of one forward pass.
#[derive(Debug)]
pub struct Pass {
    /// Type of the activations.
    pub kind: Kind,
    dropout: f64,
    key: i64,
    drawn: Cell<i64>,
}

impl Pass {
    /// A pass without dropout.
    pub fn evaluation(kind: Kind) -> Self {
        Self { kind, dropout: 0.0, key: 0, drawn: Cell::new(0) }
    }

    /// A pass with dropout of probability `dropout`, whose masks are a function of `key` and of the order in which
    /// layers ask for them.
    pub fn training(kind: Kind, dropout: f64, key: i64) -> Self {
        Self { kind, dropout, key, drawn: Cell::new(0) }
    }

    /// The dropout probability.
    pub fn dropout_p(&self) -> f64 {
        self.dropout
    }

    /// Dropout of `x`; `x` itself where the probability is zero.
    pub fn dropout(&self, x: Tensor) -> Result<Tensor> {
        if self.dropout == 0.0 {
            return Ok(x);
        }
        if x.device() == Device::Cpu {
            let key = self.next_key();
            return Ok(torch_ext::dropout::keyed(&x, self.dropout, key)?);
        }
        // Elsewhere libtorch's generator was seeded with this pass's key (see `forward`), and its kernel is fused.
        Ok(x.f_dropout(self.dropout, true)?)
    }

    fn next_key(&self) -> i64 {
        let drawn = self.drawn.get();
        self.drawn.set(drawn + 1);
        // An odd multiplier walks through all 64-bit values, so no two layers of a pass share a key.
        self.key.wrapping_add(drawn.wrapping_mul(0x5851_f42d_4c95_7f2d))
    }
}

/// `y = x Wᵀ + b`, computed in the type of `x`.
#[derive(Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Tensor,
}

impl Linear {
    /// Declares `weight` and `bias`.
    pub fn new(mut scope: Scope<'_>, input: i64, output: i64, weight: Init, bias: Init) -> Result<Self> {
        Ok(Self {
            weight: scope.param("weight", &[output, input], weight)?,
            bias: scope.param("bias", &[output], bias)?,
        })
    }

    /// `[…, in]` → `[…, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(torch_ext::layers::linear(x, &self.weight, &self.bias)?)
    }

    /// `[rows, in]` float32 → `[rows, out]` float32, never in TF32.
    pub fn forward_fp32(&self, x: &Tensor) -> Result<Tensor> {
        Ok(torch_ext::layers::matmul_fp32(x, &self.weight.f_transpose(0, 1)?)?.f_add(&self.bias)?)
    }
}

/// `second(gelu(first(x)))` with exact GELU.
pub fn mlp(x: &Tensor, first: &Linear, second: &Linear) -> Result<Tensor> {
    Ok(torch_ext::layers::mlp(x, (&first.weight, &first.bias), (&second.weight, &second.bias))?)
}

/// Layer normalisation over the last dimension, with float32 statistics.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Declares `weight` (ones) and `bias` (zeros).
    pub fn new(mut scope: Scope<'_>, width: i64, eps: f64) -> Result<Self> {
        Ok(Self {
            weight: scope.param("weight", &[width], Init::Constant(1.0))?,
            bias: scope.param("bias", &[width], Init::Constant(0.0))?,
            eps,
        })
    }

    /// `[…, width]` → the same shape and type.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let shape = self.weight.size();
        // The CPU kernel takes float32 weights with bfloat16 input; the CUDA kernel wants one type.
        if x.device() == Device::Cpu {
            return Ok(x.f_layer_norm(shape, Some(&self.weight), Some(&self.bias), self.eps, true)?);
        }
        let (weight, bias) = (self.weight.f_to_kind(x.kind())?, self.bias.f_to_kind(x.kind())?);
        Ok(x.f_layer_norm(shape, Some(&weight), Some(&bias), self.eps, true)?)
    }
}

/// Exact GELU.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_gelu("none")?)
}

/// L2-normalises the last dimension, in float32.
pub fn normalize(x: &Tensor) -> Result<Tensor> {
    let x = x.f_to_kind(Kind::Float)?;
    // PyTorch's `F.normalize` clamps the norm at 1e-12.
    let norm = x.f_norm_scalaropt_dim(2, [-1], true)?.f_clamp_min(1e-12)?;
    Ok(x.f_div(&norm)?)
}
