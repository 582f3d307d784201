//! Where the model looks: attention maps and Grad-CAM of a chosen multimodal layer.
use tch::{Kind, Tensor};

use crate::albef::Albef;
use crate::attention::Capture;
use crate::bert::padding_mask;
use crate::error::{Error, Result};
use crate::nn::Pass;

/// What the tokens of some texts look at in their images.
#[derive(Debug)]
pub struct Explanation {
    /// Attention of each text token to each patch, `[pairs, heads, tokens, grid, grid]`.
    pub attention: Tensor,
    /// Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) of the match score as in the ALBEF paper: attention times
    /// its positive gradient, averaged over heads, zero for padding: `[pairs, tokens, grid, grid]`.
    pub grad_cam: Tensor,
    /// Score of "match" of each pair, `[pairs]`.
    pub match_score: Tensor,
}

/// Explains pairs of `images` `[pairs, 3, side, side]` (normalised) and texts `[pairs, tokens]`.
///
/// `layer` counts the multimodal layers from 0; the published pictures use the third of six. All tensors are on the
/// model's device. Only what the chosen layer needs carries a gradient; the model's own gradients stay as they are.
pub fn explain(
    model: &Albef,
    kind: Kind,
    images: &Tensor,
    ids: &Tensor,
    attention_mask: &Tensor,
    layer: usize,
) -> Result<Explanation> {
    let text = &model.online.text;
    let depth = text.fusion_layers().len();
    if layer >= depth {
        return Err(Error::Input {
            what: "layer to explain",
            expected: format!("below {depth}, the number of multimodal layers"),
            found: layer.to_string(),
        });
    }
    if images.size().first() != ids.size().first() {
        return Err(Error::Input {
            what: "pairs to explain",
            expected: "as many texts as images".into(),
            found: format!("images {:?}, texts {:?}", images.size(), ids.size()),
        });
    }
    let pass = Pass::evaluation(kind);
    let (image_embeds, _) = model.encode_images(&pass, images)?;
    let (text_embeds, _) = model.encode_texts(&pass, ids, attention_mask)?;
    let mask = padding_mask(&pass, attention_mask)?;
    let mut capture = Capture::default();
    // The sum belongs inside: a caller without gradients would hand libtorch a root without a graph, and it crashes.
    let (probabilities, scores, total) = tch::with_grad(|| -> Result<_> {
        let keys = text.image_keys(&image_embeds)?;
        let fused = text.fuse_capturing(&pass, &text_embeds, &mask, &keys, layer, &mut capture)?;
        let scores = model.match_scores(&fused.f_select(1, 0)?)?.f_select(1, 1)?;
        let probabilities = capture.probabilities.take().ok_or(Error::Input {
            what: "layer to explain",
            expected: "a layer with cross-attention".into(),
            found: layer.to_string(),
        })?;
        let total = scores.f_sum(None::<Kind>)?;
        Ok((probabilities, scores, total))
    })?;
    let gradients = Tensor::f_run_backward(&[&total], &[&probabilities], false, false)?;
    let _guard = tch::no_grad_guard();
    let grid = model.config().vision.grid();
    // The first key is the image's [CLS], which has no place in the picture.
    let patches = |x: &Tensor| -> Result<Tensor> {
        let x = x.f_detach()?.f_to_kind(Kind::Float)?.f_narrow(-1, 1, grid * grid)?;
        let (pairs, heads, tokens, _) = x.size4()?;
        Ok(x.f_reshape([pairs, heads, tokens, grid, grid])?)
    };
    let attention = patches(&probabilities)?;
    let (pairs, tokens) = attention_mask.size2()?;
    let visible = attention_mask.f_to_kind(Kind::Float)?.f_view([pairs, tokens, 1, 1])?;
    let grad_cam = attention
        .f_mul(&patches(&gradients[0])?.f_clamp_min(0.0)?)?
        .f_mean_dim(1, false, None::<Kind>)?
        .f_mul(&visible)?;
    Ok(Explanation { attention, grad_cam, match_score: scores.f_detach()? })
}
