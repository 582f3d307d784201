//! The corpus of an image-text training run, without torch and without the network.
//!
//! * [`order`]: which sample is read at which position of the stream;
//! * [`shard`]: the corpus on disk;
//! * [`text`]: from the caption somebody wrote to the token ids the text encoder reads.
//! * [`rules`]: which pairs are noise, and why;

pub mod order;
pub mod rules;
pub mod shard;
pub mod text;
