//! The corpus of an image-text training run, without torch and without the network.
//!
//! * [`text`]: from the caption somebody wrote to the token ids the text encoder reads.

pub mod text;
