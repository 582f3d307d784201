//! Weights of others: a BERT from Hugging Face, a ViT from timm, and position tables of another size.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::path::{Path, PathBuf};

use albef_model::albef::Albef;
use albef_model::config::{TextConfig, VisionConfig};
use albef_model::nn::Pass;
use albef_model::weights::file::TensorFile;
use albef_model::weights::{bert, interpolate_positions, vit};
use common::*;
use tch::{Device, Kind, Tensor};

fn assert_twin_equals_online(model: &Albef, module: &str) {
    let twin = model.twin_params();
    let of_module: Vec<_> =
        twin.iter().filter(|(name, _)| name.starts_with(&format!("{module}_m."))).collect();
    assert!(!of_module.is_empty());
    for (name, tensor) in of_module {
        let online = model.params().get(&name.replacen("_m.", ".", 1)).unwrap();
        assert_eq!(bits(tensor), bits(online), "{name}");
    }
}

/// The installed MiniLM checkpoint and a model that takes it.
fn minilm() -> (PathBuf, Albef) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/minilm/model.safetensors");
    assert!(path.is_file(), "{}: run `make setup`", path.display());
    let mut config = tiny();
    config.text = TextConfig {
        width: 384,
        depth: 6,
        heads: 12,
        vocab: 30_522,
        fusion_layer: 6,
        max_positions: 512,
        ..config.text
    };
    let model = model(&config);
    (path, model)
}

#[test]
fn a_minilm_text_encoder_gives_the_recorded_hidden_states() {
    let (path, mut model) = minilm();
    let imported = bert::load(&path, &mut model).unwrap();
    assert!(imported.ignored.iter().any(|name| name.contains("pooler")), "{:?}", imported.ignored);
    assert_twin_equals_online(&model, "text_encoder");

    let file = TensorFile::open(fixture("text/minilm.safetensors")).unwrap();
    let [ids, mask, expected] =
        ["input_ids", "attention_mask", "last_hidden_state"].map(|name| file.read(name).unwrap());
    let (found, _) = model.encode_texts(&Pass::evaluation(Kind::Float), &ids, &mask).unwrap();
    let text = mask.unsqueeze(-1).to_kind(Kind::Float);
    let error = max_difference(&(&found * &text), &(&expected * &text));
    assert!(error <= 1e-5, "{error:.2e}");
    // Padded tokens, too: they attend to the text in both programs. Nobody reads them, and rounding shows there first:
    // four of 18,432 numbers differ by up to 1.2e-4 on a processor other than the one that recorded them.
    assert!(mask.eq(0).any().int64_value(&[]) == 1);
    let error = max_difference(&found, &expected);
    assert!(error <= 1e-3, "{error:.2e}");
}

/// A BERT file for `config` in Hugging Face's naming, with a vocabulary head.
fn bert_file(model: &Albef) -> Entries {
    let mut out = Entries::new();
    for (name, tensor) in model.params().iter() {
        let Some(local) = name.strip_prefix("text_encoder.") else { continue };
        if !local.contains("crossattention") {
            out.insert(local.to_owned(), tensor.detach().copy());
        }
    }
    out.insert("bert.pooler.dense.weight".into(), Tensor::zeros([16, 16], (Kind::Float, Device::Cpu)));
    out.insert("cls.seq_relationship.bias".into(), Tensor::zeros([2], (Kind::Float, Device::Cpu)));
    out
}

fn renamed(source: &Entries, rename: impl Fn(&str) -> Option<String>) -> Entries {
    source.iter().filter_map(|(name, t)| Some((rename(name)?, t.shallow_clone()))).collect()
}

#[test]
fn old_and_new_bert_names_load_alike_and_cross_attention_stays_new() {
    let source = model(&tiny());
    randomise(&source, 3);
    let given = bert_file(&source);
    let old = renamed(&given, |name| {
        let old = name.replace(".LayerNorm.weight", ".LayerNorm.gamma");
        Some(old.replace(".LayerNorm.bias", ".LayerNorm.beta"))
    });
    let bare = renamed(&given, |name| Some(name.strip_prefix("bert.").unwrap_or(name).to_owned()));
    let headless = renamed(&given, |name| (!name.starts_with("cls.")).then(|| name.to_owned()));
    for (what, file) in [("new", &given), ("gamma and beta", &old), ("bare", &bare), ("headless", &headless)]
    {
        let dir = tempfile::tempdir().unwrap();
        let mut target = model(&tiny());
        let initial: Bits = target.params().iter().map(|(name, t)| (name.to_owned(), bits(t))).collect();
        let imported = bert::load(saved(dir.path(), file), &mut target).unwrap();
        assert_twin_equals_online(&target, "text_encoder");
        for (name, tensor) in target.params().iter().filter(|(name, _)| name.starts_with("text_encoder.")) {
            let kept = name.contains("crossattention") || what == "headless" && name.contains(".cls.");
            assert_eq!(imported.initialised.contains(&name.to_owned()), kept, "{what} {name}");
            assert_eq!(imported.loaded.contains(&name.to_owned()), !kept, "{what} {name}");
            let expected =
                if kept { initial[name].clone() } else { bits(source.params().get(name).unwrap()) };
            assert_eq!(bits(tensor), expected, "{what} {name}");
        }
        assert!(imported.ignored.iter().any(|name| name.ends_with("pooler.dense.weight")));
    }
}

