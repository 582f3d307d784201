//! Attention maps and Grad-CAM against the plain computation, and what explaining leaves alone.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;
mod plain;

use albef_model::explain::explain;
use albef_model::retrieval::Gallery;
use albef_model::{Albef, Error};
use common::*;
use plain::Plain;
use tch::{Kind, Tensor};

fn setting() -> (Albef, albef_model::queue::FeatureQueue, albef_model::forward::MicroBatch) {
    let mut config = tiny();
    config.vision.image_res = 24;
    let (model, queue) = (model(&config), queue(&config));
    randomise(&model, 1);
    let batch = drawn_batch(&config, &[9, 4, 7], 2);
    (model, queue, batch)
}

#[test]
fn maps_are_probabilities_and_grad_cam_is_not_negative_and_zero_for_padding() {
    let (model, _, batch) = setting();
    for layer in [0, 1] {
        let e = explain(&model, Kind::Float, &batch.image, &batch.input_ids, &batch.attention_mask, layer)
            .unwrap();
        assert_eq!((e.attention.size(), e.grad_cam.size()), (vec![3, 2, 9, 3, 3], vec![3, 9, 3, 3]));
        let shares = e.attention.sum_dim_intlist([-2, -1].as_slice(), false, Kind::Double);
        // The image's [CLS] takes the rest.
        assert!(shares.max().double_value(&[]) < 1.0 && shares.min().double_value(&[]) > 0.0);
        assert!(e.attention.min().double_value(&[]) >= 0.0);
        assert!(e.grad_cam.min().double_value(&[]) >= 0.0 && e.grad_cam.max().double_value(&[]) > 0.0);
        let padding = batch.attention_mask.eq(0).view([3, 9, 1, 1]).expand([3, 9, 3, 3], false);
        assert_eq!(e.grad_cam.masked_select(&padding).count_nonzero(0).int64_value(&[]), 0);
    }
}

#[test]
fn every_layer_agrees_with_the_plain_computation() {
    let (model, queue, batch) = setting();
    let (ids, mask) = (&batch.input_ids, &batch.attention_mask);
    for layer in [0, 1] {
        let found = explain(&model, Kind::Float, &batch.image, ids, mask, layer).unwrap();
        let plain = Plain::of(&model, &queue);
        let image = plain.image_encoder("", &batch.image);
        let scores = plain.match_scores(&plain.text_encoder("", ids, mask), mask, &image).select(1, 1);
        let probabilities = plain.cross.borrow()[layer].shallow_clone();
        let gradients = Tensor::run_backward(&[scores.sum(Kind::Double)], &[&probabilities], false, false);
        let patches = |t: &Tensor| t.detach().narrow(-1, 1, 9).reshape([3, 2, 9, 3, 3]);
        let attention = patches(&probabilities);
        let cam = (&attention * patches(&gradients[0]).clamp_min(0.0)).mean_dim(1, false, Kind::Double)
            * mask.to_kind(Kind::Double).view([3, 9, 1, 1]);
        assert!(max_difference(&found.attention, &attention) <= 1e-5, "layer {layer}");
        assert!(relative(&found.grad_cam, &cam, 0.0) <= 1e-4, "layer {layer}");
        assert!(max_difference(&found.match_score, &scores) <= 1e-5, "layer {layer}");
    }
}

#[test]
fn the_match_score_is_that_of_retrieval() {
    let (model, _, batch) = setting();
    let e = explain(&model, Kind::Float, &batch.image, &batch.input_ids, &batch.attention_mask, 0).unwrap();
    let mut gallery = Gallery::new(&model, Kind::Float);
    gallery.add_images(&batch.image).unwrap();
    gallery.add_texts(&batch.input_ids, &batch.attention_mask).unwrap();
    let scores = gallery.score(3, 100).unwrap();
    assert!(max_difference(&scores.i2t.diagonal(0, 0, 1), &e.match_score) <= 1e-5);
}

#[test]
fn explaining_changes_nothing_in_the_model() {
    let (model, queue, batch) = setting();
    let before = state_bits(&model, &queue);
    let ask =
        || explain(&model, Kind::Float, &batch.image, &batch.input_ids, &batch.attention_mask, 1).unwrap();
    let e = ask();
    assert_same(&before, &state_bits(&model, &queue), "explained");
    assert!(model.params().tensors().iter().all(|p| !p.grad().defined() && p.requires_grad()));
    for tensor in [&e.attention, &e.grad_cam, &e.match_score] {
        assert!(!tensor.requires_grad());
    }
    assert_eq!(bits(&ask().grad_cam), bits(&e.grad_cam));
    // Also where the caller has turned gradients off.
    assert_eq!(bits(&tch::no_grad(ask).grad_cam), bits(&e.grad_cam));
}

#[test]
fn a_layer_that_does_not_exist_is_refused() {
    let (model, _, batch) = setting();
    for layer in [2, usize::MAX] {
        let error =
            explain(&model, Kind::Float, &batch.image, &batch.input_ids, &batch.attention_mask, layer)
                .unwrap_err();
        assert!(matches!(error, Error::Input { .. }));
        assert_line(&error, &["layer to explain", "below 2", &layer.to_string()]);
    }
}
