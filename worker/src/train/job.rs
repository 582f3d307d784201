//! A job that one worker trains alone.
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use albef_model::Trainer;
use albef_model::exchange::Alone;
use albef_model::trainer::TrainerConfig;
use albef_model::weights::file::TensorFile;
use albef_model::weights::{Positions, state};
use anyhow::{Context, bail};
use tch::Device;

use super::folder::{End, RunFolder};
use super::identity::Identity;
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
///
/// # Errors
/// One line. Where the trainer is sound, as when a storage fails, its state is saved before.
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
    let end = End { steps, limit: job.train.limit() };

    let vocabulary = stream.vocabulary.text();
    let identity = Identity { job: &job, vocabulary: &vocabulary, corpora: stream.corpora() };
    let mut folder = RunFolder::open(&options.out, &identity, options.fresh)?;
    // Before anything in the folder changes: what cannot be made must not cost what is there.
    let mut trainer = trainer(&job, device, folder.has_state())?;
    let before = folder.go_on(&identity, &mut trainer, end)?;
    let first = trainer.step();
    let progress = Progress::new(steps, first);
    progress.say(&match first {
        0 => format!("training {steps} steps of {} on {samples} samples an epoch", job.global_batch()),
        _ => format!("{}: going on at step {first} of {steps}", options.out.display()),
    });

    let loader = stream.start(Block { first: 0, count: job.logical_ranks }, first)?;
    let stepper = Stepper::new(&job, samples, loader, before);
    let mut run =
        Run { job: &job, end, folder, trainer, stepper, evaluation, progress, saved: first, skipped: 0 };
    let trained = run.train(before.evaluated, stop);
    run.progress.end();
    match trained {
        Ok(Ending::Finished) => {}
        Ok(stopped) => return Ok(stopped),
        Err(error) => {
            if run.saved < run.trainer.step() && !run.trainer.has_begun() && run.skipped == 0 {
                run.save()?;
                run.progress.say(&format!("the state after {} steps is saved", run.saved));
            }
            return Err(error);
        }
    }
    if let Some(config) = &job.evaluation {
        run.evaluate(config.rerank)?;
    }
    run.folder.export(&run.trainer)?;
    Ok(Ending::Finished)
}

/// A job under way.
struct Run<'a> {
    job: &'a JobConfig,
    end: End,
    folder: RunFolder,
    trainer: Trainer,
    stepper: Stepper<'a>,
    evaluation: Option<EvaluationSet>,
    progress: Progress,
    /// The step of the newest saved state.
    saved: u64,
    /// Steps in a row that were skipped, up to the last one.
    skipped: u64,
}

impl Run<'_> {
    /// Makes step after step. `evaluated` says that the state which comes first has been evaluated already.
    fn train(&mut self, mut evaluated: bool, stop: &AtomicBool) -> anyhow::Result<Ending> {
        let (mut done, mut over) = (self.trainer.step(), self.is_over());
        while !over {
            // Before a step and not behind it: a run that ended between the two evaluates when it goes on.
            if !std::mem::take(&mut evaluated) && self.job.evaluation.as_ref().is_some_and(|e| e.is_due(done))
            {
                self.evaluate(0)?;
            }
            let made = self.stepper.step(&mut self.trainer, &mut Alone)?;
            done = self.trainer.step();
            self.progress.step(&made.record);
            self.folder.list(&made.replaced)?;
            self.skipped = if made.record.skipped { self.skipped + 1 } else { 0 };
            let skipped = self.skipped;
            if skipped > 0 {
                let what = "a loss or a gradient is not a number; nothing was updated";
                self.progress.say(&format!("step {}: {what}", made.record.step));
            }
            over = self.is_over();
            let stopped = stop.load(Ordering::Relaxed);
            let last = over || stopped;
            let train = &self.job.train;
            if last || skipped > 0 || done.is_multiple_of(train.log_every) {
                self.folder.record(&Record::Step(made.record))?;
            }
            if skipped >= train.max_skipped {
                bail!(
                    "{skipped} steps in a row gave a loss or a gradient that is not a number; lower schedule.peak, or set \
                     optimizer.clip_norm, and look at the samples of step {}",
                    done - skipped
                );
            }
            let due = train.save_every > 0 && done.is_multiple_of(train.save_every) && skipped == 0;
            if last || due {
                self.save()?;
            }
            if stopped && !over {
                return Ok(Ending::Stopped(done));
            }
        }
        if done < self.end.steps {
            self.progress.say(&format!("the time is up after {done} of {} steps", self.end.steps));
        }
        Ok(Ending::Finished)
    }

    fn is_over(&self) -> bool {
        self.end.is_reached(self.trainer.step(), self.stepper.elapsed())
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.folder.save(&self.trainer)?;
        self.saved = self.trainer.step();
        Ok(())
    }

    /// Evaluates, if there is something to evaluate on, records it and shows the table.
    fn evaluate(&mut self, rerank: u64) -> anyhow::Result<()> {
        let (Some(set), Some(config)) = (&self.evaluation, &self.job.evaluation) else { return Ok(()) };
        let (start, step) = (Instant::now(), self.trainer.step());
        let report = set.run(self.trainer.model(), self.job.train.dtype.kind(), rerank, config.batch)?;
        self.progress.say(&format!("retrieval after {step} steps\n{report}"));
        let record = EvaluationRecord { step, report, seconds: start.elapsed().as_secs_f64() };
        Ok(self.folder.record(&Record::Evaluation(record))?)
    }
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
