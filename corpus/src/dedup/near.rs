//! Fingerprints near a given one, without comparing all pairs.
//!
//! **Pigeonhole.** The 64 bits are dealt out to three bands. Of at most 5 differing bits, at most one falls on some
//! band, so two near hashes agree on a band up to one bit: looking up each band's value and those one bit away (22 + 23 +
//! 22 look-ups) finds every pair. Three bands of 21 bits with one bit of tolerance leave a thousand times fewer strangers
//! in a bucket than six bands of 10 bits without. Bits are dealt in turn, because neighbouring bits of a difference hash
//! fall together: the margin of every drawing on white is a run of zeros.
//!
//! **Crowds.** Simple drawings share band values. A bucket is a chain until 64 entries; the rest of it is spread over
//! cells of six of the twelve colour channels, of which a look-up needs at most 64. Pictures that are near each other
//! are not in the index twice, so what is left in a cell differs in hash, in the other colours or in detail.
use std::collections::HashMap;

use super::{Detail, Fingerprint};

/// When two pictures count as near.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearness {
    bits: u32,
    colour: u8,
    detail: f64,
}

impl Nearness {
    /// The largest number of differing bits that the bands can find.
    pub const MAX_BITS: u32 = 5;

    /// At most `bits` differing bits (more than 5 count as 5), `colour` levels of difference in each colour channel, and
    /// a [`Detail::difference`] of at most `detail`.
    pub fn new(bits: u32, colour: u8, detail: f64) -> Self {
        Self { bits: bits.min(Self::MAX_BITS), colour, detail }
    }

    /// Whether two fingerprints are near; details are not asked.
    pub fn holds(&self, a: &Fingerprint, b: &Fingerprint) -> bool {
        a.distance(b) <= self.bits && a.colour_distance(b) <= self.colour
    }
}

impl Default for Nearness {
    /// 5 bits, 28 levels, and 0.15 of the contrast.
    fn default() -> Self {
        Self::new(5, 28, 0.15)
    }
}

/// Whose picture an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A picture kept out of training.
    Evaluation(u32),
    /// A picture of the corpus.
    Training(u32),
}

/// The index is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than 4,294,967,294 pictures in one near-duplicate index: build the corpus in parts")]
pub struct TooMany;

/// Known fingerprints; the first in the order of insertion wins.
///
/// Memory: 100 bytes a picture (20 for its fingerprint, 64 for its detail, 12 for its places in three chains, 4 for its
/// number), in vectors that double, so up to 200 and for a moment 300; 16 bytes more for each place of three beyond a bucket's 64; and 48 MiB
/// of bucket heads, which the system hands out only as far as they are used.
#[derive(Debug)]
pub struct NearIndex {
    nearness: Nearness,
    prints: Vec<Fingerprint>,
    /// The caller's numbers.
    numbers: Vec<u32>,
    /// Entries below this belong to the evaluation.
    evaluation: usize,
    /// Of the entries that do not.
    details: Vec<Detail>,
    bands: [Band; BANDS],
}

const BANDS: usize = 3;
/// The first band has 22 bits, the others 21.
const BAND_BITS: u32 = 22;
/// A bucket's entries that stand in a chain.
const CHAIN: u32 = 64;
/// No entry.
const NONE: u32 = u32::MAX;

#[derive(Debug, Default)]
struct Band {
    /// By band value, the newest entry of the chain plus one, 0 for none: fresh zeros cost no memory.
    heads: Vec<u32>,
    /// By entry, the next older one of its chain.
    next: Vec<u32>,
    /// What did not go into a chain, by band value and colour cell.
    crowds: HashMap<u32, HashMap<Cell, Vec<(u64, u32)>>>,
}

/// Six colour channels, each divided by the cells' width.
type Cell = [u8; 6];

/// One channel of each quarter; different ones, since grey pictures have equal channels anyway.
const CELL_CHANNELS: [usize; 6] = [0, 2, 4, 6, 8, 10];

