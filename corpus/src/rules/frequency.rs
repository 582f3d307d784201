//! Boilerplate: captions that too many images share, or that a page repeats with the same image.
//!
//! Two passes. The first [adds](CaptionFrequency::add) every (source, caption, image) of the corpus, in any order and in
//! any number of tables that are [merged](CaptionFrequency::merge); the second [judges](CaptionFrequency::judge) each
//! pair. The verdict does not depend on the order of the first pass.
//!
//! What is counted are *different images*, as ALIGN does (Jia et al., arXiv:2102.05918: alt texts shared by more than 10
//! images): several records of one image with one caption are duplicates, of which one may stay. A navigation arrow that
//! comes with "Next" on a thousand pages is one image, though, therefore the records of a pair have a threshold of their
//! own. Captions are counted per source, because a name that ten drawing styles of one package share is a concept, and
//! so is the same name in another package; a builder that reads hundreds of packages as one source counts each by itself.
//!
//! Captions are compared without case, punctuation and spacing. They are kept as 64-bit hashes and images as 32-bit ones:
//! two of a billion captions collide with probability 0.03, and then only when both are common does it matter.
//!
//! Memory: a caption of one image (nearly all are) costs 17 bytes in a table that is between 44 and 88 % full, 20 to 39
//! bytes; one of several images moves to a table of 33 bytes, and has a list of its images of up to 16 bytes each, which
//! ends at one image over the threshold.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::caption::CaptionRules;
use super::{Finding, Reason, Result};

/// How often each caption of a corpus occurs.
#[derive(Debug, Clone)]
pub struct CaptionFrequency {
    max_images: usize,
    max_records: u32,
    enabled: bool,
    /// By caption: those seen with one image only.
    single: HashMap<u64, Pair>,
    /// By caption: those seen with several images, up to one more than the threshold.
    shared: HashMap<u64, Vec<Pair>>,
}

/// An image that came with a caption, and in how many records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    image: u32,
    records: u32,
}

impl CaptionFrequency {
    /// An empty table with the thresholds of `rules`.
    ///
    /// # Errors
    /// Those of [`CaptionRules::validate`].
    pub fn new(rules: &CaptionRules) -> Result<Self> {
        rules.validate()?;
        Ok(Self {
            max_images: rules.max_images_per_caption,
            max_records: u32::try_from(rules.max_records_per_pair).unwrap_or(u32::MAX),
            enabled: rules.has(Reason::CaptionBoilerplate),
            single: HashMap::new(),
            shared: HashMap::new(),
        })
    }

    /// Counts a record of `source` that the other rules left. `image` is a hash of the image's content or, where that is
    /// unknown, of its path; the same image must always have the same one.
    pub fn add(&mut self, source: u32, caption: &str, image: u64) {
        if let (true, Some(key)) = (self.enabled, key(source, caption)) {
            self.add_pair(key, Pair { image: fold(image), records: 1 });
        }
    }

    /// Adds what `other` counted, as if all its records had been added here.
    pub fn merge(&mut self, other: Self) {
        for (key, pair) in other.single {
            self.add_pair(key, pair);
        }
        for (key, pairs) in other.shared {
            for pair in pairs {
                self.add_pair(key, pair);
            }
        }
    }

    /// Why the pair is boilerplate, if it is.
    ///
    /// The finding of a caption that too many images share says one image more than allowed: beyond that nobody counts.
    pub fn judge(&self, source: u32, caption: &str, image: u64) -> Option<Finding> {
        let key = key(source, caption).filter(|_| self.enabled)?;
        let pairs = match (self.single.get(&key), self.shared.get(&key)) {
            (Some(pair), _) => std::slice::from_ref(pair),
            (None, Some(pairs)) => pairs,
            (None, None) => return None,
        };
        let number = |measured: usize, threshold: usize| {
            Some(Finding::number(Reason::CaptionBoilerplate, measured as f64, threshold as f64))
        };
        if pairs.len() > self.max_images {
            return number(pairs.len(), self.max_images);
        }
        let image = fold(image);
        let records = pairs.iter().find(|pair| pair.image == image)?.records;
        if records > self.max_records { number(records as usize, self.max_records as usize) } else { None }
    }

    /// Different captions counted so far.
    pub fn len(&self) -> usize {
        self.single.len() + self.shared.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn add_pair(&mut self, key: u64, pair: Pair) {
        if let Some(pairs) = self.shared.get_mut(&key) {
            return add_to(pairs, pair, self.max_images);
        }
        match self.single.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(pair);
            }
            Entry::Occupied(mut entry) if entry.get().image == pair.image => {
                let records = &mut entry.get_mut().records;
                *records = records.saturating_add(pair.records);
            }
            Entry::Occupied(entry) => {
                let first = entry.remove();
                self.shared.insert(key, vec![first, pair]);
            }
        }
    }
}

/// Keeps no more than one image over the threshold: more do not change the verdict.
fn add_to(pairs: &mut Vec<Pair>, pair: Pair, max_images: usize) {
    if let Some(known) = pairs.iter_mut().find(|known| known.image == pair.image) {
        known.records = known.records.saturating_add(pair.records);
    } else if pairs.len() <= max_images {
        pairs.push(pair);
    }
}

/// The hash of a source and a caption without case, punctuation and spacing; none without a letter or digit.
fn key(source: u32, caption: &str) -> Option<u64> {
    let mut normalised = String::with_capacity(caption.len());
    for word in caption.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        normalised.extend(word.chars().flat_map(char::to_lowercase));
        normalised.push(' ');
    }
    if normalised.is_empty() {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&source.to_le_bytes()).update(normalised.as_bytes());
    let mut key = [0; 8];
    hasher.finalize_xof().fill(&mut key);
    Some(u64::from_le_bytes(key))
}

/// Both halves of a hash in one.
fn fold(hash: u64) -> u32 {
    (hash ^ (hash >> 32)) as u32
}

#[cfg(test)]
mod tests;
