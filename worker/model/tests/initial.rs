//! The published initialisation.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use albef_model::trainer::initial_state;
use common::*;
use tch::{Device, Kind, Tensor};

/// Tables wide enough that their spread can be told.
fn config() -> albef_model::ModelConfig {
    let mut config = tiny();
    config.vision.width = 96;
    config.text.width = 64;
    config.embed_dim = 48;
    config.queue_size = 64;
    config
}

#[test]
fn the_twin_starts_as_a_copy() {
    let model = model(&config());
    for (name, twin) in model.twin_params().iter() {
        let online = model.params().get(&name.replacen("_m.", ".", 1)).unwrap();
        assert_eq!(bits(twin), bits(online), "{name}");
        assert!(!twin.requires_grad() && online.requires_grad(), "{name}");
    }
}

/// Normal with 0.02 in both encoders (cut at two in the image's), uniform as PyTorch's own linear layers elsewhere.
#[test]
fn weights_have_the_published_spread() {
    let model = model(&config());
    let temp = model.params().get("temp").unwrap().double_value(&[]);
    assert!((temp - 0.07).abs() < 1e-7);
    for (name, tensor) in model.params().iter() {
        let std = tensor.std(false).double_value(&[]);
        let most = tensor.abs().max().double_value(&[]);
        let norm = name.contains("norm") || name.contains("LayerNorm");
        if name == "temp" || (tensor.dim() == 1 && !norm && own_linear(name).is_none()) {
            assert!(name == "temp" || most == 0.0, "{name}");
        } else if norm {
            let expected = if name.ends_with("weight") { 1.0 } else { 0.0 };
            assert!(tensor.eq(expected).all().int64_value(&[]) == 1, "{name}");
        } else if let Some(fan_in) = own_linear(name) {
            let bound = 1.0 / (fan_in as f64).sqrt();
            assert!(
                most <= bound && (tensor.numel() < 40 || most > 0.8 * bound),
                "{name}: {most} of {bound}"
            );
        } else if tensor.numel() >= 1000 {
            assert!((std - 0.02).abs() < 0.002, "{name}: {std}");
        }
    }
}

/// Inputs of the layers that the published code leaves as PyTorch initialises them.
fn own_linear(name: &str) -> Option<i64> {
    if name.starts_with("visual_encoder.patch_embed.") {
        return Some(3 * 8 * 8);
    }
    if name.starts_with("vision_proj.") {
        return Some(96);
    }
    (name.starts_with("text_proj.") || name.starts_with("itm_head.")).then_some(64)
}

#[test]
fn queues_start_as_unit_columns_and_the_seed_decides_everything() {
    let state = |seed| {
        let (model, queue) = initial_state(&config(), Device::Cpu, seed).unwrap();
        (state_bits(&model, &queue), queue)
    };
    let (bits, queue) = state(3);
    for features in [queue.image(), queue.text()] {
        assert_eq!(features.size(), [48, 64]);
        let norms: Tensor = features.square().sum_dim_intlist(0, false, Kind::Float);
        assert!((norms - 1.0).abs().max().double_value(&[]) < 1e-5);
    }
    assert!(!queue.image().equal(queue.text()));
    assert_eq!(queue.pointer(), 0);
    assert_same(&bits, &state(3).0, "the same seed");
    assert_ne!(bits, state(4).0);
}
