//! Holding records out: of each thing that is shown in several styles, one style is for testing.
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fact::Fact;
use super::{BuildError, Result};

/// The table `[split]`: which of two parts is built. A picture never lies in both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// The part.
    pub part: Part,
    /// The further key of a record that says what is shown. Records without it belong to training.
    pub group: String,
    /// The further key that says in which collection, or in whose style.
    pub style: String,
    /// Groups of fewer styles belong to training as a whole.
    #[serde(default = "least")]
    pub least: u32,
}

/// A part of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Everything but what is held out.
    Train,
    /// What is held out.
    Test,
}

/// Two styles stay to learn the thing from.
fn least() -> u32 {
    3
}

/// What the split needs of a record: hashes of its group, and of the group with its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) group: u64,
    pub(super) style: u64,
}

impl SplitConfig {
    pub(super) fn validate(&self) -> Result<()> {
        let refuse = |field, value: String, problem: &str| {
            Err(BuildError::Config { field, value, problem: problem.to_owned() })
        };
        if self.group.is_empty() || self.group == self.style {
            return refuse(
                "split.group",
                format!("{:?}", self.group),
                "must name a key other than split.style",
            );
        }
        if self.style.is_empty() {
            return refuse("split.style", "\"\"".into(), "must name a key of the records");
        }
        if self.least < 2 {
            return refuse(
                "split.least",
                self.least.to_string(),
                "must be at least 2, so that a style stays",
            );
        }
        Ok(())
    }

    /// The membership of a record with these further keys.
    pub(super) fn member(&self, extra: &Map<String, Value>) -> Option<Member> {
        let text = |key: &str| match extra.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let (group, style) = (text(&self.group)?, text(&self.style)?);
        Some(Member { group: hash(&[&group]), style: hash(&[&group, &style]) })
    }
}

fn hash(parts: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let hash = hasher.finalize();
    u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
}

/// The styles of every group: 8 bytes each, and about 50 a group.
#[derive(Debug)]
pub(super) struct Split {
    config: SplitConfig,
    groups: HashMap<u64, Vec<u64>>,
}

impl Split {
    pub(super) fn new(config: &SplitConfig) -> Self {
        Self { config: config.clone(), groups: HashMap::new() }
    }

    /// Counts a record, of which only sound ones should be counted.
    pub(super) fn add(&mut self, fact: &Fact) {
        let Some(Member { group, style }) = fact.member else { return };
        let styles = self.groups.entry(group).or_default();
        if let Err(at) = styles.binary_search(&style) {
            styles.insert(at, style);
        }
    }

    /// Whether the record belongs to the part that is built, when all are counted.
    ///
    /// The style with the smallest hash is held out, so that neither the order of records nor a further record of a known
    /// style moves anything.
    pub(super) fn takes(&self, fact: &Fact) -> bool {
        let held_out = fact.member.is_some_and(|Member { group, style }| {
            let styles = self.groups.get(&group).map_or(&[][..], Vec::as_slice);
            styles.len() >= self.config.least as usize && styles.first() == Some(&style)
        });
        held_out == (self.config.part == Part::Test)
    }
}
