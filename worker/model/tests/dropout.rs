//! Where dropout is, and whose key decides it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use albef_model::attention::attend;
use albef_model::bert::padding_mask;
use albef_model::forward::{MicroBatch, forward};
use albef_model::keyed::{Purpose, StepKey};
use albef_model::nn::Pass;
use albef_model::{Albef, ModelConfig, Precision};
use common::*;
use tch::{Device, Kind, Tensor};

const KEY: StepKey = StepKey { seed: 9, step: 4, logical_rank: 1 };

/// So high that nothing is left of what is dropped.
const ALL: f64 = 1.0 - 1e-9;

fn config(dropout: f64) -> ModelConfig {
    let mut config = tiny();
    config.text.dropout = dropout;
    config
}

fn twin_text_features(model: &Albef, batch: &MicroBatch, key: StepKey) -> Tensor {
    let queue = queue(model.config());
    forward(model, &queue, batch, 0.4, key, Precision::Fp32, &mut |_| {}).unwrap().text_features
}

#[test]
fn the_twin_drops_too_and_by_its_own_key() {
    let config = config(0.1);
    let model = model(&config);
    randomise(&model, 41);
    let batch = chosen_batch(&config, &[7, 5, 9], 42);
    let found = twin_text_features(&model, &batch, KEY);

    let masked = &batch.choices.as_ref().unwrap().masked.input_ids;
    let ids = Tensor::cat(&[&batch.input_ids, masked], 0);
    let by = |purpose: Purpose, key: StepKey| {
        let pass = Pass::training(Kind::Float, 0.1, key.seed_for(purpose));
        let mask = padding_mask(&pass, &batch.attention_mask.repeat([2, 1])).unwrap();
        let embeds = tch::no_grad(|| model.twin.text.text(&pass, &ids, &mask).unwrap());
        model.twin.text_features(&embeds.narrow(0, 0, 3)).unwrap()
    };
    assert_eq!(bits(&found), bits(&by(Purpose::TwinDropout, KEY)));
    assert_ne!(bits(&found), bits(&by(Purpose::Dropout, KEY)));
    for other in [StepKey { seed: 8, ..KEY }, StepKey { step: 5, ..KEY }, StepKey { logical_rank: 0, ..KEY }]
    {
        assert_ne!(bits(&found), bits(&twin_text_features(&model, &batch, other)), "{other:?}");
    }
}

#[test]
fn every_layer_of_a_pass_draws_its_own_mask() {
    let ones = Tensor::ones([4096], (Kind::Float, Device::Cpu));
    let draws = |key: i64| {
        let pass = Pass::training(Kind::Float, 0.5, key);
        (0..6).map(|_| pass.dropout(ones.shallow_clone()).unwrap()).collect::<Vec<_>>()
    };
    let first = draws(3);
    for (i, mask) in first.iter().enumerate() {
        for other in &first[..i] {
            // Independent masks agree in half of the places.
            let same = mask.eq_tensor(other).sum(Kind::Int64).int64_value(&[]);
            assert!((1800..2300).contains(&same), "{same} of 4096 agree");
        }
    }
    let again = draws(3);
    assert!(first.iter().zip(&again).all(|(a, b)| a.equal(b)));
    assert!(!first[0].equal(&draws(4)[0]));
}

#[test]
fn attention_drops_probabilities() {
    let (n, p) = (64, 0.5);
    // Equal scores and unit values: the output is the row of probabilities.
    let q = Tensor::zeros([1, 1, n, n], (Kind::Float, Device::Cpu));
    let v = Tensor::eye(n, (Kind::Float, Device::Cpu)).view([1, 1, n, n]);
    let out = attend(&Pass::training(Kind::Float, p, 5), &q, &q, &v, None, None).unwrap();
    let dropped = out.eq(0.0).sum(Kind::Int64).int64_value(&[]) as f64 / (n * n) as f64;
    assert!((dropped - p).abs() < 0.05, "{dropped} dropped");
    let kept = out.masked_select(&out.ne(0.0));
    assert!((kept - 1.0 / (n as f64 * (1.0 - p))).abs().max().double_value(&[]) < 1e-6);
}

#[test]
fn embeddings_are_dropped_after_their_norm() {
    let mut config = config(0.5);
    config.text.fusion_layer = 0;
    let model = model(&config);
    randomise(&model, 43);
    let batch = drawn_batch(&config, &[12; 8], 44);
    let pass = Pass::training(Kind::Float, 0.5, 6);
    let mask = padding_mask(&pass, &batch.attention_mask).unwrap();
    let out = model.online.text.text(&pass, &batch.input_ids, &mask).unwrap();
    let dropped = out.eq(0.0).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
    assert!((dropped - 0.5).abs() < 0.05, "{dropped} dropped");
}

/// With everything dropped, a sublayer adds nothing to its stream and leaves the norms alone.
#[test]
fn every_sublayer_drops_what_it_adds() {
    let mut config = config(ALL);
    config.text.fusion_layer = 2;
    let model = model(&config);
    randomise(&model, 45);
    let batch = drawn_batch(&config, &[6, 4], 46);
    let pass = Pass::training(Kind::Float, ALL, 7);
    let mask = padding_mask(&pass, &batch.attention_mask).unwrap();
    let text = &model.online.text;
    let norm = |x: &Tensor, layer: usize, sublayer: &str| {
        let get = |part: &str| {
            let name = format!("text_encoder.bert.encoder.layer.{layer}.{sublayer}.LayerNorm.{part}");
            model.params().get(&name).unwrap()
        };
        x.layer_norm([16], Some(get("weight")), Some(get("bias")), 1e-12, true)
    };
    let _guard = tch::no_grad_guard();
    let mut expected = Tensor::zeros([2, 6, 16], (Kind::Float, Device::Cpu));
    for layer in 0..2 {
        expected = norm(&norm(&expected, layer, "attention.output"), layer, "output");
    }
    let embeds = text.text(&pass, &batch.input_ids, &mask).unwrap();
    assert!(max_difference(&embeds, &expected) < 1e-5);

    let (images, _) = model.encode_images(&Pass::evaluation(Kind::Float), &batch.image).unwrap();
    let keys = text.image_keys(&images).unwrap();
    let mut capture = albef_model::attention::Capture::default();
    let fused = text.fuse_capturing(&pass, &embeds, &mask, &keys, 0, &mut capture).unwrap();
    expected = norm(&norm(&norm(&expected, 2, "attention.output"), 2, "crossattention.output"), 2, "output");
    assert!(max_difference(&fused, &expected) < 1e-5);
}

#[test]
fn every_part_of_a_key_gives_another_stream() {
    let purposes =
        [Purpose::Init, Purpose::Masking, Purpose::Negatives, Purpose::Dropout, Purpose::TwinDropout];
    let keys = [
        KEY,
        StepKey { seed: 10, ..KEY },
        StepKey { step: 5, ..KEY },
        StepKey { logical_rank: 2, ..KEY },
        // Two parts swapped are another key.
        StepKey { step: 1, logical_rank: 4, ..KEY },
    ];
    let seeds: Vec<i64> = keys.iter().flat_map(|key| purposes.map(|purpose| key.seed_for(purpose))).collect();
    let distinct: std::collections::BTreeSet<_> = seeds.iter().collect();
    assert_eq!(distinct.len(), seeds.len());
    assert!(seeds.iter().all(|&seed| seed >= 0));
}