#[test]
fn a_bert_of_another_size_lists_what_does_not_fit() {
    let source = model(&tiny());
    let mut given = bert_file(&source);
    given.insert(
        "bert.encoder.layer.3.output.dense.bias".into(),
        Tensor::zeros([16], (Kind::Float, Device::Cpu)),
    );
    let _ = given.remove("bert.encoder.layer.2.output.dense.bias").unwrap();
    given.insert(
        "bert.embeddings.word_embeddings.weight".into(),
        Tensor::zeros([119, 16], (Kind::Float, Device::Cpu)),
    );
    let dir = tempfile::tempdir().unwrap();
    let error = bert::load(saved(dir.path(), &given), &mut model(&tiny())).unwrap_err();
    assert_line(
        &error,
        &[
            "3 tensors do not fit",
            "bert.embeddings.word_embeddings.weight is [119, 16], expected [120, 16]",
            "encoder.layer.2.output.dense.bias [16] is missing",
            "bert.encoder.layer.3.output.dense.bias [16] is not part of it",
        ],
    );
}

/// A ViT file in timm's naming for images of `side` pixels.
fn vit_file(side: i64) -> (Entries, Albef) {
    let mut config = tiny();
    config.vision = VisionConfig { image_res: side, ..config.vision };
    let source = model(&config);
    randomise(&source, 4);
    let mut file = Entries::new();
    for (name, tensor) in source.params().iter() {
        if let Some(local) = name.strip_prefix("visual_encoder.") {
            file.insert(local.to_owned(), tensor.detach().copy());
        }
    }
    (file, source)
}

#[test]
fn a_vit_loads_without_its_classifier_and_with_interpolated_positions() {
    for side in [16, 40] {
        let (mut file, source) = vit_file(side);
        file.insert("head.weight".into(), Tensor::zeros([1000, 24], (Kind::Float, Device::Cpu)));
        file.insert("head.bias".into(), Tensor::zeros([1000], (Kind::Float, Device::Cpu)));
        let dir = tempfile::tempdir().unwrap();
        let mut target = model(&tiny());
        let imported = vit::load(saved(dir.path(), &file), &mut target).unwrap();
        assert_eq!(imported.ignored, ["head.bias", "head.weight"]);
        assert_eq!(imported.loaded.len() + 2, file.len());
        assert_twin_equals_online(&target, "visual_encoder");
        for (name, tensor) in target.params().iter().filter(|(name, _)| name.starts_with("visual_encoder.")) {
            let given = source.params().get(name).unwrap();
            let expected = if name.ends_with("pos_embed") {
                interpolate_positions(given, 2).unwrap()
            } else {
                given.copy()
            };
            assert_eq!(bits(tensor), bits(&expected), "{side} {name}");
        }
    }
    let (mut file, _) = vit_file(16);
    file.insert("blocks.2.norm1.bias".into(), Tensor::zeros([24], (Kind::Float, Device::Cpu)));
    file.insert("pos_embed".into(), Tensor::zeros([1, 8, 24], (Kind::Float, Device::Cpu)));
    let dir = tempfile::tempdir().unwrap();
    let error = vit::load(saved(dir.path(), &file), &mut model(&tiny())).unwrap_err();
    assert_line(
        &error,
        &["blocks.2.norm1.bias [24] is not part of it", "pos_embed is [1, 8, 24], expected [1, 5, 24]"],
    );
}

#[test]
fn positions_are_interpolated_as_published() {
    let file = TensorFile::open(fixture("text/pos_embed.safetensors")).unwrap();
    let source = file.read("pos_embed_14").unwrap();
    for grid in [16, 24] {
        let expected = file.read(&format!("pos_embed_{grid}")).unwrap();
        let found = interpolate_positions(&source, grid).unwrap();
        assert!(max_difference(&found, &expected) <= 1e-5, "{grid}");
        assert_eq!(bits(&found.narrow(1, 0, 1)), bits(&source.narrow(1, 0, 1)), "[CLS] of {grid}");
    }
    assert_eq!(bits(&interpolate_positions(&source, 14).unwrap()), bits(&source));
    for shape in [&[1, 196, 32][..], &[1, 1, 32], &[197, 32], &[2, 197, 32]] {
        let table = Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        assert_line(&interpolate_positions(&table, 16).unwrap_err(), &["[1, 1 + side², width]"]);
    }
}
