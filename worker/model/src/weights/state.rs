//! The pre-training state under the published names: what `state_dict()` of the published model holds.
use std::collections::BTreeSet;
use std::path::Path;

use tch::{Kind, Tensor};

use super::file::{self, TensorFile};
use super::{Imported, Mismatch, Positions, Slot, load_slots};
use crate::albef::Albef;
use crate::error::{Error, Result};
use crate::queue::FeatureQueue;

/// Both text encoders.
const TEXT_ENCODERS: [&str; 2] = ["text_encoder", "text_encoder_m"];

/// The published state dict stores the decoder twice: (duplicate, original), below a text encoder.
const TIED: [(&str, &str); 2] = [
    ("cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"),
    ("cls.predictions.decoder.bias", "cls.predictions.bias"),
];

/// A constant that the published state dict holds, below a text encoder.
const POSITION_IDS: &str = "bert.embeddings.position_ids";

/// The queues' tensors.
const QUEUES: [&str; 3] = ["image_queue", "text_queue", "queue_ptr"];

/// Every tensor of the state with its published name. Parameters share storage with the model.
pub fn state_dict(model: &Albef, queue: &FeatureQueue) -> Result<Vec<(String, Tensor)>> {
    let params = model.params().iter().chain(model.twin_params().iter());
    let mut out: Vec<(String, Tensor)> =
        params.map(|(name, tensor)| Ok((name.to_owned(), tensor.f_detach()?))).collect::<Result<_>>()?;
    for encoder in TEXT_ENCODERS {
        for (duplicate, original) in TIED {
            let original = format!("{encoder}.{original}");
            if let Some((_, tensor)) = out.iter().find(|(name, _)| *name == original) {
                let tensor = tensor.shallow_clone();
                out.push((format!("{encoder}.{duplicate}"), tensor));
            }
        }
        let ids = position_ids(model.config().text.max_positions)?;
        out.push((format!("{encoder}.{POSITION_IDS}"), ids));
    }
    out.push(("image_queue".into(), queue.image().shallow_clone()));
    out.push(("text_queue".into(), queue.text().shallow_clone()));
    out.push(("queue_ptr".into(), Tensor::f_from_slice(&[queue.pointer()])?));
    Ok(out)
}

fn position_ids(count: i64) -> Result<Tensor> {
    Ok(Tensor::f_arange(count, (Kind::Int64, tch::Device::Cpu))?.f_view([1, count])?)
}

/// Writes the state to `path`.
pub fn save(path: impl AsRef<Path>, model: &Albef, queue: &FeatureQueue) -> Result<()> {
    file::write(path, &state_dict(model, queue)?)
}

/// Reads the state from `path`, in place.
///
/// What the file holds twice (the tied decoder) may be absent, as writers that drop shared tensors leave it out, and
/// must be equal where it is present. With [`Positions::Interpolate`] the image encoders' position tables may belong
/// to another image size. On an error the model is partly overwritten and must not be used.
pub fn load(
    path: impl AsRef<Path>,
    model: &mut Albef,
    queue: &mut FeatureQueue,
    positions: Positions,
) -> Result<Imported> {
    load_from(&TensorFile::open(path)?, "", model, queue, positions)
}

/// Reads what evaluation needs from the tensors of `file` whose names begin with `prefix`: the online network without
/// its vocabulary head. Twin, queues and the rest of a training state may be absent and are not read.
pub fn load_for_evaluation(file: &TensorFile, prefix: &str, model: &mut Albef) -> Result<Imported> {
    const HEAD: &str = "text_encoder.cls.";
    let (unread, needed): (Vec<_>, Vec<_>) =
        model.params().iter().partition(|(name, _)| name.starts_with(HEAD));
    let slots: Vec<Slot> = needed
        .into_iter()
        .map(|(name, tensor)| Slot {
            source: format!("{prefix}{name}"),
            model: name.to_owned(),
            target: tensor.shallow_clone(),
            positions: Positions::Exact,
        })
        .collect();
    let mut known: BTreeSet<String> = redundant_names(prefix);
    let twin = model.twin_params().names().iter().map(String::as_str);
    let rest = unread.into_iter().map(|(name, _)| name).chain(twin).chain(QUEUES);
    known.extend(rest.map(|name| format!("{prefix}{name}")));
    let unslotted = file
        .names()
        .into_iter()
        .filter(|name| name.starts_with(prefix) && !slots.iter().any(|slot| slot.source == *name));
    let (ignored, surplus) = unslotted.partition(|name| known.contains(name));
    Ok(Imported { loaded: load_slots(file, slots, surplus)?, initialised: Vec::new(), ignored })
}

