//! One BERT layer: self-attention, for fusion layers cross-attention, and the feed-forward part.
use tch::Tensor;

use super::{BIAS, EPS, WEIGHT};
use crate::attention::{attend, merge_heads, split_heads};
use crate::config::{MLP_RATIO, TextConfig};
use crate::error::Result;
use crate::nn::{LayerNorm, Linear, Pass, mlp};
use crate::params::Scope;

/// A layer; `cross` is present from `fusion_layer` on.
#[derive(Debug)]
pub struct Layer {
    pub(super) attention: Attention,
    pub(super) cross: Option<Attention>,
    intermediate: Linear,
    output: Residual,
}

/// Projections of an attention and what follows it.
#[derive(Debug)]
pub(super) struct Attention {
    pub(super) heads: i64,
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) output: Residual,
}

/// `norm(dropout(dense(x)) + residual)`.
#[derive(Debug)]
pub(super) struct Residual {
    dense: Linear,
    norm: LayerNorm,
}

impl Layer {
    pub(super) fn new(mut scope: Scope<'_>, config: &TextConfig, image_width: Option<i64>) -> Result<Self> {
        let width = config.width;
        let hidden = MLP_RATIO * width;
        Ok(Self {
            attention: Attention::new(scope.sub("attention"), config, width)?,
            cross: image_width
                .map(|keys| Attention::new(scope.sub("crossattention"), config, keys))
                .transpose()?,
            intermediate: Linear::new(scope.sub("intermediate.dense"), width, hidden, WEIGHT, BIAS)?,
            output: Residual::new(scope.sub("output"), hidden, width)?,
        })
    }

    /// Text alone: `[sequences, tokens, width]` → the same shape.
    pub(super) fn text(&self, pass: &Pass, x: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let x = self.self_attention(pass, x, mask)?;
        self.feed_forward(pass, &x)
    }

    /// Self-attention of every token, with its residual.
    pub(super) fn self_attention(&self, pass: &Pass, x: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let a = &self.attention;
        let q = split_heads(&a.query.forward(x)?, a.heads)?;
        let k = split_heads(&a.key.forward(x)?, a.heads)?;
        let v = split_heads(&a.value.forward(x)?, a.heads)?;
        let context = merge_heads(&attend(pass, &q, &k, &v, Some(mask), None)?)?;
        a.output.forward(pass, &context, x)
    }

    /// The feed-forward part with its residual; any leading dimensions.
    pub(super) fn feed_forward(&self, pass: &Pass, x: &Tensor) -> Result<Tensor> {
        let out = &self.output;
        out.close(pass, mlp(x, &self.intermediate, &out.dense)?, x)
    }
}

impl Attention {
    fn new(mut scope: Scope<'_>, config: &TextConfig, keys: i64) -> Result<Self> {
        let width = config.width;
        let mut inner = scope.sub("self");
        Ok(Self {
            heads: config.heads,
            query: Linear::new(inner.sub("query"), width, width, WEIGHT, BIAS)?,
            key: Linear::new(inner.sub("key"), keys, width, WEIGHT, BIAS)?,
            value: Linear::new(inner.sub("value"), keys, width, WEIGHT, BIAS)?,
            output: Residual::new(scope.sub("output"), width, width)?,
        })
    }
}

impl Residual {
    fn new(mut scope: Scope<'_>, input: i64, width: i64) -> Result<Self> {
        Ok(Self {
            dense: Linear::new(scope.sub("dense"), input, width, WEIGHT, BIAS)?,
            norm: LayerNorm::new(scope.sub("LayerNorm"), width, EPS)?,
        })
    }

    pub(super) fn forward(&self, pass: &Pass, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.close(pass, self.dense.forward(x)?, residual)
    }

    /// What follows `dense`.
    fn close(&self, pass: &Pass, dense: Tensor, residual: &Tensor) -> Result<Tensor> {
        self.norm.forward(&pass.dropout(dense)?.f_add(residual)?)
    }
}
