//! Learning rate and distillation weight as pure functions of the step.
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How the learning rate moves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub enum Schedule {
    /// The published one: in epoch 0 a staircase up, one stair every `stair` steps, then one value per epoch along a
    /// cosine.
    Staircase {
        /// Highest rate.
        #[serde(default = "defaults::peak")]
        peak: f64,
        /// Rate of the first steps and of the end.
        #[serde(default = "defaults::floor")]
        floor: f64,
        /// Number of stairs.
        #[serde(default = "defaults::stairs")]
        stairs: u64,
        /// Steps on each stair.
        #[serde(default = "defaults::stair")]
        stair: u64,
        /// Epochs until the cosine reaches the floor.
        #[serde(default = "defaults::epochs")]
        epochs: u64,
    },
    /// A linear warm-up, then a cosine that moves with every step.
    Cosine {
        /// Highest rate.
        #[serde(default = "defaults::peak")]
        peak: f64,
        /// Rate of the end.
        #[serde(default = "defaults::floor")]
        floor: f64,
        /// Steps of the warm-up from the floor to the peak.
        #[serde(default)]
        warmup: u64,
        /// Steps in all.
        steps: u64,
    },
    /// Always the same.
    Constant {
        /// The rate.
        lr: f64,
    },
}

/// The published values.
mod defaults {
    pub(super) fn peak() -> f64 {
        1e-4
    }
    pub(super) fn floor() -> f64 {
        1e-5
    }
    pub(super) fn stairs() -> u64 {
        20
    }
    pub(super) fn stair() -> u64 {
        100
    }
    pub(super) fn epochs() -> u64 {
        30
    }
}

/// Where a step lies: step s of a continuous stream of samples, `global_batch` of them a step, `samples` an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Optimizer step, counted from 0.
    pub step: u64,
    /// Samples a step.
    pub global_batch: u64,
    /// Samples an epoch, at least 1.
    pub samples: u64,
}

impl Position {
    /// Samples seen before this step; no job gets near the range of u128.
    fn seen(&self) -> u128 {
        u128::from(self.step) * u128::from(self.global_batch)
    }

    /// The epoch that the step's first sample belongs to.
    pub fn epoch(&self) -> u64 {
        u64::try_from(self.seen() / u128::from(self.samples.max(1))).unwrap_or(u64::MAX)
    }

    /// `limit · min(1, epochs seen)`: the distillation weight α, which rises over the first epoch.
    pub fn alpha(&self, limit: f64) -> f64 {
        limit * (self.seen() as f64 / self.samples.max(1) as f64).min(1.0)
    }
}

impl Schedule {
    /// The published schedule.
    pub fn published() -> Self {
        Self::Staircase {
            peak: defaults::peak(),
            floor: defaults::floor(),
            stairs: defaults::stairs(),
            stair: defaults::stair(),
            epochs: defaults::epochs(),
        }
    }

    /// Checks every number.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field, value: String, problem: &str| {
            Err(Error::Config { field, value, problem: problem.into() })
        };
        let rate = |field, value: f64| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                refuse(field, value.to_string(), "must be positive")
            }
        };
        let count = |field, value: u64| {
            if value > 0 { Ok(()) } else { refuse(field, value.to_string(), "must be at least 1") }
        };
        match *self {
            Self::Staircase { peak, floor, stairs, stair, epochs } => {
                rate("schedule.peak", peak)?;
                rate("schedule.floor", floor)?;
                count("schedule.stairs", stairs)?;
                count("schedule.stair", stair)?;
                count("schedule.epochs", epochs)
            }
            Self::Cosine { peak, floor, warmup, steps } => {
                rate("schedule.peak", peak)?;
                rate("schedule.floor", floor)?;
                count("schedule.steps", steps)?;
                if warmup >= steps {
                    return refuse(
                        "schedule.warmup",
                        warmup.to_string(),
                        &format!("must be below schedule.steps = {steps}"),
                    );
                }
                Ok(())
            }
            Self::Constant { lr } => rate("schedule.lr", lr),
        }
    }

    /// The learning rate of the update at `at`.
    pub fn lr(&self, at: Position) -> f64 {
        match *self {
            Self::Staircase { peak, floor, stairs, stair, epochs } => {
                let epoch = at.epoch();
                if epoch == 0 {
                    // The published loop moves the rate after the update of step 0, `stair`, 2·`stair`, …
                    let level = (at.step.saturating_sub(1) / stair).min(stairs);
                    return floor + (peak - floor) * level as f64 / stairs as f64;
                }
                cosine(floor, peak, epoch.min(epochs) as f64 / epochs as f64)
            }
            Self::Cosine { peak, floor, warmup, steps } => {
                if at.step < warmup {
                    return floor + (peak - floor) * at.step as f64 / warmup as f64;
                }
                let done = (at.step.min(steps) - warmup) as f64 / (steps - warmup) as f64;
                cosine(floor, peak, done)
            }
            Self::Constant { lr } => lr,
        }
    }
}

