//! The multimodal layers over many sequences at once.
//!
//! One step sends four kinds of sequences through these layers (masked text, matching pairs, pairs with a foreign
//! text, pairs with a foreign image). They go through together, so that each weight is read once, and an image's
//! keys and values are projected once per layer instead of once per sequence that looks at it.
use tch::Tensor;

use super::Bert;
use super::layer::{Attention, Layer};
use crate::attention::{Capture, attend, merge_heads, split_heads};
use crate::error::Result;
use crate::nn::Pass;

/// Keys and values of every image for one layer, `[images, heads, image tokens, head width]`.
#[derive(Debug)]
pub struct ImageKeys {
    key: Tensor,
    value: Tensor,
}

/// Which image each sequence looks at.
#[derive(Debug, Clone, Copy)]
pub struct Pairing<'a> {
    /// So many groups of one sequence per image come first: sequence `g · images + b` looks at image `b`.
    pub own: i64,
    /// For the sequences after those, the index of their image, `[rest]`.
    pub chosen: Option<&'a Tensor>,
}

/// What is read from the last layer, so that only those rows are computed.
#[derive(Debug, Clone, Copy)]
pub struct Readout<'a> {
    /// For the first group of sequences (one per image) these token positions, `[images, rows]`.
    pub positions: Option<&'a Tensor>,
}

/// The rows of the last layer that were asked for.
#[derive(Debug)]
pub struct Rows {
    /// `[images, rows, width]` at the positions asked for.
    pub at_positions: Option<Tensor>,
    /// `[other sequences, width]`: their `[CLS]`; absent when every sequence was read by position.
    pub cls: Option<Tensor>,
}

impl Bert {
    /// Image tokens `[images, tokens, image width]` → keys and values for every fusion layer.
    pub fn image_keys(&self, image_embeds: &Tensor) -> Result<Vec<ImageKeys>> {
        self.fusion_layers()
            .iter()
            .filter_map(|layer| layer.cross.as_ref())
            .map(|cross| {
                Ok(ImageKeys {
                    key: split_heads(&cross.key.forward(image_embeds)?, cross.heads)?,
                    value: split_heads(&cross.value.forward(image_embeds)?, cross.heads)?,
                })
            })
            .collect()
    }

    /// Text tokens `[sequences, tokens, width]` through all fusion layers, the last one only for the rows of
    /// `readout`. `mask` is from [`super::padding_mask`].
    pub fn fuse(
        &self,
        pass: &Pass,
        text: &Tensor,
        mask: &Tensor,
        images: &[ImageKeys],
        pairing: Pairing<'_>,
        readout: Readout<'_>,
    ) -> Result<Rows> {
        let layers = self.fusion_layers();
        let mut x = text.shallow_clone();
        for (i, (layer, keys)) in layers.iter().zip(images).enumerate() {
            if i + 1 == layers.len() {
                return layer.fuse_rows(pass, &x, mask, keys, pairing, readout);
            }
            x = layer.fuse(pass, &x, mask, keys, pairing, None)?;
        }
        // No fusion layer at all: the text tokens are the answer.
        select_rows(&x, readout)
    }

    /// All rows of all fusion layers for one sequence per image, keeping the cross-attention of `captured` (counted
    /// from the first fusion layer): `[images, tokens, width]`.
    pub fn fuse_capturing(
        &self,
        pass: &Pass,
        text: &Tensor,
        mask: &Tensor,
        images: &[ImageKeys],
        captured: usize,
        capture: &mut Capture,
    ) -> Result<Tensor> {
        let pairing = Pairing { own: 1, chosen: None };
        let mut x = text.shallow_clone();
        for (i, (layer, keys)) in self.fusion_layers().iter().zip(images).enumerate() {
            let capture = if i == captured { Some(&mut *capture) } else { None };
            x = layer.fuse(pass, &x, mask, keys, pairing, capture)?;
        }
        Ok(x)
    }
}

impl Layer {
    /// Every token of every sequence.
    fn fuse(
        &self,
        pass: &Pass,
        x: &Tensor,
        mask: &Tensor,
        keys: &ImageKeys,
        pairing: Pairing<'_>,
        capture: Option<&mut Capture>,
    ) -> Result<Tensor> {
        let x = self.self_attention(pass, x, mask)?;
        let Some(cross) = &self.cross else { return self.feed_forward(pass, &x) };
        let (sequences, tokens, width) = x.size3()?;
        let images = keys.key.size()[0];
        let heads = cross.heads;
        let q = cross.query.forward(&x)?;
        let mut context = Vec::with_capacity(2);
        let own = pairing.own * images;
        if own > 0 {
            // All queries of an image side by side: [images, heads, groups · tokens, head width].
            let shape = [pairing.own, images, tokens, heads, width / heads];
            let q = q.f_narrow(0, 0, own)?.f_view(shape)?.f_permute([1, 3, 0, 2, 4])?;
            let q = q.f_reshape([images, heads, pairing.own * tokens, width / heads])?;
            let out = attend(pass, &q, &keys.key, &keys.value, None, capture)?;
            let out = out.f_reshape([images, heads, pairing.own, tokens, width / heads])?;
            context.push(out.f_permute([2, 0, 3, 1, 4])?.f_reshape([own, tokens, width])?);
        }
        if let Some(chosen) = pairing.chosen {
            let q = split_heads(&q.f_narrow(0, own, sequences - own)?, heads)?;
            let (k, v) = (keys.key.f_index_select(0, chosen)?, keys.value.f_index_select(0, chosen)?);
            context.push(merge_heads(&attend(pass, &q, &k, &v, None, None)?)?);
        }
        let x = cross.output.forward(pass, &join(context, 0)?, &x)?;
        self.feed_forward(pass, &x)
    }

