//! A step over logical ranks: however they are spread over callers, however often it is computed.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::sync::{Barrier, Mutex};

use albef_model::exchange::{Exchange, Share};
use albef_model::forward::MicroBatch;
use albef_model::reduce::RankGradients;
use albef_model::trainer::{LocalStep, RankResult, Reduction, Verdict};
use albef_model::{Error, ModelConfig, Precision, Trainer};
use common::*;
use tch::Tensor;

const RANKS: u64 = 4;
const STEPS: u64 = 3;
const LR: f64 = 1e-3;

/// Dropout on, so that everything random in a step counts.
fn config() -> ModelConfig {
    let mut config = tiny();
    config.text.dropout = 0.1;
    config
}

fn fresh(reduction: Reduction) -> Trainer {
    let trainer = trainer(&config(), RANKS, reduction, Precision::Fp32);
    randomise(trainer.model(), 3);
    trainer
}

/// Ranks differ in batch size and length; everything is left to be drawn.
fn batches(step: u64) -> Vec<MicroBatch> {
    let lengths: [&[i64]; 4] = [&[7, 5, 9], &[12, 3], &[4, 4, 4, 6], &[8, 11, 5]];
    lengths.iter().zip(0..).map(|(l, rank)| drawn_batch(&config(), l, 100 * step + rank)).collect()
}

fn alpha(step: u64) -> f64 {
    [0.0, 0.2, 0.4][step as usize]
}

fn quiet() -> impl FnMut(albef_model::forward::Part) {
    |_| {}
}

fn compute(trainer: &mut Trainer, step: u64, first: u64, batches: &[MicroBatch]) -> LocalStep {
    trainer.compute(step, first, batches, alpha(step), &mut quiet()).unwrap()
}

/// What the callers send each other, as every one of them receives it.
fn received<'a>(
    locals: impl Iterator<Item = &'a LocalStep> + Clone,
) -> (Vec<RankResult>, Vec<RankGradients>) {
    let ranks = locals.clone().flat_map(|local| &local.ranks);
    let results = ranks.map(|r| RankResult {
        losses: r.losses.copy(),
        image_features: r.image_features.copy(),
        text_features: r.text_features.copy(),
    });
    let gradients = locals.flat_map(|local| &local.gradients);
    (results.collect(), gradients.map(|of_rank| of_rank.iter().map(Tensor::copy).collect()).collect())
}

/// `STEPS` steps over callers that take so many logical ranks each.
fn run(split: &[usize], reduction: Reduction) -> Vec<Trainer> {
    let mut callers: Vec<Trainer> = split.iter().map(|_| fresh(reduction)).collect();
    for step in 0..STEPS {
        let batches = batches(step);
        let mut first = 0;
        let mut locals = Vec::new();
        for (caller, &count) in callers.iter_mut().zip(split) {
            caller.begin(step).unwrap();
            locals.push(compute(caller, step, first as u64, &batches[first..first + count]));
            first += count;
        }
        let sums: Vec<RankGradients> = match reduction {
            Reduction::Ordered => Vec::new(),
            Reduction::Accumulate => {
                callers.iter().map(|c| c.gradients().unwrap().iter().map(Tensor::copy).collect()).collect()
            }
        };
        for (own, caller) in callers.iter_mut().enumerate() {
            let (ranks, gradients) = received(locals.iter());
            match reduction {
                Reduction::Ordered => caller.reduce_ordered(gradients).unwrap(),
                Reduction::Accumulate => {
                    for sum in sums.iter().enumerate().filter(|(other, _)| *other != own).map(|(_, s)| s) {
                        torch_ext::foreach::add(&mut caller.gradients().unwrap(), sum).unwrap();
                    }
                    caller.divide_gradients().unwrap();
                }
            }
            caller.commit(step, Verdict::Apply { ranks: &ranks, lr: LR, norm: None }).unwrap();
        }
    }
    callers
}

#[test]
fn any_split_of_the_logical_ranks_gives_the_same_bits() {
    let alone = run(&[4], Reduction::Ordered).remove(0);
    let expected = trainer_bits(&alone);
    assert_eq!(alone.step(), STEPS);
    assert_ne!(trainer_bits(&fresh(Reduction::Ordered)), expected);
    for split in [&[2, 2][..], &[1, 3], &[3, 1], &[1, 1, 1, 1]] {
        for (i, caller) in run(split, Reduction::Ordered).iter().enumerate() {
            assert_same(&expected, &trainer_bits(caller), &format!("caller {i} of {split:?}"));
        }
    }
}

