use serde::{Deserialize, Serialize};

use super::Reason;

/// Characters of a caption that a [`Finding`] quotes at most.
const QUOTE: usize = 80;

/// Characters of a message that a [`Finding`] keeps at most: it begins with a path, and the reason comes last.
const MESSAGE: usize = 400;

/// Why a record was dropped or trimmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The rule.
    pub reason: Reason,
    /// What was measured: a number in the unit of the threshold, or the part of the caption that the rule is about.
    pub measured: Value,
    /// What it was held against; none for a rule that has no threshold.
    pub threshold: Option<Value>,
}

/// A measured value or a threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A count or a share.
    Number(f64),
    /// A part of a text, or the name of a language.
    Text(String),
}

impl Finding {
    /// A number that is over or under its threshold.
    pub fn number(reason: Reason, measured: f64, threshold: f64) -> Self {
        Self { reason, measured: Value::Number(measured), threshold: Some(Value::Number(threshold)) }
    }

    /// A part of a text that should not be there; its first 80 characters are kept.
    pub fn text(reason: Reason, part: &str) -> Self {
        Self { reason, measured: Value::quote(part), threshold: None }
    }

    /// What is wrong with something that cannot be read; the first 400 characters are kept.
    pub fn message(reason: Reason, message: &str) -> Self {
        Self { reason, measured: Value::first(message, MESSAGE), threshold: None }
    }
}

impl Value {
    /// The first 80 characters of `text`.
    pub fn quote(text: &str) -> Self {
        Self::first(text, QUOTE)
    }

    fn first(text: &str, most: usize) -> Self {
        match text.char_indices().nth(most) {
            Some((end, _)) => Self::Text(format!("{}…", &text[..end])),
            None => Self::Text(text.to_owned()),
        }
    }
}
