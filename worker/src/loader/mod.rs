//! From shards to micro-batches, ahead of need.
//!
//! ```text
//! reading threads ──samples of a step──▶ decoding threads ──micro-batches of a step──▶ trainer
//!        └─ at most `prefetch` steps wait ─┘       └─ at most `prefetch` steps wait ─┘
//! ```
//!
//! What a sample becomes is a pure function of (seed, step, logical rank, index in the batch) and of the corpora: see
//! [`Recipe`]. So any worker may compute any logical rank, a step can be loaded again, and threads change nothing.
//! Memory is bounded by the steps that wait, those that are read and decoded meanwhile, and the trainer's:
//! `2 · prefetch + 3` in all, whatever the corpus holds.
mod error;
mod picture;
mod pipeline;
mod read;
mod recipe;

pub use error::LoadError;
pub use picture::{PictureError, Pictures};
pub use pipeline::{Block, Loaded, Loader, Threads, Work};
pub use read::sample;
pub use recipe::{Batch, Raw, Recipe, RecipeConfig, Replaced};
