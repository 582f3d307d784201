//! AdamW with the published parameter groups, through libtorch's fused operator.
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use torch_ext::foreach;
use torch_ext::optim::{AdamW, Group};

use crate::error::{Error, Result};
use crate::params::ParamSet;

/// Numbers of the optimizer; the defaults are the published ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay of everything but one-dimensional parameters and biases.
    pub weight_decay: f64,
    /// Gradients with a larger global norm are scaled down to it; absent means never.
    pub clip_norm: Option<f64>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.02, clip_norm: None }
    }
}

impl OptimizerConfig {
    /// Checks every number.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field, value: f64, problem: &str| {
            Err(Error::Config { field, value: value.to_string(), problem: problem.into() })
        };
        if !(0.0..1.0).contains(&self.beta1) {
            return refuse("optimizer.beta1", self.beta1, "must lie in [0, 1)");
        }
        if !(0.0..1.0).contains(&self.beta2) {
            return refuse("optimizer.beta2", self.beta2, "must lie in [0, 1)");
        }
        if !(self.eps > 0.0 && self.eps.is_finite()) {
            return refuse("optimizer.eps", self.eps, "must be positive");
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return refuse("optimizer.weight_decay", self.weight_decay, "must not be negative");
        }
        match self.clip_norm {
            Some(norm) if !(norm > 0.0 && norm.is_finite()) => {
                refuse("optimizer.clip_norm", norm, "must be positive; leave it out for no clipping")
            }
            _ => Ok(()),
        }
    }
}

/// Moments and step count of one group of parameters.
#[derive(Debug)]
struct GroupState {
    names: Vec<String>,
    params: Vec<Tensor>,
    exp_avgs: Vec<Tensor>,
    exp_avg_sqs: Vec<Tensor>,
    weight_decay: f64,
}

/// The optimizer's state.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    groups: [GroupState; 2],
    updates: u64,
}

/// Whether the published rule decays a parameter: not if it is one-dimensional or a bias. `temp` has no dimensions,
/// so it is decayed, as are `pos_embed`, `cls_token` and the embeddings.
pub fn is_decayed(name: &str, dimensions: usize) -> bool {
    dimensions != 1 && !name.ends_with(".bias")
}

impl Optimizer {
    /// Zero moments for every parameter of `params`.
    pub fn new(params: &ParamSet, config: OptimizerConfig) -> Result<Self> {
        config.validate()?;
        let group = |decayed: bool| -> Result<GroupState> {
            let (names, chosen): (Vec<String>, Vec<Tensor>) = params
                .iter()
                .filter(|(name, tensor)| is_decayed(name, tensor.dim()) == decayed)
                .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
                .unzip();
            let zeros = || chosen.iter().map(|t| Ok(t.f_detach()?.f_zeros_like()?)).collect::<Result<_>>();
            Ok(GroupState {
                names,
                exp_avgs: zeros()?,
                exp_avg_sqs: zeros()?,
                weight_decay: if decayed { config.weight_decay } else { 0.0 },
                params: chosen,
            })
        };
        Ok(Self { config, groups: [group(false)?, group(true)?], updates: 0 })
    }

    /// Updates made so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// First and second moment of each parameter, by its name; they share storage with the optimizer.
    pub(crate) fn moments(&self) -> impl Iterator<Item = (&str, &Tensor, &Tensor)> {
        self.groups.iter().flat_map(|group| {
            let moments = group.exp_avgs.iter().zip(&group.exp_avg_sqs);
            group.names.iter().zip(moments).map(|(name, (first, second))| (name.as_str(), first, second))
        })
    }

    /// Goes on counting from `updates`, for moments that were read back.
    pub(crate) fn set_updates(&mut self, updates: u64) {
        self.updates = updates;
    }

    /// The 2-norm of all gradients taken as one vector, as a tensor of no dimensions on their device. It is finite only
    /// if every gradient is.
    pub fn gradient_norm(&self) -> Result<Tensor> {
        let grads: Vec<Tensor> = self.gradients()?.into_iter().flatten().collect();
        Ok(foreach::global_norm(&grads)?)
    }

    /// One update from the parameters' gradients, which it scales for clipping, if that is on. `norm` is their
    /// [`gradient_norm`](Self::gradient_norm), if the caller has it already.
    pub fn step(&mut self, lr: f64, norm: Option<&Tensor>) -> Result<()> {
        let mut grads = self.gradients()?;
        if let Some(limit) = self.config.clip_norm {
            match norm {
                Some(norm) => clip(&mut grads, norm, limit)?,
                None => clip(&mut grads, &self.gradient_norm()?, limit)?,
            }
        }
        self.updates += 1;
        for (group, grads) in self.groups.iter_mut().zip(&grads) {
            let Some(first) = group.params.first() else { continue };
            let step = Tensor::f_full([0_i64; 0], self.updates as f64, (Kind::Float, first.device()))?;
            AdamW {
                lr,
                beta1: self.config.beta1,
                beta2: self.config.beta2,
                weight_decay: group.weight_decay,
                eps: self.config.eps,
            }
            .apply(
                Group {
                    params: &mut group.params,
                    grads,
                    exp_avgs: &mut group.exp_avgs,
                    exp_avg_sqs: &mut group.exp_avg_sqs,
                },
                &step,
            )?;
        }
        Ok(())
    }

    /// The gradients of each group.
    fn gradients(&self) -> Result<[Vec<Tensor>; 2]> {
        let of = |group: &GroupState| group.params.iter().map(Tensor::f_grad).collect::<Result<Vec<_>, _>>();
        let [spared, decayed] = &self.groups;
        Ok([of(spared)?, of(decayed)?])
    }
}

/// Scales all gradients by `min(1, limit / norm)` without reading the norm on the host.
fn clip(grads: &mut [Vec<Tensor>], norm: &Tensor, limit: f64) -> Result<()> {
    let mut all: Vec<Tensor> = grads.iter().flatten().map(Tensor::shallow_clone).collect();
    let factor = norm.f_add_scalar(1e-6)?.f_reciprocal()?.f_mul_scalar(limit)?.f_clamp_max(1.0)?;
    Ok(foreach::mul(&mut all, &factor)?)
}
