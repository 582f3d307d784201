//! The corpus of an image-text training run, without torch and without the network.
//!
//! * [`augment`]: crop, flip and RandAugment of a training image;
//! * [`order`]: which sample is read at which position of the stream;
//! * [`text`]: from the caption somebody wrote to the token ids the text encoder reads.

pub mod augment;
pub mod order;
pub mod text;