#[test]
fn a_caller_with_every_rank_takes_the_steps_that_train_step_takes() {
    let expected = trainer_bits(&run(&[4], Reduction::Ordered)[0]);
    let mut trainer = fresh(Reduction::Ordered);
    for step in 0..STEPS {
        let report = trainer.train_step(&batches(step), alpha(step), LR).unwrap();
        assert_eq!((report.step, report.losses.len(), report.skipped), (step, 4, false));
    }
    assert_same(&expected, &trainer_bits(&trainer), "train_step");
}

/// Two callers in two threads, as two workers would be.
struct Table {
    shares: Mutex<[Option<LocalStep>; 2]>,
    all_there: Barrier,
}

struct Seat<'a> {
    table: &'a Table,
    number: usize,
}

impl Exchange for Seat<'_> {
    fn all_ranks(&mut self, own: LocalStep, sums: &mut [Tensor]) -> Result<LocalStep, Error> {
        assert!(sums.is_empty(), "ordered gradients are kept apart");
        self.table.shares.lock().unwrap()[self.number] = Some(own);
        self.table.all_there.wait();
        let all = {
            let shares = self.table.shares.lock().unwrap();
            let (ranks, gradients) = received(shares.iter().map(|share| share.as_ref().unwrap()));
            LocalStep { ranks, gradients }
        };
        // Nobody may lay down the next step before both have read this one.
        self.table.all_there.wait();
        Ok(all)
    }
}

