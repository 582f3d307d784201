//! AdamW's groups, clipping, and that training in either precision learns.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use albef_model::forward::forward;
use albef_model::keyed::StepKey;
use albef_model::optim::{Optimizer, OptimizerConfig, is_decayed};
use albef_model::trainer::{Reduction, TrainerConfig};
use albef_model::{Albef, Precision};
use common::*;
use tch::{Kind, Tensor};

fn randomised() -> Albef {
    let model = model(&tiny());
    randomise(&model, 1);
    model
}

fn set_gradients(model: &Albef, f: impl Fn(&Tensor) -> Tensor) {
    for param in model.params().tensors() {
        torch_ext::foreach::set_grad(param, &f(&param.detach())).unwrap();
    }
}

#[test]
fn only_one_dimensional_parameters_and_biases_are_spared_from_decay() {
    let model = randomised();
    let before: Vec<Tensor> = model.params().tensors().iter().map(|p| p.detach().copy()).collect();
    let config = OptimizerConfig { weight_decay: 0.5, ..OptimizerConfig::default() };
    let mut optimizer = Optimizer::new(model.params(), config).unwrap();
    // Without a gradient, decay is all that moves.
    set_gradients(&model, Tensor::zeros_like);
    optimizer.step(0.1, None).unwrap();
    assert_eq!(optimizer.updates(), 1);
    let mut decayed = Vec::new();
    for ((name, param), before) in model.params().iter().zip(&before) {
        let spared = name.ends_with(".bias") || name.contains("LayerNorm") || name.contains("norm");
        assert_eq!(is_decayed(name, param.dim()), !spared, "{name}");
        let expected = if spared { before.copy() } else { before * (1.0 - 0.1 * 0.5) };
        assert!(max_difference(param, &expected) <= 1e-6, "{name}");
        if !spared {
            decayed.push(name);
        }
    }
    for name in [
        "temp",
        "visual_encoder.pos_embed",
        "visual_encoder.cls_token",
        "visual_encoder.patch_embed.proj.weight",
        "text_encoder.bert.embeddings.word_embeddings.weight",
        "text_encoder.bert.embeddings.position_embeddings.weight",
        "text_encoder.bert.embeddings.token_type_embeddings.weight",
        "itm_head.weight",
    ] {
        assert!(decayed.contains(&name), "{name}");
    }
}

#[test]
fn clipping_scales_to_the_limit_and_reports_the_norm() {
    let model = randomised();
    let norm_of = |model: &Albef| {
        let squares = model.params().tensors().iter().map(|p| p.grad().square().sum(Kind::Double));
        squares.map(|s| s.double_value(&[])).sum::<f64>().sqrt()
    };
    for (limit, scale, known) in [(0.5, 1.0, true), (0.5, 1.0, false), (0.5, 1e-6, true)] {
        let config = OptimizerConfig { clip_norm: Some(limit), ..OptimizerConfig::default() };
        let mut optimizer = Optimizer::new(model.params(), config).unwrap();
        set_gradients(&model, |p| p * scale + scale);
        let before = norm_of(&model);
        let reported = optimizer.gradient_norm().unwrap();
        optimizer.step(0.0, known.then_some(&reported)).unwrap();
        assert_eq!(reported.size(), Vec::<i64>::new());
        assert!((reported.double_value(&[]) - before).abs() <= 1e-5 * before);
        let expected = before.min(limit);
        assert!((norm_of(&model) - expected).abs() <= 1e-5 * expected, "{before} to {}", norm_of(&model));
    }
}

#[test]
fn numbers_that_cannot_be_are_refused_by_name() {
    let good = OptimizerConfig::default();
    for (config, field) in [
        (OptimizerConfig { beta1: 1.0, ..good }, "optimizer.beta1 = 1"),
        (OptimizerConfig { beta2: f64::NAN, ..good }, "optimizer.beta2 = NaN"),
        (OptimizerConfig { eps: 0.0, ..good }, "optimizer.eps = 0"),
        (OptimizerConfig { weight_decay: -0.1, ..good }, "optimizer.weight_decay = -0.1"),
        (OptimizerConfig { clip_norm: Some(0.0), ..good }, "optimizer.clip_norm = 0"),
    ] {
        assert_line(&Optimizer::new(randomised().params(), config).unwrap_err(), &[field]);
    }
}

#[test]
fn bfloat16_losses_are_near_those_of_float32() {
    let (model, queue) = (randomised(), queue(&tiny()));
    let batch = chosen_batch(&tiny(), &[9, 5, 12, 7], 2);
    let key = StepKey { seed: 1, step: 0, logical_rank: 0 };
    let losses = |precision| {
        let out = forward(&model, &queue, &batch, 0.4, key, precision, &mut |_| {}).unwrap();
        assert_eq!(out.image_features.kind(), Kind::Float);
        let stacked = out.losses.stacked().unwrap();
        assert_eq!(stacked.kind(), Kind::Float);
        stacked
    };
    let (wide, narrow) = (losses(Precision::Fp32), losses(Precision::Bf16));
    let error = max_difference(&narrow, &wide);
    assert!(error <= 5e-2, "{error}: {narrow} against {wide}");
    assert!(error > 0.0, "bfloat16 was not used");
}

#[test]
fn twenty_steps_on_one_batch_reduce_the_loss_in_both_precisions() {
    for precision in [Precision::Fp32, Precision::Bf16] {
        let optimizer = OptimizerConfig { clip_norm: Some(5.0), ..OptimizerConfig::default() };
        let settings = TrainerConfig { optimizer, ..settings(1, Reduction::Accumulate, precision) };
        let mut trainer = trainer_with(&tiny(), settings);
        randomise(trainer.model(), 3);
        let batches = [chosen_batch(&tiny(), &[9, 5, 12, 7], 4)];
        let totals: Vec<f32> = (0..20)
            .map(|_| {
                let report = trainer.train_step(&batches, 0.0, 2e-3).unwrap();
                assert!(!report.skipped);
                assert!(report.gradient_norm.is_finite() && report.gradient_norm > 0.0);
                report.losses[0].total(0.0)
            })
            .collect();
        assert!(totals[19] < 0.8 * totals[0], "{precision}: {totals:?}");
        let model = trainer.model();
        for (name, param) in model.params().iter().chain(model.twin_params().iter()) {
            assert_eq!(param.kind(), Kind::Float, "{precision} {name}");
            assert_eq!(param.isfinite().all().int64_value(&[]), 1, "{precision} {name}");
        }
    }
}