/// [`load`] of the tensors whose names begin with `prefix`.
pub fn load_from(
    file: &TensorFile,
    prefix: &str,
    model: &mut Albef,
    queue: &mut FeatureQueue,
    positions: Positions,
) -> Result<Imported> {
    let pointer = Tensor::f_zeros([1], (Kind::Int64, tch::Device::Cpu))?;
    let slot = |name: &str, target: &Tensor| Slot {
        source: format!("{prefix}{name}"),
        model: name.to_owned(),
        target: target.shallow_clone(),
        positions: if name.ends_with(".pos_embed") { positions } else { Positions::Exact },
    };
    let params = model.params().iter().chain(model.twin_params().iter());
    let mut slots: Vec<Slot> = params.map(|(name, tensor)| slot(name, tensor)).collect();
    slots.push(slot("image_queue", queue.image()));
    slots.push(slot("text_queue", queue.text()));
    slots.push(slot("queue_ptr", &pointer));

    let known: BTreeSet<String> = slots.iter().map(|s| s.source.clone()).collect();
    let redundant = redundant_names(prefix);
    let surplus = file
        .names()
        .into_iter()
        .filter(|name| name.starts_with(prefix) && !known.contains(name) && !redundant.contains(name))
        .collect();
    let loaded = load_slots(file, slots, surplus)?;
    check_redundant(file, prefix, model)?;
    queue.set_pointer(pointer.f_int64_value(&[0])?).map_err(|error| file.refuse(error.to_string()))?;
    let ignored = redundant.into_iter().filter(|name| file.info(name).is_some()).collect();
    Ok(Imported { loaded, initialised: Vec::new(), ignored })
}

/// Names that say nothing new.
fn redundant_names(prefix: &str) -> BTreeSet<String> {
    TEXT_ENCODERS
        .iter()
        .flat_map(|encoder| {
            let names = TIED.iter().map(|(duplicate, _)| *duplicate).chain([POSITION_IDS]);
            names.map(move |name| format!("{prefix}{encoder}.{name}"))
        })
        .collect()
}

/// Checks that what the file says twice it says alike.
fn check_redundant(file: &TensorFile, prefix: &str, model: &Albef) -> Result<()> {
    let mut report = Mismatch::default();
    for encoder in TEXT_ENCODERS {
        let mut expected: Vec<(String, String, Tensor)> = Vec::new();
        for (duplicate, original) in TIED {
            let original = format!("{encoder}.{original}");
            let value = model.params().get(&original).or_else(|| model.twin_params().get(&original));
            if let Some(value) = value {
                expected.push((format!("{prefix}{encoder}.{duplicate}"), original, value.f_detach()?));
            }
        }
        let ids = position_ids(model.config().text.max_positions)?;
        expected.push((format!("{prefix}{encoder}.{POSITION_IDS}"), "0, 1, 2, …".into(), ids));
        for (name, twin, value) in expected {
            if file.info(&name).is_none() {
                continue;
            }
            let found = file.read(&name)?.f_to_kind(value.kind())?;
            let value = value.f_to(tch::Device::Cpu)?;
            if found.size() != value.size() {
                let (expected, found) = (format!("{:?}", value.size()), format!("{:?}", found.size()));
                report.wrong.push((name, expected, found));
            } else if !found.f_equal(&value)? {
                report.wrong.push((name, format!("equal to {twin}"), "different".into()));
            }
        }
    }
    if report.is_empty() { Ok(()) } else { Err(Error::Weights { source_name: file.name(), report }) }
}
