//! Retrieval as published: contrastive similarity of all pairs, then the match score of the best candidates.
//!
//! The match score of a pair does not depend on who asked, so pairs that both directions want are scored once; and
//! they are scored image by image, so that an image's keys and values are projected once for all its texts.
use std::collections::BTreeMap;

use serde::Serialize;
use tch::{Device, Kind, Tensor};

use crate::albef::Albef;
use crate::bert::fusion::{Pairing, Readout};
use crate::bert::padding_mask;
use crate::error::{Error, Result};
use crate::inputs;
use crate::nn::Pass;

/// Score of a pair that was not among the candidates.
pub const NOT_RANKED: f32 = -100.0;

/// Encoded images and texts.
#[derive(Debug)]
pub struct Gallery<'a> {
    model: &'a Albef,
    pass: Pass,
    /// Whether tokens are kept, which match scores need.
    keeps_tokens: bool,
    image_embeds: Vec<Tensor>,
    image_features: Vec<Tensor>,
    text_embeds: Vec<Tensor>,
    text_features: Vec<Tensor>,
    attention_masks: Vec<Tensor>,
}

/// Scores of a gallery, float32 on the CPU.
#[derive(Debug)]
pub struct Scores {
    /// Contrastive similarities, `[images, texts]`.
    pub sim_i2t: Tensor,
    /// Match scores of each image's candidates, [`NOT_RANKED`] elsewhere, `[images, texts]`.
    pub i2t: Tensor,
    /// Match scores of each text's candidates, [`NOT_RANKED`] elsewhere, `[texts, images]`.
    pub t2i: Tensor,
}

/// Recall at 1, 5 and 10 in percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Recall {
    /// Queries whose first answer is right.
    pub r1: f64,
    /// Queries with a right answer among the first five.
    pub r5: f64,
    /// Queries with a right answer among the first ten.
    pub r10: f64,
}

/// Texts that one forward pass scores against one image.
struct Entry {
    image: i64,
    texts: Vec<i64>,
}

impl<'a> Gallery<'a> {
    /// An empty gallery.
    pub fn new(model: &'a Albef, kind: Kind) -> Self {
        Self::keeping(true, model, kind)
    }

    /// An empty gallery for [`similarities`](Self::similarities) alone: it holds a feature of each image and text instead
    /// of all their tokens, some hundred times less.
    pub fn of_features(model: &'a Albef, kind: Kind) -> Self {
        Self::keeping(false, model, kind)
    }

    fn keeping(keeps_tokens: bool, model: &'a Albef, kind: Kind) -> Self {
        Self {
            model,
            pass: Pass::evaluation(kind),
            keeps_tokens,
            image_embeds: Vec::new(),
            image_features: Vec::new(),
            text_embeds: Vec::new(),
            text_features: Vec::new(),
            attention_masks: Vec::new(),
        }
    }

    /// Adds normalised images `[images, 3, side, side]`.
    pub fn add_images(&mut self, images: &Tensor) -> Result<()> {
        let (embeds, features) = self.model.encode_images(&self.pass, images)?;
        if self.keeps_tokens {
            self.image_embeds.push(embeds);
        }
        self.image_features.push(features);
        Ok(())
    }

    /// Adds texts `[texts, tokens]`; batches may differ in length.
    pub fn add_texts(&mut self, ids: &Tensor, attention_mask: &Tensor) -> Result<()> {
        let (embeds, features) = self.model.encode_texts(&self.pass, ids, attention_mask)?;
        if self.keeps_tokens {
            self.text_embeds.push(embeds);
            self.attention_masks.push(attention_mask.shallow_clone());
        }
        self.text_features.push(features);
        Ok(())
    }

    /// Contrastive similarities of all pairs, float32 `[images, texts]` on the model's device.
    pub fn similarities(&self) -> Result<Tensor> {
        let _guard = tch::no_grad_guard();
        if self.image_features.is_empty() || self.text_features.is_empty() {
            return Err(Error::Input {
                what: "retrieval",
                expected: "at least one image and one text".into(),
                found: format!(
                    "{} batches of images, {} of texts",
                    self.image_features.len(),
                    self.text_features.len()
                ),
            });
        }
        let images = Tensor::f_cat(&self.image_features, 0)?;
        let texts = Tensor::f_cat(&self.text_features, 0)?;
        let sims = torch_ext::layers::matmul_fp32(&images, &texts.f_transpose(0, 1)?)?;
        inputs::finite("similarities", &sims)?;
        Ok(sims)
    }

