//! Which language a caption is written in, as far as a few words can tell.
//!
//! No detector is right about a caption on its own: of English captions of six words and more, `whatlang` (trigrams, 69
//! languages) takes 7 to 19 % for something else, `whichlang` (a trained classifier, 16 languages) 1 to 9 %, and of
//! strings of English nouns far more. Three kinds of evidence are weighed against them: the share of common English words,
//! letters with accents, and the small words that every sentence of a language has.
//!
//! Measured on texts that exist in many languages: wrong about none of 4,000 sentences of GIMP's manual, one of its 746
//! captions, none of 1,091 names of emoji in Unicode's CLDR, one of Tux Paint's 150 captions and 6 of 1,031 lists of key
//! words without their commas. Of Tux Paint's captions of six words and more it found 98.3 % in 36 widely written languages
//! (3,812 captions) and 93.0 % in all its languages (6,432): without accents and small words of the list, 84 % of Afrikaans,
//! 61 % of Irish, 44 % of Basque and 17 % of Acholi. The word lists were made with these texts at hand, so other texts will
//! do somewhat worse. A list of key words and a title in capitals are hardly ever taken for foreign, even when they are.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use whatlang::{Lang, Script};

use super::CaptionRules;
use super::shape::{entries, has_letter, words_of};
use crate::rules::{Error, Finding, Reason, Result, Value};

/// Fewer letters of a foreign script may be a symbol or a quotation.
const SCRIPT_FROM: usize = 4;
/// Enough to tell a language by; bounds the work.
const CHARACTERS: usize = 256;
/// From this share of common English words on, a caption is English.
const ENGLISH: f64 = 0.25;
/// Up to this share there is too little English in a caption to doubt a classifier that says otherwise.
const HARDLY_ENGLISH: f64 = 0.1;
/// Below this share a caption has no English words to speak of, and a classifier that says English may be overruled.
const NOT_ENGLISH: f64 = 0.05;

/// How sure the detector must be of a caption without a small word when it agrees with the classifier. Strings of English
/// nouns, "electric guitar sunburst finish", are any language to either.
const AGREED: f64 = 0.2;

/// Three blocks of words, between lines of dashes, by weight.
const COMMON: &str = include_str!("english.txt");
/// Words by which a sentence in another language is known.
const SMALL: &str = include_str!("foreign.txt");

#[derive(Debug, Clone)]
pub(super) struct Languages {
    allowed: Vec<Lang>,
    /// As the threshold of findings.
    names: String,
    min_words: usize,
    /// Whether the classifier knows every allowed language.
    classified: bool,
    /// The weight of each common English word; empty where English is not allowed.
    english: HashMap<&'static str, f64>,
    foreign: HashSet<&'static str>,
}

impl Languages {
    pub(super) fn new(rules: &CaptionRules) -> Result<Self> {
        let language = |code: &String| {
            Lang::from_code(code.as_str()).ok_or_else(|| Error::Language { code: code.clone() })
        };
        let allowed = rules.languages.iter().map(language).collect::<Result<Vec<_>>>()?;
        if allowed.is_empty() && rules.has(Reason::CaptionLanguage) {
            return Err(Error::NoLanguage);
        }
        let english = if allowed.contains(&Lang::Eng) { common_words().collect() } else { HashMap::new() };
        Ok(Self {
            classified: allowed.iter().all(|lang| CLASSIFIED.contains(lang)),
            names: rules.languages.join(" "),
            min_words: rules.language_min_words,
            foreign: words(SMALL).collect(),
            allowed,
            english,
        })
    }

    pub(super) fn foreign(&self, caption: &str) -> Option<Finding> {
        let text = match caption.char_indices().nth(CHARACTERS) {
            Some((end, _)) => &caption[..end],
            None => caption,
        };
        let language = self.foreign_script(text).or_else(|| self.foreign_words(text))?;
        Some(Finding {
            reason: Reason::CaptionLanguage,
            measured: Value::Text(language),
            threshold: Some(Value::Text(self.names.clone())),
        })
    }

    /// The script that most letters belong to, when no allowed language is written in it.
    fn foreign_script(&self, text: &str) -> Option<String> {
        if text.is_ascii() {
            let latin = self.allowed.iter().any(|lang| Script::Latin.langs().contains(lang));
            return (!latin && letters(text) >= SCRIPT_FROM).then(|| "Latin".to_owned());
        }
        if letters(text) < SCRIPT_FROM {
            return None;
        }
        match whatlang::detect_script(text) {
            Some(script) if script.langs().iter().any(|lang| self.allowed.contains(lang)) => None,
            Some(script) => Some(script.name().to_owned()),
            None => Some("unknown script".to_owned()),
        }
    }

