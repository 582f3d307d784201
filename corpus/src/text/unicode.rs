//! The character classes of the published Python, frozen at Unicode 14.0 (see the [parent module](super)).

use unicode_general_category::{GeneralCategory, get_general_category};

/// What a character is to the published tokenizer (`BasicTokenizer` in Hugging Face Transformers).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// Removed without a trace: control, format, private-use and unassigned characters, and U+FFFD.
    Dropped,
    /// Separates words.
    Space,
    /// A word of its own: punctuation and CJK ideographs.
    Alone,
    /// A combining accent, removed after decomposition.
    Accent,
    /// Part of a word.
    Letter,
}

impl Class {
    pub(super) fn of(c: char) -> Self {
        match c {
            '\t' | '\n' | '\r' => return Self::Space,
            '\u{fffd}' => return Self::Dropped,
            // Includes $ + < = > ^ ` | ~, which Unicode calls symbols.
            _ if c.is_ascii_punctuation() => return Self::Alone,
            _ => {}
        }
        use GeneralCategory as G;
        match get_general_category(c) {
            G::Control | G::Format | G::PrivateUse | G::Surrogate | G::Unassigned => Self::Dropped,
            G::SpaceSeparator | G::LineSeparator | G::ParagraphSeparator => Self::Space,
            G::NonspacingMark => Self::Accent,
            G::ConnectorPunctuation
            | G::DashPunctuation
            | G::OpenPunctuation
            | G::ClosePunctuation
            | G::InitialPunctuation
            | G::FinalPunctuation
            | G::OtherPunctuation => Self::Alone,
            // Last: the blocks have holes, and what is unassigned is dropped.
            _ if is_ideograph(c) => Self::Alone,
            _ => Self::Letter,
        }
    }
}

/// Python's `str.isspace`, which is `\s` of its `re` module: `White_Space` and the separators U+001C to U+001F.
pub(super) fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Unknown to Unicode 14.0.
pub(super) fn is_unassigned(c: char) -> bool {
    !c.is_ascii() && get_general_category(c) == GeneralCategory::Unassigned
}

/// The blocks that BERT's tokenizer splits into single ideographs (google-research/bert, `tokenization.py`).
/// Hiragana, Katakana and Hangul are not among them: their languages are split at spaces.
fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{4e00}'..='\u{9fff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{20000}'..='\u{2a6df}'
        | '\u{2a700}'..='\u{2b73f}'
        | '\u{2b740}'..='\u{2b81f}'
        | '\u{2b820}'..='\u{2ceaf}'
        | '\u{f900}'..='\u{faff}'
        | '\u{2f800}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_those_of_the_published_python() {
        assert_eq!(unicode_general_category::UNICODE_VERSION, (14, 0, 0));
    }

    #[test]
    fn a_character_added_after_unicode_14_is_unassigned() {
        assert!(is_unassigned('\u{1fae8}'), "shaking face, Unicode 15.0");
        assert!(!is_unassigned('\u{1fae0}'), "melting face, Unicode 14.0");
        assert_eq!(Class::of('\u{1fae8}'), Class::Dropped);
    }

    #[test]
    fn every_ascii_character_has_the_class_of_bert() {
        for c in '\0'..='\u{7f}' {
            let expected = match c {
                '\t' | '\n' | '\r' | ' ' => Class::Space,
                '0'..='9' | 'a'..='z' | 'A'..='Z' => Class::Letter,
                '!'..='~' => Class::Alone,
                _ => Class::Dropped,
            };
            assert_eq!(Class::of(c), expected, "{c:?}");
        }
    }
}
