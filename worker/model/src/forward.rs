//! One micro-batch: from tensors of one logical rank to its five losses.
use tch::{Device, Kind, Tensor};
use torch_ext::layers::matmul_fp32;

use crate::albef::Albef;
use crate::bert::fusion::{ImageKeys, Pairing, Readout};
use crate::bert::padding_mask;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::inputs::{self, upload};
use crate::keyed::{Purpose, StepKey};
use crate::losses::{Losses, contrastive, masked_language, matching};
use crate::masking::{IGNORED, Masked, MaskedRows};
use crate::negatives::Negatives;
use crate::nn::Pass;
use crate::precision::Precision;
use crate::queue::FeatureQueue;

/// The samples of one logical rank.
#[derive(Debug)]
pub struct MicroBatch {
    /// Normalised images, float `[batch, 3, side, side]`, on the model's device.
    pub image: Tensor,
    /// Token ids, int64 `[batch, tokens]`, on the CPU.
    pub input_ids: Tensor,
    /// 1 for text and 0 for padding, int64 `[batch, tokens]`, on the CPU.
    pub attention_mask: Tensor,
    /// Choices that are given instead of drawn.
    pub choices: Option<Choices>,
}

/// Everything that a step samples.
#[derive(Debug)]
pub struct Choices {
    /// Hard negatives.
    pub negatives: Negatives,
    /// Hidden tokens.
    pub masked: Masked,
}

/// The parts of a step, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Clamping and the moving average.
    MomentumUpdate,
    /// The twin's image, text and multimodal encoders.
    Twin,
    /// The online image encoder.
    ImageEncoder,
    /// The online text encoder.
    TextEncoder,
    /// Similarities, contrastive losses and hard negatives.
    Contrastive,
    /// The multimodal layers.
    Fusion,
    /// Matching and vocabulary heads with their losses.
    Heads,
    /// The backward pass.
    Backward,
    /// Waiting for the device and reading the losses.
    Read,
    /// Enqueueing, clipping and AdamW.
    Update,
}

impl Part {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::MomentumUpdate => "momentum_update",
            Self::Twin => "twin",
            Self::ImageEncoder => "image_encoder",
            Self::TextEncoder => "text_encoder",
            Self::Contrastive => "contrastive",
            Self::Fusion => "fusion",
            Self::Heads => "heads",
            Self::Backward => "backward",
            Self::Read => "read",
            Self::Update => "update",
        }
    }
}

/// Called at the end of each part, for timing.
pub type Probe<'a> = &'a mut dyn FnMut(Part);

/// What one logical rank's forward pass yields.
#[derive(Debug)]
pub struct RankForward {
    /// The five losses.
    pub losses: Losses,
    /// The twin's image features, `[batch, embed_dim]`: what is enqueued.
    pub image_features: Tensor,
    /// The twin's text features, `[batch, embed_dim]`.
    pub text_features: Tensor,
}

/// What the twin says of a micro-batch; nothing of it carries a gradient.
struct TwinTargets {
    image_features: Tensor,
    text_features: Tensor,
    /// Probabilities of the hidden tokens, `[masked, vocab]`.
    vocabulary: Tensor,
}

/// Both texts of a micro-batch on the device: first the captions, then the same with hidden tokens.
struct Texts {
    ids: Tensor,
    attention_mask: Tensor,
    rows: MaskedRows,
}

impl MicroBatch {
    /// Checks shapes, types and ids against `config`.
    pub fn validate(&self, config: &ModelConfig) -> Result<()> {
        let refuse = |what, expected: String, found: String| Err(Error::Input { what, expected, found });
        let batch = inputs::images(&self.image, config)?;
        if batch < 2 {
            return refuse(
                "batch",
                "at least 2 samples, since one has no negative".into(),
                batch.to_string(),
            );
        }
        let mut on_host = vec![("input_ids", &self.input_ids), ("attention_mask", &self.attention_mask)];
        if let Some(Choices { masked, negatives }) = &self.choices {
            on_host.extend([
                ("masked input_ids", &masked.input_ids),
                ("masked labels", &masked.labels),
                ("image negatives", &negatives.image_of_text),
                ("text negatives", &negatives.text_of_image),
            ]);
        }
        for (what, tensor) in on_host {
            if tensor.device() != Device::Cpu {
                return refuse(what, "a tensor on the CPU".into(), format!("one on {:?}", tensor.device()));
            }
        }
        inputs::texts(&self.input_ids, &self.attention_mask, config)?;
        let ids = self.input_ids.size();
        if ids[0] != batch {
            return refuse("input_ids", format!("{batch} texts, one for each image"), ids[0].to_string());
        }
        let Some(Choices { masked, negatives }) = &self.choices else { return Ok(()) };
        for (what, tensor, size) in [
            ("masked input_ids", &masked.input_ids, ids.as_slice()),
            ("masked labels", &masked.labels, &ids),
            ("image negatives", &negatives.image_of_text, &[batch]),
            ("text negatives", &negatives.text_of_image, &[batch]),
        ] {
            if tensor.size() != size {
                return refuse(what, format!("{size:?}"), format!("{:?}", tensor.size()));
            }
        }
        let vocab = config.text.vocab;
        inputs::within("masked input_ids", &masked.input_ids, 0..vocab)?;
        let predicted = masked.labels.f_masked_fill(&masked.labels.f_eq(IGNORED)?, 0)?;
        inputs::within("masked labels", &predicted, 0..vocab)?;
        inputs::within("image negatives", &negatives.image_of_text, 0..batch)?;
        inputs::within("text negatives", &negatives.text_of_image, 0..batch)
    }
}

