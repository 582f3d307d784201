//! The whole state in and out: published names, and refusals that name every offender.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::path::Path;

use albef_model::weights::file::{self, TensorFile};
use albef_model::weights::{Positions, interpolate_positions, state};
use albef_model::{Error, ModelConfig, Precision};
use common::*;
use tch::{Device, Kind, Tensor};

/// The published state of `small1`.
fn published() -> (ModelConfig, Entries) {
    let golden = Golden::open("small1");
    (golden.config.clone(), entries(&golden.file, "init."))
}

/// Loads `tensors` into a fresh model of `config`.
fn load_state(config: &ModelConfig, tensors: &Entries, positions: Positions) -> Result<Bits, Error> {
    let dir = tempfile::tempdir().unwrap();
    let (mut model, mut queue) = (model(config), queue(config));
    state::load(saved(dir.path(), tensors), &mut model, &mut queue, positions)?;
    Ok(state_bits(&model, &queue))
}

#[test]
fn the_exported_state_has_the_published_names_shapes_and_types() {
    for case in ["small1", "small2"] {
        let golden = Golden::open(case);
        let trainer = golden.trainer(Precision::Fp32);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.safetensors");
        state::save(&path, trainer.model(), trainer.queue()).unwrap();
        let file = TensorFile::open(&path).unwrap();
        let describe = |tensors: Entries| -> Vec<_> {
            tensors.into_iter().map(|(name, t)| (name, t.size(), t.kind())).collect()
        };
        let (exported, expected) = (entries(&file, ""), entries(&golden.file, "init."));
        assert_eq!(describe(exported), describe(expected));
        for (name, expected) in entries(&golden.file, "init.") {
            assert_eq!(bits(&file.read(&name).unwrap()), bits(&expected), "{case} {name}");
        }
    }
}

#[test]
fn import_after_export_gives_the_same_bits() {
    let config = tiny();
    let (source, mut source_queue) = (model(&config), queue(&config));
    randomise(&source, 1);
    source_queue.set_pointer(7).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.safetensors");
    state::save(&path, &source, &source_queue).unwrap();

    let (mut target, mut target_queue) = (model(&config), queue(&config));
    randomise(&target, 2);
    let imported = state::load(&path, &mut target, &mut target_queue, Positions::Exact).unwrap();
    assert_same(
        &state_bits(&source, &source_queue),
        &state_bits(&target, &target_queue),
        "export and import",
    );
    assert_eq!(target_queue.pointer(), 7);
    assert_eq!(imported.initialised, Vec::<String>::new());
    assert_eq!(imported.ignored.len(), 6, "{:?}", imported.ignored);
    assert!(target.params().tensors().iter().all(Tensor::requires_grad));
}

#[test]
fn a_weights_file_is_an_ordinary_file_and_replaces_the_old_one_whole() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let ordinary = dir.path().join("ordinary");
    std::fs::write(&ordinary, "x").unwrap();
    let tensors = Entries::from([("a".to_owned(), Tensor::from_slice(&[1_f32, 2.0]))]);
    std::fs::write(dir.path().join("weights.safetensors"), "an older file").unwrap();
    let path = saved(dir.path(), &tensors);
    assert_eq!(bits(&TensorFile::open(&path).unwrap().read("a").unwrap()), bits(&tensors["a"]));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&path), mode(&ordinary));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "a temporary file was left behind");
    let refused = file::write(dir.path().join("missing/w.safetensors"), &[]).unwrap_err();
    assert_line(&refused, &["missing/w.safetensors", "cannot be written"]);
}

