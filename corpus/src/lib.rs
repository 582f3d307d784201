//! The corpus of an image-text training run, without torch and without the network.
//!
//! * [`order`]: which sample is read at which position of the stream;
//! * [`rules`]: which pairs are noise, and why;
//! * [`text`]: from the caption somebody wrote to the token ids the text encoder reads.

pub mod order;
pub mod rules;
pub mod text;
