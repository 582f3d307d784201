//! A training step as a transaction over logical ranks.
//!
//! `begin(s)` clamps the temperature and moves the twin, once per step however often it is called. `compute(s)` reads
//! the state and may be repeated. `commit(s)` enqueues, updates, and moves on to step s + 1. A step that was computed
//! but not committed leaves nothing behind but the begun twin, so a survivor can compute it again.
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::albef::Albef;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::exchange::{Alone, Exchange, Share};
use crate::forward::{MicroBatch, Part, Probe, forward};
use crate::keyed::{Purpose, StepKey};
use crate::losses::LossValues;
use crate::optim::{Optimizer, OptimizerConfig};
use crate::precision::Precision;
use crate::queue::FeatureQueue;
use crate::reduce::{RankGradients, ordered_sum};

/// How gradients of logical ranks are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// In the order of computation, into one buffer: fast, equal up to rounding for any number of workers.
    #[serde(rename = "ring")]
    Accumulate,
    /// Kept apart and added along a fixed tree: the same bits for any number of workers.
    Ordered,
}

/// Settings of a trainer that do not change from step to step.
#[derive(Debug, Clone)]
pub struct TrainerConfig {
    /// Seed of the job.
    pub seed: u64,
    /// Logical ranks in all, V.
    pub logical_ranks: u64,
    /// Arithmetic.
    pub precision: Precision,
    /// How gradients are added.
    pub reduction: Reduction,
    /// AdamW.
    pub optimizer: OptimizerConfig,
}

/// The whole state that every worker holds, and the step that is under way.
#[derive(Debug)]
pub struct Trainer {
    config: TrainerConfig,
    model: Albef,
    queue: FeatureQueue,
    optimizer: Optimizer,
    /// The next step to commit.
    step: u64,
    /// Whether `begin` has run for `step`.
    begun: bool,
}

/// What this caller's logical ranks contribute to a step.
#[derive(Debug)]
pub struct LocalStep {
    /// One entry per logical rank, in the order given.
    pub ranks: Vec<RankResult>,
    /// With [`Reduction::Ordered`], each rank's gradients; empty with [`Reduction::Accumulate`], where the sum lies in
    /// the parameters' gradients.
    pub gradients: Vec<RankGradients>,
}

/// One logical rank's losses and features, still on the device.
#[derive(Debug)]
pub struct RankResult {
    /// The five losses, `[5]`.
    pub losses: Tensor,
    /// The twin's image features, `[batch, embed_dim]`.
    pub image_features: Tensor,
    /// The twin's text features, `[batch, embed_dim]`.
    pub text_features: Tensor,
}

/// What becomes of a computed step.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Enqueue, update and go on.
    Apply {
        /// The results of all logical ranks of the job, in order.
        ranks: &'a [RankResult],
        /// Learning rate.
        lr: f64,
        /// [`Trainer::gradient_norm`], if the caller has it already.
        norm: Option<&'a Tensor>,
    },
    /// Go on without enqueueing or updating: a loss or a gradient was not a number.
    Skip,
}

/// What a whole step did.
#[derive(Debug)]
pub struct StepReport {
    /// The step.
    pub step: u64,
    /// Losses of each logical rank.
    pub losses: Vec<LossValues>,
    /// Whether the step was skipped because a loss or a gradient was not finite.
    pub skipped: bool,
    /// The temperature that the step used.
    pub temp: f64,
    /// Global norm of the mean gradient, before clipping.
    pub gradient_norm: f64,
}

/// What the host reads of a computed step.
#[derive(Debug)]
pub struct Readings {
    /// Losses of each logical rank.
    pub losses: Vec<LossValues>,
    /// The temperature that the step used.
    pub temp: f64,
    /// Global norm of the mean gradient, before clipping.
    pub gradient_norm: f64,
}

impl Readings {
    /// Whether the step may be applied.
    pub fn is_finite(&self) -> bool {
        self.gradient_norm.is_finite() && self.losses.iter().all(LossValues::is_finite)
    }
}