    /// The last layer, for the rows of `readout` alone: other rows' outputs are never read, so only their keys and
    /// values matter.
    fn fuse_rows(
        &self,
        pass: &Pass,
        x: &Tensor,
        mask: &Tensor,
        keys: &ImageKeys,
        pairing: Pairing<'_>,
        readout: Readout<'_>,
    ) -> Result<Rows> {
        let (sequences, _, width) = x.size3()?;
        let rows = select_rows(x, readout)?;
        let (first, per) = match &rows.at_positions {
            Some(r) => (r.size()[0], r.size()[1]),
            None => (0, 0),
        };
        let rest = sequences - first;
        let flat = |rows: &Rows| -> Result<Tensor> {
            let parts = [&rows.at_positions, &rows.cls].into_iter().flatten();
            join(parts.map(|t| Ok(t.f_reshape([-1, width])?)).collect::<Result<_>>()?, 0)
        };
        let input = flat(&rows)?;

        let a = &self.attention;
        let head = width / a.heads;
        let q = a.query.forward(&input)?;
        let k = split_heads(&a.key.forward(x)?, a.heads)?;
        let v = split_heads(&a.value.forward(x)?, a.heads)?;
        let mut context = Vec::with_capacity(2);
        for (begin, count, rows_each, row_begin) in [(0, first, per, 0), (first, rest, 1, first * per)] {
            if count == 0 {
                continue;
            }
            let q = q.f_narrow(0, row_begin, count * rows_each)?.f_view([count, rows_each, width])?;
            let (k, v) = (k.f_narrow(0, begin, count)?, v.f_narrow(0, begin, count)?);
            let mask = mask.f_narrow(0, begin, count)?;
            let out = attend(pass, &split_heads(&q, a.heads)?, &k, &v, Some(&mask), None)?;
            context.push(merge_heads(&out)?.f_view([count * rows_each, width])?);
        }
        let mut out = a.output.forward(pass, &join(context, 0)?, &input)?;

        if let Some(cross) = &self.cross {
            let context = cross_rows(pass, cross, &out, keys, pairing, (first, per, rest), head)?;
            out = cross.output.forward(pass, &context, &out)?;
        }
        out = self.feed_forward(pass, &out)?;
        Ok(Rows {
            at_positions: (first > 0)
                .then(|| out.f_narrow(0, 0, first * per)?.f_view([first, per, width]))
                .transpose()?,
            cls: (rest > 0).then(|| out.f_narrow(0, first * per, rest)).transpose()?,
        })
    }
}

/// Cross-attention of selected rows: `first` sequences with `per` rows each, then `rest` sequences with one row.
fn cross_rows(
    pass: &Pass,
    cross: &Attention,
    rows: &Tensor,
    keys: &ImageKeys,
    pairing: Pairing<'_>,
    (first, per, rest): (i64, i64, i64),
    head: i64,
) -> Result<Tensor> {
    let heads = cross.heads;
    let width = heads * head;
    let images = keys.key.size()[0];
    let q = cross.query.forward(rows)?;
    let by_position = first * per;
    // Of the sequences read at [CLS], so many groups look at their own image.
    let groups = pairing.own - i64::from(first > 0);
    let own_cls = groups * images;
    let mut context = Vec::with_capacity(3);
    let mut queries = Vec::with_capacity(2);
    if first > 0 {
        queries.push(q.f_narrow(0, 0, by_position)?.f_view([images, per, width])?);
    }
    if own_cls > 0 {
        let cls = q.f_narrow(0, by_position, own_cls)?.f_view([groups, images, width])?;
        queries.push(cls.f_transpose(0, 1)?);
    }
    if !queries.is_empty() {
        let q = split_heads(&join(queries, 1)?.f_contiguous()?, heads)?;
        let out = merge_heads(&attend(pass, &q, &keys.key, &keys.value, None, None)?)?;
        if first > 0 {
            context.push(out.f_narrow(1, 0, per)?.f_reshape([by_position, width])?);
        }
        if own_cls > 0 {
            let cls = out.f_narrow(1, per, groups)?.f_transpose(0, 1)?;
            context.push(cls.f_reshape([own_cls, width])?);
        }
    }
    if let Some(chosen) = pairing.chosen {
        let count = rest - own_cls;
        let q = split_heads(&q.f_narrow(0, by_position + own_cls, count)?.f_view([count, 1, width])?, heads)?;
        let (k, v) = (keys.key.f_index_select(0, chosen)?, keys.value.f_index_select(0, chosen)?);
        context.push(merge_heads(&attend(pass, &q, &k, &v, None, None)?)?.f_view([count, width])?);
    }
    join(context, 0)
}

/// The rows that `readout` names, of `[sequences, tokens, width]`.
fn select_rows(x: &Tensor, readout: Readout<'_>) -> Result<Rows> {
    let (sequences, _, width) = x.size3()?;
    let (at_positions, first) = match readout.positions {
        None => (None, 0),
        Some(positions) => {
            let (first, per) = positions.size2()?;
            let index = positions.f_unsqueeze(-1)?.f_expand([first, per, width], false)?;
            (Some(x.f_narrow(0, 0, first)?.f_gather(1, &index, false)?), first)
        }
    };
    let rest = sequences - first;
    let cls = (rest > 0).then(|| x.f_narrow(0, first, rest)?.f_select(1, 0)).transpose()?;
    Ok(Rows { at_positions, cls })
}

/// Concatenation that copies nothing when there is one part.
fn join(mut parts: Vec<Tensor>, dim: i64) -> Result<Tensor> {
    match parts.len() {
        1 => Ok(parts.remove(0)),
        _ => Ok(Tensor::f_cat(&parts, dim)?),
    }
}
