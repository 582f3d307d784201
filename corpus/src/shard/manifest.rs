//! What a corpus consists of.
use serde::{Deserialize, Serialize};

/// The version of the layout that this program writes and reads.
pub const FORMAT: &str = "albef-corpus/1";

/// Contents of `manifest.json`, written last: a corpus without it is not finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// Images.
    pub samples: u64,
    /// Captions of all images.
    pub captions: u64,
    /// In order.
    pub shards: Vec<ShardInfo>,
    /// The whole configuration of the build, defaults included.
    pub config: serde_json::Value,
    /// What was read, source by source.
    pub provenance: Vec<serde_json::Value>,
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardInfo {
    /// The tar file.
    pub data: FileInfo,
    /// Its index.
    pub index: FileInfo,
    /// Images in it.
    pub samples: u64,
    /// Captions of these.
    pub captions: u64,
}

/// A file of the corpus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Name beside the manifest.
    pub name: String,
    /// Length.
    pub bytes: u64,
    /// BLAKE3, hexadecimal.
    pub blake3: String,
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON, or not a manifest.
    #[error("not a corpus manifest: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by another version.
    #[error("format {found:?} is not {FORMAT:?}: build the corpus again with this version")]
    Format {
        /// What the file says.
        found: String,
    },
    /// The parts do not add up.
    #[error("{what}: {total} in all, but the shards add up to {sum}; build the corpus again")]
    Sum {
        /// What is counted.
        what: &'static str,
        /// The manifest's own total.
        total: u64,
        /// The sum over its shards.
        sum: u64,
    },
    /// A shard's file name leaves the corpus's folder.
    #[error("file name {0:?} is not a plain name")]
    Name(String),
}

impl FileInfo {
    /// Describes `bytes` under `name`.
    pub fn of(name: String, bytes: &[u8]) -> Self {
        Self { name, bytes: bytes.len() as u64, blake3: blake3::hash(bytes).to_hex().to_string() }
    }

    /// Whether `bytes` are those described.
    pub fn fits(&self, bytes: &[u8]) -> bool {
        self.bytes == bytes.len() as u64 && self.blake3 == blake3::hash(bytes).to_hex().as_str()
    }
}

impl Manifest {
    /// A manifest of `shards`, whose totals it adds up.
    pub fn new(
        shards: Vec<ShardInfo>,
        config: serde_json::Value,
        provenance: Vec<serde_json::Value>,
    ) -> Self {
        Self {
            format: FORMAT.to_owned(),
            samples: shards.iter().map(|s| s.samples).sum(),
            captions: shards.iter().map(|s| s.captions).sum(),
            shards,
            config,
            provenance,
        }
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads and checks a file's bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        // The format first: another version may have other fields.
        #[derive(Deserialize)]
        struct Head {
            format: String,
        }
        let Head { format: found } = serde_json::from_slice(bytes)?;
        if found != FORMAT {
            return Err(ManifestError::Format { found });
        }
        let manifest: Self = serde_json::from_slice(bytes)?;
        for (what, total, of) in [
            ("samples", manifest.samples, (|s: &ShardInfo| s.samples) as fn(&ShardInfo) -> u64),
            ("captions", manifest.captions, |s| s.captions),
        ] {
            let sum = manifest.shards.iter().map(of).fold(0_u64, u64::saturating_add);
            if sum != total {
                return Err(ManifestError::Sum { what, total, sum });
            }
        }
        for name in manifest.shards.iter().flat_map(|s| [&s.data.name, &s.index.name]) {
            if name.is_empty() || name == ".." || name.contains(['/', '\\', '\0']) {
                return Err(ManifestError::Name(name.clone()));
            }
        }
        Ok(manifest)
    }
}
