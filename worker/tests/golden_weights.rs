//! Weights in and out against files that PyTorch and Hugging Face wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};

use albef_model::config::{ModelConfig, TextConfig, VisionConfig};
use albef_model::nn::Pass;
use albef_model::queue::FeatureQueue;
use albef_model::weights::file::{self, TensorFile};
use albef_model::weights::{Positions, bert, interpolate_positions, state, vit};
use albef_model::{Albef, Error};
use tch::{Device, Kind, Tensor};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The sizes of the small golden cases.
fn small() -> ModelConfig {
    ModelConfig {
        vision: VisionConfig { image_res: 32, patch: 8, width: 24, depth: 2, heads: 3 },
        text: TextConfig {
            width: 24,
            depth: 3,
            heads: 4,
            vocab: 160,
            fusion_layer: 1,
            max_positions: 16,
            dropout: 0.0,
            pad_id: 0,
            cls_id: 101,
            mask_id: 103,
        },
        embed_dim: 12,
        queue_size: 12,
        momentum: 0.9,
        mlm_probability: 0.3,
        temp: 0.07,
    }
}

fn build(config: &ModelConfig, seed: i64) -> (Albef, FeatureQueue) {
    let queue = FeatureQueue::new(config.embed_dim, config.queue_size, Device::Cpu, seed).unwrap();
    (Albef::new(config, Device::Cpu, seed).unwrap(), queue)
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

#[test]
fn an_export_has_the_published_names_shapes_and_types_and_comes_back_bit_for_bit() {
    for case in ["small1", "small2"] {
        let golden = TensorFile::open(fixture(case).join("case.safetensors")).unwrap();
        let (mut model, mut queue) = build(&small(), 1);
        state::load_from(&golden, "init.", &mut model, &mut queue, Positions::Exact).unwrap();
        queue.set_pointer(5).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.safetensors");
        state::save(&path, &model, &queue).unwrap();

        let ours = TensorFile::open(&path).unwrap();
        let published: Vec<String> =
            golden.names().iter().filter_map(|n| n.strip_prefix("init.").map(str::to_owned)).collect();
        assert_eq!(ours.names(), published);
        for name in &published {
            assert_eq!(ours.info(name), golden.info(&format!("init.{name}")), "{name}");
            if name != "queue_ptr" {
                let same = ours.read(name).unwrap() == golden.read(&format!("init.{name}")).unwrap();
                assert!(same, "{name}");
            }
        }
        let (mut again, mut queue_again) = build(&small(), 2);
        state::load(&path, &mut again, &mut queue_again, Positions::Exact).unwrap();
        assert_eq!(queue_again.pointer(), 5);
        let before = state::state_dict(&model, &queue).unwrap();
        let after = state::state_dict(&again, &queue_again).unwrap();
        for ((name, a), (_, b)) in before.iter().zip(&after) {
            assert!(a == b, "{name}");
        }
    }
}

#[test]
fn one_error_lists_every_tensor_that_does_not_fit() {
    let (mut model, mut queue) = build(&small(), 1);
    let mut tensors = state::state_dict(&model, &queue).unwrap();
    tensors.retain(|(name, _)| name != "itm_head.bias" && name != "temp");
    for (name, tensor) in &mut tensors {
        match name.as_str() {
            "itm_head.weight" => *tensor = Tensor::zeros([3, 24], (Kind::Float, Device::Cpu)),
            "queue_ptr" => *tensor = Tensor::zeros([1], (Kind::Float, Device::Cpu)),
            _ => {}
        }
    }
    tensors.push(("head.weight".into(), Tensor::zeros([7], (Kind::Float, Device::Cpu))));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.safetensors");
    file::write(&path, &tensors).unwrap();
    let error = state::load(&path, &mut model, &mut queue, Positions::Exact).unwrap_err();
    let line = error.to_string();
    assert!(matches!(error, Error::Weights { .. }) && !line.contains('\n'), "{line}");
    for part in [
        "5 tensors do not fit",
        "itm_head.weight is [3, 24], expected [2, 24]",
        "queue_ptr is F32, expected int64",
        "itm_head.bias [2] is missing",
        "temp [] is missing",
        "head.weight [7] is not part of it",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn a_value_that_is_not_finite_is_refused() {
    let (mut model, mut queue) = build(&small(), 1);
    let mut tensors = state::state_dict(&model, &queue).unwrap();
    let broken = tensors.iter_mut().find(|(name, _)| name == "itm_head.weight").unwrap();
    broken.1 = &broken.1 / 0.0;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.safetensors");
    file::write(&path, &tensors).unwrap();
    let line = state::load(&path, &mut model, &mut queue, Positions::Exact).unwrap_err().to_string();
    assert!(line.contains("itm_head.weight is not finite everywhere"), "{line}");
}

#[test]
fn an_imported_bert_computes_what_it_computed() {
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/minilm/model.safetensors");
    assert!(checkpoint.is_file(), "{} is missing: run `make setup`", checkpoint.display());
    let mut config = small();
    config.text = TextConfig {
        width: 384,
        depth: 6,
        heads: 12,
        vocab: 30522,
        fusion_layer: 6,
        max_positions: 512,
        ..config.text
    };
    let (mut model, _) = build(&config, 1);
    let imported = bert::load(&checkpoint, &mut model).unwrap();
    assert!(imported.initialised.iter().all(|name| name.contains("cls.predictions")));
    let golden = TensorFile::open(fixture("text/minilm.safetensors")).unwrap();
    let (ids, mask) = (golden.read("input_ids").unwrap(), golden.read("attention_mask").unwrap());
    let (hidden, _) = model.encode_texts(&Pass::evaluation(Kind::Float), &ids, &mask).unwrap();
    let error = largest_difference(&hidden, &golden.read("last_hidden_state").unwrap());
    assert!(error < 1e-4, "{error}");
}

#[test]
fn positions_are_interpolated_as_published() {
    let golden = TensorFile::open(fixture("text/pos_embed.safetensors")).unwrap();
    let source = golden.read("pos_embed_14").unwrap();
    for grid in [16, 24] {
        let expected = golden.read(&format!("pos_embed_{grid}")).unwrap();
        let error = largest_difference(&interpolate_positions(&source, grid).unwrap(), &expected);
        assert!(error < 1e-5, "{grid}: {error}");
    }
    assert!(interpolate_positions(&source.narrow(1, 0, 190), 16).is_err());
}

#[test]
fn a_vit_of_another_image_size_is_imported_without_its_classifier() {
    let (source, queue) = build(&small(), 3);
    let mut tensors: Vec<(String, Tensor)> = state::state_dict(&source, &queue)
        .unwrap()
        .into_iter()
        .filter_map(|(name, t)| name.strip_prefix("visual_encoder.").map(|n| (n.to_owned(), t)))
        .collect();
    tensors.push(("head.weight".into(), Tensor::zeros([1000, 24], (Kind::Float, Device::Cpu))));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vit.safetensors");
    file::write(&path, &tensors).unwrap();
    let mut config = small();
    config.vision.image_res = 48;
    let (mut model, _) = build(&config, 4);
    let imported = vit::load(&path, &mut model).unwrap();
    assert_eq!(imported.ignored, ["head.weight"]);
    for (name, weight) in model.twin_params().iter().filter(|(name, _)| name.starts_with("visual_encoder_m."))
    {
        let online = model.params().get(&name.replacen("_m.", ".", 1)).unwrap();
        assert!(weight == online, "{name}");
    }
    let weight = "visual_encoder.blocks.1.mlp.fc2.weight";
    assert!(model.params().get(weight).unwrap() == source.params().get(weight).unwrap());
}
