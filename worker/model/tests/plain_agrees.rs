//! The fused step equals the plain one: every loss and every gradient. This is the proof that sharing the image
//! projections, scoring hidden tokens alone and reading single rows of the last layer change nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;
mod plain;

use std::collections::BTreeMap;

use albef_model::config::TextConfig;
use albef_model::forward::{Choices, MicroBatch, RankForward, forward};
use albef_model::keyed::{Purpose, StepKey};
use albef_model::masking::{IGNORED, Masked};
use albef_model::negatives::Negatives;
use albef_model::queue::FeatureQueue;
use albef_model::trainer::Verdict;
use albef_model::{Albef, ModelConfig, Precision};
use common::*;
use plain::Plain;
use tch::{Kind, Tensor};

const NAMES: [&str; 5] = ["i2t", "t2i", "itm", "mlm", "mlm_distill"];
const KEY: StepKey = StepKey { seed: 1, step: 2, logical_rank: 3 };

fn fused(model: &Albef, queue: &FeatureQueue, batch: &MicroBatch, alpha: f64) -> RankForward {
    forward(model, queue, batch, alpha, KEY, Precision::Fp32, &mut |_| {}).unwrap()
}

fn losses(out: &RankForward) -> [&Tensor; 5] {
    let l = &out.losses;
    [&l.i2t, &l.t2i, &l.itm, &l.mlm, &l.mlm_distill]
}

/// Gradients of `loss` by name; zeros where a parameter has none.
fn gradients(model: &Albef, loss: &Tensor) -> BTreeMap<String, Tensor> {
    let params = model.params();
    torch_ext::foreach::clear_grads(params.tensors()).unwrap();
    loss.backward();
    let value = |p: &Tensor| if p.grad().defined() { p.grad().copy() } else { p.detach().zeros_like() };
    params.iter().map(|(name, p)| (name.to_owned(), value(p))).collect()
}

fn assert_losses(found: [f64; 5], expected: &[Tensor; 5], what: &str) {
    for ((name, found), expected) in NAMES.iter().zip(found).zip(expected) {
        let expected = expected.double_value(&[]);
        assert!((found - expected).abs() <= 1e-5, "{what} {name}: {found} against {expected}");
    }
}

/// Key biases have no effect through softmax: what is left there is rounding.
fn assert_gradients(found: &BTreeMap<String, Tensor>, expected: &BTreeMap<String, Tensor>, what: &str) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, found) in found {
        let expected = &expected[name];
        match (meaningful(name, found), meaningful(name, expected)) {
            (Some(found), Some(expected)) => {
                let error = relative(&found, &expected, 1e-7);
                assert!(error <= 1e-5, "{what} {name}: {error:.2e}");
            }
            _ => assert!(found.norm().double_value(&[]) <= 1e-5, "{what} {name} is not noise"),
        }
    }
}

fn numbers(losses: [&Tensor; 5]) -> [f64; 5] {
    losses.map(|l| l.double_value(&[]))
}

/// Total loss and all gradients of one micro-batch.
fn assert_agrees(model: &Albef, queue: &FeatureQueue, batch: &MicroBatch, alpha: f64, what: &str) {
    let plain = Plain::of(model, queue);
    let expected = plain.step(batch, alpha);
    let out = fused(model, queue, batch, alpha);
    assert_losses(numbers(losses(&out)), &expected.losses, what);
    let found = gradients(model, &out.losses.total(alpha).unwrap());
    assert_gradients(&found, &plain.gradients(&expected.total), what);
    assert!(max_difference(&out.image_features, &expected.image_features) <= 1e-5, "{what}");
    assert!(max_difference(&out.text_features, &expected.text_features) <= 1e-5, "{what}");
}

fn built(config: &ModelConfig, seed: u64) -> (Albef, FeatureQueue) {
    let model = model(config);
    randomise(&model, seed);
    (model, queue(config))
}

