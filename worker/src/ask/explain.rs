//! What each word of a text looks at in an image.
use std::path::Path;

use albef_corpus::image::{Limits, read};
use albef_corpus::text::caption;
use albef_model::Precision;
use anyhow::{Context, bail};
use tch::{Kind, Tensor};

use super::{picture, write_png};
use crate::drawing::{Tile, heat, sheet};
use crate::evaluate::{encode, images_of, square};
use crate::saved::SavedModel;

/// Words in a row of the picture.
const COLUMNS: u32 = 5;

/// Where the words of a text look.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The score of "match" of image and text, higher for a better fit.
    pub match_score: f64,
    /// Each word with its map, `[grid, grid]`, not normalised.
    pub words: Vec<(String, Vec<f32>)>,
}

/// Grad-CAM of the match score for each word of `text` over the image, at multimodal layer `layer` counted from 0; by
/// default the one below the middle, which is the published third of six.
///
/// # Errors
/// If the file is no image, nothing is left of the text, there is no such layer, or it is the last one, from which words do
/// not reach the score.
pub fn explain(
    saved: &SavedModel,
    image: &Path,
    text: &str,
    layer: Option<usize>,
    dtype: Option<Precision>,
    out: Option<&Path>,
) -> anyhow::Result<Explained> {
    let (max_words, max_tokens) = saved.text_limits();
    let cleaned = caption::clean(text, max_words);
    if cleaned.is_empty() {
        bail!("{text:?}: nothing is left of the text after cleaning; give a word or more");
    }
    let bytes = read(image, &Limits::default())?;
    let pixels = square(&bytes, saved.side()).with_context(|| format!("{}", image.display()))?;
    let device = saved.model.device();
    let images = images_of(&[&pixels], saved.side(), device)?;
    let (ids, mask) = encode(&saved.words, &[&cleaned], max_tokens, device)?;
    let depth = saved.model.online.text.fusion_layers().len();
    let layer = layer.unwrap_or(depth.saturating_sub(1) / 2);
    if layer + 1 == depth {
        bail!(
            "layer {layer} is the last of {depth}: only [CLS] reaches the match score from there, so words have no map; \
             {}",
            if depth > 1 {
                "choose an earlier one with --layer"
            } else {
                "train with model.text.fusion_layer lower"
            }
        );
    }
    let kind = saved.precision(dtype)?.kind();
    let explanation = albef_model::explain::explain(&saved.model, kind, &images, &ids, &mask, layer)?;

    let grid = saved.model.config().vision.grid();
    let maps = explanation.grad_cam.f_to_kind(Kind::Float)?.f_view([-1, grid * grid])?;
    let ids = Vec::<i64>::try_from(ids.f_view([-1])?)?;
    let words = by_word(saved, &ids, &maps)?;
    let match_score = explanation.match_score.f_double_value(&[0])?;
    if let Some(out) = out {
        let picture = picture(pixels, saved.side())?;
        let mut tiles =
            vec![Tile { picture: picture.clone(), lines: vec![format!("match {match_score:.2}")] }];
        tiles.extend(words.iter().map(|(word, map)| Tile {
            picture: heat(&picture, map, u32::try_from(grid).unwrap_or(1)),
            lines: vec![word.clone()],
        }));
        write_png(&sheet(&cleaned, &tiles, COLUMNS, 1), out)?;
    }
    Ok(Explained { match_score, words })
}

/// Joins the pieces of each word and takes the mean of their maps; the ends of the text are no words.
fn by_word(saved: &SavedModel, ids: &[i64], maps: &Tensor) -> anyhow::Result<Vec<(String, Vec<f32>)>> {
    let mut words: Vec<(String, Vec<Vec<f32>>)> = Vec::new();
    for (&id, at) in ids.iter().zip(0..) {
        if id == saved.words.cls_id() || id == saved.words.sep_id() {
            continue;
        }
        let token = saved.vocabulary.tokens().get(id as usize).context("an id outside of the vocabulary")?;
        let map = Vec::<f32>::try_from(maps.f_get(at)?.f_contiguous()?)?;
        match (token.strip_prefix("##"), words.last_mut()) {
            (Some(piece), Some((word, maps))) => {
                word.push_str(piece);
                maps.push(map);
            }
            _ => words.push((token.clone(), vec![map])),
        }
    }
    let mean = |maps: Vec<Vec<f32>>| {
        let count = maps.len() as f32;
        let sum = |place: usize| maps.iter().map(|map| map[place]).sum::<f32>() / count;
        (0..maps.first().map_or(0, Vec::len)).map(sum).collect()
    };
    Ok(words.into_iter().map(|(word, maps)| (word, mean(maps))).collect())
}
