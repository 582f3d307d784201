//! Images per second, memory, and the share of each part of a training step.
use std::collections::BTreeMap;
use std::time::Instant;

use albef_model::exchange::{Alone, Share};
use albef_model::forward::{MicroBatch, Part};
use albef_model::trainer::{Reduction, TrainerConfig};
use albef_model::{ModelConfig, Precision, Trainer};
use anyhow::Context;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use crate::config::JobConfig;
use crate::process::peak_rss_mib;

/// Tokens of every text: the longest that training sees, so that no padding flatters the figure.
const TOKENS: i64 = 25;

/// Steps before the clock starts: the first allocates, the second finds its memory.
const WARM_UP: usize = 2;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name or path of a configuration.
    pub config: String,
    /// Samples a step.
    pub batch: i64,
    /// Arithmetic.
    pub precision: Precision,
    /// Threads of the CPU.
    pub threads: usize,
    /// Measured steps.
    pub steps: usize,
}

/// One line of results.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// The configuration.
    pub config: String,
    /// Samples a step.
    pub batch: i64,
    /// Arithmetic.
    pub dtype: String,
    /// Where it ran.
    pub device: String,
    /// Threads of the CPU.
    pub threads: usize,
    /// Measured steps.
    pub steps: usize,
    /// Median seconds of a step.
    pub step_s: f64,
    /// Samples per second at the median step.
    pub images_per_s: f64,
    /// The most memory the process has held.
    pub peak_rss_mib: f64,
    /// The most device memory the allocator has held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_device_mib: Option<f64>,
    /// Arithmetic done, by the published count of operations scaled to the model (the exact savings are not deducted).
    pub gflop_per_s: f64,
    /// Share of each part of a step.
    pub parts: BTreeMap<&'static str, f64>,
}

/// Runs training steps on random data.
pub fn run(options: &Options, device: Device) -> anyhow::Result<Figures> {
    let job = JobConfig::load(&options.config)?;
    tch::set_num_threads(i32::try_from(options.threads).context("--threads is too large")?);
    let config = TrainerConfig {
        seed: job.seed,
        logical_ranks: 1,
        precision: options.precision,
        reduction: Reduction::Accumulate,
        optimizer: job.optimizer,
    };
    let mut trainer = Trainer::new(&job.model, device, config)?;
    let batch = random_batch(&job.model, options.batch, device);
    let batch =
        [batch.with_context(|| format!("--batch {} does not fit here; make it smaller", options.batch))?];
    let step = |trainer: &mut Trainer, probe: &mut dyn FnMut(Part)| -> anyhow::Result<f64> {
        let start = Instant::now();
        let share = Share { first_rank: 0, batches: &batch };
        trainer.train_share(share, &mut Alone, (job.alpha, 1e-4), probe)?;
        torch_ext::runtime::synchronize(device)?;
        Ok(start.elapsed().as_secs_f64())
    };
    for _ in 0..WARM_UP {
        step(&mut trainer, &mut |_| {})?;
    }
    let mut seconds = (0..options.steps.max(1))
        .map(|_| step(&mut trainer, &mut |_| {}))
        .collect::<anyhow::Result<Vec<_>>>()?;
    seconds.sort_by(f64::total_cmp);
    let step_s = seconds[seconds.len() / 2];
    let parts = parts(options.steps.max(1), device, |probe| step(&mut trainer, probe))?;
    let mib = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
    Ok(Figures {
        config: options.config.clone(),
        batch: options.batch,
        dtype: options.precision.to_string(),
        device: format!("{device:?}").to_lowercase(),
        threads: options.threads,
        steps: seconds.len(),
        step_s,
        images_per_s: options.batch as f64 / step_s,
        peak_rss_mib: peak_rss_mib()?,
        peak_device_mib: torch_ext::runtime::peak_device_bytes(device)?.map(mib),
        gflop_per_s: gflop_per_sample(&job.model) * options.batch as f64 / step_s,
        parts,
    })
}

/// Shares of the parts over `steps` further steps, which wait for the device after each part.
fn parts(
    steps: usize,
    device: Device,
    mut step: impl FnMut(&mut dyn FnMut(Part)) -> anyhow::Result<f64>,
) -> anyhow::Result<BTreeMap<&'static str, f64>> {
    let mut spent: BTreeMap<&'static str, f64> = BTreeMap::new();
    for _ in 0..steps {
        let mut last = Instant::now();
        let mut failed = None;
        step(&mut |part| {
            if let Err(error) = torch_ext::runtime::synchronize(device) {
                failed = Some(error);
            }
            let now = Instant::now();
            *spent.entry(part.name()).or_default() += (now - last).as_secs_f64();
            last = now;
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
    }
    let total: f64 = spent.values().sum();
    Ok(spent.into_iter().map(|(name, s)| (name, (s / total * 1e4).round() / 1e4)).collect())
}

/// Random images and texts without padding.
fn random_batch(model: &ModelConfig, batch: i64, device: Device) -> anyhow::Result<MicroBatch> {
    tch::manual_seed(1);
    let side = model.vision.image_res;
    let tokens = TOKENS.min(model.text.max_positions);
    let ids = Tensor::f_randint(model.text.vocab, [batch, tokens], (Kind::Int64, Device::Cpu))?;
    let _ = ids.f_select(1, 0)?.f_fill_(model.text.cls_id)?;
    Ok(MicroBatch {
        image: Tensor::f_randn([batch, 3, side, side], (Kind::Float, device))?,
        attention_mask: ids.f_ones_like()?,
        input_ids: ids,
        choices: None,
    })
}

/// Operations of a published training step per sample in 10⁹, one multiply-add being two: forward passes of the
/// online network, the twin, four multimodal passes and the vocabulary head, and twice the online part for the
/// backward pass. 288.5 for the base model at 256 pixels and 25 tokens.
pub fn gflop_per_sample(model: &ModelConfig) -> f64 {
    let (v, t) = (&model.vision, &model.text);
    let tokens = TOKENS.min(t.max_positions) as f64;
    let image_tokens = v.tokens() as f64;
    let (iw, tw) = (v.width as f64, t.width as f64);
    let patch = (v.grid() * v.grid()) as f64 * iw * 3.0 * (v.patch * v.patch) as f64;
    let block = image_tokens * 12.0 * iw * iw + 2.0 * image_tokens * image_tokens * iw;
    let image = patch + v.depth as f64 * block;
    let layer = tokens * 12.0 * tw * tw + 2.0 * tokens * tokens * tw;
    let text = t.fusion_layer as f64 * layer;
    let cross = tokens * 2.0 * tw * tw + image_tokens * 2.0 * iw * tw + 2.0 * tokens * image_tokens * tw;
    let fusion = t.fusion_depth() as f64 * (layer + cross);
    let head = tokens * (tw * tw + tw * t.vocab as f64);
    let twin = image + 2.0 * text + fusion + head;
    let online = image + 2.0 * text + 4.0 * fusion + head;
    2.0 * (twin + 3.0 * online) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_operations_is_the_published_one_at_base_size() -> anyhow::Result<()> {
        let count = gflop_per_sample(&JobConfig::load("albef-base")?.model);
        assert!((count - 288.5).abs() < 0.5, "{count}");
        Ok(())
    }
}
