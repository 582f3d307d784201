use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::rules::{Error, Reason, Result};

/// Thresholds of the caption rules. Every key may be left out; an unknown key is an error.
///
/// Characters are Unicode scalar values; words are what stands between white space. All rules but those of frequency
/// and language hold for any language that is written with letters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptionRules {
    /// Rules to switch off, by code, as `["caption_url", "attribution_trimmed"]`. Default: none.
    pub disable: BTreeSet<Reason>,
    /// `caption_too_short` below this many characters. Default 2: the names of an ox and of an axe are good captions,
    /// one character is not. LAION-400M (arXiv:2111.02114) took 5, which loses every cat and dog.
    pub min_characters: usize,
    /// `caption_too_short` below this many words. Default 1, because names of things are captions here. ALIGN
    /// (arXiv:2102.05918) took 3: the value for alt texts of photographs.
    pub min_words: usize,
    /// `caption_too_long` above this many characters. Default 1,000, generous for `max_words` words. A text of more
    /// than four times as many bytes is refused before anything reads it; with the rule switched off, of 4 MiB.
    pub max_characters: usize,
    /// `caption_too_long` above this many words. Default 100: training reads the first 30 words, a caption of a careful
    /// annotator has fewer than 60, and beyond 100 it is the page and not the picture that is described. ALIGN took 20,
    /// Conceptual 12M (arXiv:2102.08981) 256.
    pub max_words: usize,
    /// `caption_few_letters` below this share of letters among the characters that are not white space, 0 to 1.
    /// Default 0.4: "HAL 9000" has 0.43, "70a004" 0.17, "***" nothing.
    pub min_letter_share: f64,
    /// `caption_repeated_words` from this share of words that repeat an earlier one, 0 to 1. Default 0.5; names of
    /// pictures reach 0.4 ("family man man boy boy"). Measured in the first 30 words, from 3 words on.
    pub max_repeated_share: f64,
    /// `caption_repeated_words` from this many times the same word in a row. Default 3: "sale sale sale".
    pub max_word_run: usize,
    /// `caption_keyword_stuffing` above this many entries of a list, separated by comma, semicolon or bar, whose
    /// entries have fewer than 3 words on average. Default 16, the longest list of search words of an emoji in
    /// Unicode's CLDR; training reads no more than 30 words.
    pub max_keywords: usize,
    /// `caption_keyword_stuffing` from this share of entries, in a list of at least 5, that contain one and the same
    /// word, 0 to 1. Default 0.6: "cheap shoes, buy shoes, shoes online, best shoes, shoes".
    pub max_shared_keyword: f64,
    /// `caption_keyword_stuffing` from this many words that begin with `#`. Default 3; one or two tags follow many a
    /// good caption.
    pub max_hash_tags: usize,
    /// `caption_markup` when the whole caption, or an entry of a list, is one of these words: what programs print for
    /// a value that is none. Default: hash, array, null, nil, nan, undefined,
    /// untitled, unnamed, todo, "n/a".
    pub residue_words: Vec<String>,
    /// `caption_language` in any other language; three-letter ISO 639-3 codes. Default `["eng"]`.
    pub languages: Vec<String>,
    /// `caption_language` judges words of the Latin alphabet only in captions of at least this many words, since fewer
    /// are not reliably told apart. Default 6. A caption of which most letters belong to a script that no allowed
    /// language uses is dropped from 4 letters on.
    pub language_min_words: usize,
    /// `caption_boilerplate` when more than this many different images of a source share the caption. Default 10, as in
    /// ALIGN. Counted per source, so that an apple drawn in the ten styles of one package, and again elsewhere, stays.
    pub max_images_per_caption: usize,
    /// `caption_boilerplate` when the same image comes with the same caption in more than this many records of a source.
    /// Default 50: the arrow "Next" on every page of a site. Fewer are duplicates, of which one may stay.
    pub max_records_per_pair: usize,
}

impl Default for CaptionRules {
    fn default() -> Self {
        Self {
            disable: BTreeSet::new(),
            min_characters: 2,
            min_words: 1,
            max_characters: 1000,
            max_words: 100,
            min_letter_share: 0.4,
            max_repeated_share: 0.5,
            max_word_run: 3,
            max_keywords: 16,
            max_shared_keyword: 0.6,
            max_hash_tags: 3,
            residue_words: [
                "hash",
                "array",
                "null",
                "nil",
                "nan",
                "undefined",
                "untitled",
                "unnamed",
                "todo",
                "n/a",
            ]
            .map(str::to_owned)
            .to_vec(),
            languages: vec!["eng".to_owned()],
            language_min_words: 6,
            max_images_per_caption: 10,
            max_records_per_pair: 50,
        }
    }
}

impl CaptionRules {
    /// Whether the rule is switched on.
    pub fn has(&self, reason: Reason) -> bool {
        !self.disable.contains(&reason)
    }

    /// Checks everything that can be wrong with the thresholds.
    ///
    /// # Errors
    /// Names the first key whose value cannot be meant, and what would be valid.
    pub fn validate(&self) -> Result<()> {
        if let Some(&reason) = self.disable.iter().find(|reason| !reason.is_caption()) {
            return Err(Error::NotCaption { reason });
        }
        let shares = [
            ("min_letter_share", self.min_letter_share),
            ("max_repeated_share", self.max_repeated_share),
            ("max_shared_keyword", self.max_shared_keyword),
        ];
        for (key, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::Range { key, value, valid: "a share from 0 to 1" });
            }
        }
        let counts = [
            ("max_word_run", self.max_word_run, 2, "at least 2"),
            ("max_hash_tags", self.max_hash_tags, 1, "at least 1"),
            ("max_keywords", self.max_keywords, 1, "at least 1"),
            ("max_images_per_caption", self.max_images_per_caption, 1, "at least 1"),
            ("max_records_per_pair", self.max_records_per_pair, 1, "at least 1"),
            ("language_min_words", self.language_min_words, 1, "at least 1"),
        ];
        for (key, value, least, valid) in counts {
            if value < least {
                return Err(Error::Range { key, value: value as f64, valid });
            }
        }
        let pairs = [
            ("min_characters", self.min_characters, "max_characters", self.max_characters),
            ("min_words", self.min_words, "max_words", self.max_words),
        ];
        for (low, low_value, high, high_value) in pairs {
            if low_value > high_value {
                return Err(Error::Order { low, low_value, high, high_value });
            }
        }
        let matches = |word: &String| {
            !word.is_empty() && !word.contains(char::is_whitespace) && word.to_lowercase() == *word
        };
        if let Some(word) = self.residue_words.iter().find(|word| !matches(word)) {
            return Err(Error::Word { key: "residue_words", word: word.clone() });
        }
        Ok(())
    }
}
