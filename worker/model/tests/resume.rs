//! A training state out and in again.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use albef_model::forward::MicroBatch;
use albef_model::trainer::Reduction;
use albef_model::weights::file::TensorFile;
use albef_model::weights::training;
use albef_model::{ModelConfig, Precision, Trainer};
use common::*;
use tch::Tensor;

fn config() -> ModelConfig {
    let mut config = tiny();
    config.text.dropout = 0.1;
    config
}

fn fresh() -> Trainer {
    trainer(&config(), 2, Reduction::Accumulate, Precision::Fp32)
}

fn batches(step: u64) -> Vec<MicroBatch> {
    (0..2).map(|rank| drawn_batch(&config(), &[6, 9, 4], 10 * step + rank)).collect()
}

fn train(trainer: &mut Trainer, steps: std::ops::Range<u64>) {
    for step in steps {
        let mut batches = batches(step);
        if step == 2 {
            // A skipped step: the optimizer's count falls behind.
            batches[0].image *= f64::NAN;
        }
        trainer.train_step(&batches, 0.4, 1e-3).unwrap();
    }
}

fn all_bits(trainer: &Trainer) -> Bits {
    training::state_dict(trainer).unwrap().iter().map(|(name, t)| (name.clone(), bits(t))).collect()
}

#[test]
fn a_trainer_goes_on_from_its_save_with_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.safetensors");
    let mut unbroken = fresh();
    train(&mut unbroken, 0..4);
    training::save(&path, &unbroken).unwrap();
    train(&mut unbroken, 4..7);

    let mut resumed = fresh();
    training::load(&path, &mut resumed).unwrap();
    assert_eq!(resumed.step(), 4);
    train(&mut resumed, 4..7);
    assert_same(&all_bits(&resumed), &all_bits(&unbroken), "after three more steps");
}

#[test]
fn a_step_under_way_is_not_saved() {
    let mut trainer = fresh();
    trainer.begin(0).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let refused = training::save(dir.path().join("s"), &trainer).unwrap_err();
    assert_line(&refused, &["step 0", "save between steps"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_state_that_is_not_this_job_s_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.safetensors");
    training::save(&path, &fresh()).unwrap();
    let good = entries(&TensorFile::open(&path).unwrap(), "");
    let refused = |change: &dyn Fn(&mut Entries)| {
        let mut tensors = copied(&good);
        change(&mut tensors);
        training::load(saved(dir.path(), &tensors), &mut fresh()).unwrap_err()
    };
    assert_line(
        &refused(&|t| drop(t.remove("optimizer.exp_avg.temp"))),
        &["optimizer.exp_avg.temp", "missing"],
    );
    assert_line(&refused(&|t| drop(t.remove("model.image_queue"))), &["model.image_queue", "missing"]);
    assert_line(
        &refused(&|t| drop(t.insert("x".into(), Tensor::from_slice(&[1_f32])))),
        &["x [1] is not part"],
    );
    let ranks = |t: &mut Entries| drop(t.insert("trainer.identity".into(), Tensor::from_slice(&[5_i64, 3])));
    assert_line(&refused(&ranks), &["seed and logical ranks", "[5, 2]", "[5, 3]"]);
    let updates = |t: &mut Entries| drop(t.insert("trainer.updates".into(), Tensor::from_slice(&[9_i64])));
    assert_line(&refused(&updates), &["9 updates in 0 steps"]);
}
