//! A job that one worker trains alone.
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use albef_model::Trainer;
use albef_model::exchange::Alone;
use albef_model::trainer::TrainerConfig;
use albef_model::weights::file::TensorFile;
use albef_model::weights::{Positions, state};
use anyhow::{Context, bail};
use tch::Device;

use super::folder::RunFolder;
use super::progress::Progress;
use super::record::{EvaluationRecord, Record};
use super::stepper::Stepper;
use super::stream::{Stream, side};
use crate::config::JobConfig;
use crate::evaluate::EvaluationSet;
use crate::loader::Block;

/// What to train, and where to.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name or path of a configuration.
    pub config: String,
    /// `KEY=VALUE`, instead of the configuration's.
    pub replaced: Vec<String>,
    /// Folder of the run.
    pub out: PathBuf,
    /// Whether a run that is there is thrown away.
    pub fresh: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// All steps are made.
    Finished,
    /// It was told to stop after this many steps; the same command goes on.
    Stopped(u64),
}

/// Trains until all steps are made, the time is up, or `stop` is set; the step under way is finished first.
pub fn run(options: &Options, device: Device, stop: &AtomicBool) -> anyhow::Result<Ending> {
    let job = JobConfig::load_with(&options.config, &options.replaced)?;
    let stream = Stream::open(&job, &options.config)?;
    let Stream { data, words, recipe, .. } = &stream;
    let evaluation = job
        .evaluation
        .as_ref()
        .map(|e| EvaluationSet::open(&e.corpus, side(&job), words, data.max_words, data.max_tokens))
        .transpose()?;
    let samples = recipe.order().epoch_len();
    let Some(steps) = job.steps(samples) else {
        bail!("{}: schedule.kind = \"constant\" never ends: give train.steps", options.config);
    };

    let mut folder = RunFolder::open(&options.out, &job, &stream.vocabulary.text(), options.fresh)?;
    let mut trainer = trainer(&job, device, folder.has_state())?;
    let before = folder.go_on(&mut trainer, steps)?;
    let first = trainer.step();
    let mut progress = Progress::new(steps, first);
    progress.say(&match first {
        0 => format!("training {steps} steps of {} on {samples} samples an epoch", job.global_batch()),
        _ => format!("{}: going on at step {first} of {steps}", options.out.display()),
    });

    let block = Block { first: 0, count: job.logical_ranks };
    let loader = stream.start(block, first)?;
    let mut stepper = Stepper::new(&job, samples, loader, before.replaced);
    let deadline =
        job.train.max_minutes.map(|minutes| Instant::now() + Duration::from_secs_f64(60.0 * minutes));
    let mut stopped = false;
    let mut evaluated = before.evaluated;
    while trainer.step() < steps {
        // Before a step and not behind it: a run that ended between the two evaluates when it goes on.
        if let (Some(set), Some(config)) = (&evaluation, &job.evaluation)
            && !std::mem::take(&mut evaluated)
            && config.is_due(trainer.step())
        {
            progress.say(&evaluate(&mut folder, &trainer, &job, set, 0)?);
        }
        let made = stepper.step(&mut trainer, &mut Alone)?;
        let done = trainer.step();
        progress.step(&made.record);
        folder.list(&made.replaced)?;
        if made.record.skipped {
            progress.say(&format!("step {}: a loss is not a number; nothing was updated", made.record.step));
        }
        stopped = stop.load(Ordering::Relaxed);
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let last = done == steps || stopped || late;
        if last || made.record.skipped || done.is_multiple_of(job.train.log_every) {
            folder.record(&Record::Step(made.record))?;
        }
        if last || (job.train.save_every > 0 && done.is_multiple_of(job.train.save_every)) {
            folder.save(&trainer)?;
        }
        if last {
            if late && done < steps {
                progress.say(&format!("the time is up after {done} of {steps} steps"));
            }
            break;
        }
    }
    progress.end();
    if stopped && trainer.step() < steps {
        return Ok(Ending::Stopped(trainer.step()));
    }
    if let (Some(set), Some(config)) = (&evaluation, &job.evaluation) {
        progress.say(&evaluate(&mut folder, &trainer, &job, set, config.rerank)?);
    }
    folder.export(&trainer)?;
    Ok(Ending::Finished)
}

/// Evaluates and records it; returns the table.
fn evaluate(
    folder: &mut RunFolder,
    trainer: &Trainer,
    job: &JobConfig,
    set: &EvaluationSet,
    rerank: u64,
) -> anyhow::Result<String> {
    let start = Instant::now();
    let batch = job.evaluation.as_ref().map_or(64, |e| e.batch);
    let report = set.run(trainer.model(), job.train.dtype.kind(), rerank, batch)?;
    let text = format!("retrieval after {} steps\n{report}", trainer.step());
    let record = EvaluationRecord { step: trainer.step(), report, seconds: start.elapsed().as_secs_f64() };
    folder.record(&Record::Evaluation(record))?;
    Ok(text)
}

/// A trainer in the job's initial state, which a saved one will replace if there is one.
fn trainer(job: &JobConfig, device: Device, saved: bool) -> anyhow::Result<Trainer> {
    let config = TrainerConfig {
        seed: job.seed,
        logical_ranks: job.logical_ranks,
        precision: job.train.dtype,
        reduction: job.train.reduction,
        optimizer: job.optimizer,
    };
    let mut trainer = Trainer::new(&job.model, device, config)?;
    if let (Some(path), false) = (&job.train.init, saved) {
        let file = TensorFile::open(path).context("train.init")?;
        let (model, queue) = trainer.state_mut();
        state::load_from(&file, "", model, queue, Positions::Interpolate).context("train.init")?;
    }
    Ok(trainer)
}
