//! Golden numbers of the published implementation against this one.
//!
//! A case is a folder with `case.json` and `case.safetensors` (training steps, module `training`) or `retrieval.json` and
//! `retrieval.safetensors` (evaluation, module `retrieval`). Users run it to check a new GPU, driver or build.
mod report;
mod retrieval;
mod settings;
mod training;

use std::path::Path;

use albef_model::Precision;
use anyhow::bail;
use tch::Device;

pub use report::{Quantity, Report};

/// Runs the case in `dir`.
pub fn run(dir: &Path, device: Device, precision: Precision) -> anyhow::Result<Report> {
    if dir.join("case.json").is_file() {
        training::run(dir, device, precision)
    } else if dir.join("retrieval.json").is_file() {
        retrieval::run(dir, device, precision)
    } else {
        bail!("{}: holds neither case.json nor retrieval.json", dir.display())
    }
}
