//! Captions a second: cleaning, encoding, and training a vocabulary. Run `make setup` first; the vocabulary it installs
//! is used.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};

use albef_corpus::text::train::{self, Options};
use albef_corpus::text::{Vocabulary, WordPiece, caption};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

/// Captions as the web has them: names replaced, punctuation, an accent, a stray hash tag.
const CAPTIONS: [&str; 4] = [
    "<PERSON> arrives at the premiere of the film -- in a black/white dress, on a rainy evening!",
    "A dog runs through the snow.",
    "Café au lait & croissants: breakfast on the terrace (summer) #travel",
    "interior of a modern kitchen with stainless-steel appliances, wooden floor and two large windows",
];

fn captions() -> impl Iterator<Item = &'static str> + Clone {
    CAPTIONS.iter().copied().cycle().take(1000)
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/minilm/vocab.txt")
}

#[divan::bench]
fn clean(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(1000_usize))
        .bench_local(|| captions().map(|raw| caption::clean(raw, 30).len()).sum::<usize>());
}

#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let wordpiece = WordPiece::load(path()).unwrap();
    let cleaned: Vec<String> = captions().map(|raw| caption::clean(raw, 30)).collect();
    bencher
        .counter(ItemsCount::new(cleaned.len()))
        .bench_local(|| cleaned.iter().map(|c| wordpiece.encode(c, 25).unwrap().len()).sum::<usize>());
}

/// 5,000 captions of eight different words each; short words come more often, roughly as in language.
#[divan::bench(sample_count = 10)]
fn train_vocabulary(bencher: Bencher<'_, '_>) {
    let vocabulary = Vocabulary::load(path()).unwrap();
    let mut words: Vec<&String> =
        vocabulary.tokens().iter().filter(|t| t.chars().all(char::is_alphabetic)).collect();
    words.sort_by_key(|word| word.len());
    let word =
        |i: usize| words[(i * 7919 % words.len()) * (i * 104_729 % words.len()) / words.len()].as_str();
    let captions: Vec<String> =
        (0..5000).map(|c| (0..8).map(|w| word(8 * c + w)).collect::<Vec<_>>().join(" ")).collect();
    bencher
        .counter(ItemsCount::new(captions.len()))
        .bench_local(|| train::train(&captions, &Options::default()).unwrap().tokens().len());
}
