#![allow(clippy::unwrap_used)]

use super::*;
use crate::text::WordPiece;

const CAPTIONS: [&str; 4] = ["A cat, a hat.", "cats and HATS", "the cat's hat", "that cat"];

fn size(vocab_size: usize) -> Options {
    Options { vocab_size, min_frequency: 1 }
}

/// Pseudo-random captions over few letters: most pairs are as frequent as some other, so that ties decide.
fn captions_full_of_ties() -> Vec<String> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    (0..400)
        .map(|_| {
            let length = 10 + below(40);
            (0..length).map(|_| ['a', 'b', 'c', 'd', 'é', 'ж', ' ', ' '][below(8) as usize]).collect()
        })
        .collect()
}

#[test]
fn the_special_tokens_come_first_then_characters_then_pieces() {
    let vocabulary = train(CAPTIONS, &size(31)).unwrap();
    assert_eq!(
        vocabulary.tokens(),
        [
            "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "c", "d", "e", "h", "n", "s", "t", "##a",
            "##d", "##e", "##h", "##n", "##s", "##t", "##at", "cat", "hat", "th", "cats", "an", "hats",
            "the", "that", "and"
        ]
    );
}

#[test]
fn training_again_gives_the_same_vocabulary() {
    let captions = captions_full_of_ties();
    let first = train(&captions, &size(600)).unwrap();
    for _ in 0..8 {
        assert_eq!(train(&captions, &size(600)).unwrap().text(), first.text());
    }
}

#[test]
fn the_order_of_the_captions_does_not_matter() {
    let mut captions = captions_full_of_ties();
    let first = train(&captions, &size(600)).unwrap();
    captions.reverse();
    assert_eq!(train(&captions, &size(600)).unwrap().text(), first.text());
}

#[test]
fn every_training_caption_can_be_spelled() {
    let captions = captions_full_of_ties();
    let wordpiece = WordPiece::new(&train(&captions, &size(40)).unwrap()).unwrap();
    for caption in &captions {
        let ids = wordpiece.encode(&clean(caption, MAX_WORDS), usize::MAX).unwrap();
        assert!(!ids.contains(&wordpiece.unk_id()), "{caption:?}");
    }
}

#[test]
fn a_vocabulary_of_exactly_the_characters_is_allowed_and_one_less_is_refused() {
    let needed = 5 + 8 + 7;
    assert_eq!(train(CAPTIONS, &size(needed)).unwrap().tokens().len(), needed);
    assert_eq!(
        train(CAPTIONS, &size(needed - 1)).unwrap_err().to_string(),
        "vocab_size is 19: it must be at least 20, for 5 special tokens and the characters of the captions"
    );
}

#[test]
fn rare_pairs_are_not_joined() {
    let options = Options { vocab_size: 1_000, min_frequency: 4 };
    let vocabulary = train(CAPTIONS, &options).unwrap();
    assert_eq!(vocabulary.tokens()[20..], ["##at", "cat"]);
}

#[test]
fn captions_without_words_are_refused() {
    assert!(matches!(train([""; 0], &Options::default()), Err(Error::NoWords)));
    assert!(matches!(train(["...", " \n"], &Options::default()), Err(Error::NoWords)));
}

#[test]
fn a_word_too_long_to_encode_teaches_nothing() {
    let long = "x".repeat(101);
    let vocabulary = train(["cat", &long], &size(100)).unwrap();
    assert!(!vocabulary.tokens().iter().any(|token| token.contains('x')));
}

#[test]
fn more_characters_than_can_be_counted_are_refused() {
    let seen = Seen { characters: AtomicU64::new(1 << 31), ..Seen::default() };
    let error = seen.base_tokens(&Options::default()).unwrap_err();
    assert!(error.to_string().starts_with("the captions have 2147483648 characters: "));
}