/// The forward pass of one logical rank. Launches work and reads nothing back.
pub fn forward(
    model: &Albef,
    queue: &FeatureQueue,
    batch: &MicroBatch,
    alpha: f64,
    key: StepKey,
    precision: Precision,
    probe: Probe<'_>,
) -> Result<RankForward> {
    let config = model.config();
    batch.validate(config)?;
    let device = model.device();
    let drawn;
    let masked = match &batch.choices {
        Some(choices) => &choices.masked,
        None => {
            drawn = Masked::draw(&batch.input_ids, config, &mut key.generator(Purpose::Masking))?;
            &drawn
        }
    };
    let texts = Texts {
        ids: upload(&Tensor::f_cat(&[&batch.input_ids, &masked.input_ids], 0)?, device)?,
        attention_mask: upload(&batch.attention_mask.f_repeat([2, 1])?, device)?,
        rows: masked.rows(device)?,
    };

    let pass = training_pass(config, device, precision, key.seed_for(Purpose::TwinDropout));
    // The twin comes first: its activations are gone before the online network's, which stay, are made.
    let twin = tch::no_grad(|| twin_targets(model, &pass, &batch.image, &texts))?;
    probe(Part::Twin);

    let pass = training_pass(config, device, precision, key.seed_for(Purpose::Dropout));
    let online = &model.online;
    let image_embeds = online.visual.forward(&pass, &batch.image)?;
    probe(Part::ImageEncoder);
    let mask = padding_mask(&pass, &texts.attention_mask)?;
    let text_embeds = online.text.text(&pass, &texts.ids, &mask)?;
    probe(Part::TextEncoder);

    let samples = batch.image.size()[0];
    let captions = text_embeds.f_narrow(0, 0, samples)?;
    let image_features = online.image_features(&image_embeds)?;
    let text_features = online.text_features(&captions)?;
    // Columns of a similarity: the twin's features of this batch, then the queue.
    let similarity = |features: &Tensor, twin: &Tensor, queue: &Tensor, temp: &Tensor| -> Result<Tensor> {
        let local = matmul_fp32(features, &twin.f_transpose(0, 1)?)?;
        Ok(Tensor::f_cat(&[local, matmul_fp32(features, queue)?], 1)?.f_div(temp)?)
    };
    let sim_i2t = similarity(&image_features, &twin.text_features, queue.text(), &model.temp)?;
    let sim_t2i = similarity(&text_features, &twin.image_features, queue.image(), &model.temp)?;
    let (twin_i2t, twin_t2i) = tch::no_grad(|| -> Result<_> {
        Ok((
            similarity(&twin.image_features, &twin.text_features, queue.text(), &model.temp)?,
            similarity(&twin.text_features, &twin.image_features, queue.image(), &model.temp)?,
        ))
    })?;
    let i2t = contrastive(&sim_i2t, &twin_i2t, alpha)?;
    let t2i = contrastive(&sim_t2i, &twin_t2i, alpha)?;
    let negatives = match &batch.choices {
        Some(choices) => Negatives {
            image_of_text: upload(&choices.negatives.image_of_text, device)?,
            text_of_image: upload(&choices.negatives.text_of_image, device)?,
        },
        None => Negatives::draw(
            &sim_i2t.f_narrow(1, 0, samples)?,
            &sim_t2i.f_narrow(1, 0, samples)?,
            &mut key.generator(Purpose::Negatives),
        )?,
    };
    probe(Part::Contrastive);

    let (masked_rows, cls) =
        fuse_all(model, &pass, &image_embeds, &text_embeds, &mask, &negatives, &texts.rows)?;
    probe(Part::Fusion);

    let itm = matching(&model.match_scores(&cls)?, samples)?;
    let scores = online.text.vocabulary_scores(&masked_rows)?;
    let (mlm, mlm_distill) = masked_language(&scores, &twin.vocabulary, &texts.rows)?;
    probe(Part::Heads);
    Ok(RankForward {
        losses: Losses { i2t, t2i, itm, mlm, mlm_distill },
        image_features: twin.image_features,
        text_features: twin.text_features,
    })
}

