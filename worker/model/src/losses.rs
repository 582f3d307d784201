//! The five losses of a step. Every function takes and returns float32.
use tch::{Kind, Tensor};

use crate::error::Result;
use crate::masking::MaskedRows;

/// The five losses, tensors of no dimensions.
#[derive(Debug)]
pub struct Losses {
    /// Image-to-text contrastive.
    pub i2t: Tensor,
    /// Text-to-image contrastive.
    pub t2i: Tensor,
    /// Image–text matching.
    pub itm: Tensor,
    /// Masked language modelling against the hidden tokens.
    pub mlm: Tensor,
    /// Masked language modelling against the twin's predictions.
    pub mlm_distill: Tensor,
}

/// The same as numbers, in the order of [`Losses`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossValues {
    /// Image-to-text contrastive.
    pub i2t: f32,
    /// Text-to-image contrastive.
    pub t2i: f32,
    /// Image–text matching.
    pub itm: f32,
    /// Masked language modelling against the hidden tokens.
    pub mlm: f32,
    /// Masked language modelling against the twin's predictions.
    pub mlm_distill: f32,
}

impl LossValues {
    /// The contrastive loss: the mean of both directions.
    pub fn ita(&self) -> f32 {
        (self.i2t + self.t2i) / 2.0
    }

    /// The masked-language loss, blended with the weight `alpha` of the twin.
    pub fn mlm_blend(&self, alpha: f64) -> f32 {
        ((1.0 - alpha) * f64::from(self.mlm) + alpha * f64::from(self.mlm_distill)) as f32
    }

    /// What is minimised.
    pub fn total(&self, alpha: f64) -> f32 {
        self.ita() + self.itm + self.mlm_blend(alpha)
    }

    /// Whether all five are numbers.
    pub fn is_finite(&self) -> bool {
        self.to_array().iter().all(|x| x.is_finite())
    }

    /// In order of declaration.
    pub fn to_array(self) -> [f32; 5] {
        [self.i2t, self.t2i, self.itm, self.mlm, self.mlm_distill]
    }

    /// The inverse of [`Self::to_array`].
    pub fn from_array([i2t, t2i, itm, mlm, mlm_distill]: [f32; 5]) -> Self {
        Self { i2t, t2i, itm, mlm, mlm_distill }
    }
}

impl Losses {
    /// `ITC + ITM + MLM`, where `alpha` weighs the twin in MLM ([`contrastive`] took it for ITC).
    pub fn total(&self, alpha: f64) -> Result<Tensor> {
        let ita = self.i2t.f_add(&self.t2i)?.f_mul_scalar(0.5)?;
        let mut mlm = self.mlm.f_mul_scalar(1.0 - alpha)?;
        if alpha != 0.0 {
            mlm = mlm.f_add(&self.mlm_distill.f_mul_scalar(alpha)?)?;
        }
        Ok(ita.f_add(&self.itm)?.f_add(&mlm)?)
    }

    /// All five as one detached tensor `[5]`, so that reading them is one transfer.
    pub fn stacked(&self) -> Result<Tensor> {
        let all = [&self.i2t, &self.t2i, &self.itm, &self.mlm, &self.mlm_distill];
        Ok(Tensor::f_stack(&all, 0)?.f_detach()?)
    }
}

/// One direction of the contrastive loss.
///
/// `sim` and `sim_twin` are similarities over temperature, `[batch, batch + queue]`, online and by the twin. The
/// target of row b is `α · softmax(sim_twin[b]) + (1 − α) · onehot(b)`.
pub fn contrastive(sim: &Tensor, sim_twin: &Tensor, alpha: f64) -> Result<Tensor> {
    let batch = sim.size()[0];
    let log_p = sim.f_log_softmax(-1, None::<Kind>)?;
    let hard = log_p.f_narrow(1, 0, batch)?.f_diagonal(0, 0, 1)?.f_mean(None::<Kind>)?.f_neg()?;
    if alpha == 0.0 {
        return Ok(hard);
    }
    let target = tch::no_grad(|| sim_twin.f_softmax(-1, None::<Kind>))?;
    let soft = log_p.f_mul(&target)?.f_sum(None::<Kind>)?.f_mul_scalar(-1.0 / batch as f64)?;
    Ok(hard.f_mul_scalar(1.0 - alpha)?.f_add(&soft.f_mul_scalar(alpha)?)?)
}

/// Cross entropy of the match scores `[3 · batch, 2]`, of which the first `batch` rows are true pairs.
pub fn matching(scores: &Tensor, batch: i64) -> Result<Tensor> {
    let rows = scores.size()[0];
    let labels = Tensor::f_zeros([rows], (Kind::Int64, scores.device()))?;
    let _ = labels.f_narrow(0, 0, batch)?.f_fill_(1)?;
    Ok(scores.f_cross_entropy_loss::<Tensor>(&labels, None, tch::Reduction::Mean, -100, 0.0)?)
}

/// The hard and the distilled masked-language loss of `scores` `[masked, vocab]` against the hidden tokens and
/// against the twin's probabilities `[masked, vocab]`.
pub fn masked_language(scores: &Tensor, twin: &Tensor, rows: &MaskedRows) -> Result<(Tensor, Tensor)> {
    let log_p = scores.f_log_softmax(-1, None::<Kind>)?;
    let mean = |per_row: Tensor| -> Result<Tensor> { Ok(per_row.f_dot(&rows.weights)?.f_neg()?) };
    let hard = mean(log_p.f_gather(1, &rows.labels.f_unsqueeze(1)?, false)?.f_squeeze_dim(1)?)?;
    let distilled = mean(log_p.f_mul(twin)?.f_sum_dim_intlist(-1, false, None::<Kind>)?)?;
    Ok((hard, distilled))
}
