//! The corpus of an image-text training run, without torch.
//!
//! * [`storage`]: folders of files, on this machine or in an object store;
//! * [`source`] and [`record`]: image–text pairs as somebody published them, one after another;
//! * [`fetch`]: image–text pairs that ship inside ordinary packages;
//! * [`rules`], [`mod@image`] and [`dedup`]: which pairs are noise, and why;
//! * [`build`]: from sources to shards;
//! * [`shard`]: the corpus on disk;
//! * [`order`]: which sample is read at which position of the stream;
//! * [`augment`]: what training does to an image;
//! * [`text`]: from the caption somebody wrote to the token ids the text encoder reads.

pub mod augment;
pub mod build;
pub mod dedup;
pub mod fetch;
pub mod image;
pub mod order;
pub mod record;
pub mod rules;
pub mod shard;
pub mod source;
pub mod storage;
pub mod text;
