//! Attention maps and Grad-CAM.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use albef_model::Albef;
use albef_model::explain::{Explanation, explain};
use albef_model::forward::MicroBatch;
use albef_model::retrieval::Gallery;
use albef_model::weights::file::TensorFile;
use albef_model::weights::state;
use common::*;
use tch::{Kind, Tensor};

const LENGTHS: [i64; 3] = [9, 5, 7];

fn setting() -> (Albef, MicroBatch) {
    let config = tiny();
    let model = model(&config);
    randomise(&model, 11);
    (model, drawn_batch(&config, &LENGTHS, 12))
}

fn explained(model: &Albef, batch: &MicroBatch, layer: usize) -> Explanation {
    explain(model, Kind::Float, &batch.image, &batch.input_ids, &batch.attention_mask, layer).unwrap()
}

fn smallest(tensor: &Tensor) -> f64 {
    tensor.min().double_value(&[])
}

/// `fixtures/explain` holds what the published model's own hooks and notebook formula give for the first batch of
/// `small1`.
#[test]
fn maps_are_the_published_ones() {
    let golden = Golden::open("small1");
    let mut model = model(&golden.config);
    state::load_for_evaluation(&golden.file, "init.", &mut model).unwrap();
    let published = TensorFile::open(fixture("explain/explain.safetensors")).unwrap();
    let batch = golden.batches(0).remove(0);
    for layer in 0..2 {
        let found = explained(&model, &batch, layer);
        let expected = |name: &str| published.read(&format!("layer{layer}.{name}")).unwrap();
        assert!(max_difference(&found.attention, &expected("attention")) < 1e-6, "layer {layer}");
        assert!(relative(&found.grad_cam, &expected("grad_cam"), 0.0) < 1e-4, "layer {layer}");
        assert!(max_difference(&found.match_score, &published.read("match_score").unwrap()) < 1e-5);
    }
}

#[test]
fn maps_are_what_attention_leaves_for_the_patches() {
    let (model, batch) = setting();
    let found = explained(&model, &batch, 1);
    let (pairs, tokens, grid) = (3, 9, model.config().vision.grid());
    let heads = model.config().text.heads;
    assert_eq!(found.attention.size(), [pairs, heads, tokens, grid, grid]);
    assert_eq!(found.grad_cam.size(), [pairs, tokens, grid, grid]);
    assert_eq!(found.match_score.size(), [pairs]);
    assert!(smallest(&found.attention) > 0.0 && smallest(&found.grad_cam) >= 0.0);
    // The rest of each row went to the image's [CLS].
    let row = found.attention.sum_dim_intlist([-1_i64, -2].as_slice(), false, Kind::Float);
    assert!(row.max().double_value(&[]) < 1.0, "{row}");
    assert!(found.grad_cam.max().double_value(&[]) > 0.0, "no patch speaks for a match");
}

#[test]
fn padding_looks_nowhere() {
    let (model, batch) = setting();
    let cam = explained(&model, &batch, 0).grad_cam;
    for (pair, &length) in LENGTHS.iter().enumerate() {
        let of_text = cam.get(pair as i64);
        assert!(of_text.narrow(0, 0, length).max().double_value(&[]) > 0.0);
        let padding = of_text.narrow(0, length, 9 - length);
        assert_eq!(padding.abs().sum(Kind::Float).double_value(&[]), 0.0);
    }
}

#[test]
fn the_score_is_that_of_retrieval() {
    let (model, batch) = setting();
    let mut gallery = Gallery::new(&model, Kind::Float);
    gallery.add_images(&batch.image).unwrap();
    gallery.add_texts(&batch.input_ids, &batch.attention_mask).unwrap();
    let expected = gallery.score(3, 10).unwrap().i2t.diagonal(0, 0, 1);
    for layer in 0..2 {
        assert!(max_difference(&explained(&model, &batch, layer).match_score, &expected) < 1e-5);
    }
}

/// In the last layer the attention of [CLS] alone reaches the score.
#[test]
fn the_last_layer_speaks_through_cls_alone() {
    let (model, batch) = setting();
    let cam = explained(&model, &batch, 1).grad_cam;
    assert!(cam.select(1, 0).max().double_value(&[]) > 0.0);
    assert_eq!(cam.narrow(1, 1, 8).abs().sum(Kind::Float).double_value(&[]), 0.0);
}

#[test]
fn the_model_keeps_its_own_gradients() {
    let (model, batch) = setting();
    let _ = explained(&model, &batch, 0);
    assert!(model.params().tensors().iter().all(|p| !p.grad().defined()));
    let param = model.params().tensors()[0].shallow_clone();
    param.square().sum(Kind::Float).backward();
    let before = bits(&param.grad());
    let _ = explained(&model, &batch, 0);
    assert_eq!(bits(&param.grad()), before);
}

#[test]
fn callers_without_gradients_get_the_same() {
    let (model, batch) = setting();
    let with = explained(&model, &batch, 0);
    let without = tch::no_grad(|| explained(&model, &batch, 0));
    assert_eq!(bits(&with.grad_cam), bits(&without.grad_cam));
    assert!(!with.attention.requires_grad() && !with.match_score.requires_grad());
}

#[test]
fn a_pair_is_explained_alike_in_any_company() {
    let (model, batch) = setting();
    let together = explained(&model, &batch, 1);
    for pair in 0..3 {
        let one = |t: &Tensor| t.narrow(0, pair, 1);
        let alone = MicroBatch {
            image: one(&batch.image),
            input_ids: one(&batch.input_ids),
            attention_mask: one(&batch.attention_mask),
            choices: None,
        };
        let alone = explained(&model, &alone, 1);
        assert!(max_difference(&alone.grad_cam, &one(&together.grad_cam)) < 1e-6);
        assert!(max_difference(&alone.attention, &one(&together.attention)) < 1e-6);
    }
}

#[test]
fn bfloat16_gives_nearly_the_same_maps() {
    let (model, batch) = setting();
    let expected = explained(&model, &batch, 1);
    let found =
        explain(&model, Kind::BFloat16, &batch.image, &batch.input_ids, &batch.attention_mask, 1).unwrap();
    assert!(relative(&found.attention, &expected.attention, 0.0) < 0.05);
    assert!(relative(&found.grad_cam, &expected.grad_cam, 0.0) < 0.2);
}

#[test]
fn impossible_questions_are_one_line() {
    let (model, batch) = setting();
    let ask = |images: &Tensor, ids: &Tensor, mask: &Tensor, layer: usize| {
        explain(&model, Kind::Float, images, ids, mask, layer).unwrap_err()
    };
    let MicroBatch { image, input_ids: ids, attention_mask: mask, .. } = &batch;
    assert_line(&ask(image, ids, mask, 2), &["layer to explain", "below 2", "found 2"]);
    assert_line(&ask(&image.narrow(0, 0, 2), ids, mask, 0), &["as many texts as images"]);
    assert_line(&ask(&image.narrow(2, 0, 8), ids, mask, 0), &["image", "[3, 3, 8, 16]"]);
    assert_line(&ask(image, &(ids + 120), mask, 0), &["input_ids", "0 to 119"]);
    assert_line(&ask(image, ids, &(mask * 2), 0), &["attention_mask", "0 to 1"]);
}
