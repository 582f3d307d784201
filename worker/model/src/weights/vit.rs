//! The image encoder from a ViT or DeiT in timm's naming.
use std::path::Path;

use super::file::TensorFile;
use super::{Imported, Positions, Slot, load_slots};
use crate::albef::Albef;
use crate::error::Result;

/// Classifiers, which ALBEF has no use for.
const IGNORED: [&str; 3] = ["head.", "head_drop.", "pre_logits."];

/// Reads the image encoder of the online network from `path` and copies it to the twin. A position table of another
/// image size is interpolated.
pub fn load(path: impl AsRef<Path>, model: &mut Albef) -> Result<Imported> {
    let file = TensorFile::open(path)?;
    let slots: Vec<Slot> = model
        .params()
        .iter()
        .filter_map(|(name, tensor)| {
            name.strip_prefix("visual_encoder.").map(|source| Slot {
                source: source.to_owned(),
                model: name.to_owned(),
                target: tensor.shallow_clone(),
                positions: if source == "pos_embed" { Positions::Interpolate } else { Positions::Exact },
            })
        })
        .collect();
    let unknown = file.names().into_iter().filter(|name| !slots.iter().any(|slot| slot.source == *name));
    let (ignored, surplus) = unknown.partition(|name| IGNORED.iter().any(|i| name.starts_with(i)));
    let loaded = load_slots(&file, slots, surplus)?;
    model.copy_to_twin()?;
    Ok(Imported { loaded, initialised: Vec::new(), ignored })
}