/// A pass with the configured dropout. The CPU's dropout takes the key itself; elsewhere libtorch's generator does.
fn training_pass(config: &ModelConfig, device: Device, precision: Precision, key: i64) -> Pass {
    if device != Device::Cpu && config.text.dropout > 0.0 {
        tch::manual_seed(key);
    }
    Pass::training(precision.kind(), config.text.dropout, key)
}

/// The twin's features and its probabilities of the hidden tokens. Published training leaves the twin's dropout on.
fn twin_targets(model: &Albef, pass: &Pass, image: &Tensor, texts: &Texts) -> Result<TwinTargets> {
    let twin = &model.twin;
    let samples = image.size()[0];
    let image_embeds = twin.visual.forward(pass, image)?;
    let mask = padding_mask(pass, &texts.attention_mask)?;
    let text_embeds = twin.text.text(pass, &texts.ids, &mask)?;
    let keys = twin.text.image_keys(&image_embeds)?;
    let rows = twin.text.fuse(
        pass,
        &text_embeds.f_narrow(0, samples, samples)?,
        &mask.f_narrow(0, samples, samples)?,
        &keys,
        Pairing { own: 1, chosen: None },
        Readout { positions: Some(&texts.rows.positions) },
    )?;
    let scores = twin.text.vocabulary_scores(&masked_only(rows.at_positions, &texts.rows)?)?;
    Ok(TwinTargets {
        image_features: twin.image_features(&image_embeds)?,
        text_features: twin.text_features(&text_embeds.f_narrow(0, 0, samples)?)?,
        vocabulary: scores.f_softmax(-1, None::<Kind>)?,
    })
}

/// Masked texts, matching pairs, foreign texts and foreign images through the multimodal layers: the rows of hidden
/// tokens `[masked, width]`, and the `[CLS]` of the three kinds of pairs `[3 · batch, width]`, matching ones first.
fn fuse_all(
    model: &Albef,
    pass: &Pass,
    image_embeds: &Tensor,
    text_embeds: &Tensor,
    mask: &Tensor,
    negatives: &Negatives,
    rows: &MaskedRows,
) -> Result<(Tensor, Tensor)> {
    let text = &model.online.text;
    let samples = image_embeds.size()[0];
    let keys: Vec<ImageKeys> = text.image_keys(image_embeds)?;
    let caption_mask = mask.f_narrow(0, 0, samples)?;
    let captions = text_embeds.f_narrow(0, 0, samples)?;
    let masked = text_embeds.f_narrow(0, samples, samples)?;
    let foreign = captions.f_index_select(0, &negatives.text_of_image)?;
    let foreign_mask = caption_mask.f_index_select(0, &negatives.text_of_image)?;
    let x = Tensor::f_cat(&[&masked, &captions, &foreign, &captions], 0)?;
    let mask = Tensor::f_cat(&[&caption_mask, &caption_mask, &foreign_mask, &caption_mask], 0)?;
    let out = text.fuse(
        pass,
        &x,
        &mask,
        &keys,
        Pairing { own: 3, chosen: Some(&negatives.image_of_text) },
        Readout { positions: Some(&rows.positions) },
    )?;
    let cls = out.cls.ok_or(Error::Input {
        what: "fusion",
        expected: "rows of pairs".into(),
        found: "none".into(),
    })?;
    Ok((masked_only(out.at_positions, rows)?, cls))
}

/// `[batch, most, width]` without its unused places: `[masked, width]`.
fn masked_only(rows: Option<Tensor>, masked: &MaskedRows) -> Result<Tensor> {
    let rows = rows.ok_or(Error::Input {
        what: "fusion",
        expected: "rows of hidden tokens".into(),
        found: "none".into(),
    })?;
    Ok(rows.f_flatten(0, 1)?.f_index_select(0, &masked.rows)?)
}
