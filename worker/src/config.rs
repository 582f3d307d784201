//! The configuration file of a job, and the configurations that ship with the program.
use std::path::{Path, PathBuf};

use albef_model::ModelConfig;
use albef_model::optim::OptimizerConfig;
use albef_model::schedule::Schedule;
use serde::{Deserialize, Serialize};

/// Configurations that can be named instead of a path.
const SHIPPED: [(&str, &str); 3] = [
    ("albef-base", include_str!("../../configs/albef-base-4m.toml")),
    ("albef-base-4m", include_str!("../../configs/albef-base-4m.toml")),
    ("small", include_str!("../../configs/small.toml")),
];

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
        let path = Path::new(name_or_path);
        let text = match SHIPPED.iter().find(|(name, _)| *name == name_or_path) {
            Some((_, text)) => (*text).to_owned(),
            None if path.exists() => std::fs::read_to_string(path).map_err(|e| ConfigError::Invalid {
                path: path.to_owned(),
                problem: format!("cannot be read: {e}"),
            })?,
            None => return Err(ConfigError::NotFound { name: name_or_path.to_owned() }),
        };
        Self::parse(&text).map_err(|problem| ConfigError::Invalid { path: path.to_owned(), problem })
    }

    /// Reads TOML text; the error is one line.
    fn parse(text: &str) -> Result<Self, String> {
        let tree = config::Config::builder()
            .add_source(config::File::from_str(text, config::FileFormat::Toml))
            .build()
            .and_then(|config| config::Source::collect(&config))
            .map_err(|e| one_line(&e.to_string()))?;
        let parsed: Self = serde_path_to_error::deserialize(exact(config::Value::from(tree)))
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
        if self.logical_ranks == 0 {
            return refuse("logical_ranks", "0".into(), "must be at least 1");
        }
        if self.local_batch < 2 {
            let problem = "must be at least 2, since a single sample has no negative";
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
        self.schedule.validate()
    }
}

/// The same tree with the types that the file has: the library itself would read `"2"`, `2.4` and `true` as numbers.
fn exact(value: config::Value) -> serde_json::Value {
    use config::ValueKind;
    match value.kind {
        ValueKind::Nil => serde_json::Value::Null,
        ValueKind::Boolean(value) => value.into(),
        ValueKind::I64(value) => value.into(),
        ValueKind::U64(value) => value.into(),
        // No field holds more than 64 bits: as a number with a fraction it is refused where it stands.
        ValueKind::I128(value) => (value as f64).into(),
        ValueKind::U128(value) => (value as f64).into(),
        ValueKind::Float(value) => value.into(),
        ValueKind::String(value) => value.into(),
        ValueKind::Table(table) => table.into_iter().map(|(key, value)| (key, exact(value))).collect(),
        ValueKind::Array(array) => array.into_iter().map(exact).collect(),
    }
}

/// One line of a parser's message, with the nearest valid name where a key is unknown.
fn one_line(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
    if !line.contains("unknown field") && !line.contains("unknown variant") {
        return line;
    }
    let Some((unknown, known)) = quoted.split_first() else { return line };
    let nearest = known.iter().min_by_key(|name| strsim::damerau_levenshtein(unknown, name));
    match nearest {
        Some(name) => format!("{line}; did you mean `{name}`?"),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_configuration_is_valid() {
        for (name, _) in SHIPPED {
            if let Err(error) = JobConfig::load(name) {
                panic!("{name}: {error}");
            }
        }
    }

    #[test]
    fn the_base_configuration_is_the_published_one() {
        let Ok(base) = JobConfig::load("albef-base") else { panic!("albef-base does not load") };
        assert_eq!(base.schedule, Schedule::published());
        assert_eq!(base.optimizer, OptimizerConfig::default());
        assert_eq!((base.model.vision.tokens(), base.model.text.fusion_depth()), (257, 6));
    }

    fn problem(edit: impl Fn(&str) -> String) -> String {
        match JobConfig::parse(&edit(SHIPPED[2].1)) {
            Ok(_) => "accepted".into(),
            Err(problem) => problem,
        }
    }

    #[test]
    fn an_unknown_key_suggests_the_nearest() {
        let line = problem(|text| text.replace("queue_size", "queu_size"));
        assert!(line.contains("did you mean `queue_size`?"), "{line}");
        assert!(!line.contains('\n'));
    }

    #[test]
    fn impossible_values_name_their_field() {
        for (from, to, field) in [
            ("heads = 4", "heads = 5", "vision.heads"),
            ("patch = 16", "patch = 17", "vision.patch"),
            ("fusion_layer = 3", "fusion_layer = 6", "text.fusion_layer"),
            ("fusion_layer = 3", "fusion_layer = 7", "text.fusion_layer"),
            ("local_batch = 16", "local_batch = 1", "local_batch"),
            ("alpha = 0.4", "alpha = 1.4", "alpha"),
            ("dropout = 0.1", "dropout = 1.0", "text.dropout"),
            ("queue_size = 4096", "queue_size = 0", "queue_size"),
            ("warmup = 500", "warmup = 20000", "schedule.warmup"),
        ] {
            let line = problem(|text| text.replacen(from, to, 1));
            assert!(line.contains(field) && !line.contains('\n'), "{to}: {line}");
        }
    }

    #[test]
    fn a_wrong_type_and_broken_toml_are_one_line() {
        for (from, to, place) in [
            ("depth = 6", "depth = \"six\"", "model.vision.depth"),
            ("depth = 6", "depth = \"6\"", "model.vision.depth"),
            ("depth = 6", "depth = 6.4", "model.vision.depth"),
            ("heads = 4", "heads = true", "model.vision.heads"),
            ("alpha = 0.4", "alpha = \"0.4\"", "alpha"),
            ("alpha = 0.4", "alpha = true", "alpha"),
            ("seed = 42", "seed = 42.7", "seed"),
            ("seed = 42", "seed = -1", "seed"),
            ("[model]", "[model", "model"),
            ("kind = \"cosine\"", "", "kind"),
        ] {
            let line = problem(|text| text.replacen(from, to, 1));
            assert!(line.contains(place) && !line.contains('\n'), "{to}: {line}");
        }
    }

    #[test]
    fn sizes_that_would_overflow_are_refused() {
        for (from, to) in [
            ("image_res = 128", "image_res = 9223372036854775807"),
            ("depth = 6", "depth = 1000000000000"),
            ("vocab = 30522", "vocab = 4000000000000"),
            ("queue_size = 4096", "queue_size = 9223372036854775807"),
        ] {
            let line = problem(|text| text.replacen(from, to, 1));
            assert!(line.contains("must lie between 1 and"), "{to}: {line}");
        }
    }
}
