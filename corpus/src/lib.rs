//! The corpus of an image-text training run, without torch and without the network.
//!
//! * [`image`]: from the bytes of a picture to pixels, and back;
//! * [`dedup`]: pictures that are there twice;
//! * [`order`]: which sample is read at which position of the stream;
//! * [`text`]: from the caption somebody wrote to the token ids the text encoder reads.

pub mod dedup;
pub mod image;
pub mod order;
pub mod text;
