//! The text and multimodal encoder: BERT (Devlin et al. 2019, arXiv:1810.04805), post-norm, split at `fusion_layer`.
//!
//! Layers below `fusion_layer` see text alone; layers from it on also attend to image tokens, whose keys and values
//! are projected once per image ([`fusion::ImageKeys`]) however many sequences look at it.
pub mod fusion;
pub mod layer;

use tch::{Kind, Tensor};

use crate::config::TextConfig;
use crate::error::Result;
use crate::nn::{LayerNorm, Linear, Pass, gelu};
use crate::params::{Init, Scope};
use layer::Layer;

pub(crate) const EPS: f64 = 1e-12;
pub(crate) const WEIGHT: Init = Init::Normal;
pub(crate) const BIAS: Init = Init::Constant(0.0);

/// Added to the attention scores of padding, as published: large enough that their softmax is exactly zero.
const PADDING_SCORE: f64 = -10_000.0;

/// Ids → text tokens → fused tokens → vocabulary scores.
#[derive(Debug)]
pub struct Bert {
    config: TextConfig,
    embeddings: Embeddings,
    layers: Vec<Layer>,
    mlm: MlmHead,
}

#[derive(Debug)]
struct Embeddings {
    word: Tensor,
    position: Tensor,
    token_type: Tensor,
    norm: LayerNorm,
    pad_id: i64,
}

/// Dense, GELU, norm, and a decoder that is the word table itself.
#[derive(Debug)]
struct MlmHead {
    dense: Linear,
    norm: LayerNorm,
    bias: Tensor,
}

impl Bert {
    /// Declares the parameters; `image_width` is the width of the image tokens.
    pub fn new(mut scope: Scope<'_>, config: &TextConfig, image_width: i64) -> Result<Self> {
        let embeddings = Embeddings::new(scope.sub("bert.embeddings"), config)?;
        let layers = (0..config.depth)
            .map(|i| {
                let image_width = (i >= config.fusion_layer).then_some(image_width);
                Layer::new(scope.sub(format_args!("bert.encoder.layer.{i}")), config, image_width)
            })
            .collect::<Result<_>>()?;
        let mlm = MlmHead::new(scope.sub("cls.predictions"), config)?;
        Ok(Self { config: config.clone(), embeddings, layers, mlm })
    }

    /// `[sequences, tokens]` ids, `mask` from [`padding_mask`] → text tokens `[sequences, tokens, width]` of the
    /// layers below `fusion_layer`.
    pub fn text(&self, pass: &Pass, ids: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let mut x = self.embeddings.forward(pass, ids)?;
        for layer in &self.layers[..self.config.fusion_layer as usize] {
            x = layer.text(pass, &x, mask)?;
        }
        Ok(x)
    }

    /// The layers with cross-attention.
    pub fn fusion_layers(&self) -> &[Layer] {
        &self.layers[self.config.fusion_layer as usize..]
    }

    /// `[rows, width]` → vocabulary scores `[rows, vocab]` in float32.
    pub fn vocabulary_scores(&self, rows: &Tensor) -> Result<Tensor> {
        let hidden = self.mlm.norm.forward(&gelu(&self.mlm.dense.forward(rows)?)?)?;
        let scores = torch_ext::layers::linear(&hidden, &self.embeddings.word, &self.mlm.bias)?;
        Ok(scores.f_to_kind(Kind::Float)?)
    }
}

impl Embeddings {
    fn new(mut scope: Scope<'_>, config: &TextConfig) -> Result<Self> {
        let width = config.width;
        Ok(Self {
            word: scope.sub("word_embeddings").param("weight", &[config.vocab, width], WEIGHT)?,
            position: scope.sub("position_embeddings").param(
                "weight",
                &[config.max_positions, width],
                WEIGHT,
            )?,
            token_type: scope.sub("token_type_embeddings").param("weight", &[2, width], WEIGHT)?,
            norm: LayerNorm::new(scope.sub("LayerNorm"), width, EPS)?,
            pad_id: config.pad_id,
        })
    }

    fn forward(&self, pass: &Pass, ids: &Tensor) -> Result<Tensor> {
        let tokens = ids.size()[1];
        // The padding row gets no gradient from here, as in PyTorch's `padding_idx`; it still gets one as a column
        // of the tied decoder.
        let words = Tensor::f_embedding(&self.word, ids, self.pad_id, false, false)?;
        // Every token is of type 0.
        let fixed = self.position.f_narrow(0, 0, tokens)?.f_add(&self.token_type.f_narrow(0, 0, 1)?)?;
        let x = words.f_add(&fixed)?.f_to_kind(pass.kind)?;
        pass.dropout(self.norm.forward(&x)?)
    }
}

impl MlmHead {
    fn new(mut scope: Scope<'_>, config: &TextConfig) -> Result<Self> {
        let width = config.width;
        let bias = scope.param("bias", &[config.vocab], BIAS)?;
        let mut transform = scope.sub("transform");
        Ok(Self {
            dense: Linear::new(transform.sub("dense"), width, width, WEIGHT, BIAS)?,
            norm: LayerNorm::new(transform.sub("LayerNorm"), width, EPS)?,
            bias,
        })
    }
}

/// `[sequences, tokens]` with 1 for text and 0 for padding → scores to add, `[sequences, 1, 1, tokens]`.
pub fn padding_mask(pass: &Pass, attention_mask: &Tensor) -> Result<Tensor> {
    let (sequences, tokens) = attention_mask.size2()?;
    Ok(attention_mask
        .f_to_kind(Kind::Float)?
        .f_rsub_scalar(1.0)?
        .f_mul_scalar(PADDING_SCORE)?
        .f_to_kind(pass.kind)?
        .f_view([sequences, 1, 1, tokens])?)
}
