use std::io;
use std::path::PathBuf;

/// Why a vocabulary could not be read, trained or used.
///
/// Every message is one line that names the file and the remedy; paths and tokens are escaped, so that a line break
/// inside one does not break the line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no file at the path.
    #[error("no vocabulary at {path:?}: give the path of a vocab.txt with one token a line, or train one")]
    Missing {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The file exists and cannot be read.
    #[error("cannot read the vocabulary {path:?}: check that it is a file and that you may read it")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is not text.
    #[error("{path:?} line {line}: not UTF-8: save the vocabulary as UTF-8 text with one token a line")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the first invalid byte, from 1.
        line: usize,
    },
    /// The file has no line.
    #[error(
        "{path:?} is empty: a vocabulary has one token a line and at least [PAD] [UNK] [CLS] [SEP] [MASK]"
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A line has no token: dropping it would silently renumber all tokens after it.
    #[error(
        "{path:?} line {line}: blank: put a token on the line or delete it (a token's id is its line number)"
    )]
    Blank {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A token stands on two lines, so one of its ids could never be produced.
    #[error(
        "{path:?} line {second}: token {token:?} is already on line {first}: delete one of the two lines"
    )]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// The token.
        token: String,
        /// Its first line, from 1.
        first: usize,
        /// The line that repeats it, from 1.
        second: usize,
    },
    /// A token that every vocabulary needs is absent.
    #[error("{path:?}: no {token} token: add the line {token} (needed: [PAD] [UNK] [CLS] [SEP] [MASK])")]
    NoSpecial {
        /// The file.
        path: PathBuf,
        /// The absent token.
        token: &'static str,
    },
    /// The vocabulary could not be written; the file that was there before, if any, is untouched.
    #[error(
        "cannot write the vocabulary {path:?}: check that its directory exists, is writable and has room"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// `[CLS]` and `[SEP]` alone are two tokens.
    #[error(
        "max_tokens is {max_tokens}: it must be at least 2, for [CLS] and [SEP] (25 in the published training)"
    )]
    MaxTokens {
        /// The value given.
        max_tokens: usize,
    },
    /// The wanted vocabulary is smaller than the tokens it cannot do without.
    #[error(
        "vocab_size is {vocab_size}: it must be at least {needed}, for 5 special tokens and the characters of the captions"
    )]
    VocabSize {
        /// The value given.
        vocab_size: usize,
        /// The smallest value that these captions allow.
        needed: usize,
    },
    /// Nothing is left of the captions after cleaning.
    #[error(
        "no words to train a vocabulary on: every caption is empty after cleaning; check the captions' source"
    )]
    NoWords,
    /// The trainer counts in 32 bits.
    #[error(
        "the captions have {characters} characters: train the vocabulary on a sample of at most {limit} characters"
    )]
    TooMuchText {
        /// Characters in the words of the captions.
        characters: u64,
        /// The most that can be counted without overflow.
        limit: u64,
    },
    /// The `tokenizers` library refused, which valid input does not cause.
    #[error("the tokenizers library failed: report this with the vocabulary and the caption that caused it")]
    Library {
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