/// Weights with the published initialisation and queues of random unit vectors, as the job's `seed` decides.
pub fn initial_state(model: &ModelConfig, device: Device, seed: u64) -> Result<(Albef, FeatureQueue)> {
    // Two keys apart from every step's: no step has the last number there is.
    let key = StepKey { seed, step: u64::MAX, logical_rank: 0 };
    let weights = Albef::new(model, device, key.seed_for(Purpose::Init))?;
    let key = StepKey { logical_rank: 1, ..key };
    let queue = FeatureQueue::new(model.embed_dim, model.queue_size, device, key.seed_for(Purpose::Init))?;
    Ok((weights, queue))
}

impl Trainer {
    /// A trainer in the [`initial_state`] of its seed.
    pub fn new(model: &ModelConfig, device: Device, config: TrainerConfig) -> Result<Self> {
        model.validate_for_training()?;
        if config.logical_ranks == 0 {
            return Err(Error::Config {
                field: "logical_ranks",
                value: "0".into(),
                problem: "must be at least 1".into(),
            });
        }
        config.precision.activate()?;
        if config.reduction == Reduction::Ordered && device != Device::Cpu {
            // The same bits need the same kernels; the CPU's are deterministic anyway.
            torch_ext::runtime::deterministic(true)?;
        }
        let (weights, queue) = initial_state(model, device, config.seed)?;
        let optimizer = Optimizer::new(weights.params(), config.optimizer)?;
        Ok(Self { config, model: weights, queue, optimizer, step: 0, begun: false })
    }

    /// The model.
    pub fn model(&self) -> &Albef {
        &self.model
    }

    /// The model and the queues, to load weights into.
    pub fn state_mut(&mut self) -> (&mut Albef, &mut FeatureQueue) {
        (&mut self.model, &mut self.queue)
    }

    /// The queues.
    pub fn queue(&self) -> &FeatureQueue {
        &self.queue
    }

    /// The optimizer's state.
    pub(crate) fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// Goes on at `step` after `updates` updates, with a state that was read back.
    pub(crate) fn go_on(&mut self, step: u64, updates: u64) {
        self.optimizer.set_updates(updates);
        self.step = step;
        self.begun = false;
    }

    /// The seed and the logical ranks that every random choice of the job depends on.
    pub(crate) fn identity(&self) -> [u64; 2] {
        [self.config.seed, self.config.logical_ranks]
    }

    /// Whether a step has begun and is neither applied nor skipped yet.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// The next step to commit.
    pub fn step(&self) -> u64 {
        self.step
    }

    fn expect(&self, asked: u64, verb: &'static str, begun: bool) -> Result<()> {
        if asked == self.step && self.begun == begun {
            return Ok(());
        }
        let state = match self.begun {
            true => format!("step {} has begun", self.step),
            false => format!("step {} comes next and has not begun", self.step),
        };
        Err(Error::Step { asked, verb, state })
    }

    fn expect_all_ranks(&self, found: usize) -> Result<()> {
        if found as u64 == self.config.logical_ranks {
            return Ok(());
        }
        Err(Error::Input {
            what: "micro-batches",
            expected: format!("one for each of {} logical ranks", self.config.logical_ranks),
            found: found.to_string(),
        })
    }

    /// Clamps the temperature and moves the twin. Calling it again for the same step does nothing.
    pub fn begin(&mut self, step: u64) -> Result<()> {
        if step == self.step && self.begun {
            return Ok(());
        }
        self.expect(step, "begin", false)?;
        self.model.clamp_temp()?;
        self.model.update_twin()?;
        self.begun = true;
        Ok(())
    }

