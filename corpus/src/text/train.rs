//! Training a WordPiece vocabulary on captions.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use tokenizers::models::wordpiece::{WordPiece as Pieces, WordPieceTrainer};
use tokenizers::{AddedToken, Model, Trainer};

use super::caption::{MAX_WORDS, clean};
use super::wordpiece::MAX_WORD_CHARS;
use super::words::words;
use super::{Error, Result, Special, Vocabulary};

/// What to train.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Tokens at most, the special ones included; fewer if the captions do not give as many.
    pub vocab_size: usize,
    /// Two pieces are joined only if they stand side by side at least so many times.
    pub min_frequency: u64,
}

impl Default for Options {
    /// The size of `bert-base-uncased`; pairs seen twice.
    fn default() -> Self {
        Self { vocab_size: 30_522, min_frequency: 2 }
    }
}

/// Learns a vocabulary from raw captions, which are [cleaned](clean) first.
///
/// The same captions, in any order, give the same vocabulary on any number of threads: the special tokens, the
/// characters that occur, those that occur inside words (`##x`), both in code-point order, then joined pieces as
/// they were found, the most frequent pair first. Words that encoding cannot spell for their length are left out.
///
/// # Errors
/// [`Error::NoWords`] if nothing is left of the captions, [`Error::VocabSize`] if `vocab_size` cannot hold the
/// special tokens and the characters, [`Error::TooMuchText`] beyond 2³¹ − 1 characters.
pub fn train<I, S>(captions: I, options: &Options) -> Result<Vocabulary>
where
    I: IntoIterator<Item = S>,
    I::IntoIter: Send,
    S: AsRef<str> + Send,
{
    let mut trainer = WordPieceTrainer::builder()
        .vocab_size(options.vocab_size)
        .min_frequency(options.min_frequency)
        .show_progress(false)
        .build();
    let seen = RwLock::new(Seen::default());
    trainer
        .feed(captions.into_iter(), |caption| {
            let mut words: Vec<String> = words(&clean(caption, MAX_WORDS)).collect();
            words.retain(|word| word.chars().count() <= MAX_WORD_CHARS);
            Seen::note(&seen, &words);
            Ok(words)
        })
        .map_err(|source| Error::Library { source })?;
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);

    let base = seen.base_tokens(options)?;
    trainer.set_special_tokens(base.iter().map(|token| AddedToken::from(token.as_str(), true)).collect());
    let mut model = Pieces::default();
    trainer.train(&mut model).map_err(|source| Error::Library { source })?;

    let mut tokens: Vec<(u32, String)> =
        model.get_vocab().into_iter().map(|(token, id)| (id, token)).collect();
    tokens.sort_unstable();
    Ok(Vocabulary::from_trained(tokens.into_iter().map(|(_, token)| token).collect()))
}

/// The characters of the words, which become the one-character tokens.
///
/// The trainer of `tokenizers` numbers `##x` in the order of a randomly seeded hash map and settles ties between
/// equally frequent pairs by these numbers, so that two runs give different vocabularies. Handing it all
/// one-character tokens in a fixed order, as if they were special tokens, leaves it nothing to number by chance.
#[derive(Default)]
struct Seen {
    anywhere: BTreeSet<char>,
    inside: BTreeSet<char>,
    characters: AtomicU64,
}

impl Seen {
    fn note(seen: &RwLock<Self>, words: &[String]) {
        let characters: u64 = words.iter().map(|word| word.chars().count() as u64).sum();
        let known = {
            let seen = seen.read().unwrap_or_else(PoisonError::into_inner);
            seen.characters.fetch_add(characters, Ordering::Relaxed);
            words.iter().all(|word| seen.knows(word))
        };
        // Rare: soon every character has been seen, and threads only ever read.
        if !known {
            let mut seen = seen.write().unwrap_or_else(PoisonError::into_inner);
            for word in words {
                seen.anywhere.extend(word.chars());
                seen.inside.extend(word.chars().skip(1));
            }
        }
    }

    fn knows(&self, word: &str) -> bool {
        word.chars().all(|c| self.anywhere.contains(&c))
            && word.chars().skip(1).all(|c| self.inside.contains(&c))
    }

    /// The tokens that are there before any is learned, if the trainer can work with them.
    fn base_tokens(&self, options: &Options) -> Result<Vec<String>> {
        let characters = self.characters.load(Ordering::Relaxed);
        if characters == 0 {
            return Err(Error::NoWords);
        }
        // The trainer's pair counts are 32-bit and wrap silently; no pair is more frequent than there are characters.
        let limit = i32::MAX.unsigned_abs().into();
        if characters > limit {
            return Err(Error::TooMuchText { characters, limit });
        }
        let special = Special::ALL.iter().map(|special| special.token().to_owned());
        let anywhere = self.anywhere.iter().map(char::to_string);
        let inside = self.inside.iter().map(|c| format!("##{c}"));
        let base: Vec<String> = special.chain(anywhere).chain(inside).collect();
        if options.vocab_size < base.len() {
            return Err(Error::VocabSize { vocab_size: options.vocab_size, needed: base.len() });
        }
        Ok(base)
    }
}

#[cfg(test)]
mod tests;