/// From `peak` at 0 to `floor` at 1 along half a cosine.
fn cosine(floor: f64, peak: f64, done: f64) -> f64 {
    floor + 0.5 * (peak - floor) * (1.0 + (std::f64::consts::PI * done).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: u64, samples: u64) -> Position {
        Position { step, global_batch: 512, samples }
    }

    #[test]
    fn the_staircase_follows_the_published_formula() {
        let s = Schedule::published();
        let long = 512 * 9000;
        for (step, lr) in [
            (0, 1e-5),
            (1, 1e-5),
            (100, 1e-5),
            (101, 1.45e-5),
            (1900, 1e-5 + 4.5e-6 * 18.0),
            (2000, 9.55e-5),
            (2001, 1e-4),
            (8999, 1e-4),
        ] {
            assert!((s.lr(at(step, long)) - lr).abs() < 1e-12, "step {step}: {}", s.lr(at(step, long)));
        }
        for epoch in 1..30_u64 {
            let expected = 1e-5 + 4.5e-5 * (1.0 + (std::f64::consts::PI * epoch as f64 / 30.0).cos());
            assert!((s.lr(at(9000 * epoch, long)) - expected).abs() < 1e-12);
            assert_eq!(s.lr(at(9000 * epoch, long)), s.lr(at(9000 * epoch + 8999, long)));
        }
    }

    #[test]
    fn a_short_first_epoch_cuts_the_staircase_off() {
        let s = Schedule::published();
        assert!((s.lr(at(49, 512 * 50)) - 1e-5).abs() < 1e-12);
        assert!(s.lr(at(50, 512 * 50)) > 9.9e-5);
    }

    #[test]
    fn the_cosine_moves_with_every_step_and_ends_at_the_floor() {
        let s = Schedule::Cosine { peak: 1e-3, floor: 1e-5, warmup: 10, steps: 100 };
        let rates: Vec<f64> = (0..=120).map(|step| s.lr(at(step, 1))).collect();
        assert_eq!(rates[0], 1e-5);
        assert_eq!(rates[10], 1e-3);
        assert!(rates[..11].windows(2).all(|w| w[0] < w[1]));
        assert!(rates[10..=100].windows(2).all(|w| w[0] > w[1]));
        assert!((rates[100] - 1e-5).abs() < 1e-12 && rates[120] == rates[100]);
    }

    #[test]
    fn alpha_rises_over_the_first_epoch_whatever_the_batch() {
        let p = Position { step: 5, global_batch: 10, samples: 100 };
        assert_eq!(p.alpha(0.4), 0.2);
        assert_eq!(Position { step: 10, ..p }.alpha(0.4), 0.4);
        assert_eq!(Position { step: 1000, ..p }.alpha(0.4), 0.4);
        assert_eq!(Position { step: 0, ..p }.alpha(0.4), 0.0);
        assert_eq!(Position { step: 10, ..p }.epoch(), 1);
    }

    #[test]
    fn an_impossible_schedule_is_refused_by_name() {
        let bad = Schedule::Cosine { peak: 1e-3, floor: 1e-5, warmup: 100, steps: 100 };
        assert_eq!(
            bad.validate().map_err(|e| e.to_string()),
            Err("configuration: schedule.warmup = 100: must be below schedule.steps = 100".to_owned())
        );
    }
}
