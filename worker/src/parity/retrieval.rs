//! Evaluation: similarities, match scores and recall.
use std::path::Path;

use albef_model::retrieval::{Gallery, NOT_RANKED, recall};
use albef_model::weights::file::TensorFile;
use albef_model::weights::state;
use albef_model::{Albef, Precision};
use anyhow::bail;
use serde::Deserialize;
use tch::{Device, Tensor};

use super::report::{Limits, Report, max_difference};
use super::settings::{self, Sizes};

/// Pairs in one forward pass: small, so that a small case takes several passes.
const PAIRS_PER_PASS: usize = 48;

#[derive(Debug, Deserialize)]
struct Case {
    k_test: i64,
    captions_per_image: i64,
    result: Expected,
    #[serde(flatten)]
    sizes: Sizes,
}

/// Published metrics: `txt_*` for images → texts, `img_*` for texts → images.
#[derive(Debug, Deserialize)]
struct Expected {
    txt_r1: f64,
    txt_r5: f64,
    txt_r10: f64,
    img_r1: f64,
    img_r5: f64,
    img_r10: f64,
}

pub(super) fn run(dir: &Path, device: Device, precision: Precision) -> anyhow::Result<Report> {
    let path = dir.join("retrieval.json");
    let case: Case = settings::read(&path)?;
    if case.captions_per_image < 1 {
        bail!("{}: captions_per_image = {}: must be at least 1", path.display(), case.captions_per_image);
    }
    let file = TensorFile::open(dir.join("retrieval.safetensors"))?;
    let config = case.sizes.model(&path)?;
    precision.activate()?;
    let mut model = Albef::new(&config, device, 0)?;
    state::load_for_evaluation(&file, "init.", &mut model)?;

    let mut gallery = Gallery::new(&model, precision.kind());
    gallery.add_images(&file.read("image")?.f_to(device)?)?;
    gallery.add_texts(&file.read("input_ids")?.f_to(device)?, &file.read("attention_mask")?.f_to(device)?)?;
    let scores = gallery.score(case.k_test, PAIRS_PER_PASS)?;

    let mut report = Report::default();
    let limits = Limits::of(precision, 0.0);
    for (name, quantity, limit, found) in [
        ("sim_i2t", "similarity", limits.similarity, &scores.sim_i2t),
        ("score_i2t", "match score", limits.match_score, &scores.i2t),
        ("score_t2i", "match score", limits.match_score, &scores.t2i),
    ] {
        let expected = file.read(name)?;
        report.add(
            quantity,
            limit,
            name,
            max_difference(&found_where_ranked(found, &expected, precision)?, &expected)?,
        );
    }
    let texts = scores.sim_i2t.size()[1];
    let image_of_text: Vec<i64> = (0..texts).map(|text| text / case.captions_per_image).collect();
    let (to_text, to_image) = recall(&scores, &image_of_text)?;
    let expected = &case.result;
    // Rounding moves queries across a threshold; float32 moves none.
    let recall_limit = if precision == Precision::Fp32 { 1e-9 } else { 10.0 };
    for (name, found, expected) in [
        ("txt_r1", to_text.r1, expected.txt_r1),
        ("txt_r5", to_text.r5, expected.txt_r5),
        ("txt_r10", to_text.r10, expected.txt_r10),
        ("img_r1", to_image.r1, expected.img_r1),
        ("img_r5", to_image.r5, expected.img_r5),
        ("img_r10", to_image.r10, expected.img_r10),
    ] {
        report.add("recall", recall_limit, name, (found - expected).abs());
    }
    Ok(report)
}

/// In reduced precision the last candidates of a query may differ; what one side did not rank is not compared.
fn found_where_ranked(found: &Tensor, expected: &Tensor, precision: Precision) -> anyhow::Result<Tensor> {
    if precision == Precision::Fp32 || found.size() != expected.size() {
        return Ok(found.shallow_clone());
    }
    let not_ranked = f64::from(NOT_RANKED);
    let one_sided = found.f_eq(not_ranked)?.f_logical_xor(&expected.f_eq(not_ranked)?)?;
    Ok(expected.f_where_self(&one_sided, found)?)
}
