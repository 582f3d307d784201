//! What the survey finds out about one record.
use serde::{Deserialize, Serialize};

use super::split::Member;
use crate::dedup::{Detail, Fingerprint};
use crate::record::Origin;
use crate::rules::Finding;

/// All that later passes need of a record, except its image's bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Fact {
    /// Where the record stands.
    pub(super) origin: Origin,
    /// Its name in the source.
    pub(super) key: String,
    /// Captions that passed their rules, trimmed.
    pub(super) captions: Vec<String>,
    /// The first captions as the source has them, shortened, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) quoted: Vec<String>,
    /// Words of every caption of the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) words: Vec<u32>,
    /// What the rules did to its captions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) trimmed: Vec<CaptionFinding>,
    /// The image, if it is one that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<ImageFact>,
    /// What it shows and in which style, where the corpus is split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) member: Option<Member>,
    /// Why the whole record is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dropped: Option<Finding>,
}

/// A caption that a rule dropped or trimmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CaptionFinding {
    /// The caption as the source has it, shortened.
    pub(super) caption: String,
    /// The rule.
    pub(super) finding: Finding,
}

/// An image that was decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ImageFact {
    /// Pixels from left to right.
    pub(super) width: u32,
    /// Pixels from top to bottom.
    pub(super) height: u32,
    /// Hash of the decoded pixels, hexadecimal.
    pub(super) pixels: String,
    /// What near duplicates share; none for flat images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) print: Option<Fingerprint>,
    /// What tells near pictures apart.
    pub(super) detail: Detail,
}
