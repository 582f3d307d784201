//! Masked language modelling: which tokens are hidden, drawn on the host.
//!
//! Drawing on the host gives the masked positions without a round trip to the device, so that the last fusion layer
//! and the vocabulary head can be computed for those rows alone.
use rand::Rng;
use tch::{Device, Kind, Tensor};

use crate::config::{ModelConfig, TextConfig};
use crate::error::{Error, Result};
use crate::inputs::upload;

/// Label of a token that is not predicted.
pub const IGNORED: i64 = -100;

/// Of the masked tokens, this share becomes `[MASK]`; half of the rest a random id, the other half stays.
const REPLACED_BY_MASK: f64 = 0.8;

/// A text with hidden tokens; both tensors are int64 `[batch, tokens]` on the CPU.
#[derive(Debug)]
pub struct Masked {
    /// Ids with masked tokens replaced.
    pub input_ids: Tensor,
    /// The original id where a token is masked, [`IGNORED`] elsewhere.
    pub labels: Tensor,
}

/// The masked positions in the form that gathering rows needs.
#[derive(Debug)]
pub struct MaskedRows {
    /// `[batch, most masked in one text]`; unused places point at `[CLS]`.
    pub positions: Tensor,
    /// Index of each masked token in `positions`, flattened, `[masked]`.
    pub rows: Tensor,
    /// The original ids, `[masked]`.
    pub labels: Tensor,
    /// `1 / masked` each, `[masked]`, float32: the weights of a mean.
    pub weights: Tensor,
}

impl Masked {
    /// Hides each token with probability `mlm_probability`, except padding and `[CLS]`. `input_ids` is int64
    /// `[batch, tokens]` on the CPU.
    pub fn draw(input_ids: &Tensor, config: &ModelConfig, generator: &mut impl Rng) -> Result<Self> {
        let TextConfig { vocab, pad_id, cls_id, mask_id, .. } = config.text;
        let size = input_ids.size();
        let mut ids = host_ids(input_ids)?;
        let mut labels = vec![IGNORED; ids.len()];
        for (id, label) in ids.iter_mut().zip(&mut labels) {
            if *id == pad_id || *id == cls_id || !generator.random_bool(config.mlm_probability) {
                continue;
            }
            *label = *id;
            if generator.random_bool(REPLACED_BY_MASK) {
                *id = mask_id;
            } else if generator.random_bool(0.5) {
                *id = generator.random_range(0..vocab);
            }
        }
        Ok(Self {
            input_ids: Tensor::f_from_slice(&ids)?.f_view(size.as_slice())?,
            labels: Tensor::f_from_slice(&labels)?.f_view(size.as_slice())?,
        })
    }

    /// The rows that must be computed, on `device`.
    ///
    /// Without any masked token there is one row of weight zero: the loss is then exactly 0, and still connected to
    /// every parameter, which a gradient reducer relies on.
    pub fn rows(&self, device: Device) -> Result<MaskedRows> {
        let (batch, tokens) = self.labels.size2()?;
        let labels = host_ids(&self.labels)?;
        let per_text: Vec<Vec<i64>> = labels
            .chunks(tokens as usize)
            .map(|text| (0..tokens).filter(|&p| text[p as usize] != IGNORED).collect())
            .collect();
        let most = per_text.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let mut positions = vec![0; batch as usize * most];
        let (mut rows, mut chosen) = (Vec::new(), Vec::new());
        for (b, text) in per_text.iter().enumerate() {
            for (i, &position) in text.iter().enumerate() {
                positions[b * most + i] = position;
                rows.push((b * most + i) as i64);
                chosen.push(labels[b * tokens as usize + position as usize]);
            }
        }
        let weight = if rows.is_empty() { 0.0 } else { 1.0 / rows.len() as f32 };
        if rows.is_empty() {
            rows.push(0);
            chosen.push(0);
        }
        Ok(MaskedRows {
            positions: upload(&Tensor::f_from_slice(&positions)?.f_view([batch, most as i64])?, device)?,
            weights: Tensor::f_full([rows.len() as i64], f64::from(weight), (Kind::Float, device))?,
            rows: upload(&Tensor::f_from_slice(&rows)?, device)?,
            labels: upload(&Tensor::f_from_slice(&chosen)?, device)?,
        })
    }
}

/// The values of an int64 tensor on the CPU.
fn host_ids(tensor: &Tensor) -> Result<Vec<i64>> {
    if tensor.device() != Device::Cpu || tensor.kind() != Kind::Int64 {
        return Err(Error::Input {
            what: "token ids",
            expected: "int64 on the CPU".into(),
            found: format!("{:?} on {:?}", tensor.kind(), tensor.device()),
        });
    }
    let mut out = vec![0; tensor.numel()];
    tensor.f_contiguous()?.f_copy_data(&mut out, tensor.numel())?;
    Ok(out)
}