    /// Forward and backward pass of this caller's logical ranks, of which the first is `first_rank`. Changes nothing
    /// but gradients, starts from none, and does not wait for the device.
    pub fn compute(
        &mut self,
        step: u64,
        first_rank: u64,
        batches: &[MicroBatch],
        alpha: f64,
        probe: Probe<'_>,
    ) -> Result<LocalStep> {
        self.expect(step, "compute", true)?;
        let last = first_rank + batches.len() as u64;
        if batches.is_empty() || last > self.config.logical_ranks {
            return Err(Error::Input {
                what: "micro-batches",
                expected: format!("logical ranks below {}, at least one", self.config.logical_ranks),
                found: format!("{first_rank}..{last}"),
            });
        }
        let params = self.model.params().tensors();
        torch_ext::foreach::clear_grads(params)?;
        let mut local = LocalStep { ranks: Vec::with_capacity(batches.len()), gradients: Vec::new() };
        for (logical_rank, batch) in (first_rank..).zip(batches) {
            let key = StepKey { seed: self.config.seed, step, logical_rank };
            let out = forward(&self.model, &self.queue, batch, alpha, key, self.config.precision, probe)?;
            out.losses.total(alpha)?.f_backward()?;
            probe(Part::Backward);
            if self.config.reduction == Reduction::Ordered {
                local.gradients.push(params.iter().map(Tensor::f_grad).collect::<Result<_, _>>()?);
                torch_ext::foreach::clear_grads(params)?;
            }
            local.ranks.push(RankResult {
                losses: out.losses.stacked()?,
                image_features: out.image_features,
                text_features: out.text_features,
            });
        }
        Ok(local)
    }

    /// Turns the gradients of all logical ranks of the job, in order, into the mean that the update uses. Only for
    /// [`Reduction::Ordered`].
    pub fn reduce_ordered(&mut self, all_ranks: Vec<RankGradients>) -> Result<()> {
        if all_ranks.len() as u64 != self.config.logical_ranks {
            return Err(Error::Input {
                what: "gradients to reduce",
                expected: format!("{} logical ranks", self.config.logical_ranks),
                found: all_ranks.len().to_string(),
            });
        }
        for (param, grad) in self.model.params().tensors().iter().zip(ordered_sum(all_ranks)?) {
            torch_ext::foreach::set_grad(param, &grad)?;
        }
        self.divide_gradients()
    }

    /// Divides the summed gradients by the number of logical ranks.
    pub fn divide_gradients(&mut self) -> Result<()> {
        let ranks = self.config.logical_ranks;
        if ranks == 1 {
            return Ok(());
        }
        let factor = Tensor::f_full([0_i64; 0], 1.0 / ranks as f64, (Kind::Float, self.model.device()))?;
        let mut grads = self.gradients()?;
        Ok(torch_ext::foreach::mul(&mut grads, &factor)?)
    }

    /// The parameters' gradients, in the order of [`Albef::params`].
    pub fn gradients(&self) -> Result<Vec<Tensor>> {
        Ok(self.model.params().tensors().iter().map(Tensor::f_grad).collect::<Result<_, _>>()?)
    }

    /// Global norm of the reduced gradients, a tensor of no dimensions on the device: finite only if all of them are.
    pub fn gradient_norm(&self) -> Result<Tensor> {
        self.optimizer.gradient_norm()
    }

    /// Brings to the host what decides about a step whose logical ranks gave `losses`, `[5]` each: the one
    /// synchronisation of a step.
    pub fn read(&self, losses: &[&Tensor], gradient_norm: &Tensor) -> Result<Readings> {
        let scalars = [self.model.temp.f_detach()?.f_view([1])?, gradient_norm.f_view([1])?];
        let all: Vec<&Tensor> = losses.iter().copied().chain(&scalars).collect();
        let host = Tensor::f_cat(&all, 0)?.f_to(Device::Cpu)?;
        let mut values = vec![0_f32; 5 * losses.len() + scalars.len()];
        let count = values.len();
        host.f_copy_data(&mut values, count)?;
        let (losses, rest) = values.as_chunks::<5>();
        let [temp, gradient_norm] = [0, 1].map(|i| rest.get(i).map_or(f64::NAN, |&value| value.into()));
        Ok(Readings {
            losses: losses.iter().copied().map(LossValues::from_array).collect(),
            temp,
            gradient_norm,
        })
    }