#[test]
fn two_callers_of_the_step_take_the_same_steps_as_one() {
    let expected = trainer_bits(&run(&[4], Reduction::Ordered)[0]);
    for split in [1, 2, 3] {
        let table = Table { shares: Mutex::default(), all_there: Barrier::new(2) };
        let callers = [fresh(Reduction::Ordered), fresh(Reduction::Ordered)];
        let trained: Vec<Trainer> = std::thread::scope(|scope| {
            let threads: Vec<_> = callers
                .into_iter()
                .enumerate()
                .map(|(number, mut trainer)| {
                    let mut seat = Seat { table: &table, number };
                    scope.spawn(move || {
                        for step in 0..STEPS {
                            let batches = batches(step);
                            let (first, last) = batches.split_at(split);
                            let share = match number {
                                0 => Share { first_rank: 0, batches: first },
                                _ => Share { first_rank: split as u64, batches: last },
                            };
                            let report = trainer
                                .train_share(share, &mut seat, (alpha(step), LR), &mut quiet())
                                .unwrap();
                            assert_eq!(report.losses.len(), 4);
                        }
                        trainer
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (number, trainer) in trained.iter().enumerate() {
            assert_same(
                &expected,
                &trainer_bits(trainer),
                &format!("caller {number} of two, cut at {split}"),
            );
        }
    }
}

#[test]
fn accumulated_gradients_agree_up_to_rounding() {
    let ordered = run(&[4], Reduction::Ordered).remove(0);
    for split in [&[4][..], &[1, 3]] {
        for caller in run(split, Reduction::Accumulate) {
            let params = caller.model().params().iter().chain(caller.model().twin_params().iter());
            let reference = ordered.model().params().iter().chain(ordered.model().twin_params().iter());
            for ((name, found), (_, expected)) in params.zip(reference) {
                if let (Some(found), Some(expected)) = (meaningful(name, found), meaningful(name, expected)) {
                    let error = max_difference(&found, &expected);
                    assert!(error <= 1e-5, "{split:?} {name}: {error:.2e}");
                }
            }
            assert!(max_difference(caller.queue().image(), ordered.queue().image()) <= 1e-5);
            assert!(max_difference(caller.queue().text(), ordered.queue().text()) <= 1e-5);
            assert_eq!(caller.queue().pointer(), ordered.queue().pointer());
        }
    }
}

#[test]
fn the_features_of_all_ranks_are_enqueued_once_and_in_rank_order() {
    let mut trainer = fresh(Reduction::Ordered);
    let size = trainer.queue().size();
    trainer.begin(0).unwrap();
    let mut local = compute(&mut trainer, 0, 0, &batches(0));
    trainer.reduce_ordered(std::mem::take(&mut local.gradients)).unwrap();
    trainer.commit(0, Verdict::Apply { ranks: &local.ranks, lr: LR, norm: None }).unwrap();
    let rows = Tensor::cat(&local.ranks.iter().map(|r| &r.text_features).collect::<Vec<_>>(), 0);
    // Twelve rows into ten columns: the first two columns are overwritten by the last two rows.
    assert_eq!((rows.size()[0], size, trainer.queue().pointer()), (12, 10, 2));
    let expected = Tensor::cat(&[rows.narrow(0, 10, 2), rows.narrow(0, 2, 8)], 0).transpose(0, 1);
    assert_eq!(bits(trainer.queue().text()), bits(&expected));
}

#[test]
fn computing_a_step_again_applies_nothing_twice() {
    for reduction in [Reduction::Ordered, Reduction::Accumulate] {
        let mut once = fresh(reduction);
        let mut again = fresh(reduction);
        for step in 0..STEPS {
            once.train_step(&batches(step), alpha(step), LR).unwrap();

            again.begin(step).unwrap();
            // Attempts of a group that then lost a worker: another share of the ranks, then the whole.
            compute(&mut again, step, 1, &batches(step)[1..3]);
            again.begin(step).unwrap();
            compute(&mut again, step, 0, &batches(step));
            again.begin(step).unwrap();
            let mut local = compute(&mut again, step, 0, &batches(step));
            match reduction {
                Reduction::Ordered => again.reduce_ordered(std::mem::take(&mut local.gradients)).unwrap(),
                Reduction::Accumulate => again.divide_gradients().unwrap(),
            }
            again.commit(step, Verdict::Apply { ranks: &local.ranks, lr: LR, norm: None }).unwrap();
            assert_same(&trainer_bits(&once), &trainer_bits(&again), &format!("{reduction:?} step {step}"));
        }
    }
}

#[test]
fn randomness_is_that_of_step_and_rank() {
    let mut trainer = fresh(Reduction::Ordered);
    trainer.begin(0).unwrap();
    let losses = |trainer: &mut Trainer, first| {
        let batch = drawn_batch(&config(), &[9, 7, 8], 1);
        bits(&compute(trainer, 0, first, &[batch]).ranks[0].losses)
    };
    assert_eq!(losses(&mut trainer, 0), losses(&mut trainer, 0));
    assert_ne!(losses(&mut trainer, 0), losses(&mut trainer, 1));
}

#[test]
fn calls_out_of_turn_are_refused_and_change_nothing() {
    let mut trainer = fresh(Reduction::Ordered);
    let all = batches(0);
    fn refused<T: std::fmt::Debug>(
        trainer: &mut Trainer,
        what: &str,
        f: impl FnOnce(&mut Trainer) -> Result<T, Error>,
    ) {
        let (before, step) = (trainer_bits(trainer), trainer.step());
        let error = f(trainer).expect_err(what);
        assert!(matches!(error, Error::Step { .. }), "{what}: {error:?}");
        assert_line(&error, &["step ", "cannot"]);
        assert_same(&before, &trainer_bits(trainer), what);
        assert_eq!(trainer.step(), step, "{what}");
    }
    let skip = |step| move |t: &mut Trainer| t.commit(step, Verdict::Skip);
    let early = |step, all| move |t: &mut Trainer| t.compute(step, 0, all, 0.0, &mut quiet());

    refused(&mut trainer, "compute before begin", early(0, &all));
    refused(&mut trainer, "commit before begin", skip(0));
    refused(&mut trainer, "begin of a later step", |t| t.begin(1));
    trainer.begin(0).unwrap();
    let begun = trainer_bits(&trainer);
    trainer.begin(0).unwrap();
    assert_same(&begun, &trainer_bits(&trainer), "beginning twice");
    refused(&mut trainer, "begin of the next step", |t| t.begin(1));
    refused(&mut trainer, "compute of the next step", early(1, &all));
    refused(&mut trainer, "commit of the next step", skip(1));
    let mut local = compute(&mut trainer, 0, 0, &all);
    refused(&mut trainer, "apply before reducing", |t| {
        t.commit(0, Verdict::Apply { ranks: &local.ranks, lr: LR, norm: None })
    });
    trainer.reduce_ordered(std::mem::take(&mut local.gradients)).unwrap();
    trainer.commit(0, Verdict::Apply { ranks: &local.ranks, lr: LR, norm: None }).unwrap();
    refused(&mut trainer, "commit twice", |t| {
        t.commit(0, Verdict::Apply { ranks: &local.ranks, lr: LR, norm: None })
    });
    refused(&mut trainer, "begin of a past step", |t| t.begin(0));
    refused(&mut trainer, "compute of a past step", early(0, &all));

    let mut undisturbed = fresh(Reduction::Ordered);
    undisturbed.train_step(&all, alpha(0), LR).unwrap();
    for step in 1..STEPS {
        trainer.train_step(&batches(step), alpha(step), LR).unwrap();
        undisturbed.train_step(&batches(step), alpha(step), LR).unwrap();
    }
    assert_same(&trainer_bits(&undisturbed), &trainer_bits(&trainer), "after all refusals");
}

#[test]
fn shares_that_do_not_add_up_are_refused_and_change_nothing() {
    let mut trainer = fresh(Reduction::Ordered);
    let all = batches(0);
    trainer.begin(0).unwrap();
    let before = trainer_bits(&trainer);
    for (first, share) in [(0, &all[..0]), (1, &all[..]), (4, &all[..1])] {
        let error = trainer.compute(0, first, share, 0.0, &mut quiet()).unwrap_err();
        assert_line(&error, &["micro-batches", "logical ranks below 4"]);
    }
    let mut local = compute(&mut trainer, 0, 0, &all[..3]);
    let error = trainer.reduce_ordered(std::mem::take(&mut local.gradients)).unwrap_err();
    assert_line(&error, &["gradients to reduce", "4 logical ranks", "found 3"]);
    let error = trainer.commit(0, Verdict::Apply { ranks: &local.ranks, lr: LR, norm: None }).unwrap_err();
    assert_line(&error, &["features to enqueue", "found 3"]);
    let error = trainer.train_step(&all[..3], 0.0, LR).unwrap_err();
    assert_line(&error, &["one for each of 4 logical ranks", "found 3"]);
    assert_same(&before, &trainer_bits(&trainer), "refused shares");
    assert_eq!(trainer.step(), 0);
}

#[test]
fn a_skipped_step_moves_the_twin_once_and_nothing_else() {
    let mut trainer = fresh(Reduction::Ordered);
    let before = trainer_bits(&trainer);
    let expected: Vec<Tensor> = trainer
        .model()
        .twin_params()
        .iter()
        .map(|(name, twin)| {
            let online = trainer.model().params().get(&name.replace("_m.", ".")).unwrap();
            (twin * 0.9 + online * 0.1).detach()
        })
        .collect();
    trainer.begin(0).unwrap();
    trainer.begin(0).unwrap();
    compute(&mut trainer, 0, 0, &batches(0));
    trainer.commit(0, Verdict::Skip).unwrap();
    assert_eq!(trainer.step(), 1);
    assert_same(&without_twin(before), &without_twin(trainer_bits(&trainer)), "weights and queues");
    for ((name, twin), expected) in trainer.model().twin_params().iter().zip(&expected) {
        assert!(max_difference(twin, expected) <= 1e-6, "{name}");
    }
    assert!(trainer.model().params().tensors().iter().all(|p| !p.grad().defined()));
    trainer.train_step(&batches(1), 0.2, LR).unwrap();
    assert_eq!(trainer.step(), 2);
}

#[test]
fn an_image_that_is_not_a_number_skips_the_step() {
    for reduction in [Reduction::Ordered, Reduction::Accumulate] {
        let mut trainer = fresh(reduction);
        trainer.train_step(&batches(0), 0.0, LR).unwrap();
        let before = without_twin(trainer_bits(&trainer));
        let poisoned = batches(1);
        let _ = poisoned[2].image.get(1).get(0).get(3).get(3).fill_(f64::NAN);
        let report = trainer.train_step(&poisoned, 0.2, LR).unwrap();
        assert!(report.skipped);
        let finite: Vec<bool> = report.losses.iter().map(|l| l.is_finite()).collect();
        assert_eq!(finite, [true, true, false, true]);
        assert_same(&before, &without_twin(trainer_bits(&trainer)), "after NaN");
        let report = trainer.train_step(&batches(2), 0.4, LR).unwrap();
        assert!(!report.skipped && report.step == 2);
    }
}

/// Alone, but one gradient is lost on the way.
struct Overflowing;

impl Exchange for Overflowing {
    fn all_ranks(&mut self, own: LocalStep, sums: &mut [Tensor]) -> albef_model::Result<LocalStep> {
        let _ = sums[3].fill_(f64::INFINITY);
        Ok(own)
    }
}

#[test]
fn a_gradient_that_is_not_finite_skips_the_step_though_the_losses_are() {
    let mut trainer = fresh(Reduction::Accumulate);
    let before = without_twin(trainer_bits(&trainer));
    let batches = batches(0);
    let share = Share { first_rank: 0, batches: &batches };
    let report = trainer.train_share(share, &mut Overflowing, (0.2, LR), &mut |_| {}).unwrap();
    assert!(report.skipped && report.losses.iter().all(|losses| losses.is_finite()));
    assert!(!report.gradient_norm.is_finite());
    assert_same(&before, &without_twin(trainer_bits(&trainer)), "after an overflow");
}
