//! Rules that count: letters, characters, words, entries of a list.

use std::collections::{HashMap, HashSet};

use super::CaptionRules;
use crate::rules::{Finding, Reason};

/// Captions of fewer words say nothing about repetition.
const REPETITION_FROM: usize = 3;
/// The longer a text, the more of its words are repeated in all innocence; training reads 30.
const REPETITION_WITHIN: usize = 30;
/// Shorter lists say nothing about a shared key word.
const SHARED_FROM: usize = 5;
/// Entries of a list of key words have fewer words on average; clauses of a sentence have more.
const WORDS_PER_KEYWORD: usize = 3;

pub(super) fn few_letters(rules: &CaptionRules, caption: &str) -> Option<Finding> {
    let (mut letters, mut visible) = (0_usize, 0_usize);
    for c in caption.chars().filter(|c| !c.is_whitespace()) {
        visible += 1;
        letters += usize::from(c.is_alphabetic());
    }
    let share = letters as f64 / visible.max(1) as f64;
    (share < rules.min_letter_share)
        .then(|| Finding::number(Reason::CaptionFewLetters, share, rules.min_letter_share))
}

pub(super) fn too_short(rules: &CaptionRules, caption: &str) -> Option<Finding> {
    let number = |measured: usize, threshold: usize| {
        (measured < threshold)
            .then(|| Finding::number(Reason::CaptionTooShort, measured as f64, threshold as f64))
    };
    // Counts no further than the thresholds.
    number(caption.chars().take(rules.min_characters).count(), rules.min_characters)
        .or_else(|| number(caption.split_whitespace().take(rules.min_words).count(), rules.min_words))
}

pub(super) fn repeated_words(rules: &CaptionRules, caption: &str) -> Option<Finding> {
    let number =
        |measured, threshold| Some(Finding::number(Reason::CaptionRepeatedWords, measured, threshold));
    let lower = caption.to_lowercase();
    let run = longest_run(&lower);
    if run >= rules.max_word_run {
        return number(run as f64, rules.max_word_run as f64);
    }
    let mut seen = HashSet::new();
    let words = words_of(&lower).filter(has_letter).take(REPETITION_WITHIN).inspect(|&word| {
        seen.insert(word);
    });
    let words = words.count();
    let share = (words - seen.len()) as f64 / words.max(1) as f64;
    if words >= REPETITION_FROM && share >= rules.max_repeated_share {
        number(share, rules.max_repeated_share)
    } else {
        None
    }
}

/// How often the most repeated word stands in a row. The end of a sentence ends the row: "A laptop. Tap. Tap. Tap."
fn longest_run(text: &str) -> usize {
    let (mut longest, mut run, mut last) = (0_usize, 0_usize, "");
    for token in text.split_whitespace() {
        let word = token.trim_matches(|c: char| !c.is_alphanumeric());
        run = if word == last { run + 1 } else { 1 };
        if has_letter(&word) {
            longest = longest.max(run);
        }
        last = if token.ends_with(['.', '!', '?']) { "" } else { word };
    }
    longest
}

pub(super) fn keyword_stuffing(rules: &CaptionRules, caption: &str) -> Option<Finding> {
    let number =
        |measured, threshold| Some(Finding::number(Reason::CaptionKeywordStuffing, measured, threshold));
    let tags = caption
        .split_whitespace()
        .filter(|word| word.strip_prefix('#').is_some_and(|tag| tag.starts_with(char::is_alphabetic)))
        .count();
    if tags >= rules.max_hash_tags {
        return number(tags as f64, rules.max_hash_tags as f64);
    }
    let entries = entries(caption).filter(has_letter).count();
    let words = caption.split_whitespace().count();
    if entries < SHARED_FROM || words >= WORDS_PER_KEYWORD * entries {
        return None;
    }
    if entries > rules.max_keywords {
        return number(entries as f64, rules.max_keywords as f64);
    }
    let share = most_shared(&caption.to_lowercase()) as f64 / entries as f64;
    if share >= rules.max_shared_keyword { number(share, rules.max_shared_keyword) } else { None }
}

/// The entries of a caption as a list.
pub(super) fn entries(caption: &str) -> impl Iterator<Item = &str> {
    caption.split([',', ';', '|', '、', '，']).map(str::trim).filter(|entry| !entry.is_empty())
}

/// In how many entries the most common word stands.
fn most_shared(caption: &str) -> usize {
    // Of each word: its entries so far, and the last of them, because a word counts once in an entry.
    let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
    for (at, entry) in entries(caption).enumerate() {
        for word in words_of(entry).filter(|word| word.chars().nth(2).is_some()) {
            let (count, last) = counts.entry(word).or_insert((0, usize::MAX));
            *count += usize::from(*last != at);
            *last = at;
        }
    }
    counts.values().map(|&(count, _)| count).max().unwrap_or(0)
}

/// Runs of letters and digits, with the apostrophes inside them.
pub(super) fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’')
        .map(|word| word.trim_matches(['\'', '’']))
        .filter(|word| !word.is_empty())
}

pub(super) fn has_letter(word: &&str) -> bool {
    word.contains(char::is_alphabetic)
}
