#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// `[PAD]` 0, `[UNK]` 1, `[CLS]` 2, `[SEP]` 3, `[MASK]` 4, a 5, b 6, ab 7, ##a 8, ##b 9, [ 10, ] 11, mask 12.
fn wordpiece() -> WordPiece {
    let tokens =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "ab", "##a", "##b", "[", "]", "mask"];
    WordPiece::new(&Vocabulary::from_trained(tokens.map(str::to_owned).to_vec())).unwrap()
}

#[test]
fn the_longest_piece_is_taken_first() {
    assert_eq!(wordpiece().encode("abba a", MAX_TOKENS).unwrap(), [2, 7, 9, 8, 5, 3]);
}

#[test]
fn a_word_that_cannot_be_spelled_is_unknown_as_a_whole() {
    assert_eq!(wordpiece().encode("abc ab", MAX_TOKENS).unwrap(), [2, 1, 7, 3]);
}

#[test]
fn a_word_of_more_than_a_hundred_characters_is_unknown() {
    let (hundred, more) = ("a".repeat(100), "a".repeat(101));
    assert_eq!(wordpiece().encode(&hundred, 200).unwrap().len(), 102);
    assert_eq!(wordpiece().encode(&more, 200).unwrap(), [2, 1, 3]);
}

#[test]
fn an_empty_caption_is_begin_and_end() {
    assert_eq!(wordpiece().encode("", MAX_TOKENS).unwrap(), [2, 3]);
}

#[test]
fn a_long_caption_keeps_its_beginning_and_its_end_mark() {
    assert_eq!(wordpiece().encode("a b aa", 5).unwrap(), [2, 5, 6, 5, 3], "inside a word too");
    assert_eq!(wordpiece().encode("a b aa", 2).unwrap(), [2, 3]);
}

#[test]
fn a_special_token_typed_into_a_caption_is_only_text() {
    assert_eq!(wordpiece().encode("[MASK]", MAX_TOKENS).unwrap(), [2, 10, 12, 11, 3]);
}

#[test]
fn a_limit_without_room_for_begin_and_end_is_refused() {
    for max_tokens in [0, 1] {
        let error = wordpiece().encode("a", max_tokens).unwrap_err();
        assert!(error.to_string().starts_with(&format!("max_tokens is {max_tokens}: it must be at least 2")));
    }
}

#[test]
fn the_largest_limit_allocates_only_what_the_caption_needs() {
    assert_eq!(wordpiece().encode("a", usize::MAX).unwrap(), [2, 5, 3]);
}

#[test]
fn a_batch_is_padded_to_its_longest_caption() {
    let batch = wordpiece().encode_batch(&["a", "abba", ""], MAX_TOKENS).unwrap();
    assert_eq!((batch.captions, batch.tokens), (3, 5));
    assert_eq!(batch.ids, [2, 5, 3, 0, 0, 2, 7, 9, 8, 3, 2, 3, 0, 0, 0]);
    assert_eq!(batch.mask, [1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
}

#[test]
fn an_empty_batch_has_no_rows() {
    let batch = wordpiece().encode_batch::<&str>(&[], MAX_TOKENS).unwrap();
    assert_eq!(batch, Batch { ids: vec![], mask: vec![], captions: 0, tokens: 0 });
}

fn caption() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,6}( [abc\\[\\]]{0,6}){0,12}", any::<String>()]
}

proptest! {
    #[test]
    fn ids_begin_and_end_as_they_should_and_fit(caption in caption(), max_tokens in 2usize..20) {
        let wordpiece = wordpiece();
        let ids = wordpiece.encode(&caption, max_tokens).unwrap();
        prop_assert!(ids.len() <= max_tokens);
        prop_assert_eq!(ids.first(), Some(&wordpiece.cls_id()));
        prop_assert_eq!(ids.last(), Some(&wordpiece.sep_id()));
        let inner = &ids[1..ids.len() - 1];
        prop_assert!(inner.iter().all(|id| *id == wordpiece.unk_id() || (5..13).contains(id)), "{:?}", inner);
    }

    #[test]
    fn a_lower_limit_gives_a_beginning_of_the_same_ids(caption in caption(), max_tokens in 2usize..20) {
        let all = wordpiece().encode(&caption, usize::MAX).unwrap();
        let some = wordpiece().encode(&caption, max_tokens).unwrap();
        prop_assert_eq!(some.len(), all.len().min(max_tokens));
        prop_assert_eq!(&some[..some.len() - 1], &all[..some.len() - 1]);
    }

    #[test]
    fn a_batch_is_its_captions_with_padding_where_the_mask_is_zero(
        captions in prop::collection::vec(caption(), 0..6),
        max_tokens in 2usize..20,
    ) {
        let wordpiece = wordpiece();
        let batch = wordpiece.encode_batch(&captions, max_tokens).unwrap();
        prop_assert_eq!(batch.captions, captions.len());
        prop_assert_eq!(batch.ids.len(), batch.captions * batch.tokens);
        prop_assert_eq!(batch.mask.len(), batch.ids.len());
        for (row, caption) in captions.iter().enumerate() {
            let span = row * batch.tokens..(row + 1) * batch.tokens;
            let mut ids = wordpiece.encode(caption, max_tokens).unwrap();
            let mut mask = vec![1; ids.len()];
            ids.resize(batch.tokens, wordpiece.pad_id());
            mask.resize(batch.tokens, 0);
            prop_assert_eq!(&batch.ids[span.clone()], &ids[..]);
            prop_assert_eq!(&batch.mask[span], &mask[..]);
        }
    }
}
