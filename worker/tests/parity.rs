//! Golden cases through the binary: they pass, and a perturbed copy does not.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use albef_model::weights::file::{self, TensorFile};
use tch::Tensor;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("model/tests/fixtures").join(name)
}

fn parity(dir: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_albef-worker")).arg("parity").arg(dir).args(more).output().unwrap()
}

/// Copies a case, changing the tensors that `edit` changes; `None` drops one.
fn edited(case: &str, edit: impl Fn(&str, Tensor) -> Option<Tensor>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let stem = if case == "retrieval" { "retrieval" } else { "case" };
    let json = format!("{stem}.json");
    std::fs::copy(fixture(case).join(&json), dir.path().join(&json)).unwrap();
    let tensors = format!("{stem}.safetensors");
    let source = TensorFile::open(fixture(case).join(&tensors)).unwrap();
    let kept: Vec<(String, Tensor)> = source
        .names()
        .into_iter()
        .filter_map(|name| edit(&name, source.read(&name).unwrap()).map(|t| (name, t)))
        .collect();
    file::write(dir.path().join(&tensors), &kept).unwrap();
    dir
}

#[test]
fn every_case_passes_in_float32_and_bfloat16() {
    for case in ["small1", "small2", "retrieval"] {
        for dtype in ["fp32", "bf16"] {
            let out = parity(&fixture(case), &["--dtype", dtype]);
            let text = String::from_utf8_lossy(&out.stdout);
            assert!(out.status.success(), "{case} {dtype}: {text}");
            assert!(text.trim_end().ends_with("parity: ok"), "{case} {dtype}: {text}");
        }
    }
}

#[test]
fn a_perturbed_case_names_the_tensor_that_broke() {
    for (case, tensor, delta) in [
        ("small1", "step0.rank0.loss_ita", 2e-5),
        ("small1", "step1.rank0.loss_itm", 2e-5),
        ("small2", "step2.rank1.loss_mlm", 2e-5),
        ("small1", "step0.grad.temp", 0.5),
        ("small1", "step2.grad.visual_encoder.blocks.1.attn.qkv.weight", 1e-3),
        ("small2", "step1.image_queue", 2e-5),
        ("small2", "step1.text_queue", 2e-5),
        ("small1", "step0.queue_ptr", 1.0),
        ("small1", "step2.temp", 2e-4),
        ("small1", "final.itm_head.weight", 2e-4),
        ("small1", "final.text_encoder.bert.encoder.layer.1.attention.self.key.bias", 1e-2),
        ("small2", "final.visual_encoder_m.norm.weight", 2e-5),
        ("retrieval", "sim_i2t", 2e-5),
        ("retrieval", "score_i2t", 2e-4),
        ("retrieval", "score_t2i", 2e-4),
    ] {
        let dir = edited(case, |name, t| Some(if name == tensor { t + delta } else { t }));
        let out = parity(dir.path(), &[]);
        let text = String::from_utf8_lossy(&out.stdout);
        assert_eq!(out.status.code(), Some(1), "{tensor}: {text}");
        let verdict = text.lines().last().unwrap();
        assert!(verdict.starts_with("parity: broken:") && verdict.contains(tensor), "{tensor}: {verdict}");
    }
}

#[test]
fn a_perturbed_start_breaks_what_follows() {
    for tensor in
        ["init.visual_encoder.blocks.0.mlp.fc1.weight", "init.text_queue", "init.vision_proj_m.weight"]
    {
        let dir = edited("small1", |name, t| Some(if name == tensor { t * 1.01 } else { t }));
        assert_eq!(parity(dir.path(), &[]).status.code(), Some(1), "{tensor}");
    }
}

#[test]
fn a_damaged_case_is_one_line_and_exit_2() {
    let line = |dir: &Path| {
        let out = parity(dir, &[]);
        assert_eq!(out.status.code(), Some(2));
        let text = String::from_utf8(out.stderr).unwrap();
        assert_eq!(text.trim_end().lines().count(), 1, "{text}");
        text
    };
    let missing = edited("small1", |name, t| (name != "step1.rank0.image").then_some(t));
    assert!(line(missing.path()).contains("step1.rank0.image"));
    let surplus = edited("small1", |name, t| (name != "init.itm_head.bias").then_some(t));
    assert!(line(surplus.path()).contains("init.itm_head.bias [2] is missing"));
    let tied = edited("small1", |name, t| {
        Some(if name == "init.text_encoder.cls.predictions.decoder.weight" { t + 1.0 } else { t })
    });
    assert!(line(tied.path()).contains("decoder.weight is different"));

    let empty = tempfile::tempdir().unwrap();
    assert!(line(empty.path()).contains("neither case.json nor retrieval.json"));
    let cut = edited("small1", |_, t| Some(t));
    let path = cut.path().join("case.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(line(cut.path()).contains("cut off"));
    std::fs::write(cut.path().join("case.json"), "{").unwrap();
    assert!(line(cut.path()).contains("case.json"));
}