impl NearIndex {
    /// An index that knows nothing.
    pub fn new(nearness: Nearness) -> Self {
        let band = || Band { heads: vec![0; 1 << BAND_BITS], ..Band::default() };
        let bands = std::array::from_fn(|_| band());
        Self { nearness, prints: Vec::new(), numbers: Vec::new(), evaluation: 0, details: Vec::new(), bands }
    }

    /// An index that knows the pictures of the evaluation, which are numbered in order from 0; pictures without a
    /// fingerprint are passed over.
    ///
    /// All of them are kept, near each other or not: every one has a neighbourhood of its own to be kept clear.
    ///
    /// # Errors
    /// If there are too many.
    pub fn with_evaluation(
        nearness: Nearness,
        pictures: impl IntoIterator<Item = Option<Fingerprint>>,
    ) -> Result<Self, TooMany> {
        let mut index = Self::new(nearness);
        for (number, print) in pictures.into_iter().enumerate() {
            let number = u32::try_from(number).map_err(|_| TooMany)?;
            match print {
                Some(print) if !index.has_equal(&print) => index.insert(print, number)?,
                _ => {}
            }
        }
        index.evaluation = index.prints.len();
        Ok(index)
    }

    /// The owner of the first entry near `print` and `detail`; nothing, and it is remembered as `number`, if there is
    /// none. A picture of the evaluation is near by its fingerprint alone: what may leak is left out in doubt.
    ///
    /// Called in corpus order, the result depends on nothing else. A picture that is near another is not remembered: a
    /// third that is near the second alone counts as new.
    ///
    /// # Errors
    /// If the index is full.
    pub fn find_or_insert(
        &mut self,
        print: Fingerprint,
        detail: Detail,
        number: u32,
    ) -> Result<Option<Owner>, TooMany> {
        let found = self.find(&print, &detail);
        if found.is_none() {
            self.insert(print, number)?;
            self.details.push(detail);
        }
        Ok(found)
    }

    /// The owner of the first entry near `print` and `detail`.
    pub fn find(&self, print: &Fingerprint, detail: &Detail) -> Option<Owner> {
        let mut first = NONE;
        self.visit(print, |entry| {
            if entry < first && self.is_alike(entry, detail) {
                first = entry;
            }
        });
        let number = self.numbers.get(first as usize).copied()?;
        Some(match (first as usize) < self.evaluation {
            true => Owner::Evaluation(number),
            false => Owner::Training(number),
        })
    }

    /// Fingerprints in the index.
    pub fn len(&self) -> usize {
        self.prints.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.prints.is_empty()
    }

    /// Bytes of memory that the entries hold, without the bucket heads.
    pub fn entry_bytes(&self) -> usize {
        let entries = self.prints.capacity() * size_of::<Fingerprint>() + self.numbers.capacity() * 4;
        let entries = entries + self.details.capacity() * size_of::<Detail>();
        entries + self.bands.iter().map(Band::entry_bytes).sum::<usize>()
    }

    /// Whether a picture that is near by its fingerprint is so by its detail.
    fn is_alike(&self, entry: u32, detail: &Detail) -> bool {
        let training = (entry as usize).checked_sub(self.evaluation);
        let known = training.and_then(|entry| self.details.get(entry));
        known.is_none_or(|known| known.difference(detail) <= self.nearness.detail)
    }

    fn has_equal(&self, print: &Fingerprint) -> bool {
        let mut equal = false;
        self.visit(print, |entry| equal |= self.prints.get(entry as usize) == Some(print));
        equal
    }

    fn insert(&mut self, print: Fingerprint, number: u32) -> Result<(), TooMany> {
        let entry = u32::try_from(self.prints.len()).ok().filter(|&e| e < NONE).ok_or(TooMany)?;
        let cell = self.cell(&print.colours);
        for (which, band) in self.bands.iter_mut().enumerate() {
            band.insert(band_value(print.hash, which), cell, print.hash, entry);
        }
        self.prints.push(print);
        self.numbers.push(number);
        Ok(())
    }

