//! The text encoder from a BERT in Hugging Face's naming.
use std::collections::BTreeMap;
use std::path::Path;

use super::file::TensorFile;
use super::{Imported, Mismatch, Positions, Slot, load_slots};
use crate::albef::Albef;
use crate::error::{Error, Result};

/// Parts of a BERT checkpoint that ALBEF has no use for.
const IGNORED: [&str; 6] = [
    "pooler.dense.weight",
    "pooler.dense.bias",
    "cls.seq_relationship.weight",
    "cls.seq_relationship.bias",
    "embeddings.position_ids",
    "cls.predictions.decoder.",
];

/// Reads the text encoder of the online network from `path` and copies it to the twin.
///
/// Names may carry the prefix `bert.` or not, and the older `LayerNorm.gamma` / `.beta`. Cross-attention is never in
/// such a file and stays as initialised; so does the vocabulary head if the file has none of it.
pub fn load(path: impl AsRef<Path>, model: &mut Albef) -> Result<Imported> {
    let file = TensorFile::open(path)?;
    let mut available: BTreeMap<String, String> = BTreeMap::new();
    let mut twice = Mismatch::default();
    for name in file.names() {
        if let Some(first) = available.insert(canonical(&name), name.clone()) {
            twice.wrong.push((name, "one name for each tensor".into(), format!("also there as {first}")));
        }
    }
    if !twice.is_empty() {
        return Err(Error::Weights { source_name: file.name(), report: twice });
    }
    let has_head = available
        .keys()
        .any(|name| name.starts_with("cls.predictions.") && !name.starts_with("cls.predictions.decoder."));

    let mut imported = Imported::default();
    let mut slots = Vec::new();
    for (name, tensor) in model.params().iter() {
        let Some(local) = name.strip_prefix("text_encoder.") else { continue };
        let local = local.strip_prefix("bert.").unwrap_or(local);
        if local.contains(".crossattention.") || (local.starts_with("cls.predictions.") && !has_head) {
            imported.initialised.push(name.to_owned());
            continue;
        }
        // An absent tensor is reported under the name that Hugging Face gives it.
        let source = available.remove(local).unwrap_or_else(|| local.to_owned());
        slots.push(Slot {
            source,
            model: name.to_owned(),
            target: tensor.shallow_clone(),
            positions: Positions::Exact,
        });
    }
    let (ignored, surplus): (Vec<_>, Vec<_>) =
        available.into_iter().partition(|(canonical, _)| IGNORED.iter().any(|i| canonical.starts_with(i)));
    imported.ignored = ignored.into_iter().map(|(_, name)| name).collect();
    imported.loaded = load_slots(&file, slots, surplus.into_iter().map(|(_, name)| name).collect())?;
    model.copy_to_twin()?;
    Ok(imported)
}

/// The name without `bert.` and with today's names of the layer norms.
fn canonical(name: &str) -> String {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    match name.rsplit_once(".LayerNorm.") {
        Some((module, "gamma")) => format!("{module}.LayerNorm.weight"),
        Some((module, "beta")) => format!("{module}.LayerNorm.bias"),
        _ => name.to_owned(),
    }
}
