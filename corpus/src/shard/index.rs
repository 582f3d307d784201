//! Where each sample of a shard lies.
//!
//! A file of fixed-width records, so that one sample is found without reading the others: the magic, the number of
//! entries, the entries of 48 bytes, the BLAKE3 of all that. Numbers are little-endian.

/// First bytes of an index.
const MAGIC: &[u8; 8] = b"ALBEFIX1";
/// Magic and count.
const HEADER: usize = 16;
const ENTRY: usize = 48;
const HASH: usize = 32;

/// One sample: a run of tar members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Where its first member begins in the shard.
    pub offset: u64,
    /// Bytes of all its members.
    pub len: u32,
    /// The image's bytes, counted from `offset`.
    pub image: (u32, u32),
    /// The metadata's bytes, counted from `offset`.
    pub metadata: (u32, u32),
    /// The first half of the BLAKE3 of all its bytes.
    pub hash: [u8; 16],
}

/// All samples of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    /// In the order of the shard.
    pub entries: Vec<Entry>,
}

/// Why an index is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Too short, of another length than it says, or not an index at all.
    #[error(
        "not a shard index, or cut off: {found} bytes where {expected} were expected; build the corpus again"
    )]
    Length {
        /// Bytes there are.
        found: usize,
        /// Bytes there should be.
        expected: usize,
    },
    /// The bytes changed after they were written.
    #[error("damaged: the hash at its end does not fit; copy the file again or build the corpus again")]
    Hash,
    /// An entry points outside itself or before its predecessor's end.
    #[error("entry {0} does not lie where it can; build the corpus again")]
    Entry(usize),
}

impl Index {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.entries.len() * ENTRY + HASH);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&(self.entries.len() as u64).to_le_bytes());
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.offset.to_le_bytes());
            for number in [entry.len, entry.image.0, entry.image.1, entry.metadata.0, entry.metadata.1, 0] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(&entry.hash);
        }
        bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
        bytes
    }

    /// Reads and checks a file's bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IndexError> {
        let length = |expected| IndexError::Length { found: bytes.len(), expected };
        let header = bytes.get(..HEADER).filter(|h| h.starts_with(MAGIC)).ok_or(length(HEADER + HASH))?;
        let count = usize::try_from(word(header, 8)).unwrap_or(usize::MAX);
        let end = count.checked_mul(ENTRY).and_then(|n| n.checked_add(HEADER)).ok_or(length(usize::MAX))?;
        if bytes.len() != end.saturating_add(HASH) {
            return Err(length(end.saturating_add(HASH)));
        }
        if blake3::hash(&bytes[..end]) != bytes[end..] {
            return Err(IndexError::Hash);
        }
        let mut after = 0;
        let entries = bytes[HEADER..end]
            .chunks_exact(ENTRY)
            .enumerate()
            .map(|(number, bytes)| {
                let entry = Entry::from_bytes(bytes);
                if entry.offset < after || !entry.is_sound() {
                    return Err(IndexError::Entry(number));
                }
                after = entry.offset + u64::from(entry.len);
                Ok(entry)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }
}

impl Entry {
    fn from_bytes(bytes: &[u8]) -> Self {
        let number = |at| u32::from_le_bytes(array(bytes, at));
        Self {
            offset: word(bytes, 0),
            len: number(8),
            image: (number(12), number(16)),
            metadata: (number(20), number(24)),
            hash: array(bytes, 32),
        }
    }

    fn is_sound(&self) -> bool {
        let inside = |(at, len): (u32, u32)| at.checked_add(len).is_some_and(|end| end <= self.len);
        self.offset.checked_add(u64::from(self.len)).is_some() && inside(self.image) && inside(self.metadata)
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

/// `N` bytes from `at` on; zeros where there are none, which the length check rules out.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes.get(at + i).copied().unwrap_or(0))
}

/// What an [`Entry`] says of its bytes.
pub(super) fn checksum(bytes: &[u8]) -> [u8; 16] {
    array(blake3::hash(bytes).as_bytes(), 0)
}