    /// Scores all pairs by similarity and the `k` best of every query by match, about `pairs_per_pass` pairs in one
    /// forward pass. `k` larger than the gallery means all of it.
    pub fn score(&self, k: i64, pairs_per_pass: usize) -> Result<Scores> {
        let _guard = tch::no_grad_guard();
        if k < 1 || pairs_per_pass == 0 {
            return Err(Error::Input {
                what: "retrieval",
                expected: "at least one candidate and one pair a pass".into(),
                found: format!("k = {k}, {pairs_per_pass} pairs"),
            });
        }
        if !self.keeps_tokens {
            return Err(Error::Input {
                what: "match scores",
                expected: "a gallery that keeps tokens".into(),
                found: "one of features alone".into(),
            });
        }
        let sims = self.similarities()?;
        let (image_count, text_count) = sims.size2()?;
        let i2t = candidates(&sims, k.min(text_count))?;
        let t2i = candidates(&sims.f_transpose(0, 1)?, k.min(image_count))?;

        let mut wanted: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (image, row) in i2t.iter().enumerate() {
            wanted.entry(image as i64).or_default().extend(row);
        }
        for (text, row) in t2i.iter().enumerate() {
            for &image in row {
                wanted.entry(image).or_default().push(text as i64);
            }
        }
        let match_scores = self.match_scores(wanted, image_count, text_count, pairs_per_pass)?;
        let fill = |rows: &[Vec<i64>], columns: i64, at: &dyn Fn(usize, i64) -> i64| -> Result<Tensor> {
            let mut out = vec![NOT_RANKED; rows.len() * columns as usize];
            for (query, row) in rows.iter().enumerate() {
                for &candidate in row {
                    out[query * columns as usize + candidate as usize] =
                        match_scores[at(query, candidate) as usize];
                }
            }
            Ok(Tensor::f_from_slice(&out)?.f_view([rows.len() as i64, columns])?)
        };
        Ok(Scores {
            sim_i2t: sims.f_to(Device::Cpu)?,
            i2t: fill(&i2t, text_count, &|image, text| image as i64 * text_count + text)?,
            t2i: fill(&t2i, image_count, &|text, image| image * text_count + text as i64)?,
        })
    }

    /// Match scores of the wanted pairs in a table `[images · texts]`.
    fn match_scores(
        &self,
        wanted: BTreeMap<i64, Vec<i64>>,
        image_count: i64,
        text_count: i64,
        pairs_per_pass: usize,
    ) -> Result<Vec<f32>> {
        let mut entries = Vec::new();
        for (image, mut texts) in wanted {
            texts.sort_unstable();
            texts.dedup();
            entries.extend(texts.chunks(pairs_per_pass).map(|part| Entry { image, texts: part.to_vec() }));
        }
        // Images with equally many texts side by side: a pass is a rectangle, and padding it costs.
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.texts.len()), entry.image));

        let image_embeds = Tensor::f_cat(&self.image_embeds, 0)?;
        let longest = self.attention_masks.iter().map(|m| m.size()[1]).max().unwrap_or(0);
        let text_embeds = padded(&self.text_embeds, longest)?;
        let attention_mask = padded(&self.attention_masks, longest)?;
        let mask = padding_mask(&self.pass, &attention_mask)?;

        let mut table = vec![NOT_RANKED; (image_count * text_count) as usize];
        let mut rest = entries.as_slice();
        while let Some(first) = rest.first() {
            let groups = first.texts.len();
            let (now, later) = rest.split_at((pairs_per_pass / groups).clamp(1, rest.len()));
            rest = later;
            let scores = self.pass_of(now, groups, &image_embeds, &text_embeds, &mask)?;
            for (column, entry) in now.iter().enumerate() {
                for (group, &text) in entry.texts.iter().enumerate() {
                    table[(entry.image * text_count + text) as usize] = scores[group * now.len() + column];
                }
            }
        }
        Ok(table)
    }

    /// Match scores of a rectangle: `groups` texts for each entry, group after group; entries with fewer repeat their
    /// first.
    fn pass_of(
        &self,
        entries: &[Entry],
        groups: usize,
        image_embeds: &Tensor,
        text_embeds: &Tensor,
        mask: &Tensor,
    ) -> Result<Vec<f32>> {
        let device = self.model.device();
        let index = |values: Vec<i64>| -> Result<Tensor> { Ok(Tensor::f_from_slice(&values)?.f_to(device)?) };
        let images = index(entries.iter().map(|e| e.image).collect())?;
        let texts =
            (0..groups).flat_map(|g| entries.iter().map(move |e| e.texts.get(g).unwrap_or(&e.texts[0])));
        let texts = index(texts.copied().collect())?;
        let encoder = &self.model.online.text;
        let keys = encoder.image_keys(&image_embeds.f_index_select(0, &images)?)?;
        let rows = encoder.fuse(
            &self.pass,
            &text_embeds.f_index_select(0, &texts)?,
            &mask.f_index_select(0, &texts)?,
            &keys,
            Pairing { own: groups as i64, chosen: None },
            Readout { positions: None },
        )?;
        let cls = rows.cls.ok_or(Error::Input {
            what: "retrieval",
            expected: "rows of pairs".into(),
            found: "none".into(),
        })?;
        let scores = self.model.match_scores(&cls)?.f_select(1, 1)?.f_to(Device::Cpu)?.f_contiguous()?;
        inputs::finite("match scores", &scores)?;
        let mut out = vec![0.0; scores.numel()];
        let count = out.len();
        scores.f_copy_data(&mut out, count)?;
        Ok(out)
    }
}

