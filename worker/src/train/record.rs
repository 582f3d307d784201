//! What `metrics.jsonl` holds: one object a line, told apart by `kind`.
use albef_model::losses::LossValues;
use serde::{Deserialize, Serialize};

use crate::evaluate::RetrievalReport;

/// A line of `metrics.jsonl`.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A step.
    Step(StepRecord),
    /// Retrieval after some steps.
    Evaluation(EvaluationRecord),
}

/// A step. Losses are means over the logical ranks.
#[derive(Debug, Clone, Serialize)]
pub struct StepRecord {
    /// The step, counted from 0.
    pub step: u64,
    /// Epochs seen before it.
    pub epoch: f64,
    /// Learning rate.
    pub lr: f64,
    /// Weight of the twin's pseudo-targets.
    pub alpha: f64,
    /// The temperature that it used.
    pub temp: f64,
    /// What is minimised.
    pub loss: f32,
    /// Image-to-text contrastive loss.
    pub loss_i2t: f32,
    /// Text-to-image contrastive loss.
    pub loss_t2i: f32,
    /// Image–text matching loss.
    pub loss_itm: f32,
    /// Masked-language loss against the hidden tokens.
    pub loss_mlm: f32,
    /// Masked-language loss against the twin's predictions.
    pub loss_mlm_distill: f32,
    /// Global norm of the gradient, before clipping.
    pub gradient_norm: f64,
    /// Whether nothing was updated because a loss or a gradient was not a number.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// Samples of all logical ranks per second of this step.
    pub images_per_s: f64,
    /// Seconds of this step.
    pub seconds: f64,
    /// Share of them that was spent waiting for data.
    pub data_wait: f64,
    /// Seconds that the run has trained and evaluated until then, in all its starts.
    pub elapsed: f64,
    /// Samples that were read in place of ones that cannot be decoded, since the job began.
    pub replaced: u64,
}

/// Retrieval after some steps.
#[derive(Debug, Clone, Serialize)]
pub struct EvaluationRecord {
    /// Steps that were made before.
    pub step: u64,
    /// The figures.
    #[serde(flatten)]
    pub report: RetrievalReport,
    /// Seconds that it took.
    pub seconds: f64,
}

/// What every line has in common, as far as going on needs it.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    /// The step.
    pub(super) step: u64,
    /// The kind.
    pub(super) kind: String,
    /// Of a step: seconds until then.
    pub(super) elapsed: Option<f64>,
}

/// The mean over logical ranks.
pub(super) fn mean(losses: &[LossValues]) -> LossValues {
    let mut sums = [0_f64; 5];
    for rank in losses {
        for (sum, loss) in sums.iter_mut().zip(rank.to_array()) {
            *sum += f64::from(loss);
        }
    }
    LossValues::from_array(sums.map(|sum| (sum / losses.len().max(1) as f64) as f32))
}
