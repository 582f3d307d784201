//! The same pixels.
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::image::Rgb;

/// 16 bytes of BLAKE3 over size and pixels.
///
/// Two different pictures of a billion share a hash with probability 10⁻²¹.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PixelHash([u8; 16]);

impl PixelHash {
    /// The hash of a decoded picture; equal for equal pixels from any format.
    pub fn of(image: &Rgb) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("albef-corpus pixels 1");
        hasher.update(&image.width().to_le_bytes());
        hasher.update(&image.height().to_le_bytes());
        hasher.update(image.pixels());
        let mut hash = [0; 16];
        hasher.finalize_xof().fill(&mut hash);
        Self(hash)
    }

    /// The bytes, for storage.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl From<[u8; 16]> for PixelHash {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// Which picture had these pixels first.
///
/// Memory: 25 bytes a slot, of which 7/16 to 7/8 are filled: at most 58 bytes a picture, and half as much again for a
/// moment while the table grows.
#[derive(Debug, Default)]
pub struct ExactIndex {
    first: HashMap<PixelHash, u64>,
}

impl ExactIndex {
    /// An index of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number under which `hash` came first; nothing, and it is remembered as `number`, if it is new.
    ///
    /// Called in corpus order, the first in that order wins.
    pub fn find_or_insert(&mut self, hash: PixelHash, number: u64) -> Option<u64> {
        match self.first.entry(hash) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(new) => {
                new.insert(number);
                None
            }
        }
    }

    /// Different pictures so far.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}