/// The `k` best columns of each row.
fn candidates(sims: &Tensor, k: i64) -> Result<Vec<Vec<i64>>> {
    let (_, index) = sims.f_topk(k, 1, true, true)?;
    let index = index.f_to(Device::Cpu)?.f_contiguous()?;
    let mut flat = vec![0_i64; index.numel()];
    let count = flat.len();
    index.f_copy_data(&mut flat, count)?;
    Ok(flat.chunks(k as usize).map(<[i64]>::to_vec).collect())
}

/// Concatenates `[rows, tokens, …]` tensors of different lengths, padded with zeros to `tokens`.
fn padded(parts: &[Tensor], tokens: i64) -> Result<Tensor> {
    let parts = parts
        .iter()
        .map(|part| {
            let missing = tokens - part.size()[1];
            let pad: &[i64] = if part.dim() == 3 { &[0, 0, 0, missing] } else { &[0, missing] };
            Ok(part.f_constant_pad_nd(pad)?)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Tensor::f_cat(&parts, 0)?)
}

/// Recall of images → texts and of texts → images, by match scores; what was not scored comes behind what was, in the
/// order of the similarities. `image_of_text[t]` is the image that text t belongs to; an image counts as found at the best
/// of its texts.
pub fn recall(scores: &Scores, image_of_text: &[i64]) -> Result<(Recall, Recall)> {
    let sims = &scores.sim_i2t;
    both_ways([&scores.i2t, sims], [&scores.t2i, &sims.f_transpose(0, 1)?], image_of_text)
}

/// The same by similarities alone, `[images, texts]`.
pub fn recall_by_similarity(sims: &Tensor, image_of_text: &[i64]) -> Result<(Recall, Recall)> {
    let sims = sims.f_to(Device::Cpu)?;
    let transposed = sims.f_transpose(0, 1)?;
    both_ways([&sims; 2], [&transposed; 2], image_of_text)
}

/// Recall both ways, each by a table of scores and one of similarities that decides between equal scores.
fn both_ways(i2t: [&Tensor; 2], t2i: [&Tensor; 2], image_of_text: &[i64]) -> Result<(Recall, Recall)> {
    let (images, texts) = i2t[0].size2()?;
    if image_of_text.len() as i64 != texts || image_of_text.iter().any(|i| !(0..images).contains(i)) {
        return Err(Error::Input {
            what: "image of each text",
            expected: format!("{texts} indices below {images}"),
            found: format!("{} indices", image_of_text.len()),
        });
    }
    let mut texts_of_image = vec![Vec::new(); images as usize];
    for (text, &image) in image_of_text.iter().enumerate() {
        texts_of_image[image as usize].push(text);
    }
    if let Some(image) = texts_of_image.iter().position(Vec::is_empty) {
        return Err(Error::Input {
            what: "image of each text",
            expected: "at least one text for every image".into(),
            found: format!("none for image {image}"),
        });
    }
    let texts_of_image: Vec<&[usize]> = texts_of_image.iter().map(Vec::as_slice).collect();
    let image_of_text: Vec<[usize; 1]> = image_of_text.iter().map(|&i| [i as usize]).collect();
    let image_of_text: Vec<&[usize]> = image_of_text.iter().map(|i| i.as_slice()).collect();
    Ok((recall_of(i2t, &texts_of_image)?, recall_of(t2i, &image_of_text)?))
}

fn recall_of([scores, sims]: [&Tensor; 2], answers: &[&[usize]]) -> Result<Recall> {
    let (queries, candidates) = scores.size2()?;
    let flat = |table: &Tensor| -> Result<Vec<f32>> {
        let mut flat = vec![0_f32; table.numel()];
        let count = flat.len();
        table.f_contiguous()?.f_copy_data(&mut flat, count)?;
        Ok(flat)
    };
    let (scores, sims) = (flat(scores)?, flat(sims)?);
    let rows = |table| <[f32]>::chunks(table, candidates as usize);
    let ranks: Vec<usize> = rows(&scores)
        .zip(rows(&sims))
        .zip(answers)
        .map(|(row, right)| right.iter().map(|&answer| rank(row, answer)).min().unwrap_or(usize::MAX))
        .collect();
    let at = |k: usize| 100.0 * ranks.iter().filter(|&&r| r < k).count() as f64 / queries as f64;
    Ok(Recall { r1: at(1), r5: at(5), r10: at(10) })
}

/// How many candidates come before `answer`. Among equal scores the more similar comes first; among those that are equally
/// similar, too, the later one, which is what reversing an ascending stable sort gives.
fn rank((scores, sims): (&[f32], &[f32]), answer: usize) -> usize {
    let key = |i: usize| (scores[i], sims[i], i);
    let own = key(answer);
    (0..scores.len()).filter(|&i| key(i) > own).count()
}