    /// Ends the step: enqueues all ranks' features once, in order, and updates the weights; or does neither.
    pub fn commit(&mut self, step: u64, verdict: Verdict<'_>) -> Result<()> {
        self.expect(step, "commit", true)?;
        match verdict {
            Verdict::Skip => {}
            Verdict::Apply { ranks, lr, norm } => {
                if ranks.len() as u64 != self.config.logical_ranks {
                    return Err(Error::Input {
                        what: "features to enqueue",
                        expected: format!("{} logical ranks", self.config.logical_ranks),
                        found: ranks.len().to_string(),
                    });
                }
                if !self.gradients()?.iter().all(Tensor::defined) {
                    let state =
                        format!("step {} was not computed, or its gradients were not reduced", self.step);
                    return Err(Error::Step { asked: step, verb: "commit", state });
                }
                let column = |of: fn(&RankResult) -> &Tensor| -> Result<Tensor> {
                    Ok(Tensor::f_cat(&ranks.iter().map(of).collect::<Vec<_>>(), 0)?)
                };
                let (image, text) = (column(|r| &r.image_features)?, column(|r| &r.text_features)?);
                // Whatever can be refused is refused before anything changes.
                self.queue.check(&image, &text)?;
                self.optimizer.step(lr, norm)?;
                self.queue.enqueue(&image, &text)?;
            }
        }
        torch_ext::foreach::clear_grads(self.model.params().tensors())?;
        self.step += 1;
        self.begun = false;
        Ok(())
    }

    /// A whole step for a caller that computes every logical rank itself.
    pub fn train_step(&mut self, batches: &[MicroBatch], alpha: f64, lr: f64) -> Result<StepReport> {
        self.expect_all_ranks(batches.len())?;
        self.train_share(Share { first_rank: 0, batches }, &mut Alone, (alpha, lr), &mut |_| {})
    }

    /// A whole step for a caller that computes `share` and gets the rest from the others through `exchange`, with
    /// distillation weight and learning rate. `probe` is called after each part.
    ///
    /// Every caller reports the losses of all logical ranks and holds the same state afterwards.
    pub fn train_share(
        &mut self,
        share: Share<'_>,
        exchange: &mut dyn Exchange,
        (alpha, lr): (f64, f64),
        probe: Probe<'_>,
    ) -> Result<StepReport> {
        let step = self.step;
        self.begin(step)?;
        probe(Part::MomentumUpdate);
        let own = self.compute(step, share.first_rank, share.batches, alpha, probe)?;
        let mut sums = match self.config.reduction {
            Reduction::Accumulate => self.gradients()?,
            Reduction::Ordered => Vec::new(),
        };
        let mut all = exchange.all_ranks(own, &mut sums)?;
        self.expect_all_ranks(all.ranks.len())?;
        match self.config.reduction {
            Reduction::Accumulate => self.divide_gradients()?,
            Reduction::Ordered => self.reduce_ordered(std::mem::take(&mut all.gradients))?,
        }
        let norm = self.gradient_norm()?;
        let losses: Vec<&Tensor> = all.ranks.iter().map(|rank| &rank.losses).collect();
        let readings = self.read(&losses, &norm)?;
        probe(Part::Read);
        let skipped = !readings.is_finite();
        let verdict = match skipped {
            true => Verdict::Skip,
            false => Verdict::Apply { ranks: &all.ranks, lr, norm: Some(&norm) },
        };
        self.commit(step, verdict)?;
        probe(Part::Update);
        let Readings { losses, temp, gradient_norm } = readings;
        Ok(StepReport { step, losses, skipped, temp, gradient_norm })
    }
}
