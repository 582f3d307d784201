//! A step that was lost is made again from the same data.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::time::Duration;

use albef_model::Trainer;
use albef_model::exchange::{Alone, Exchange};
use albef_model::trainer::{LocalStep, TrainerConfig};
use albef_model::weights::training::state_dict;
use albef_worker::config::JobConfig;
use albef_worker::loader::Block;
use albef_worker::train::{Before, StepError, Stepper, Stream};
use common::World;
use tch::{Device, Tensor};

const NOTHING: Before = Before { replaced: 0, elapsed: Duration::ZERO, evaluated: false };

fn trainer(job: &JobConfig) -> Trainer {
    let config = TrainerConfig {
        seed: job.seed,
        logical_ranks: job.logical_ranks,
        precision: job.train.dtype,
        reduction: job.train.reduction,
        optimizer: job.optimizer,
    };
    Trainer::new(&job.model, Device::Cpu, config).unwrap()
}

/// Loses the others every other time it is asked.
#[derive(Default)]
struct Flaky(u32);

impl Exchange for Flaky {
    fn all_ranks(&mut self, own: LocalStep, sums: &mut [Tensor]) -> albef_model::Result<LocalStep> {
        self.0 += 1;
        if self.0 % 2 == 1 {
            // What was on its way is worth nothing.
            let _ = sums[0].fill_(f64::NAN);
            let (what, found) = ("the other workers", "none".into());
            return Err(albef_model::Error::Input { what, expected: "some".into(), found });
        }
        Ok(own)
    }
}

#[test]
fn a_step_that_failed_is_made_again_with_the_same_samples() {
    tch::set_num_threads(1);
    let world = World::new();
    let job = JobConfig::load(&world.path("job.toml")).unwrap();
    let stream = Stream::open(&job, "job").unwrap();
    let all = Block { first: 0, count: job.logical_ranks };
    let steps = 5;

    let (mut whole, mut losses) = (trainer(&job), Vec::new());
    let mut stepper = Stepper::new(&job, 16, stream.start(all, 0).unwrap(), NOTHING);
    for _ in 0..steps {
        losses.push(stepper.step(&mut whole, &mut Alone).unwrap().record.loss);
    }

    let (mut again, mut found, mut failures) = (trainer(&job), Vec::new(), 0);
    let mut stepper = Stepper::new(&job, 16, stream.start(all, 0).unwrap(), NOTHING);
    let mut exchange = Flaky::default();
    while again.step() < steps {
        match stepper.step(&mut again, &mut exchange) {
            Ok(made) => found.push(made.record.loss),
            Err(error) => {
                assert!(matches!(error, StepError::Compute { .. }), "{error}");
                failures += 1;
            }
        }
    }
    assert_eq!((failures, &found), (steps, &losses));
    for ((name, a), (_, b)) in state_dict(&whole).unwrap().iter().zip(state_dict(&again).unwrap()) {
        assert!(a.equal(&b), "{name}");
    }
}

#[test]
fn a_trainer_that_is_elsewhere_is_refused() {
    let world = World::new();
    let job = JobConfig::load(&world.path("job.toml")).unwrap();
    let stream = Stream::open(&job, "job").unwrap();
    let loader = stream.start(Block { first: 0, count: job.logical_ranks }, 3).unwrap();
    let mut stepper = Stepper::new(&job, 16, loader, NOTHING);
    let mut trainer = trainer(&job);
    for _ in 0..2 {
        let error = stepper.step(&mut trainer, &mut Alone).unwrap_err();
        assert!(matches!(error, StepError::OutOfTurn { loaded: 3, next: 0 }), "{error}");
    }
}
