//! Captions and ids that the published cleaning and the published tokenizer gave, on alt texts as people wrote them
//! and on hostile ones.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use albef_corpus::text::caption::{MAX_WORDS, clean};
use albef_corpus::text::wordpiece::{MAX_TOKENS, WordPiece};
use serde::Deserialize;

/// The vocabulary of `bert-base-uncased`, 30,522 tokens.
const VOCABULARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv/minilm/vocab.txt");
const CAPTIONS: &str = include_str!("fixtures/captions.jsonl");

#[derive(Deserialize)]
struct Golden {
    raw: String,
    caption: String,
    input_ids: Vec<i64>,
}

fn golden() -> Vec<Golden> {
    let golden: Vec<Golden> = CAPTIONS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(golden.len() >= 380, "the fixture is cut short: {} captions", golden.len());
    golden
}

fn wordpiece() -> WordPiece {
    assert!(Path::new(VOCABULARY).exists(), "run `make setup`");
    WordPiece::load(VOCABULARY).unwrap()
}

#[test]
fn every_caption_is_cleaned_as_published() {
    for golden in golden() {
        assert_eq!(clean(&golden.raw, MAX_WORDS), golden.caption, "raw: {:?}", golden.raw);
    }
}

#[test]
fn every_caption_has_the_published_ids() {
    let wordpiece = wordpiece();
    for golden in golden() {
        let ids = wordpiece.encode(&golden.caption, MAX_TOKENS).unwrap();
        assert_eq!(ids, golden.input_ids, "caption: {:?}", golden.caption);
    }
}

#[test]
fn the_special_tokens_have_the_ids_of_bert() {
    let wordpiece = wordpiece();
    assert_eq!(wordpiece.vocab_size(), 30_522);
    let ids =
        [wordpiece.pad_id(), wordpiece.unk_id(), wordpiece.cls_id(), wordpiece.sep_id(), wordpiece.mask_id()];
    assert_eq!(ids, [0, 100, 101, 102, 103]);
}