#[test]
fn the_golden_cases_agree_through_the_trainer() {
    for case in ["small1", "small2"] {
        let golden = Golden::open(case);
        let mut trainer = golden.trainer(Precision::Fp32);
        for step in 0..3_u64 {
            let what = format!("{case} step {step}");
            let alpha = golden.get(&format!("step{step}.alpha")).double_value(&[]);
            let batches = golden.batches(step);
            trainer.begin(step).unwrap();
            let plain = Plain::of(trainer.model(), trainer.queue());
            let mut local = trainer.compute(step, 0, &batches, alpha, &mut |_| {}).unwrap();
            let mut mean: BTreeMap<String, Tensor> = BTreeMap::new();
            for (rank, (batch, result)) in batches.iter().zip(&local.ranks).enumerate() {
                let expected = plain.step(batch, alpha);
                let found = Vec::<f64>::try_from(result.losses.to_kind(Kind::Double)).unwrap();
                assert_losses(found.try_into().unwrap(), &expected.losses, &what);
                // The plain computation is itself the published one.
                let l: Vec<f64> = expected.losses.iter().map(|l| l.double_value(&[])).collect();
                let mlm = (1.0 - alpha) * l[3] + alpha * l[4];
                for (name, value) in [("ita", (l[0] + l[1]) / 2.0), ("itm", l[2]), ("mlm", mlm)] {
                    let published = golden.get(&format!("step{step}.rank{rank}.loss_{name}"));
                    assert!((published.double_value(&[0]) - value).abs() <= 1e-5, "{what} plain {name}");
                }
                for (name, gradient) in plain.gradients(&expected.total) {
                    let share = gradient / golden.ranks() as f64;
                    let sum = mean.remove(&name).map_or_else(|| share.shallow_clone(), |s| s + &share);
                    mean.insert(name, sum);
                }
            }
            trainer.reduce_ordered(std::mem::take(&mut local.gradients)).unwrap();
            let names = trainer.model().params().names().iter().cloned();
            let found: BTreeMap<_, _> = names.zip(trainer.gradients().unwrap()).collect();
            assert_gradients(&found, &mean, &what);
            for (name, expected) in &mean {
                let published = golden.get(&format!("step{step}.grad.{name}"));
                if let (Some(p), Some(e)) = (meaningful(name, &published), meaningful(name, expected)) {
                    assert!(relative(&p, &e, 1e-7) <= 1e-4, "{what} plain gradient {name}");
                }
            }
            trainer.commit(step, Verdict::Apply { ranks: &local.ranks, lr: 1e-3, norm: None }).unwrap();
        }
    }
}

#[test]
fn other_widths_fusion_layers_paddings_and_alphas_agree() {
    for (fusion_layer, alpha, lengths) in [
        (0, 0.0, &[9, 9, 9][..]),
        (0, 0.4, &[4, 12, 7, 3]),
        (1, 0.15, &[10, 5]),
        (2, 0.4, &[2, 12, 6, 9, 3]),
        (2, 1.0, &[7, 3, 5]),
    ] {
        let mut config = tiny();
        config.text = TextConfig { fusion_layer, ..config.text };
        let (model, queue) = built(&config, 10 + fusion_layer as u64);
        let batch = chosen_batch(&config, lengths, 21);
        assert_agrees(&model, &queue, &batch, alpha, &format!("fusion_layer {fusion_layer} alpha {alpha}"));
    }
}

#[test]
fn a_text_wider_than_its_image_and_a_single_fusion_layer_of_one_agree() {
    let mut config = tiny();
    config.text = TextConfig { width: 40, heads: 5, depth: 1, fusion_layer: 0, ..config.text };
    let (model, queue) = built(&config, 4);
    assert_agrees(&model, &queue, &chosen_batch(&config, &[6, 8, 4], 31), 0.3, "depth 1");
}

#[test]
fn an_image_of_more_than_a_hundred_tokens_agrees() {
    // From a hundred keys on the attention takes libtorch's fused kernel.
    let mut config = tiny();
    config.vision.image_res = 80;
    let (model, queue) = built(&config, 5);
    assert_agrees(&model, &queue, &chosen_batch(&config, &[6, 8, 4], 32), 0.4, "101 tokens");
}

#[test]
fn each_loss_alone_has_the_plain_gradient() {
    let config = tiny();
    let (model, queue) = built(&config, 6);
    let batch = chosen_batch(&config, &[5, 11, 8, 3], 41);
    let plain = Plain::of(&model, &queue);
    for (i, name) in NAMES.iter().enumerate() {
        let out = fused(&model, &queue, &batch, 0.4);
        let found = gradients(&model, losses(&out)[i]);
        let expected = plain.gradients(&plain.step(&batch, 0.4).losses[i]);
        assert_gradients(&found, &expected, name);
        let moved = expected.values().filter(|g| g.norm().double_value(&[]) > 1e-6).count();
        assert!(moved > 20, "{name} reaches only {moved} parameters");
    }
}

