//! The whole model: an online network and its momentum twin, under the published parameter names.
use tch::{Device, Tensor};

use crate::bert::Bert;
use crate::config::{ModelConfig, TEMP_RANGE};
use crate::error::Result;
use crate::inputs;
use crate::nn::{Linear, Pass, normalize};
use crate::params::{Init, ParamSet, Scope, seeded};
use crate::vit::Vit;

/// What online network and twin both have.
#[derive(Debug)]
pub struct Tower {
    /// Image encoder.
    pub visual: Vit,
    /// Text and multimodal encoder.
    pub text: Bert,
    /// Image `[CLS]` → contrastive space.
    pub vision_proj: Linear,
    /// Text `[CLS]` → contrastive space.
    pub text_proj: Linear,
}

/// ALBEF: parameters, twin, and nothing that changes from step to step besides them.
#[derive(Debug)]
pub struct Albef {
    config: ModelConfig,
    device: Device,
    /// The network that is trained.
    pub online: Tower,
    /// Match / no match, on the fused `[CLS]`; the twin has none.
    pub itm_head: Linear,
    /// The learned temperature, a tensor of no dimensions; the twin has none.
    pub temp: Tensor,
    /// The moving average that supplies pseudo-targets.
    pub twin: Tower,
    params: ParamSet,
    twin_params: ParamSet,
    /// For each parameter of the twin, the online parameter it follows.
    twin_sources: Vec<Tensor>,
}

impl Tower {
    /// `suffix` distinguishes the twin's names.
    fn new(scope: &mut Scope<'_>, config: &ModelConfig, suffix: &str) -> Result<Self> {
        let (vision, text) = (config.vision.width, config.text.width);
        let proj = |scope: Scope<'_>, input| {
            Linear::new(scope, input, config.embed_dim, Init::FanIn(input), Init::FanIn(input))
        };
        Ok(Self {
            visual: Vit::new(scope.sub(format_args!("visual_encoder{suffix}")), &config.vision)?,
            text: Bert::new(scope.sub(format_args!("text_encoder{suffix}")), &config.text, vision)?,
            vision_proj: proj(scope.sub(format_args!("vision_proj{suffix}")), vision)?,
            text_proj: proj(scope.sub(format_args!("text_proj{suffix}")), text)?,
        })
    }

    /// `[images, tokens, width]` → unit vectors `[images, embed_dim]`, float32.
    pub fn image_features(&self, image_embeds: &Tensor) -> Result<Tensor> {
        project(&self.vision_proj, image_embeds)
    }

    /// `[sequences, tokens, width]` → unit vectors `[sequences, embed_dim]`, float32.
    pub fn text_features(&self, text_embeds: &Tensor) -> Result<Tensor> {
        project(&self.text_proj, text_embeds)
    }
}

fn project(proj: &Linear, embeds: &Tensor) -> Result<Tensor> {
    // Similarities are divided by a temperature near 0.01, so this projection stays in float32 in every mode.
    let cls = embeds.f_select(1, 0)?.f_to_kind(tch::Kind::Float)?;
    normalize(&proj.forward_fp32(&cls)?)
}

impl Albef {
    /// Builds a model with the published initialisation, drawn from `seed`. The twin starts as a copy.
    pub fn new(config: &ModelConfig, device: Device, seed: i64) -> Result<Self> {
        config.validate()?;
        seeded(seed, || Self::draw(config, device))
    }

    fn draw(config: &ModelConfig, device: Device) -> Result<Self> {
        let mut params = ParamSet::default();
        let mut scope = Scope::root(&mut params, device, true, config.init_std);
        let online = Tower::new(&mut scope, config, "")?;
        let width = config.text.width;
        let itm_head = Linear::new(scope.sub("itm_head"), width, 2, Init::FanIn(width), Init::FanIn(width))?;
        let temp = scope.param("temp", &[], Init::Constant(config.temp))?;
        let mut twin_params = ParamSet::default();
        let twin =
            Tower::new(&mut Scope::root(&mut twin_params, device, false, config.init_std), config, "_m")?;
        let twin_sources = twin_params
            .names()
            .iter()
            .filter_map(|name| params.get(&online_name(name)).map(Tensor::shallow_clone))
            .collect();
        let mut model = Self {
            config: config.clone(),
            device,
            online,
            itm_head,
            temp,
            twin,
            params,
            twin_params,
            twin_sources,
        };
        model.copy_to_twin()?;
        Ok(model)
    }

    /// The sizes it was built with.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where its parameters live.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Trainable parameters.
    pub fn params(&self) -> &ParamSet {
        &self.params
    }

    /// Trainable parameters, for updates in place.
    pub fn params_mut(&mut self) -> &mut ParamSet {
        &mut self.params
    }

    /// The twin's parameters.
    pub fn twin_params(&self) -> &ParamSet {
        &self.twin_params
    }

    /// Makes the twin equal to the online network.
    pub fn copy_to_twin(&mut self) -> Result<()> {
        tch::no_grad(|| {
            for (twin, online) in self.twin_params.tensors_mut().iter_mut().zip(&self.twin_sources) {
                twin.f_copy_(online)?;
            }
            Ok(())
        })
    }

    /// `m ← momentum·m + (1 − momentum)·θ` for every parameter of the twin, in float32.
    pub fn update_twin(&mut self) -> Result<()> {
        let weight = 1.0 - self.config.momentum;
        Ok(torch_ext::foreach::lerp(self.twin_params.tensors_mut(), &self.twin_sources, weight)?)
    }

    /// Clamps the temperature to its range.
    pub fn clamp_temp(&mut self) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let _ = self.temp.f_clamp_(TEMP_RANGE.0, TEMP_RANGE.1)?;
        Ok(())
    }

    /// Match scores of fused `[CLS]` rows: `[rows, width]` → `[rows, 2]`, float32; column 1 means "match".
    pub fn match_scores(&self, cls: &Tensor) -> Result<Tensor> {
        self.itm_head.forward_fp32(&cls.f_to_kind(tch::Kind::Float)?)
    }

    /// Image tokens and features of normalised images `[images, 3, side, side]`, without gradient.
    pub fn encode_images(&self, pass: &Pass, images: &Tensor) -> Result<(Tensor, Tensor)> {
        inputs::images(images, &self.config)?;
        let _guard = tch::no_grad_guard();
        let embeds = self.online.visual.forward(pass, images)?;
        let features = self.online.image_features(&embeds)?;
        Ok((embeds, features))
    }

    /// Text tokens and features of `[sequences, tokens]` ids and their attention mask, without gradient.
    pub fn encode_texts(
        &self,
        pass: &Pass,
        ids: &Tensor,
        attention_mask: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        inputs::texts(ids, attention_mask, &self.config)?;
        let _guard = tch::no_grad_guard();
        let mask = crate::bert::padding_mask(pass, attention_mask)?;
        let embeds = self.online.text.text(pass, ids, &mask)?;
        let features = self.online.text_features(&embeds)?;
        Ok((embeds, features))
    }
}

/// `visual_encoder_m.norm.weight` → `visual_encoder.norm.weight`.
fn online_name(twin: &str) -> String {
    match twin.split_once("_m.") {
        Some((module, rest)) => format!("{module}.{rest}"),
        None => twin.to_owned(),
    }
}
