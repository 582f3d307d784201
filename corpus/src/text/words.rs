//! The words of a caption, as the published tokenizer splits them before it looks into the vocabulary.

use std::iter::Peekable;

use unicode_normalization::UnicodeNormalization;

use super::unicode::Class;

/// Lower-cases, decomposes, drops accents and invisible characters, and splits at spaces and around punctuation
/// and ideographs.
///
/// Lazy, so that a caption of any length costs no more than the tokens that are taken from it. Nothing is special in
/// the text: `[MASK]` is the three words `[`, `mask`, `]`.
///
/// The `tokenizers` library has this as `BertNormalizer` and `BertPreTokenizer`. They differ from the published Python
/// on more than seven hundred assigned characters (their tables are older than Unicode 10, and one ideograph block
/// begins at U+2B920 instead of U+2B820), and they keep unassigned characters, which Python drops.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    let characters = text
        .chars()
        // Before lower-casing: the compiler's tables may map characters that are unassigned here.
        .filter(|&c| Class::of(c) != Class::Dropped)
        .flat_map(char::to_lowercase)
        .nfd()
        .filter(|&c| Class::of(c) != Class::Accent);
    Words { characters: characters.peekable() }
}

struct Words<I: Iterator<Item = char>> {
    characters: Peekable<I>,
}

impl<I: Iterator<Item = char>> Iterator for Words<I> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        while self.characters.next_if(|&c| Class::of(c) == Class::Space).is_some() {}
        let first = self.characters.next()?;
        let mut word = String::from(first);
        if Class::of(first) == Class::Letter {
            while let Some(c) = self.characters.next_if(|&c| Class::of(c) == Class::Letter) {
                word.push(c);
            }
        }
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    fn words(text: &str) -> Vec<String> {
        super::words(text).collect()
    }

    #[test]
    fn punctuation_and_ideographs_stand_alone() {
        assert_eq!(
            words("fire$brigade 2–3 [MASK]"),
            ["fire", "$", "brigade", "2", "–", "3", "[", "mask", "]"]
        );
        assert_eq!(words("a中国b\u{2b820}"), ["a", "中", "国", "b", "\u{2b820}"]);
        assert_eq!(words("ひらがな"), ["ひらかな"], "not split, its voicing mark is an accent");
    }

    #[test]
    fn accents_and_invisible_characters_leave_no_trace() {
        assert_eq!(words("Cafe\u{301} na\u{ef}ve"), ["cafe", "naive"]);
        assert_eq!(words("zero\u{200b}width\u{ad}soft\u{0}nul\u{fffd}"), ["zerowidthsoftnul"]);
        assert_eq!(words("\u{fada}"), [""; 0], "an unassigned code point between ideographs");
        assert_eq!(words("\u{301} \u{301}"), [""; 0], "nothing but accents");
    }

    #[test]
    fn an_accent_between_spaces_makes_no_empty_word() {
        assert_eq!(words("a \u{301} b"), ["a", "b"]);
    }

    #[test]
    fn capitals_lose_their_context() {
        assert_eq!(words("ΟΔΟΣ"), ["οδοσ"]);
        assert_eq!(words("İstanbul"), ["istanbul"]);
    }
}
