//! Initial weights from pre-trained encoders, and checking a file.
use std::path::Path;

use albef_model::Albef;
use albef_model::queue::FeatureQueue;
use albef_model::trainer::initial_state;
use albef_model::weights::file::TensorFile;
use albef_model::weights::{Imported, Positions, bert, state, vit};
use anyhow::bail;
use tch::Device;

use crate::config::JobConfig;

/// Writes the initial state of a job: random, then the encoders that are given.
pub fn init(
    config: &str,
    seed: Option<u64>,
    bert_file: Option<&Path>,
    vit_file: Option<&Path>,
    out: &Path,
) -> anyhow::Result<Vec<String>> {
    // Whatever can be refused is refused before the model is drawn, which takes seconds at full size.
    for path in [bert_file, vit_file].into_iter().flatten() {
        TensorFile::open(path)?;
    }
    let folder = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("{}: its folder does not exist; make it first", out.display());
    }
    let (mut model, queue) = build(config, seed)?;
    let mut lines = Vec::new();
    if let Some(path) = bert_file {
        lines.push(describe(path, &bert::load(path, &mut model)?));
    }
    if let Some(path) = vit_file {
        lines.push(describe(path, &vit::load(path, &mut model)?));
    }
    state::save(out, &model, &queue)?;
    lines.push(format!("{}: written", out.display()));
    Ok(lines)
}

/// Checks that a file holds the whole state of a configuration.
pub fn check(config: &str, file: &Path) -> anyhow::Result<String> {
    let tensors = TensorFile::open(file)?;
    let (mut model, mut queue) = build(config, None)?;
    let imported = state::load_from(&tensors, "", &mut model, &mut queue, Positions::Exact)?;
    Ok(describe(file, &imported))
}

fn build(config: &str, seed: Option<u64>) -> anyhow::Result<(Albef, FeatureQueue)> {
    let job = JobConfig::load(config)?;
    Ok(initial_state(&job.model, Device::Cpu, seed.unwrap_or(job.seed))?)
}

fn describe(path: &Path, imported: &Imported) -> String {
    let Imported { loaded, initialised, ignored } = imported;
    let mut line = format!("{}: {} tensors loaded", path.display(), loaded.len());
    if !initialised.is_empty() {
        line += &format!(", {} not in it and left as initialised", initialised.len());
    }
    if !ignored.is_empty() {
        line += &format!(", ignored: {}", ignored.join(", "));
    }
    line
}
