//! Sizes of a model and their validation.
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Everything that fixes the shapes of an ALBEF model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Image encoder.
    pub vision: VisionConfig,
    /// Text and multimodal encoder.
    pub text: TextConfig,
    /// Width of the contrastive space.
    pub embed_dim: i64,
    /// Columns of each feature queue.
    pub queue_size: i64,
    /// Decay of the momentum twin.
    #[serde(default = "defaults::momentum")]
    pub momentum: f64,
    /// Share of the tokens that masked language modelling hides.
    #[serde(default = "defaults::mlm_probability")]
    pub mlm_probability: f64,
    /// Initial temperature.
    #[serde(default = "defaults::temp")]
    pub temp: f64,
    /// Standard deviation of initial weights. What suits a width of 768 lets little through at 128: a token then hardly
    /// sees the others, and contrastive training takes long to begin.
    #[serde(default = "defaults::init_std")]
    pub init_std: f64,
}

/// Sizes of the image encoder (ViT).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionConfig {
    /// Side of the square input image, in pixels.
    pub image_res: i64,
    /// Side of a patch, in pixels.
    pub patch: i64,
    /// Token width.
    pub width: i64,
    /// Number of blocks.
    pub depth: i64,
    /// Attention heads.
    pub heads: i64,
}

/// Sizes of the text encoder (BERT), whose layers from `fusion_layer` on also attend to the image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Token width.
    pub width: i64,
    /// Number of layers, text and multimodal together.
    pub depth: i64,
    /// Attention heads.
    pub heads: i64,
    /// Size of the vocabulary.
    pub vocab: i64,
    /// The first layer with cross-attention.
    pub fusion_layer: i64,
    /// Rows of the position table: the longest text.
    pub max_positions: i64,
    /// Dropout probability of embeddings, attention and layer outputs.
    #[serde(default)]
    pub dropout: f64,
    /// Id of `[PAD]`.
    #[serde(default)]
    pub pad_id: i64,
    /// Id of `[CLS]`.
    #[serde(default = "defaults::cls_id")]
    pub cls_id: i64,
    /// Id of `[MASK]`.
    #[serde(default = "defaults::mask_id")]
    pub mask_id: i64,
}

/// The published values.
mod defaults {
    pub(super) fn momentum() -> f64 {
        0.995
    }
    pub(super) fn mlm_probability() -> f64 {
        0.15
    }
    pub(super) fn temp() -> f64 {
        0.07
    }
    pub(super) fn init_std() -> f64 {
        0.02
    }
    pub(super) fn cls_id() -> i64 {
        101
    }
    pub(super) fn mask_id() -> i64 {
        103
    }
}

/// Hidden width of every feed-forward layer, in multiples of the token width.
pub const MLP_RATIO: i64 = 4;

/// The range that the temperature is clamped to before each step.
pub const TEMP_RANGE: (f64, f64) = (0.001, 0.5);

impl VisionConfig {
    /// Patches along one side.
    pub fn grid(&self) -> i64 {
        self.image_res / self.patch
    }

    /// Image tokens: `[CLS]` and one per patch.
    pub fn tokens(&self) -> i64 {
        self.grid() * self.grid() + 1
    }
}

impl TextConfig {
    /// Number of layers with cross-attention.
    pub fn fusion_depth(&self) -> i64 {
        self.depth - self.fusion_layer
    }
}

fn refuse(field: &'static str, value: impl ToString, problem: impl Into<String>) -> Error {
    Error::Config { field, value: value.to_string(), problem: problem.into() }
}

/// Far above every model there is, and small enough that no product of sizes overflows.
mod most {
    pub(super) const SIDE: i64 = 1 << 14;
    pub(super) const WIDTH: i64 = 1 << 16;
    pub(super) const DEPTH: i64 = 1 << 10;
    pub(super) const VOCAB: i64 = 1 << 24;
    pub(super) const POSITIONS: i64 = 1 << 20;
    pub(super) const QUEUE: i64 = 1 << 28;
}

fn size(field: &'static str, value: i64, most: i64) -> Result<()> {
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(refuse(field, value, format!("must lie between 1 and {most}")))
    }
}

fn divides(field: &'static str, part: i64, whole_name: &str, whole: i64) -> Result<()> {
    if whole % part == 0 {
        Ok(())
    } else {
        Err(refuse(field, part, format!("must divide {whole_name} = {whole}")))
    }
}

fn within(field: &'static str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(refuse(field, value, format!("must lie in [{low}, {high}]")))
    }
}

fn id_in_vocabulary(field: &'static str, id: i64, vocab: i64) -> Result<()> {
    if (0..vocab).contains(&id) {
        Ok(())
    } else {
        Err(refuse(field, id, format!("must be an id below text.vocab = {vocab}")))
    }
}

impl ModelConfig {
    /// Checks every size; the first impossible one is the error.
    pub fn validate(&self) -> Result<()> {
        let (v, t) = (&self.vision, &self.text);
        size("vision.image_res", v.image_res, most::SIDE)?;
        size("vision.patch", v.patch, most::SIDE)?;
        size("vision.width", v.width, most::WIDTH)?;
        size("vision.depth", v.depth, most::DEPTH)?;
        size("vision.heads", v.heads, most::WIDTH)?;
        divides("vision.patch", v.patch, "vision.image_res", v.image_res)?;
        divides("vision.heads", v.heads, "vision.width", v.width)?;
        size("text.width", t.width, most::WIDTH)?;
        size("text.depth", t.depth, most::DEPTH)?;
        size("text.heads", t.heads, most::WIDTH)?;
        size("text.vocab", t.vocab, most::VOCAB)?;
        size("text.max_positions", t.max_positions, most::POSITIONS)?;
        divides("text.heads", t.heads, "text.width", t.width)?;
        if !(0..=t.depth).contains(&t.fusion_layer) {
            return Err(refuse(
                "text.fusion_layer",
                t.fusion_layer,
                format!("must lie between 0 and text.depth = {}", t.depth),
            ));
        }
        if !(0.0..1.0).contains(&t.dropout) {
            return Err(refuse("text.dropout", t.dropout, "must lie in [0, 1)"));
        }
        id_in_vocabulary("text.pad_id", t.pad_id, t.vocab)?;
        id_in_vocabulary("text.cls_id", t.cls_id, t.vocab)?;
        id_in_vocabulary("text.mask_id", t.mask_id, t.vocab)?;
        size("embed_dim", self.embed_dim, most::WIDTH)?;
        size("queue_size", self.queue_size, most::QUEUE)?;
        within("momentum", self.momentum, 0.0, 1.0)?;
        within("mlm_probability", self.mlm_probability, 0.0, 1.0)?;
        within("init_std", self.init_std, 1e-6, 1.0)?;
        within("temp", self.temp, TEMP_RANGE.0, TEMP_RANGE.1)
    }

    /// Checks that the model can be pre-trained: that needs at least one layer that fuses image and text.
    pub fn validate_for_training(&self) -> Result<()> {
        self.validate()?;
        if self.text.fusion_depth() == 0 {
            return Err(refuse(
                "text.fusion_layer",
                self.text.fusion_layer,
                format!(
                    "leaves no multimodal layer; pre-training needs it below text.depth = {}",
                    self.text.depth
                ),
            ));
        }
        Ok(())
    }
}
