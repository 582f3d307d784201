//! The image encoder: ViT (Dosovitskiy et al. 2021, arXiv:2010.11929) in timm's naming, pre-norm, exact GELU.
use tch::Tensor;

use crate::attention::{attend, merge_heads};
use crate::config::{MLP_RATIO, VisionConfig};
use crate::error::Result;
use crate::nn::{LayerNorm, Linear, Pass, mlp};
use crate::params::{Init, Scope};

const EPS: f64 = 1e-6;
const WEIGHT: Init = Init::TruncatedNormal;
const BIAS: Init = Init::Constant(0.0);

/// Image → tokens.
#[derive(Debug)]
pub struct Vit {
    config: VisionConfig,
    patch_weight: Tensor,
    patch_bias: Tensor,
    cls_token: Tensor,
    pos_embed: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

#[derive(Debug)]
struct Block {
    heads: i64,
    norm1: LayerNorm,
    qkv: Linear,
    proj: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl Vit {
    /// Declares the parameters.
    pub fn new(mut scope: Scope<'_>, config: &VisionConfig) -> Result<Self> {
        let (width, patch) = (config.width, config.patch);
        let fan_in = Init::FanIn(3 * patch * patch);
        let cls_token = scope.param("cls_token", &[1, 1, width], WEIGHT)?;
        let pos_embed = scope.param("pos_embed", &[1, config.tokens(), width], WEIGHT)?;
        let mut embed = scope.sub("patch_embed.proj");
        let patch_weight = embed.param("weight", &[width, 3, patch, patch], fan_in)?;
        let patch_bias = embed.param("bias", &[width], fan_in)?;
        let blocks = (0..config.depth)
            .map(|i| Block::new(scope.sub(format_args!("blocks.{i}")), width, config.heads))
            .collect::<Result<_>>()?;
        let norm = LayerNorm::new(scope.sub("norm"), width, EPS)?;
        Ok(Self { config: config.clone(), patch_weight, patch_bias, cls_token, pos_embed, blocks, norm })
    }

    /// `[batch, 3, side, side]` (normalised) → `[batch, tokens, width]`, the first token being `[CLS]`.
    pub fn forward(&self, pass: &Pass, image: &Tensor) -> Result<Tensor> {
        let patches = self.patches(&image.f_to_kind(pass.kind)?)?;
        let batch = patches.size()[0];
        let cls = self.cls_token.f_to_kind(pass.kind)?.f_expand([batch, -1, -1], false)?;
        let mut x = Tensor::f_cat(&[cls, patches], 1)?.f_add(&self.pos_embed.f_to_kind(pass.kind)?)?;
        for block in &self.blocks {
            x = block.forward(pass, x)?;
        }
        self.norm.forward(&x)
    }

    /// The patch convolution as one matrix product: stride and kernel are equal, so patches do not overlap.
    fn patches(&self, image: &Tensor) -> Result<Tensor> {
        let (grid, patch) = (self.config.grid(), self.config.patch);
        let batch = image.size()[0];
        let rows = image
            .f_view([batch, 3, grid, patch, grid, patch])?
            .f_permute([0, 2, 4, 1, 3, 5])?
            .f_reshape([batch, grid * grid, 3 * patch * patch])?;
        Ok(torch_ext::layers::linear(&rows, &self.patch_weight.f_flatten(1, -1)?, &self.patch_bias)?)
    }
}

impl Block {
    fn new(mut scope: Scope<'_>, width: i64, heads: i64) -> Result<Self> {
        let hidden = MLP_RATIO * width;
        Ok(Self {
            heads,
            norm1: LayerNorm::new(scope.sub("norm1"), width, EPS)?,
            qkv: Linear::new(scope.sub("attn.qkv"), width, 3 * width, WEIGHT, BIAS)?,
            proj: Linear::new(scope.sub("attn.proj"), width, width, WEIGHT, BIAS)?,
            norm2: LayerNorm::new(scope.sub("norm2"), width, EPS)?,
            fc1: Linear::new(scope.sub("mlp.fc1"), width, hidden, WEIGHT, BIAS)?,
            fc2: Linear::new(scope.sub("mlp.fc2"), hidden, width, WEIGHT, BIAS)?,
        })
    }

    fn forward(&self, pass: &Pass, x: Tensor) -> Result<Tensor> {
        let x = x.f_add(&self.attention(pass, &self.norm1.forward(&x)?)?)?;
        Ok(x.f_add(&mlp(&self.norm2.forward(&x)?, &self.fc1, &self.fc2)?)?)
    }

    fn attention(&self, pass: &Pass, x: &Tensor) -> Result<Tensor> {
        let (batch, tokens, width) = x.size3()?;
        let qkv = self
            .qkv
            .forward(x)?
            .f_view([batch, tokens, 3, self.heads, width / self.heads])?
            .f_permute([2, 0, 3, 1, 4])?
            .f_unbind(0)?;
        // The published image encoder has no dropout.
        let pass = Pass::evaluation(pass.kind);
        let out = attend(&pass, &qkv[0], &qkv[1], &qkv[2], None, None)?;
        self.proj.forward(&merge_heads(&out)?)
    }
}
