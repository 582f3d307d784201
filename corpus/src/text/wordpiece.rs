//! WordPiece ids of captions, as the published tokenizer gives them.

use std::collections::HashMap;
use std::path::Path;

use tokenizers::Model;
use tokenizers::models::wordpiece::WordPiece as Pieces;

use super::words::words;
use super::{Error, Result, Special, Vocabulary};

/// Tokens of a caption in the published training, `[CLS]` and `[SEP]` included.
pub const MAX_TOKENS: usize = 25;

/// Tokens of a caption in the published retrieval evaluation, `[CLS]` and `[SEP]` included.
pub const EVAL_MAX_TOKENS: usize = 30;

/// A word of more characters than this is `[UNK]`, as in BERT.
pub(super) const MAX_WORD_CHARS: usize = 100;

/// Turns captions into token ids: split into words, then greedily into the longest pieces that the vocabulary has
/// (Wu et al., arXiv:1609.08144; Devlin et al., arXiv:1810.04805, uncased).
///
/// Equal to the Python `BertTokenizer` on every caption that [`caption::clean`](super::caption::clean) returns. Text
/// is only text: where Python would take a literal `[MASK]` for the special token, this spells it `[`, `mask`, `]`.
/// After cleaning, which lower-cases, both do, and nobody can put a `[PAD]` or `[SEP]` into a model by a caption.
#[derive(Clone, Debug)]
pub struct WordPiece {
    pieces: Pieces,
    vocab_size: usize,
    pad: i64,
    unk: i64,
    cls: i64,
    sep: i64,
    mask: i64,
}

/// Captions of one batch, padded to the longest of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Token ids, `[captions, tokens]`, row after row.
    pub ids: Vec<i64>,
    /// 1 for a token and 0 for padding, `[captions, tokens]`, row after row.
    pub mask: Vec<i64>,
    /// Number of rows.
    pub captions: usize,
    /// Length of a row: that of the longest caption, 0 without captions.
    pub tokens: usize,
}

impl WordPiece {
    /// Loads `vocab.txt`; see [`Vocabulary::load`] for the format.
    ///
    /// # Errors
    /// One line that names the file, the line where there is one, and the remedy.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::new(&Vocabulary::load(path)?)
    }

    /// Uses a vocabulary that is in memory.
    ///
    /// # Errors
    /// None that a [`Vocabulary`] causes.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self> {
        let tokens = vocabulary.tokens();
        let pieces = Pieces::builder()
            .vocab(tokens.iter().cloned().zip(0u32..).collect::<HashMap<_, _, _>>())
            .unk_token(Special::Unk.token().to_owned())
            .continuing_subword_prefix("##".to_owned())
            .max_input_chars_per_word(MAX_WORD_CHARS)
            .build()
            .map_err(|source| Error::Library { source })?;
        let id = |special: Special| match pieces.token_to_id(special.token()) {
            Some(id) => Ok(i64::from(id)),
            None => Err(Error::NoSpecial { path: "vocabulary".into(), token: special.token() }),
        };
        Ok(Self {
            vocab_size: tokens.len(),
            pad: id(Special::Pad)?,
            unk: id(Special::Unk)?,
            cls: id(Special::Cls)?,
            sep: id(Special::Sep)?,
            mask: id(Special::Mask)?,
            pieces,
        })
    }

    /// The ids of a cleaned caption: `[CLS]`, at most `max_tokens − 2` pieces from its beginning, `[SEP]`.
    ///
    /// # Errors
    /// [`Error::MaxTokens`] if `max_tokens` is less than 2.
    pub fn encode(&self, caption: &str, max_tokens: usize) -> Result<Vec<i64>> {
        let Some(room) = max_tokens.checked_sub(2) else { return Err(Error::MaxTokens { max_tokens }) };
        let mut ids = vec![self.cls];
        for word in words(caption) {
            if ids.len() > room {
                break;
            }
            let pieces = self.pieces.tokenize(&word).map_err(|source| Error::Library { source })?;
            ids.extend(pieces.iter().map(|piece| i64::from(piece.id)));
        }
        ids.truncate(room + 1);
        ids.push(self.sep);
        Ok(ids)
    }

    /// [Encodes](Self::encode) captions and pads them with `[PAD]` to the longest of them.
    ///
    /// # Errors
    /// [`Error::MaxTokens`] if `max_tokens` is less than 2.
    pub fn encode_batch<S: AsRef<str>>(&self, captions: &[S], max_tokens: usize) -> Result<Batch> {
        let rows = captions
            .iter()
            .map(|caption| self.encode(caption.as_ref(), max_tokens))
            .collect::<Result<Vec<_>>>()?;
        let tokens = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows.len() * tokens);
        let mut mask = Vec::with_capacity(rows.len() * tokens);
        for row in &rows {
            let padding = tokens - row.len();
            ids.extend(row.iter().copied().chain(std::iter::repeat_n(self.pad, padding)));
            mask.extend(std::iter::repeat_n(1, row.len()).chain(std::iter::repeat_n(0, padding)));
        }
        Ok(Batch { ids, mask, captions: rows.len(), tokens })
    }

    /// Number of tokens; ids are below it.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Id of `[PAD]`.
    pub fn pad_id(&self) -> i64 {
        self.pad
    }

    /// Id of `[UNK]`.
    pub fn unk_id(&self) -> i64 {
        self.unk
    }

    /// Id of `[CLS]`.
    pub fn cls_id(&self) -> i64 {
        self.cls
    }

    /// Id of `[SEP]`.
    pub fn sep_id(&self) -> i64 {
        self.sep
    }

    /// Id of `[MASK]`.
    pub fn mask_id(&self) -> i64 {
        self.mask
    }
}

#[cfg(test)]
mod tests;