    /// The language of a text in a script that is allowed, when it is foreign.
    fn foreign_words(&self, text: &str) -> Option<String> {
        if text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count()
            < self.min_words
        {
            return None;
        }
        let Evidence { words, english, foreign } = self.evidence(text);
        // One of the words may be a number: "5 mele rosse su un tavolo".
        if words + 1 < self.min_words || english >= ENGLISH {
            return None;
        }
        let text =
            if text.contains(char::is_lowercase) { Cow::Borrowed(text) } else { text.to_lowercase().into() };
        let classified = from_classifier(whichlang::detect_language(&text));
        let classified_allowed = self.allowed.contains(&classified);
        if classified_allowed && (self.english.is_empty() || english >= NOT_ENGLISH) {
            return None;
        }
        // Of a list without sentences no detector knows the language: "box, concertina, music" is French to both.
        if text.split_whitespace().count() < 2 * entries(&text).count() {
            return None;
        }
        let names = is_capitalised(&text);
        let accents = text.chars().any(|c| !c.is_ascii() && c.is_alphabetic());
        // Where the classifier can decide alone, the detector, fifty times slower, is not asked.
        let sentence = !names && (accents || foreign > 0);
        if sentence && !classified_allowed && self.classified && english <= HARDLY_ENGLISH {
            return Some(classified.code().to_owned());
        }
        let detected = whatlang::detect(&text)?;
        let agreed = detected.lang() == classified;
        let certain = if names {
            agreed && english <= HARDLY_ENGLISH
        } else if self.english.is_empty() || accents {
            true
        } else if classified_allowed {
            foreign > 1 || detected.is_reliable()
        } else {
            foreign > 0 || detected.is_reliable() || (agreed && detected.confidence() >= AGREED)
        };
        (certain && !self.allowed.contains(&detected.lang())).then(|| detected.lang().code().to_owned())
    }

    fn evidence(&self, text: &str) -> Evidence {
        let (mut words, mut common, mut foreign) = (0_usize, 0.0, 0_usize);
        let mut lower = String::new();
        for word in words_of(text).filter(has_letter) {
            words += 1;
            lower.clear();
            lower.extend(word.chars().flat_map(char::to_lowercase));
            common += self.english.get(lower.as_str()).copied().unwrap_or(0.0);
            // "I" is English, "i" is Danish, Italian, Polish and more.
            foreign += usize::from(word != "I" && self.foreign.contains(lower.as_str()));
        }
        Evidence { words, english: common / words.max(1) as f64, foreign }
    }
}

/// What the words of a caption tell without a detector.
struct Evidence {
    /// Words that have letters.
    words: usize,
    /// The share of common English ones among them, by weight.
    english: f64,
    /// How many are small words of other languages.
    foreign: usize,
}

/// A title or a row of names, "France - Pays de la Loire": so no word of four letters or more in lower case.
fn is_capitalised(text: &str) -> bool {
    let long = |word: &&str| word.chars().nth(3).is_some();
    let mut words = words_of(text).filter(long).peekable();
    words.peek().is_some() && words.all(|word| !word.starts_with(char::is_lowercase))
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphabetic()).take(SCRIPT_FROM).count()
}

fn common_words() -> impl Iterator<Item = (&'static str, f64)> {
    let blocks = COMMON.split("----").zip([2.0, 1.0, 0.5]);
    blocks.flat_map(|(block, weight)| words(block).map(move |word| (word, weight)))
}

fn words(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace)
}

/// The languages of the classifier.
const CLASSIFIED: [Lang; 16] = [
    Lang::Ara,
    Lang::Cmn,
    Lang::Deu,
    Lang::Eng,
    Lang::Fra,
    Lang::Hin,
    Lang::Ita,
    Lang::Jpn,
    Lang::Kor,
    Lang::Nld,
    Lang::Por,
    Lang::Rus,
    Lang::Spa,
    Lang::Swe,
    Lang::Tur,
    Lang::Vie,
];

fn from_classifier(lang: whichlang::Lang) -> Lang {
    use whichlang::Lang as L;
    match lang {
        L::Ara => Lang::Ara,
        L::Cmn => Lang::Cmn,
        L::Deu => Lang::Deu,
        L::Eng => Lang::Eng,
        L::Fra => Lang::Fra,
        L::Hin => Lang::Hin,
        L::Ita => Lang::Ita,
        L::Jpn => Lang::Jpn,
        L::Kor => Lang::Kor,
        L::Nld => Lang::Nld,
        L::Por => Lang::Por,
        L::Rus => Lang::Rus,
        L::Spa => Lang::Spa,
        L::Swe => Lang::Swe,
        L::Tur => Lang::Tur,
        L::Vie => Lang::Vie,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_lists_stands_once_and_small_words_are_not_english() {
        let all: Vec<_> = common_words().map(|(word, _)| word).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
        let english: HashSet<_> =
            common_words().filter(|&(_, weight)| weight >= 1.0).map(|(word, _)| word).collect();
        assert!(all.len() > 500 && words(SMALL).count() > 200);
        assert_eq!(words(SMALL).find(|word| english.contains(word)), None);
        assert!(
            all.into_iter()
                .chain(words(SMALL))
                .all(|word| word.to_lowercase() == word && words_of(word).eq([word]))
        );
    }
}
