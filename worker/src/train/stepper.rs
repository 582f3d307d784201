//! One step after another, whoever computes the other logical ranks.
use std::time::{Duration, Instant};

use albef_model::Trainer;
use albef_model::exchange::{Exchange, Share};
use albef_model::forward::MicroBatch;
use albef_model::schedule::Position;
use albef_model::trainer::StepReport;
use tch::{Device, Tensor};

use super::folder::Before;
use super::record::{StepRecord, mean};
use crate::config::JobConfig;
use crate::loader::{Batch, LoadError, Loaded, Loader, Replaced};
use crate::normalise::normalise;

/// Why a step was not made. Nothing of it has been applied; unless it could not be loaded, it can be made again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// It could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The trainer is at another step than the loader.
    #[error("step {loaded} is loaded, but step {next} comes next; start a loader there")]
    OutOfTurn {
        /// What is loaded.
        loaded: u64,
        /// What the trainer would make.
        next: u64,
    },
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
    /// A step that was loaded and could not be computed.
    pending: Option<Loaded>,
    replaced: u64,
    /// What earlier starts took, and when this one began.
    clock: (Duration, Instant),
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
    /// Steps of `job`, whose epochs have `samples` samples, from what `loader` loads, after what was `before`.
    pub fn new(job: &'a JobConfig, samples: u64, loader: Loader, before: Before) -> Self {
        let clock = (before.elapsed, Instant::now());
        Self { job, samples, loader, pending: None, replaced: before.replaced, clock }
    }

    /// How long the run has lasted, earlier starts included.
    pub fn elapsed(&self) -> Duration {
        self.clock.0 + self.clock.1.elapsed()
    }

    /// Makes the trainer's next step, which must be the loader's too. If it fails to be computed, as when another worker
    /// is lost, the next call makes it again.
    pub fn step(&mut self, trainer: &mut Trainer, exchange: &mut dyn Exchange) -> Result<Made, StepError> {
        let start = Instant::now();
        let loaded = match self.pending.take() {
            Some(loaded) => loaded,
            None => self.loader.next_step()?,
        };
        let waited = start.elapsed();
        let step = trainer.step();
        let position = Position { step, global_batch: self.job.global_batch(), samples: self.samples };
        let (alpha, lr) = (position.alpha(self.job.alpha), self.job.schedule.lr(position));
        let report = match compute(&loaded, trainer, exchange, (alpha, lr)) {
            Ok(report) => report,
            Err(error) => {
                self.pending = Some(loaded);
                return Err(error);
            }
        };
        let seconds = start.elapsed().as_secs_f64();

        let replaced: Vec<Replaced> = loaded.batches.into_iter().flat_map(|batch| batch.replaced).collect();
        self.replaced += replaced.len() as u64;
        let losses = mean(&report.losses);
        let record = StepRecord {
            step,
            epoch: step as f64 * self.job.global_batch() as f64 / self.samples.max(1) as f64,
            lr,
            alpha,
            temp: report.temp,
            loss: losses.total(alpha),
            loss_i2t: losses.i2t,
            loss_t2i: losses.t2i,
            loss_itm: losses.itm,
            loss_mlm: losses.mlm,
            loss_mlm_distill: losses.mlm_distill,
            gradient_norm: report.gradient_norm,
            skipped: report.skipped,
            images_per_s: self.job.global_batch() as f64 / seconds,
            seconds,
            data_wait: waited.as_secs_f64() / seconds,
            elapsed: self.elapsed().as_secs_f64(),
            replaced: self.replaced,
        };
        Ok(Made { record, replaced })
    }
}

/// The trainer's next step from what was loaded for it.
fn compute(
    loaded: &Loaded,
    trainer: &mut Trainer,
    exchange: &mut dyn Exchange,
    (alpha, lr): (f64, f64),
) -> Result<StepReport, StepError> {
    let step = trainer.step();
    if loaded.step != step {
        return Err(StepError::OutOfTurn { loaded: loaded.step, next: step });
    }
    let device = trainer.model().device();
    let batches =
        loaded.batches.iter().map(|batch| micro_batch(batch, device)).collect::<Result<Vec<_>, _>>();
    let first_rank = loaded.batches.first().map_or(0, |batch| batch.logical_rank);
    batches
        .and_then(|batches| {
            let share = Share { first_rank, batches: &batches };
            trainer.train_share(share, exchange, (alpha, lr), &mut |_| {})
        })
        .map_err(|source| StepError::Compute { step, source })
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
