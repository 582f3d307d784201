//! Captions: cleaning, WordPiece ids, vocabularies.
//!
//! ```text
//! raw caption ──caption::clean──▶ cleaned caption ──WordPiece::encode──▶ [CLS] ids… [SEP]
//!                                      │
//!                                      └──train::train──▶ Vocabulary ──write──▶ vocab.txt
//! ```
//!
//! Both steps reproduce what ALBEF (Li et al., "Align before Fuse", arXiv:2107.07651) was published with: the
//! caption cleaning of its data loader, and the Python `BertTokenizer` of Hugging Face Transformers with the
//! vocabulary of `bert-base-uncased`. `tests/golden_text.rs` holds ids that they gave.
//!
//! The text a model was trained on must read the same years later, so the character tables are frozen: everything
//! here treats a character that Unicode 14.0 does not know as unassigned, whatever the compiler's tables say. Unicode
//! 14.0 is what the Python (3.11) that produced the published ids knows.

pub mod caption;
mod error;
pub mod train;
mod unicode;
mod vocabulary;
pub mod wordpiece;
mod words;

pub use error::Error;
pub use vocabulary::{Special, Vocabulary};
pub use wordpiece::WordPiece;

/// What the functions of this module return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
