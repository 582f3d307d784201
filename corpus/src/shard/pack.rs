//! Samples into a shard, and one sample out of its bytes.
use serde::{Deserialize, Serialize};

use super::index::checksum;
use super::{Entry, Index};
use crate::dedup::Fingerprint;

/// How a stored image is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// JPEG.
    Jpg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
}

impl ImageFormat {
    /// The extension of its tar member.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }
}

/// What stands in a sample's `.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Every caption that was kept, cleaned of noise but not yet of punctuation.
    pub captions: Vec<String>,
    /// Width of the stored image, pixels.
    pub width: u32,
    /// Height of the stored image, pixels.
    pub height: u32,
    /// Name of the source.
    pub source: String,
    /// The source's own key or path of the record.
    pub source_key: String,
    /// What the original image looked like, by which duplicates are found.
    pub content: Content,
    /// Further keys of the source, as they were.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// By what an image is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Content {
    /// Hash of its decoded pixels, hexadecimal.
    pub pixels: String,
    /// What near duplicates share; none for flat images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub print: Option<Fingerprint>,
}

/// One image with its captions.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Encoded image.
    pub image: Vec<u8>,
    /// How it is encoded.
    pub format: ImageFormat,
    /// Everything else.
    pub metadata: Metadata,
}

/// Why a sample does not go into a shard, or does not come out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// Offsets inside a sample are 32 bits.
    #[error("a sample of {0} bytes does not fit a shard: at most 4 GiB; set a maximum side for images")]
    TooLarge(usize),
    /// No caption is left.
    #[error("a sample has no caption; every one needs one")]
    NoCaption,
    /// The bytes are not those that were written.
    #[error("the bytes of a sample do not fit their hash; copy the shard again or build the corpus again")]
    Damaged,
    /// The hash fits, but the metadata is not what a builder writes.
    #[error("metadata of a sample: {0}; build the corpus again")]
    Metadata(#[from] serde_json::Error),
}

/// A shard in the making, in memory.
#[derive(Debug)]
pub struct Packer {
    shard: usize,
    bytes: Vec<u8>,
    index: Index,
    captions: u64,
}

/// A tar file is made of blocks of this size.
const BLOCK: usize = 512;

impl Packer {
    /// An empty shard of that number.
    pub fn new(shard: usize) -> Self {
        Self { shard, bytes: Vec::new(), index: Index::default(), captions: 0 }
    }

    /// Samples so far.
    pub fn samples(&self) -> usize {
        self.index.entries.len()
    }

    /// Captions of all samples so far.
    pub fn captions(&self) -> u64 {
        self.captions
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds a sample. An error adds nothing.
    pub fn push(&mut self, sample: &Sample) -> Result<(), PackError> {
        let caption = sample.metadata.captions.first().ok_or(PackError::NoCaption)?;
        let json = serde_json::to_vec(&sample.metadata)?;
        let total = sample.image.len() + caption.len() + json.len() + 6 * BLOCK;
        if u32::try_from(total).is_err() {
            return Err(PackError::TooLarge(total));
        }
        let key = format!("{:05}{:05}", self.shard, self.samples());
        let offset = self.bytes.len();
        let mut member = |extension: &str, data: &[u8]| {
            let at = self.bytes.len() + BLOCK - offset;
            append(&mut self.bytes, &format!("{key}.{extension}"), data);
            (at as u32, data.len() as u32)
        };
        let image = member(sample.format.extension(), &sample.image);
        member("txt", caption.as_bytes());
        let metadata = member("json", &json);
        let bytes = &self.bytes[offset..];
        let entry =
            Entry { offset: offset as u64, len: bytes.len() as u32, image, metadata, hash: checksum(bytes) };
        self.index.entries.push(entry);
        self.captions += sample.metadata.captions.len() as u64;
        Ok(())
    }

    /// The shard's bytes and its index.
    pub fn finish(mut self) -> (Vec<u8>, Index) {
        // A tar file ends with two empty blocks.
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        (self.bytes, self.index)
    }
}

/// One member: a header block that says nothing but name and size, then the data, filled up to a block.
fn append(bytes: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut header = tar::Header::new_ustar();
    // The name is ten digits and an extension: it always fits.
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(data.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
}

/// A sample out of the bytes that `entry` names, checked against its hash.
pub fn unpack(entry: &Entry, bytes: &[u8]) -> Result<Sample, PackError> {
    let part = |(at, len): (u32, u32)| bytes.get(at as usize..at as usize + len as usize);
    if bytes.len() != entry.len as usize || checksum(bytes) != entry.hash {
        return Err(PackError::Damaged);
    }
    let (Some(image), Some(metadata), Some(name)) =
        (part(entry.image), part(entry.metadata), bytes.get(..100))
    else {
        return Err(PackError::Damaged);
    };
    let name: Vec<u8> = name.iter().copied().take_while(|&b| b != 0).collect();
    let format = [ImageFormat::Jpg, ImageFormat::Png, ImageFormat::Webp]
        .into_iter()
        .find(|format| name.ends_with(format.extension().as_bytes()))
        .ok_or(PackError::Damaged)?;
    let metadata: Metadata = serde_json::from_slice(metadata)?;
    if metadata.captions.is_empty() {
        return Err(PackError::NoCaption);
    }
    Ok(Sample { image: image.to_vec(), format, metadata })
}
