//! Retrieval on a corpus that is not trained on.
use std::fmt;
use std::sync::Arc;

use albef_corpus::image::{self, CropBox, Limits, Resizer};
use albef_corpus::shard::{Corpus, Metadata};
use albef_corpus::text::{WordPiece, caption};
use albef_model::Albef;
use albef_model::retrieval::{Gallery, Recall, recall, recall_by_similarity};
use rayon::prelude::*;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use crate::loader;
use crate::normalise::normalise;

/// Pairs whose match scores are computed at once, for each image of a batch.
const PAIRS_PER_IMAGE: usize = 8;

/// Why a corpus cannot be evaluated on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// It cannot be read.
    #[error(transparent)]
    Corpus(#[from] albef_corpus::shard::ReadError),
    /// There is nothing in it.
    #[error("{0}: holds no sample; build it again")]
    Empty(String),
    /// A picture cannot be decoded. It is not left out: the figure would be one of another set.
    #[error("{corpus}, shard {shard}, sample {sample}: {source}; build the corpus again")]
    Image {
        /// The corpus.
        corpus: String,
        /// Number of the shard.
        shard: usize,
        /// Number in the shard.
        sample: u64,
        /// What is wrong.
        source: albef_corpus::image::ImageError,
    },
    /// A caption cannot be encoded.
    #[error(transparent)]
    Text(#[from] albef_corpus::text::Error),
    /// The model refuses.
    #[error(transparent)]
    Model(#[from] albef_model::Error),
}

type Result<T, E = EvaluationError> = std::result::Result<T, E>;

/// A corpus to find images by captions in, and captions by images.
#[derive(Debug)]
pub struct EvaluationSet {
    location: String,
    corpus: Corpus,
    side: u32,
    words: Arc<WordPiece>,
    max_words: usize,
    max_tokens: usize,
    /// Shard and number of each image, in order.
    places: Vec<(usize, u64)>,
}

/// One image as evaluation sees it.
#[derive(Debug)]
pub struct Picture {
    /// `[side, side, 3]`, all of the image, as PIL's bicubic filter resizes it.
    pub pixels: Vec<u8>,
    /// What is known about it.
    pub metadata: Metadata,
}

/// Recall in both directions, percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BothWays {
    /// Texts found by images.
    pub image_to_text: Recall,
    /// Images found by texts.
    pub text_to_image: Recall,
}

/// Retrieval figures of a set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RetrievalReport {
    /// Images in the set.
    pub images: u64,
    /// Texts in the set.
    pub texts: u64,
    /// Candidates of each query that were ranked again.
    pub reranked: u64,
    /// What guessing would reach.
    pub chance: BothWays,
    /// In the order of the similarities alone.
    pub itc: BothWays,
    /// With the best candidates in the order of their match scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub itm: Option<BothWays>,
}

impl EvaluationSet {
    /// Opens the corpus at `location` for a model that sees squares of `side` pixels.
    ///
    /// # Errors
    /// If it is not a finished corpus, or empty.
    pub fn open(
        location: &str,
        side: u32,
        words: &Arc<WordPiece>,
        max_words: usize,
        max_tokens: usize,
    ) -> Result<Self> {
        let corpus = Corpus::open(location)?;
        let sizes = corpus.shard_sizes().into_iter().enumerate();
        let places: Vec<_> = sizes.flat_map(|(shard, n)| (0..n).map(move |sample| (shard, sample))).collect();
        if places.is_empty() {
            return Err(EvaluationError::Empty(location.to_owned()));
        }
        let (location, words) = (location.to_owned(), Arc::clone(words));
        Ok(Self { location, corpus, side, words, max_words, max_tokens, places })
    }

    /// Images in the set.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Never: an empty corpus is refused.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Image number `image` with what is known about it.
    pub fn picture(&self, image: usize) -> Result<Picture> {
        let (shard, sample) = self.places[image];
        let stored = loader::sample(&self.corpus, shard, sample)?;
        let pixels = square(&stored.image, self.side).map_err(|source| EvaluationError::Image {
            corpus: self.location.clone(),
            shard,
            sample,
            source,
        })?;
        Ok(Picture { pixels, metadata: stored.metadata })
    }

    /// Encodes images, `batch` at a time, and hands them to `take` with their features' numbers. Decodes on all cores.
    pub fn images(
        &self,
        device: Device,
        batch: usize,
        mut take: impl FnMut(Tensor, Vec<Metadata>) -> Result<()>,
    ) -> Result<()> {
        let numbers: Vec<usize> = (0..self.len()).collect();
        for numbers in numbers.chunks(batch.max(1)) {
            let pictures =
                numbers.par_iter().map(|&image| self.picture(image)).collect::<Result<Vec<_>>>()?;
            let pixels: Vec<&[u8]> = pictures.iter().map(|picture| picture.pixels.as_slice()).collect();
            let images = images_of(&pixels, self.side, device)?;
            take(images, pictures.into_iter().map(|picture| picture.metadata).collect())?;
        }
        Ok(())
    }

    /// Ids and attention mask of texts, int64 `[texts, tokens]` on `device`.
    pub fn encode<S: AsRef<str>>(&self, texts: &[S], device: Device) -> Result<(Tensor, Tensor)> {
        let cleaned: Vec<String> =
            texts.iter().map(|text| caption::clean(text.as_ref(), self.max_words)).collect();
        encode(&self.words, &cleaned, self.max_tokens, device)
    }