#[test]
fn padding_that_stands_for_a_hidden_token_gets_no_gradient_as_a_word() {
    let config = tiny();
    let (model, queue) = built(&config, 7);
    let batch = chosen_batch(&config, &[9, 9, 6], 51);
    let masked = &batch.choices.as_ref().unwrap().masked;
    let _ = masked.input_ids.get(0).get(3).fill_(config.text.pad_id);
    masked.labels.get(0).get(3).copy_(&batch.input_ids.get(0).get(3));
    assert_agrees(&model, &queue, &batch, 0.4, "[PAD] as a random id");
}

#[test]
fn one_chosen_partner_for_all_and_one_hidden_token_in_all_agree() {
    let config = tiny();
    let (model, queue) = built(&config, 8);
    let mut batch = chosen_batch(&config, &[9, 4, 6], 61);
    let labels = Tensor::full([3, 9], IGNORED, (Kind::Int64, tch::Device::Cpu));
    labels.get(1).get(2).copy_(&batch.input_ids.get(1).get(2));
    batch.choices = Some(Choices {
        negatives: Negatives {
            image_of_text: Tensor::from_slice(&[2_i64, 2, 0]),
            text_of_image: Tensor::from_slice(&[1_i64, 0, 1]),
        },
        masked: Masked { input_ids: batch.input_ids.copy(), labels },
    });
    assert_agrees(&model, &queue, &batch, 0.4, "one hidden token");
}

#[test]
fn nothing_hidden_means_masked_losses_of_exactly_zero_and_every_gradient_finite() {
    let mut config = tiny();
    config.mlm_probability = 0.0;
    let (model, queue) = built(&config, 9);
    let out = fused(&model, &queue, &drawn_batch(&config, &[9, 4, 6], 71), 0.4);
    assert_eq!(numbers(losses(&out))[3..], [0.0, 0.0]);
    torch_ext::foreach::clear_grads(model.params().tensors()).unwrap();
    out.losses.total(0.4).unwrap().backward();
    for (name, param) in model.params().iter() {
        let grad = param.grad();
        assert!(grad.defined(), "{name} has no gradient");
        assert_eq!(grad.isfinite().all().int64_value(&[]), 1, "{name}");
    }
}

#[test]
fn drawn_choices_are_those_of_the_key() {
    let config = tiny();
    let (model, queue) = built(&config, 10);
    let mut batch = drawn_batch(&config, &[9, 4, 6, 12], 81);
    let drawn = numbers(losses(&fused(&model, &queue, &batch, 0.4)));
    let masked = Masked::draw(&batch.input_ids, &config, &mut KEY.generator(Purpose::Masking)).unwrap();
    let plain = Plain::of(&model, &queue);
    let image = plain.features("vision_proj", &plain.image_encoder("", &batch.image));
    let text = plain.features("text_proj", &plain.text_encoder("", &batch.input_ids, &batch.attention_mask));
    let out = fused(&model, &queue, &batch, 0.4);
    let sims = |a: &Tensor, b: &Tensor| {
        (a.matmul(&b.to_kind(Kind::Double).transpose(0, 1)) / 0.07).detach().to_kind(Kind::Float)
    };
    let negatives = Negatives::draw(
        &sims(&image, &out.text_features),
        &sims(&text, &out.image_features),
        &mut KEY.generator(Purpose::Negatives),
    )
    .unwrap();
    batch.choices = Some(Choices { negatives, masked });
    let given = plain.step(&batch, 0.4);
    assert_losses(drawn, &given.losses, "drawn");
}

#[test]
fn beginning_clamps_the_temperature_and_moves_the_twin_by_the_momentum() {
    let golden = Golden::open("small1");
    let mut trainer = golden.trainer(Precision::Fp32);
    for (given, clamped) in [(0.9, 0.5), (1e-5, 0.001), (0.2, 0.2)] {
        let step = trainer.step();
        let _ = tch::no_grad(|| trainer.model().temp.shallow_clone().fill_(given));
        randomise(trainer.model(), step);
        let before = Plain::of(trainer.model(), trainer.queue()).leaves;
        trainer.begin(step).unwrap();
        assert!((trainer.model().temp.double_value(&[]) - clamped).abs() < 1e-7);
        for (name, twin) in trainer.model().twin_params().iter() {
            let expected = &before[name] * 0.9 + &before[&name.replace("_m.", ".")] * 0.1;
            assert!(max_difference(twin, &expected) <= 1e-6, "{name}");
        }
        trainer.commit(step, Verdict::Skip).unwrap();
    }
}
