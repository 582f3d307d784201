//! Permutations of `0..len` that need no table: the image of one index is computed from a key.

/// A pseudo-random permutation of `0..len`.
///
/// A balanced Feistel network (Luby & Rackoff 1988) over the smallest domain of an even number of bits that holds `len`,
/// walked until the value falls below `len` (Black & Rogaway 2002). The domain is less than four times `len`, so a
/// look-up takes fewer than four walks on average.
#[derive(Debug, Clone)]
pub struct Permutation {
    len: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

/// Four rounds are the proven least; two more cost nothing that can be measured.
const ROUNDS: usize = 6;

impl Permutation {
    /// The permutation of `0..len` that `key` names.
    pub fn new(len: u64, key: &Key) -> Self {
        let bits = u64::BITS - len.saturating_sub(1).leading_zeros();
        Self { len, half_bits: bits.div_ceil(2).max(1), keys: key.words() }
    }

    /// Where `index` goes. Indices from `len` on stay where they are.
    pub fn apply(&self, index: u64) -> u64 {
        if index >= self.len || self.len == 1 {
            return index;
        }
        let mut value = index;
        loop {
            value = self.network(value);
            if value < self.len {
                return value;
            }
        }
    }

    fn network(&self, value: u64) -> u64 {
        let mask = (1_u64 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << self.half_bits) | right
    }
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What a random choice is for; two purposes never share a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The order of a corpus's shards in one of its own rounds.
    Shards = 1,
    /// The order of all shards in an epoch.
    Epoch = 2,
    /// The order of samples inside a window.
    Window = 3,
    /// Which caption of a sample is read.
    Caption = 4,
    /// Which sample is read in place of one that cannot be decoded.
    Replacement = 5,
}

/// Names one random choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    seed: u64,
    purpose: Purpose,
    path: [u64; 2],
}

impl Key {
    /// The key of `purpose` at `path`, for a job of this `seed`.
    pub fn new(seed: u64, purpose: Purpose, path: [u64; 2]) -> Self {
        Self { seed, purpose, path }
    }

    /// Independent words for distinct keys.
    pub fn words<const N: usize>(&self) -> [u64; N] {
        let mut hasher = blake3::Hasher::new_derive_key("albef-corpus sample order 1");
        for word in [self.seed, self.purpose as u64, self.path[0], self.path[1]] {
            hasher.update(&word.to_le_bytes());
        }
        let mut output = hasher.finalize_xof();
        std::array::from_fn(|_| {
            let mut word = [0; 8];
            output.fill(&mut word);
            u64::from_le_bytes(word)
        })
    }

    /// A number below `len`, which must not be zero. Its bias is below `len / 2⁶⁴`.
    pub fn below(&self, len: u64) -> u64 {
        let [word] = self.words();
        ((u128::from(word) * u128::from(len)) >> 64) as u64
    }
}
