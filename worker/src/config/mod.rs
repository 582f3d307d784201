//! The configuration file of a job, and the configurations that ship with the program.
mod sections;
mod toml;

use std::path::{Path, PathBuf};

use albef_corpus::augment::AugmentConfig;
use albef_model::ModelConfig;
use albef_model::optim::OptimizerConfig;
use albef_model::schedule::Schedule;
use serde::{Deserialize, Serialize};

pub use sections::{CorpusConfig, DataConfig, EvaluationConfig, TrainConfig};
use toml::{assignment, exact, one_line};

/// Configurations that can be named instead of a path.
const SHIPPED: [(&str, &str); 5] = [
    ("demo", include_str!("../../../configs/demo.toml")),
    ("demo-long", include_str!("../../../configs/demo-long.toml")),
    ("albef-base", include_str!("../../../configs/albef-base-4m.toml")),
    ("albef-base-4m", include_str!("../../../configs/albef-base-4m.toml")),
    ("small", include_str!("../../../configs/small.toml")),
];

/// More logical ranks than any job has GPUs.
const MOST_RANKS: u64 = 65536;

/// More samples than any GPU holds at once.
const MOST_BATCH: i64 = 65536;

/// Everything that decides what a job computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobConfig {
    /// Decides weights, queues and every random choice.
    pub seed: u64,
    /// Highest weight of the twin's pseudo-targets.
    pub alpha: f64,
    /// Size of the job's fixed virtual world.
    pub logical_ranks: u64,
    /// Samples of one logical rank in a step.
    pub local_batch: i64,
    /// Sizes.
    pub model: ModelConfig,
    /// AdamW.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Learning rate.
    pub schedule: Schedule,
    /// What training does to images.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// What is trained on; without it nothing can be trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataConfig>,
    /// How training goes.
    #[serde(default)]
    pub train: TrainConfig,
    /// Retrieval during training and at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EvaluationConfig>,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither a shipped name nor a file.
    #[error("configuration '{name}': no such file, and not one of {}", shipped_names())]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// The file's text is not what it should be.
    #[error("{path}: {problem}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be valid.
        problem: String,
    },
}

fn shipped_names() -> String {
    SHIPPED.map(|(name, _)| name).join(", ")
}

impl JobConfig {
    /// Reads a shipped configuration by name, or a file, and checks every value.
    pub fn load(name_or_path: &str) -> Result<Self, ConfigError> {
        Self::load_with(name_or_path, &[])
    }

    /// The same with some values replaced: `KEY=VALUE`, the key's path with dots and a value as TOML writes it.
    pub fn load_with(name_or_path: &str, replaced: &[String]) -> Result<Self, ConfigError> {
        let path = Path::new(name_or_path);
        let text = match SHIPPED.iter().find(|(name, _)| *name == name_or_path) {
            Some((_, text)) => (*text).to_owned(),
            None if path.exists() => std::fs::read_to_string(path).map_err(|e| ConfigError::Invalid {
                path: path.to_owned(),
                problem: format!("cannot be read: {e}"),
            })?,
            None => return Err(ConfigError::NotFound { name: name_or_path.to_owned() }),
        };
        Self::parse(&text, replaced)
            .map_err(|problem| ConfigError::Invalid { path: path.to_owned(), problem })
    }

    /// Reads TOML text; the error is one line.
    fn parse(text: &str, replaced: &[String]) -> Result<Self, String> {
        let mut sources =
            config::Config::builder().add_source(config::File::from_str(text, config::FileFormat::Toml));
        for setting in replaced {
            let line = assignment(setting)?;
            sources = sources.add_source(config::File::from_str(&line, config::FileFormat::Toml));
        }
        let tree = sources
            .build()
            .and_then(|config| config::Source::collect(&config))
            .map_err(|e| one_line(&e.to_string()))?;
        let parsed: Self = serde_path_to_error::deserialize(exact(config::Value::from(tree))?)
            .map_err(|e| one_line(&format!("{}: {}", e.path(), e.inner())))?;
        parsed.validate().map_err(|e| e.to_string())?;
        Ok(parsed)
    }

    fn validate(&self) -> albef_model::Result<()> {
        let refuse = |field, value: String, problem: &str| {
            Err(albef_model::Error::Config { field, value, problem: problem.into() })
        };
        if !(0.0..=1.0).contains(&self.alpha) {
            return refuse("alpha", self.alpha.to_string(), "must lie in [0, 1]");
        }
        if !(1..=MOST_RANKS).contains(&self.logical_ranks) {
            let problem = "must lie between 1 and 65536";
            return refuse("logical_ranks", self.logical_ranks.to_string(), problem);
        }
        if !(2..=MOST_BATCH).contains(&self.local_batch) {
            let problem = "must lie between 2, since a single sample has no negative, and 65536";
            return refuse("local_batch", self.local_batch.to_string(), problem);
        }
        self.model.validate_for_training().map_err(|error| match error {
            // Its fields are named from the model's own root.
            albef_model::Error::Config { field, value, problem } => {
                albef_model::Error::Config { field, value, problem: format!("{problem} (section [model])") }
            }
            other => other,
        })?;
        self.optimizer.validate()?;
        self.schedule.validate()?;
        self.augment.validate().map_err(|error| match error {
            albef_corpus::augment::Error::Config { field, value, remedy } => {
                albef_model::Error::Config { field, value, problem: format!("{remedy} (section [augment])") }
            }
            other => albef_model::Error::Config {
                field: "augment",
                value: String::new(),
                problem: other.to_string(),
            },
        })?;
        self.train.validate()?;
        if let Some(data) = &self.data {
            data.validate(&self.model)?;
        }
        self.evaluation.as_ref().map_or(Ok(()), EvaluationConfig::validate)
    }

    /// Samples of a step.
    pub fn global_batch(&self) -> u64 {
        self.logical_ranks.saturating_mul(self.local_batch.unsigned_abs())
    }

    /// Steps of the whole job, whose epochs have `samples` samples; none if nothing says when it ends.
    pub fn steps(&self, samples: u64) -> Option<u64> {
        self.train.steps.or(match self.schedule {
            Schedule::Cosine { steps, .. } => Some(steps),
            Schedule::Staircase { epochs, .. } => {
                Some(epochs.saturating_mul(samples).div_ceil(self.global_batch().max(1)))
            }
            Schedule::Constant { .. } => None,
        })
    }
}

#[cfg(test)]
mod tests;
