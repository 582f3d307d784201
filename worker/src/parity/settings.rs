//! The JSON beside the tensors of a golden case.
use std::path::Path;

use albef_model::ModelConfig;
use albef_model::config::{TextConfig, VisionConfig};
use anyhow::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Sizes that every case gives. Keys that only the generator needs are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Sizes {
    vision: VisionSizes,
    text: TextSizes,
    embed_dim: i64,
    queue_size: i64,
    momentum: f64,
    mlm_probability: f64,
    temp: f64,
    cls_id: i64,
    mask_id: i64,
}

#[derive(Debug, Deserialize)]
struct VisionSizes {
    image_res: i64,
    patch: i64,
    width: i64,
    depth: i64,
    heads: i64,
}

#[derive(Debug, Deserialize)]
struct TextSizes {
    width: i64,
    depth: i64,
    heads: i64,
    vocab: i64,
    fusion_layer: i64,
    max_positions: i64,
}

impl Sizes {
    /// The model, without dropout. `path` is the file that the sizes came from.
    pub(super) fn model(&self, path: &Path) -> anyhow::Result<ModelConfig> {
        let VisionSizes { image_res, patch, width, depth, heads } = self.vision;
        let vision = VisionConfig { image_res, patch, width, depth, heads };
        let TextSizes { width, depth, heads, vocab, fusion_layer, max_positions } = self.text;
        let config = ModelConfig {
            vision,
            text: TextConfig {
                width,
                depth,
                heads,
                vocab,
                fusion_layer,
                max_positions,
                dropout: 0.0,
                pad_id: 0,
                cls_id: self.cls_id,
                mask_id: self.mask_id,
            },
            embed_dim: self.embed_dim,
            queue_size: self.queue_size,
            momentum: self.momentum,
            mlm_probability: self.mlm_probability,
            init_std: 0.02,
            temp: self.temp,
        };
        config.validate().with_context(|| path.display().to_string())?;
        Ok(config)
    }
}

/// Reads a JSON file of a case.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}: is not a golden case", path.display()))
}
