//! Reading a corpus: the manifest at once, indexes as they are needed, samples one by one.
use std::sync::Arc;

use quick_cache::sync::Cache;

use super::{Index, IndexError, Manifest, ManifestError, PackError, Sample, ShardInfo, unpack};
use crate::storage::{Storage, StorageError};

/// Name of the manifest.
pub const MANIFEST: &str = "manifest.json";

/// Indexes that are kept unless [`Corpus::keeping_indexes`] says otherwise. Fewer than are read from in turns cost reads,
/// never correctness.
const INDEXES: usize = 1024;

/// A finished corpus. Cheap to share between threads.
#[derive(Debug)]
pub struct Corpus {
    storage: Storage,
    manifest: Manifest,
    hash: blake3::Hash,
    indexes: Cache<usize, Arc<Index>>,
}

/// Why a corpus or a sample of it cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The storage did not give the bytes.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is no manifest.
    #[error("{0:?} holds no finished corpus (no {MANIFEST}): run `albef corpus build` to the end")]
    Unfinished(String),
    /// The manifest is not one.
    #[error("{path:?}: {source}")]
    Manifest {
        /// The manifest.
        path: String,
        /// What is wrong.
        source: ManifestError,
    },
    /// An index is damaged, or belongs to another build.
    #[error("{path:?}: {source}")]
    Index {
        /// The index.
        path: String,
        /// What is wrong.
        source: IndexError,
    },
    /// A file is not the one that the manifest describes.
    #[error(
        "{path:?} is not the file of this corpus: its length or hash differs; copy it again or build the corpus again"
    )]
    Foreign {
        /// The file.
        path: String,
    },
    /// A sample that does not exist was asked for.
    #[error("{path:?} has no sample {index}")]
    NoSample {
        /// The shard.
        path: String,
        /// The sample asked for.
        index: u64,
    },
    /// The bytes of a sample are damaged.
    #[error("{path:?} sample {index}: {source}")]
    Sample {
        /// The shard.
        path: String,
        /// Its number in the shard.
        index: u64,
        /// What is wrong.
        source: PackError,
    },
}

impl ReadError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Storage(error) if error.is_transient())
    }
}

impl Corpus {
    /// Opens the corpus in a folder or at an object store's URL.
    pub fn open(location: &str) -> Result<Self, ReadError> {
        let storage = Storage::open(location)?;
        if !storage.exists(MANIFEST)? {
            return Err(ReadError::Unfinished(location.to_owned()));
        }
        let bytes = storage.read(MANIFEST)?;
        let manifest = Manifest::from_bytes(&bytes)
            .map_err(|source| ReadError::Manifest { path: storage.path(MANIFEST), source })?;
        Ok(Self { storage, manifest, hash: blake3::hash(&bytes), indexes: Cache::new(INDEXES) })
    }

    /// Hash of the manifest, which has the hashes of all other files: two corpora with one hash are the same bytes.
    pub fn hash(&self) -> blake3::Hash {
        self.hash
    }

    /// Keeps the indexes of `shards` shards at once, 48 bytes a sample, as many as are read from in turns.
    #[must_use]
    pub fn keeping_indexes(self, shards: usize) -> Self {
        let shards = shards.clamp(1, self.manifest.shards.len().max(1));
        Self { indexes: Cache::new(shards), ..self }
    }

    /// What the corpus consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Samples of each shard.
    pub fn shard_sizes(&self) -> Vec<u64> {
        self.manifest.shards.iter().map(|shard| shard.samples).collect()
    }

    /// Reads sample `index` of shard `shard` and checks its hash. Costs one positioned read, and once per shard the
    /// reading of its index.
    pub fn sample(&self, shard: usize, index: u64) -> Result<Sample, ReadError> {
        let Some(info) = self.manifest.shards.get(shard) else {
            return Err(ReadError::NoSample { path: self.storage.path(&format!("shard {shard}")), index });
        };
        let entries = self.index(shard, info)?;
        let path = || self.storage.path(&info.data.name);
        let Some(entry) = usize::try_from(index).ok().and_then(|i| entries.entries.get(i)) else {
            return Err(ReadError::NoSample { path: path(), index });
        };
        let range = entry.offset..entry.offset + u64::from(entry.len);
        let bytes = self.storage.read_range(&info.data.name, range)?;
        unpack(entry, &bytes).map_err(|source| ReadError::Sample { path: path(), index, source })
    }

    /// Where the samples of a shard lie.
    pub fn index_of(&self, shard: usize) -> Result<Arc<Index>, ReadError> {
        match self.manifest.shards.get(shard) {
            Some(info) => self.index(shard, info),
            None => Err(ReadError::NoSample { path: self.storage.path(&format!("shard {shard}")), index: 0 }),
        }
    }

    fn index(&self, shard: usize, info: &ShardInfo) -> Result<Arc<Index>, ReadError> {
        self.indexes.get_or_insert_with(&shard, || {
            let path = || self.storage.path(&info.index.name);
            let bytes = self.storage.read(&info.index.name)?;
            if !info.index.fits(&bytes) {
                return Err(ReadError::Foreign { path: path() });
            }
            let index =
                Index::from_bytes(&bytes).map_err(|source| ReadError::Index { path: path(), source })?;
            if index.entries.len() as u64 != info.samples {
                return Err(ReadError::Foreign { path: path() });
            }
            Ok(Arc::new(index))
        })
    }

    /// Reads a whole shard and compares it with the manifest: what `albef corpus verify` does for each.
    pub fn verify(&self, shard: usize) -> Result<(), ReadError> {
        let index = self.index_of(shard)?;
        let Some(info) = self.manifest.shards.get(shard) else { return Ok(()) };
        let bytes = self.storage.read(&info.data.name)?;
        let end = index.entries.last().map_or(0, |e| e.offset + u64::from(e.len));
        if !info.data.fits(&bytes) || end > bytes.len() as u64 {
            return Err(ReadError::Foreign { path: self.storage.path(&info.data.name) });
        }
        Ok(())
    }
}
