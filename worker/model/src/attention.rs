//! Multi-head attention over heads that are already split: `[batch, heads, tokens, head width]`.
use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::nn::Pass;

/// Keeps the attention probabilities of one layer, for maps and Grad-CAM.
#[derive(Debug, Default)]
pub struct Capture {
    /// `[batch, heads, queries, keys]`, part of the graph of the output.
    pub probabilities: Option<Tensor>,
}

/// `softmax(q kᵀ / √d + mask) v`, with dropout on the probabilities.
///
/// `mask` is added to the scores and broadcasts to `[batch, heads, queries, keys]`. With `capture` the
/// probabilities are kept, which needs the explicit path; otherwise the faster of the explicit path and libtorch's
/// fused kernel is taken.
pub fn attend(
    pass: &Pass,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Tensor>,
    capture: Option<&mut Capture>,
) -> Result<Tensor> {
    let dropout = pass.dropout_p();
    if capture.is_none() && fused_is_faster(q, k, dropout) {
        let enable_gqa = false;
        return Ok(Tensor::f_scaled_dot_product_attention(
            q,
            k,
            v,
            mask,
            dropout,
            false,
            None::<f64>,
            enable_gqa,
        )?);
    }
    let width = q.size()[3] as f64;
    let mut scores = q.f_mul_scalar(width.sqrt().recip())?.f_matmul(&k.f_transpose(-2, -1)?)?;
    if let Some(mask) = mask {
        scores = scores.f_add(mask)?;
    }
    let probabilities = scores.f_softmax(-1, None::<Kind>)?;
    if let Some(capture) = capture {
        capture.probabilities = Some(probabilities.shallow_clone());
    }
    Ok(pass.dropout(probabilities)?.f_matmul(v)?)
}

/// Which path is faster. On CUDA always the fused kernel. On the CPU it has no dropout, and its backward pass in
/// bfloat16 takes twice the time of the explicit one (measured with 257 tokens; five times with 65); without a
/// gradient it always wins, with one in float32 from about a hundred keys on.
fn fused_is_faster(q: &Tensor, k: &Tensor, dropout: f64) -> bool {
    if q.device() != Device::Cpu {
        return true;
    }
    let differentiable = q.requires_grad() || k.requires_grad();
    dropout == 0.0 && (!differentiable || (q.kind() == Kind::Float && k.size()[2] >= 100))
}

/// `[batch, tokens, width]` → `[batch, heads, tokens, width / heads]`.
pub fn split_heads(x: &Tensor, heads: i64) -> Result<Tensor> {
    let (batch, tokens, width) = x.size3()?;
    Ok(x.f_view([batch, tokens, heads, width / heads])?.f_transpose(1, 2)?)
}

/// `[batch, heads, tokens, head width]` → `[batch, tokens, width]`.
pub fn merge_heads(x: &Tensor) -> Result<Tensor> {
    let (batch, heads, tokens, width) = x.size4()?;
    Ok(x.f_transpose(1, 2)?.f_reshape([batch, tokens, heads * width])?)
}