    /// Calls `found` with each entry near `print`, at least once and in no order.
    fn visit(&self, print: &Fingerprint, mut found: impl FnMut(u32)) {
        let cells = self.cells_near(&print.colours);
        for (which, band) in self.bands.iter().enumerate() {
            let value = band_value(print.hash, which);
            let one_bit_away = (0..band_bits(which)).map(|bit| value ^ (1 << bit));
            for value in std::iter::once(value).chain(one_bit_away) {
                band.visit(value, &cells, |hash, entry| {
                    // The hash decides in most cases, and a crowd has it at hand.
                    if hash.is_some_and(|hash| (hash ^ print.hash).count_ones() > self.nearness.bits) {
                        return;
                    }
                    if self.prints.get(entry as usize).is_some_and(|p| self.nearness.holds(p, print)) {
                        found(entry);
                    }
                });
            }
        }
    }

    /// The width of a colour cell: a neighbourhood of ±`colour` then lies in at most two cells of a channel.
    fn cell_width(&self) -> u16 {
        2 * u16::from(self.nearness.colour) + 1
    }

    fn cell(&self, colours: &[u8; 12]) -> Cell {
        CELL_CHANNELS.map(|channel| (u16::from(colours[channel]) / self.cell_width()) as u8)
    }

    /// Every cell that may hold colours near these.
    fn cells_near(&self, colours: &[u8; 12]) -> Vec<Cell> {
        let reach =
            |colours: &[u8; 12], sign: fn(u8, u8) -> u8| colours.map(|c| sign(c, self.nearness.colour));
        let lowest = self.cell(&reach(colours, u8::saturating_sub));
        let highest = self.cell(&reach(colours, u8::saturating_add));
        let mut cells = vec![lowest];
        for channel in 0..CELL_CHANNELS.len() {
            if highest[channel] != lowest[channel] {
                for at in 0..cells.len() {
                    let mut above = cells[at];
                    above[channel] = highest[channel];
                    cells.push(above);
                }
            }
        }
        cells
    }
}

impl Band {
    fn insert(&mut self, value: u32, cell: Cell, hash: u64, entry: u32) {
        self.next.push(NONE);
        let Some(head) = self.heads.get_mut(value as usize) else { return };
        // Counting costs no more than the look-up that came before.
        let mut length = 0;
        let mut at = head.wrapping_sub(1);
        while length < CHAIN && at != NONE {
            at = self.next.get(at as usize).copied().unwrap_or(NONE);
            length += 1;
        }
        if length < CHAIN {
            if let Some(next) = self.next.last_mut() {
                *next = head.wrapping_sub(1);
            }
            *head = entry + 1;
        } else {
            self.crowds.entry(value).or_default().entry(cell).or_default().push((hash, entry));
        }
    }

    /// Calls `found` with each entry of a band value whose colours may be near, and its hash if it is at hand.
    fn visit(&self, value: u32, cells: &[Cell], mut found: impl FnMut(Option<u64>, u32)) {
        let mut at = self.heads.get(value as usize).copied().unwrap_or(0).wrapping_sub(1);
        let mut length = 0;
        while let Some(next) = self.next.get(at as usize) {
            found(None, at);
            at = *next;
            length += 1;
        }
        if length < CHAIN {
            return;
        }
        let Some(crowd) = self.crowds.get(&value) else { return };
        for (hash, entry) in cells.iter().filter_map(|cell| crowd.get(cell)).flatten() {
            found(Some(*hash), *entry);
        }
    }

    fn entry_bytes(&self) -> usize {
        let crowds = self.crowds.values().flat_map(HashMap::values).map(|c| c.capacity() * 16).sum::<usize>();
        self.next.capacity() * 4 + crowds
    }
}

/// Bits of a band.
fn band_bits(which: usize) -> u32 {
    if which == 0 { BAND_BITS } else { BAND_BITS - 1 }
}

/// Every third bit of `hash`, from bit `which` on, packed.
fn band_value(hash: u64, which: usize) -> u32 {
    (0..band_bits(which)).fold(0, |value, bit| {
        let from = 3 * bit + which as u32;
        value | ((hash >> from & 1) as u32) << bit
    })
}
