//! One step after another, whoever computes the other logical ranks.
use std::time::Instant;

use albef_model::Trainer;
use albef_model::exchange::{Exchange, Share};
use albef_model::forward::MicroBatch;
use albef_model::schedule::Position;
use tch::{Device, Tensor};

use super::record::{StepRecord, mean};
use crate::config::JobConfig;
use crate::loader::{Batch, LoadError, Loader, Replaced};
use crate::normalise::normalise;

/// Why a step was not made. Nothing of it has been applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// It could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It could not be computed.
    #[error("step {step}: {source}")]
    Compute {
        /// The step.
        step: u64,
        /// What happened.
        source: albef_model::Error,
    },
}

/// Makes the steps of a job.
#[derive(Debug)]
pub struct Stepper<'a> {
    job: &'a JobConfig,
    /// Samples of an epoch.
    samples: u64,
    loader: Loader,
    replaced: u64,
}

/// A step that was made.
#[derive(Debug)]
pub struct Made {
    /// What goes into the metrics.
    pub record: StepRecord,
    /// Samples of this worker's that were replaced.
    pub replaced: Vec<Replaced>,
}

impl<'a> Stepper<'a> {
    /// Steps of `job`, whose epochs have `samples` samples, from what `loader` loads. `replaced` counts the samples
    /// replaced so far.
    pub fn new(job: &'a JobConfig, samples: u64, loader: Loader, replaced: u64) -> Self {
        Self { job, samples, loader, replaced }
    }

    /// Makes the trainer's next step, which must be the loader's too.
    pub fn step(&mut self, trainer: &mut Trainer, exchange: &mut dyn Exchange) -> Result<Made, StepError> {
        let start = Instant::now();
        let loaded = self.loader.next_step()?;
        let waited = start.elapsed();
        let step = trainer.step();
        let position = Position { step, global_batch: self.job.global_batch(), samples: self.samples };
        let (alpha, lr) = (position.alpha(self.job.alpha), self.job.schedule.lr(position));
        let computed = |source| StepError::Compute { step, source };

        let device = trainer.model().device();
        let batches = loaded.iter().map(|batch| micro_batch(batch, device)).collect::<Result<Vec<_>, _>>();
        let batches = batches.map_err(computed)?;
        let first_rank = loaded.first().map_or(0, |batch| batch.logical_rank);
        let share = Share { first_rank, batches: &batches };
        let report = trainer.train_share(share, exchange, (alpha, lr), &mut |_| {}).map_err(computed)?;
        let torch = |error: tch::TchError| computed(error.into());
        let temp = trainer.model().temp.f_double_value(&[]).map_err(torch)?;
        let gradient_norm =
            report.gradient_norm.map(|norm| norm.f_double_value(&[])).transpose().map_err(torch)?;
        let seconds = start.elapsed().as_secs_f64();

        let replaced: Vec<Replaced> = loaded.into_iter().flat_map(|batch| batch.replaced).collect();
        self.replaced += replaced.len() as u64;
        let losses = mean(&report.losses);
        let record = StepRecord {
            step,
            epoch: step as f64 * self.job.global_batch() as f64 / self.samples.max(1) as f64,
            lr,
            alpha,
            temp,
            loss: losses.total(alpha),
            loss_i2t: losses.i2t,
            loss_t2i: losses.t2i,
            loss_itm: losses.itm,
            loss_mlm: losses.mlm,
            loss_mlm_distill: losses.mlm_distill,
            gradient_norm,
            skipped: report.skipped,
            images_per_s: self.job.global_batch() as f64 / seconds,
            seconds,
            data_wait: waited.as_secs_f64() / seconds,
            replaced: self.replaced,
        };
        Ok(Made { record, replaced })
    }
}

/// A loaded micro-batch as tensors: normalised images on `device`, texts on the CPU, where the step draws its masks.
pub fn micro_batch(batch: &Batch, device: Device) -> albef_model::Result<MicroBatch> {
    let side = i64::from(batch.side);
    let shape = [batch.text.captions as i64, batch.text.tokens as i64];
    let pixels = Tensor::f_from_slice(&batch.pixels)?.f_view([shape[0], side, side, 3])?;
    Ok(MicroBatch {
        image: normalise(&pixels, device)?,
        input_ids: Tensor::f_from_slice(&batch.text.ids)?.f_view(shape)?,
        attention_mask: Tensor::f_from_slice(&batch.text.mask)?.f_view(shape)?,
        choices: None,
    })
}
