//! The sections of a job file that say what is trained on, how, and how it is judged.
use std::time::Duration;

use albef_model::trainer::Reduction;
use albef_model::{Error, ModelConfig, Precision, Result};
use serde::{Deserialize, Serialize};

/// Section `[data]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// What is read: `[[data.corpus]]`, once or more.
    pub corpus: Vec<CorpusConfig>,
    /// The vocabulary, one token a line.
    pub vocabulary: String,
    /// Words that are kept of a caption.
    #[serde(default = "defaults::max_words")]
    pub max_words: usize,
    /// Tokens that are kept of a caption, `[CLS]` and `[SEP]` included.
    #[serde(default = "defaults::max_tokens")]
    pub max_tokens: usize,
    /// Shards whose samples are shuffled together.
    #[serde(default = "defaults::window")]
    pub window: usize,
    /// Steps that are read ahead, and as many again that are decoded ahead.
    #[serde(default = "defaults::prefetch")]
    pub prefetch: usize,
    /// Samples that are decoded at once; 0 means one for each core.
    #[serde(default)]
    pub threads: usize,
    /// Samples that are read at once: more where the corpus is far away.
    #[serde(default = "defaults::readers")]
    pub readers: usize,
    /// Decode and resize exactly as PIL does, instead of decoding JPEG at a fraction of its size.
    #[serde(default)]
    pub exact: bool,
}

/// One corpus of `[[data.corpus]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusConfig {
    /// A folder, or an object store's URL.
    pub path: String,
    /// How often an epoch reads each sample on average.
    #[serde(default = "defaults::weight")]
    pub weight: f64,
}

/// Section `[train]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Steps in all, if not those of the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Minutes after which training ends, wherever the schedule is; all starts of a run count together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_minutes: Option<f64>,
    /// A file of weights in the published names to start from, as `albef-worker weights init` writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// Arithmetic: fp32, tf32 or bf16.
    pub dtype: Precision,
    /// How gradients of logical ranks are added: `ring` is fast, `ordered` gives the same bits for any number of workers.
    pub reduction: Reduction,
    /// Steps between two saves of the whole state; 0 saves at the end only.
    pub save_every: u64,
    /// Steps between two lines of metrics.
    pub log_every: u64,
    /// Steps in a row with a loss or a gradient that is not a number, after which training ends with an error.
    pub max_skipped: u64,
}

/// Section `[evaluation]`: retrieval on pairs that are not trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationConfig {
    /// A folder, or an object store's URL.
    pub corpus: String,
    /// Steps between two evaluations; 0 evaluates at the end only.
    #[serde(default)]
    pub every: u64,
    /// Candidates of each query that the match score ranks again; 0 leaves the order of the similarities.
    #[serde(default = "defaults::rerank")]
    pub rerank: u64,
    /// Images or texts, and eight times as many pairs, that are computed at once.
    #[serde(default = "defaults::batch")]
    pub batch: usize,
}

/// An epoch that reads a corpus more often is a mistake, and its order needs an entry for each shard each time.
const MOST_WEIGHT: f64 = 1000.0;

/// More steps than any job has.
const MOST_STEPS: u64 = 1_000_000_000_000;

/// Those of the published code where it has them.
mod defaults {
    pub(super) fn max_words() -> usize {
        albef_corpus::text::caption::MAX_WORDS
    }
    pub(super) fn max_tokens() -> usize {
        25
    }
    pub(super) fn window() -> usize {
        8
    }
    pub(super) fn prefetch() -> usize {
        2
    }
    pub(super) fn readers() -> usize {
        4
    }
    pub(super) fn weight() -> f64 {
        1.0
    }
    pub(super) fn rerank() -> u64 {
        128
    }
    pub(super) fn batch() -> usize {
        64
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: None,
            max_minutes: None,
            init: None,
            dtype: Precision::Fp32,
            reduction: Reduction::Accumulate,
            save_every: 1000,
            log_every: 1,
            max_skipped: 100,
        }
    }
}

fn check(holds: bool, field: &'static str, value: &dyn std::fmt::Display, problem: &str) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::Config { field, value: value.to_string(), problem: problem.to_owned() })
}

impl DataConfig {
    pub(super) fn validate(&self, model: &ModelConfig) -> Result<()> {
        let Self { corpus, vocabulary, max_words, max_tokens, window, prefetch, threads, readers, exact: _ } =
            self;
        check(!corpus.is_empty(), "data.corpus", &"[]", "name at least one: [[data.corpus]] path = \"…\"")?;
        for CorpusConfig { path, weight } in corpus {
            check(!path.is_empty(), "data.corpus.path", &"\"\"", "name a folder or a URL")?;
            let sensible = *weight > 0.0 && *weight <= MOST_WEIGHT;
            check(sensible, "data.corpus.weight", weight, "must be a positive number of at most 1000")?;
        }
        check(!vocabulary.is_empty(), "data.vocabulary", &"\"\"", "name a vocab.txt")?;
        check(*max_words > 0, "data.max_words", max_words, "must be at least 1")?;
        let most = model.text.max_positions;
        let fits = *max_tokens >= 3 && i64::try_from(*max_tokens).is_ok_and(|tokens| tokens <= most);
        let problem = format!("must lie between 3 and model.text.max_positions = {most}");
        check(fits, "data.max_tokens", max_tokens, &problem)?;
        check((1..=65536).contains(window), "data.window", window, "must lie between 1 and 65536")?;
        check((1..=1024).contains(prefetch), "data.prefetch", prefetch, "must lie between 1 and 1024")?;
        check(*threads <= 1024, "data.threads", threads, "must be at most 1024; 0 means one for each core")?;
        check((1..=1024).contains(readers), "data.readers", readers, "must lie between 1 and 1024")
    }
}

impl TrainConfig {
    /// How long a run may last.
    pub fn limit(&self) -> Option<Duration> {
        self.max_minutes.and_then(|minutes| Duration::try_from_secs_f64(60.0 * minutes).ok())
    }

    pub(super) fn validate(&self) -> Result<()> {
        let steps = self.steps.unwrap_or(1);
        check((1..=MOST_STEPS).contains(&steps), "train.steps", &steps, "must lie between 1 and 10^12")?;
        check(self.max_skipped > 0, "train.max_skipped", &0, "must be at least 1")?;
        let minutes = self.max_minutes.unwrap_or(1.0);
        let sensible = minutes > 0.0 && minutes < 1e9;
        check(sensible, "train.max_minutes", &minutes, "must be a positive number of minutes")?;
        check(self.log_every > 0, "train.log_every", &0, "must be at least 1")
    }
}

impl EvaluationConfig {
    /// Whether the state after `steps` steps, which are not all, is evaluated.
    pub fn is_due(&self, steps: u64) -> bool {
        self.every > 0 && steps > 0 && steps.is_multiple_of(self.every)
    }

    pub(super) fn validate(&self) -> Result<()> {
        check(!self.corpus.is_empty(), "evaluation.corpus", &"\"\"", "name a folder or a URL")?;
        let batch = (1..=65536).contains(&self.batch);
        check(batch, "evaluation.batch", &self.batch, "must lie between 1 and 65536")
    }
}
