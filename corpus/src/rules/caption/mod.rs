//! Rules that look at one caption.
//!
//! A caption is first trimmed, of control characters and of who made the picture, then judged. The first rule that
//! objects decides, from the cheap and certain to the expensive: length, emptiness, residue of programs, addresses, file
//! names, letters, repetition, key words, language. Everything is linear in the length of the caption, and a caption of
//! gigabytes costs nothing at all.

mod attribution;
mod config;
mod language;
mod pattern;
mod shape;

use std::borrow::Cow;

pub use config::CaptionRules;

use super::{Finding, Reason, Result, Value};
use attribution::Attributions;
use language::Languages;
use pattern::Patterns;

/// Characters of a caption that no configuration allows.
const UNLIMITED: usize = 1 << 20;

/// What becomes of a caption.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// It stays as it is.
    Keep,
    /// It stays with something cut off.
    Trim {
        /// What is left.
        caption: String,
        /// What was cut, one per rule.
        findings: Vec<Finding>,
    },
    /// The pair is left out.
    Drop(Finding),
}

/// The rules of a [`CaptionRules`], ready to judge.
///
/// Cloning is cheap; threads should each have a clone, so that they do not wait for each other's scratch memory.
#[derive(Debug, Clone)]
pub struct CaptionJudge {
    rules: CaptionRules,
    patterns: Patterns,
    attributions: Attributions,
    languages: Languages,
}

impl CaptionJudge {
    /// Validates and prepares `rules`.
    ///
    /// # Errors
    /// Those of [`CaptionRules::validate`], and languages that are unknown or none.
    pub fn new(rules: &CaptionRules) -> Result<Self> {
        rules.validate()?;
        Ok(Self {
            rules: rules.clone(),
            patterns: Patterns::new(&rules.residue_words)?,
            attributions: Attributions::new()?,
            languages: Languages::new(rules)?,
        })
    }

    /// What becomes of `caption`: a pure function, which never panics.
    pub fn judge(&self, caption: &str) -> Judgement {
        if let Some(finding) = self.too_long(caption) {
            return Judgement::Drop(finding);
        }
        let mut findings = Vec::new();
        let visible = self.without_controls(caption, &mut findings);
        let kept = self.without_attribution(&visible, &mut findings);
        match self.objection(kept.trim(), &findings) {
            Some(finding) => Judgement::Drop(finding),
            None if findings.is_empty() => Judgement::Keep,
            None => Judgement::Trim { caption: kept.to_owned(), findings },
        }
    }

    /// Bounds the work of everything else, therefore a rule that is switched off still has a limit.
    fn too_long(&self, caption: &str) -> Option<Finding> {
        let number = |measured, threshold| {
            Some(Finding::number(Reason::CaptionTooLong, measured as f64, threshold as f64))
        };
        let CaptionRules { max_characters, max_words, .. } = self.rules;
        let enabled = self.rules.has(Reason::CaptionTooLong);
        // No count: the text may be gigabytes. Its characters are at least a quarter of its bytes.
        let limit = if enabled { max_characters } else { UNLIMITED };
        if caption.len() / 4 > limit {
            return number(caption.len() / 4, limit);
        }
        if !enabled {
            return None;
        }
        let characters = caption.chars().count();
        if characters > max_characters {
            return number(characters, max_characters);
        }
        let words = caption.split_whitespace().count();
        if words > max_words { number(words, max_words) } else { None }
    }

    /// Control characters become spaces, at the ends nothing.
    fn without_controls<'a>(&self, caption: &'a str, findings: &mut Vec<Finding>) -> Cow<'a, str> {
        let unwanted = |c: char| c.is_control() && !c.is_whitespace();
        let count = caption.chars().filter(|&c| unwanted(c)).count();
        if count == 0 || !self.rules.has(Reason::ControlTrimmed) {
            return Cow::Borrowed(caption);
        }
        findings.push(Finding::number(Reason::ControlTrimmed, count as f64, 0.0));
        let spaced = caption.replace(unwanted, " ");
        Cow::Owned(spaced.trim().to_owned())
    }

    fn without_attribution<'a>(&self, caption: &'a str, findings: &mut Vec<Finding>) -> &'a str {
        if !self.rules.has(Reason::AttributionTrimmed) {
            return caption;
        }
        let kept = self.attributions.trim(caption);
        if kept.len() < caption.len() {
            // What was cut stands before or behind what is kept, and is seldom both.
            let cut = match caption.split_once(kept) {
                Some((before, after)) if !kept.is_empty() => format!("{before}{after}"),
                _ => caption.to_owned(),
            };
            findings.push(Finding::text(Reason::AttributionTrimmed, cut.trim()));
        }
        kept
    }

    fn objection(&self, caption: &str, trimmed: &[Finding]) -> Option<Finding> {
        if caption.is_empty() {
            // A caption that is only "Photo by Jane Doe" is named in the report.
            let measured = trimmed.last().map_or(Value::Number(0.0), |finding| finding.measured.clone());
            let finding = Finding { reason: Reason::CaptionEmpty, measured, threshold: None };
            return self.rules.has(Reason::CaptionEmpty).then_some(finding);
        }
        let rules: [(Reason, &dyn Fn() -> Option<Finding>); 9] = [
            (Reason::CaptionMarkup, &|| self.patterns.markup(caption)),
            (Reason::CaptionEmail, &|| self.patterns.email(caption)),
            (Reason::CaptionUrl, &|| self.patterns.url(caption)),
            (Reason::CaptionFileName, &|| self.patterns.file_name(caption)),
            (Reason::CaptionFewLetters, &|| shape::few_letters(&self.rules, caption)),
            (Reason::CaptionTooShort, &|| shape::too_short(&self.rules, caption)),
            (Reason::CaptionRepeatedWords, &|| shape::repeated_words(&self.rules, caption)),
            (Reason::CaptionKeywordStuffing, &|| shape::keyword_stuffing(&self.rules, caption)),
            (Reason::CaptionLanguage, &|| self.languages.foreign(caption)),
        ];
        rules.iter().filter(|(reason, _)| self.rules.has(*reason)).find_map(|(_, rule)| rule())
    }
}

#[cfg(test)]
mod tests;
