//! Images that fit a text.
use std::path::Path;

use albef_corpus::text::caption;
use albef_model::Precision;
use albef_model::retrieval::Gallery;
use anyhow::bail;
use tch::Kind;

use super::{open, picture, write_png};
use crate::drawing::{Tile, sheet};
use crate::evaluate::{EvaluationSet, images_of};
use crate::saved::SavedModel;

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Search {
    /// The text.
    pub text: String,
    /// Folder or URL of the corpus.
    pub corpus: String,
    /// Images that are shown.
    pub top: usize,
    /// Of the most similar images so many are put in the order of their match scores; 0 leaves the order.
    pub rerank: usize,
    /// Images that are encoded at once.
    pub batch: usize,
    /// Arithmetic, if not that of the training.
    pub dtype: Option<Precision>,
}

/// An image that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its number in the corpus.
    pub image: usize,
    /// Cosine similarity with the text.
    pub similarity: f64,
    /// Match score, where it was ranked again.
    pub score: Option<f64>,
    /// The source's key of it.
    pub key: String,
    /// Its first caption.
    pub caption: String,
}

/// Columns of the contact sheet.
const COLUMNS: u32 = 4;

/// Finds images of a corpus and, if asked, draws a contact sheet of them.
///
/// # Errors
/// If nothing is left of the text after cleaning, or the corpus cannot be read.
pub fn search(saved: &SavedModel, search: &Search, out: Option<&Path>) -> anyhow::Result<Vec<Hit>> {
    let _guard = tch::no_grad_guard();
    let set = open(saved, &search.corpus)?;
    let (max_words, _) = saved.text_limits();
    if caption::clean(&search.text, max_words).is_empty() {
        bail!("{:?}: nothing is left of the text after cleaning; give a word or more", search.text);
    }
    let (model, kind) = (&saved.model, saved.precision(search.dtype)?.kind());
    let mut gallery = Gallery::of_features(model, kind);
    let (ids, mask) = set.encode(&[&search.text], model.device())?;
    gallery.add_texts(&ids, &mask)?;
    set.images(model.device(), search.batch, |images, _| Ok(gallery.add_images(&images)?))?;
    let sims = gallery.similarities()?.f_view([-1])?;
    let wanted = search.top.max(search.rerank).clamp(1, set.len());
    let (best, order) = sims.f_to_kind(Kind::Double)?.f_topk(wanted as i64, 0, true, true)?;
    let (best, order) = (Vec::<f64>::try_from(best)?, Vec::<i64>::try_from(order)?);
    let mut found: Vec<(usize, f64, Option<f64>)> =
        order.iter().zip(best).map(|(&image, similarity)| (image as usize, similarity, None)).collect();
    let again = search.rerank.min(found.len());
    for (hit, score) in found.iter_mut().zip(match_scores(saved, &set, search, &order[..again], kind)?) {
        hit.2 = Some(score);
    }
    found[..again].sort_by(|a, b| b.2.unwrap_or(f64::MIN).total_cmp(&a.2.unwrap_or(f64::MIN)));
    found.truncate(search.top.max(1));

    let (mut hits, mut tiles) = (Vec::new(), Vec::new());
    for (image, similarity, score) in found {
        let shown = set.picture(image)?;
        let caption = shown.metadata.captions.first().cloned().unwrap_or_default();
        let figure = match score {
            Some(score) => format!("match {score:.2}, similarity {similarity:.3}"),
            None => format!("similarity {similarity:.3}"),
        };
        tiles.push(Tile {
            picture: picture(shown.pixels, saved.side())?,
            lines: vec![figure, caption.clone()],
        });
        hits.push(Hit { image, similarity, score, key: shown.metadata.source_key, caption });
    }
    if let Some(out) = out {
        write_png(&sheet(&search.text, &tiles, COLUMNS, 3), out)?;
    }
    Ok(hits)
}

/// Match scores of the text with these images.
fn match_scores(
    saved: &SavedModel,
    set: &EvaluationSet,
    search: &Search,
    images: &[i64],
    kind: Kind,
) -> anyhow::Result<Vec<f64>> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let mut gallery = Gallery::new(&saved.model, kind);
    let (ids, mask) = set.encode(&[&search.text], saved.model.device())?;
    gallery.add_texts(&ids, &mask)?;
    for images in images.chunks(search.batch.max(1)) {
        let squares = images
            .iter()
            .map(|&image| Ok(set.picture(image as usize)?.pixels))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let squares: Vec<&[u8]> = squares.iter().map(Vec::as_slice).collect();
        gallery.add_images(&images_of(&squares, saved.side(), saved.model.device())?)?;
    }
    let scores = gallery.score(images.len() as i64, search.batch.max(1))?;
    Ok(Vec::<f64>::try_from(scores.t2i.f_view([-1])?.f_to_kind(Kind::Double)?)?)
}
