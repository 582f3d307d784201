//! Questions to a saved model: `albef-worker eval`, `search` and `explain`.
mod explain;
mod search;

use std::path::Path;

use anyhow::Context;
use image::RgbImage;

pub use explain::{Explained, explain};
pub use search::{Hit, Search, search};

use crate::evaluate::{EvaluationSet, RetrievalReport};
use crate::saved::SavedModel;
use albef_model::Precision;

/// Retrieval figures of a saved model on a corpus.
pub fn eval(
    saved: &SavedModel,
    corpus: &str,
    rerank: u64,
    batch: usize,
    dtype: Option<Precision>,
) -> anyhow::Result<RetrievalReport> {
    let set = open(saved, corpus)?;
    Ok(set.run(&saved.model, saved.precision(dtype)?.kind(), rerank, batch)?)
}

fn open(saved: &SavedModel, corpus: &str) -> anyhow::Result<EvaluationSet> {
    let (max_words, max_tokens) = saved.text_limits();
    Ok(EvaluationSet::open(corpus, saved.side(), &saved.words, max_words, max_tokens)?)
}

/// Writes a picture as PNG, whatever the file's name ends in.
fn write_png(picture: &RgbImage, out: &Path) -> anyhow::Result<()> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).context("the picture cannot be encoded")?;
    std::fs::write(out, bytes.into_inner()).with_context(|| format!("{}: cannot be written", out.display()))
}

/// Squares of three bytes a pixel as a picture.
fn picture(pixels: Vec<u8>, side: u32) -> anyhow::Result<RgbImage> {
    RgbImage::from_raw(side, side, pixels).context("a square of the wrong size")
}