    /// Ranks all captions for every image and all images for every caption, with the match scores of the best `rerank`;
    /// 0 does without. `batch` images or texts are encoded at once.
    pub fn run(&self, model: &Albef, kind: Kind, rerank: u64, batch: usize) -> Result<RetrievalReport> {
        let _guard = tch::no_grad_guard();
        let device = model.device();
        let mut gallery = match rerank {
            0 => Gallery::of_features(model, kind),
            _ => Gallery::new(model, kind),
        };
        let (mut texts, mut image_of_text) = (Vec::new(), Vec::new());
        let mut image = 0_i64;
        self.images(device, batch, |images, metadata| {
            gallery.add_images(&images)?;
            for Metadata { captions, .. } in metadata {
                image_of_text.extend(captions.iter().map(|_| image));
                texts.extend(captions);
                image += 1;
            }
            Ok(())
        })?;
        for texts in texts.chunks(batch.max(1)) {
            let (ids, mask) = self.encode(texts, device)?;
            gallery.add_texts(&ids, &mask)?;
        }
        let both = |(image_to_text, text_to_image)| BothWays { image_to_text, text_to_image };
        let pairs = PAIRS_PER_IMAGE * batch.max(1);
        let (sims, itm) = match rerank {
            0 => (gallery.similarities()?, None),
            k => {
                let scores = gallery.score(i64::try_from(k).unwrap_or(i64::MAX), pairs)?;
                let itm = both(recall(&scores, &image_of_text)?);
                (scores.sim_i2t, Some(itm))
            }
        };
        let itc = both(recall_by_similarity(&sims, &image_of_text)?);
        Ok(RetrievalReport {
            images: self.len() as u64,
            texts: texts.len() as u64,
            reranked: rerank.min(texts.len().max(self.len()) as u64),
            chance: chance(&image_of_text),
            itc,
            itm,
        })
    }
}

/// All of a picture, resized to `side` × `side` as PIL's bicubic filter does.
pub fn square(bytes: &[u8], side: u32) -> Result<Vec<u8>, image::ImageError> {
    let picture = image::decode(bytes, &Limits::default())?;
    let whole = CropBox::whole(&picture);
    Ok(Resizer::new().crop(&picture, whole, side, side)?.into_pixels())
}

/// Normalised images of squares of `side`.
pub fn images_of(squares: &[&[u8]], side: u32, device: Device) -> Result<Tensor> {
    let side = i64::from(side);
    let pixels = squares.concat();
    let torch = albef_model::Error::from;
    let pixels = Tensor::f_from_slice(&pixels).and_then(|p| p.f_view([-1, side, side, 3])).map_err(torch)?;
    Ok(normalise(&pixels, device)?)
}

/// Ids and attention mask of cleaned texts, int64 `[texts, tokens]` on `device`.
pub fn encode<S: AsRef<str>>(
    words: &WordPiece,
    cleaned: &[S],
    max_tokens: usize,
    device: Device,
) -> Result<(Tensor, Tensor)> {
    let batch = words.encode_batch(cleaned, max_tokens)?;
    let shape = [batch.captions as i64, batch.tokens as i64];
    let tensor = |values: &[i64]| -> albef_model::Result<Tensor> {
        Ok(Tensor::f_from_slice(values)?.f_view(shape)?.f_to(device)?)
    };
    Ok((tensor(&batch.ids)?, tensor(&batch.mask)?))
}

/// What a random order reaches: for an image with c of T texts, one of them is among the first k with
/// 1 − C(T − c, k) / C(T, k).
fn chance(image_of_text: &[i64]) -> BothWays {
    let texts = image_of_text.len() as f64;
    let mut counts = std::collections::BTreeMap::<i64, u64>::new();
    for &image in image_of_text {
        *counts.entry(image).or_default() += 1;
    }
    let images = counts.len() as f64;
    let any_of = |k: f64, own: u64| {
        let missed: f64 = (0..own).map(|i| ((texts - k - i as f64) / (texts - i as f64)).max(0.0)).product();
        1.0 - missed
    };
    let at = |k: f64| Recall1 {
        image_to_text: 100.0 * counts.values().map(|&own| any_of(k, own)).sum::<f64>() / images,
        text_to_image: 100.0 * (k / images).min(1.0),
    };
    let (r1, r5, r10) = (at(1.0), at(5.0), at(10.0));
    BothWays {
        image_to_text: Recall { r1: r1.image_to_text, r5: r5.image_to_text, r10: r10.image_to_text },
        text_to_image: Recall { r1: r1.text_to_image, r5: r5.text_to_image, r10: r10.text_to_image },
    }
}

/// Both directions at one number of answers.
struct Recall1 {
    image_to_text: f64,
    text_to_image: f64,
}

impl fmt::Display for RetrievalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:24}{:^24}{:^24}", "", "image → text", "text → image")?;
        write!(f, "{:24}", format!("{} images, {} texts", self.images, self.texts))?;
        for _ in 0..2 {
            write!(f, "{:>8}{:>8}{:>8}", "R@1", "R@5", "R@10")?;
        }
        let reranked = format!("ITM over the best {}", self.reranked);
        let rows = [("chance", Some(&self.chance)), ("ITC", Some(&self.itc)), (&reranked, self.itm.as_ref())];
        for (name, both) in rows.into_iter().filter_map(|(name, both)| Some((name, both?))) {
            write!(f, "\n{name:24}")?;
            for Recall { r1, r5, r10 } in [both.image_to_text, both.text_to_image] {
                write!(f, "{r1:>8.2}{r5:>8.2}{r10:>8.2}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_counts_every_text_of_an_image() {
        let one = chance(&[0, 1, 2, 3]);
        assert_eq!((one.image_to_text.r1, one.text_to_image.r1, one.text_to_image.r5), (25.0, 25.0, 100.0));
        // Of four texts two belong to each image: one of the first is right half of the time, of ten always.
        let two = chance(&[0, 0, 1, 1]);
        assert_eq!((two.image_to_text.r1, two.text_to_image.r1, two.image_to_text.r10), (50.0, 50.0, 100.0));
    }
}
