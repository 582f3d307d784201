//! The random choices of one sample.
use rand::Rng;

use super::{AugmentConfig, Crop, Operation, RandAugmentConfig};

/// Everything that augmentation does to one sample, in this order: crop and resize, flip, operations.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What to cut out of the source image; the loader resizes it to the model's square.
    pub crop: Crop,
    /// Whether to mirror left to right.
    pub flip: bool,
    /// What to do then, in sequence.
    pub operations: Vec<Operation>,
}

impl AugmentConfig {
    /// Draws the plan for a source image of `size` (width, height) and its caption.
    ///
    /// A pure function of its arguments; the loader keys `rng` by (seed, step, logical rank, index in the batch). The
    /// caption decides about the flip and about nothing else.
    pub fn draw(&self, rng: &mut impl Rng, size: (u32, u32), caption: &str) -> Plan {
        let crop = Crop::draw(rng, size, self.scale, self.ratio);
        // Drawn in any case, so that operations do not change with the caption or the switch.
        let heads = rng.random::<f64>() < 0.5;
        let flip = heads && self.flip && !self.guarded(caption);
        Plan { crop, flip, operations: self.rand_augment.draw(rng) }
    }

    /// Whether the caption has one of the words of `flip_guard`, in any case, punctuation around it aside.
    fn guarded(&self, caption: &str) -> bool {
        let lower = |word: &str| word.chars().flat_map(char::to_lowercase).collect::<String>();
        !self.flip_guard.is_empty()
            && caption
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .any(|word| self.flip_guard.iter().any(|guard| lower(guard) == lower(word)))
    }
}

impl RandAugmentConfig {
    /// Draws `n` operations with replacement and keeps each with `probability`.
    fn draw(&self, rng: &mut impl Rng) -> Vec<Operation> {
        let drawn: Vec<usize> = match self.operations.len() {
            0 => Vec::new(),
            count => (0..self.n).map(|_| rng.random_range(0..count as u32) as usize).collect(),
        };
        drawn
            .into_iter()
            .filter_map(|i| {
                let kept = rng.random::<f64>() < self.probability;
                kept.then(|| self.operations[i].at(self.m, rng))
            })
            .collect()
    }
}