#[test]
fn what_is_said_twice_may_be_left_out_but_must_not_differ() {
    let (config, full) = published();
    let tied =
        ["cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "bert.embeddings.position_ids"];
    let names: Vec<String> =
        ["text_encoder", "text_encoder_m"].iter().flat_map(|e| tied.map(|t| format!("{e}.{t}"))).collect();
    let mut without = copied(&full);
    names.iter().for_each(|name| assert!(without.remove(name).is_some(), "{name}"));
    let expected = load_state(&config, &full, Positions::Exact).unwrap();
    assert_same(&expected, &load_state(&config, &without, Positions::Exact).unwrap(), "without duplicates");
    for name in &names {
        let differing = copied(&full);
        let _ = differing[name].flatten(0, -1).get(1).f_add_scalar_(1).unwrap();
        let error = load_state(&config, &differing, Positions::Exact).unwrap_err();
        assert_line(&error, &["1 tensor does not fit", name, "different", "weights.safetensors"]);
        let mut shorter = copied(&full);
        shorter.insert(name.clone(), full[name].narrow(-1, 0, 3));
        let error = load_state(&config, &shorter, Positions::Exact).unwrap_err();
        assert_line(&error, &[name, &format!("expected {:?}", full[name].size())]);
    }
}

#[test]
fn every_tensor_that_does_not_fit_is_in_one_error() {
    let (config, mut tensors) = published();
    let options = (Kind::Float, Device::Cpu);
    let _ = tensors.remove("itm_head.bias").unwrap();
    let _ = tensors.remove("visual_encoder_m.norm.weight").unwrap();
    tensors.insert("intruder.weight".into(), Tensor::zeros([2, 3], options));
    tensors.insert("vision_proj.weight".into(), Tensor::zeros([12, 25], options));
    tensors.insert("text_queue".into(), Tensor::zeros([12, 11], options));
    tensors.insert("text_proj.bias".into(), Tensor::zeros([12], (Kind::Int64, Device::Cpu)));
    tensors.insert("queue_ptr".into(), Tensor::zeros([1], options));
    let (model_before, queue_before) = (model(&config), queue(&config));
    let before = state_bits(&model_before, &queue_before);
    let dir = tempfile::tempdir().unwrap();
    let path = saved(dir.path(), &tensors);
    let (mut model, mut queue) = (model_before, queue_before);
    let error = state::load(&path, &mut model, &mut queue, Positions::Exact).unwrap_err();
    assert_line(
        &error,
        &[
            path.to_str().unwrap(),
            "7 tensors do not fit this model",
            "itm_head.bias [2] is missing",
            "visual_encoder_m.norm.weight [24] is missing",
            "intruder.weight [2, 3] is not part of it",
            "vision_proj.weight is [12, 25], expected [12, 24]",
            "text_queue is [12, 11], expected [12, 12]",
            "text_proj.bias is I64, expected a float type",
            "queue_ptr is F32, expected int64",
        ],
    );
    // What the header alone tells is refused before anything is overwritten.
    assert_same(&before, &state_bits(&model, &queue), "after a refusal");
}

#[test]
fn numbers_that_are_not_finite_are_all_named() {
    let (config, tensors) = published();
    let _ = tensors["itm_head.bias"].get(1).fill_(f64::NAN);
    let _ = tensors["image_queue"].get(3).get(4).fill_(f64::INFINITY);
    let error = load_state(&config, &tensors, Positions::Exact).unwrap_err();
    assert_line(&error, &["2 tensors", "itm_head.bias is not finite", "image_queue is not finite"]);
}

#[test]
fn a_pointer_outside_the_queue_is_refused() {
    let (config, tensors) = published();
    for pointer in [12, -1] {
        let _ = tensors["queue_ptr"].shallow_clone().fill_(pointer);
        let error = load_state(&config, &tensors, Positions::Exact).unwrap_err();
        assert_line(&error, &["queue_ptr", "below the queue size 12", &pointer.to_string()]);
    }
}

#[test]
fn other_float_types_are_read_as_float32() {
    let (config, tensors) = published();
    for kind in [Kind::BFloat16, Kind::Half] {
        let mut narrow = copied(&tensors);
        let value = tensors["itm_head.weight"].to_kind(kind);
        narrow.insert("itm_head.weight".into(), value.shallow_clone());
        let loaded = load_state(&config, &narrow, Positions::Exact).unwrap();
        assert_eq!(loaded["itm_head.weight"], bits(&value.to_kind(Kind::Float)));
    }
}

#[test]
fn files_that_are_not_safetensors_are_refused_in_one_line_that_names_them() {
    let dir = tempfile::tempdir().unwrap();
    let (_, tensors) = published();
    let whole = std::fs::read(saved(dir.path(), &tensors)).unwrap();
    let huge = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    let longer = [&whole[..], b"x"].concat();
    let garbage_header = [&16_u64.to_le_bytes()[..], b"{\"a\": \x01\x02 nonsense"].concat();
    let zip = [&b"PK\x03\x04\x14\x00\x00\x00\x08\x08"[..], &[0; 64]].concat();
    let pickle = [&b"\x80\x02}q\x00X\x05\x00\x00\x00model"[..], &[0; 64]].concat();
    for (name, bytes, problem) in [
        ("empty", &[][..], "shorter than its header"),
        ("short", &whole[..5], "shorter than its header"),
        ("header_cut", &whole[..200], "cut off"),
        ("data_cut", &whole[..whole.len() - 1], "cut off"),
        ("longer", &longer, "cut off or damaged"),
        ("huge", &huge, "header of"),
        ("garbage", &garbage_header, "damaged safetensors header"),
        ("zip", &zip, "pickled"),
        ("pickle", &pickle, "pickled"),
        ("tiny_pickle", b"\x80\x02.", "shorter than its header"),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = TensorFile::open(&path).expect_err(name);
        assert!(matches!(error, Error::File { .. }), "{name}: {error:?}");
        assert_line(&error, &[path.to_str().unwrap(), problem]);
    }
    let absent = dir.path().join("absent");
    assert_line(&TensorFile::open(&absent).unwrap_err(), &[absent.to_str().unwrap(), "cannot be opened"]);
    assert!(TensorFile::open(saved(dir.path(), &tensors)).is_ok());
}

#[test]
fn a_state_of_another_image_size_loads_only_when_interpolation_is_asked_for() {
    let (config, tensors) = published();
    let mut larger = config.clone();
    larger.vision.image_res = 48;
    let error = load_state(&larger, &tensors, Positions::Exact).unwrap_err();
    let name = "visual_encoder_m.pos_embed";
    assert_line(&error, &["2 tensors", &format!("{name} is [1, 17, 24], expected [1, 37, 24]")]);
    let loaded = load_state(&larger, &tensors, Positions::Interpolate).unwrap();
    assert_eq!(loaded[name], bits(&interpolate_positions(&tensors[name], 6).unwrap()));
}
