//! The corpus on disk: tar shards that WebDataset readers understand, an index beside each, and one manifest.
//!
//! ```text
//! manifest.json              what there is: shards, counts, hashes, configuration, provenance
//! shard-00000.tar            0000000000.jpg  0000000000.txt  0000000000.json  0000000001.png  …
//! shard-00000.idx            where each sample lies, and the hash of its bytes
//! ```
//!
//! A key is the shard's number and the sample's number in it, five digits each. `.txt` holds the first caption, `.json`
//! all of them and what is known of the image. The bytes depend on the samples alone: no time, no owner, no order but
//! that of the corpus.
mod index;
mod manifest;
mod pack;
mod reader;

pub use index::{Entry, Index, IndexError};
pub use manifest::{FORMAT, FileInfo, Manifest, ManifestError, ShardInfo};
pub use pack::{Content, ImageFormat, Metadata, PackError, Packer, Sample, unpack};

pub use reader::{Corpus, MANIFEST, ReadError};

/// Name of the shard number `shard`.
pub fn shard_name(shard: usize) -> String {
    format!("shard-{shard:05}.tar")
}

/// Name of the index beside it.
pub fn index_name(shard: usize) -> String {
    format!("shard-{shard:05}.idx")
}
