//! Configuration of the augmentation; every default is the published value.
use serde::{Deserialize, Serialize};

use super::{Error, MAX_LEVEL, OperationName};

/// The table `augment` of a job's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Least and greatest share of the image's area that a crop takes. Published: 0.2 to 1.
    pub scale: (f64, f64),
    /// Least and greatest aspect ratio of a crop, width / height. Published: 3/4 to 4/3.
    pub ratio: (f64, f64),
    /// Whether half of the images are mirrored. Published: yes.
    pub flip: bool,
    /// Words whose captions keep an image from being mirrored, for example `["left", "right"]`. Published: none.
    pub flip_guard: Vec<String>,
    /// The operations after the flip.
    pub rand_augment: RandAugmentConfig,
}

/// The table `augment.rand_augment`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandAugmentConfig {
    /// Operations drawn for an image, with replacement; 0 switches them off. Published: 2.
    pub n: usize,
    /// Level of every operation, 0 to 10. Published: 7.
    pub m: f64,
    /// Probability that a drawn operation is carried out. Published: 0.5.
    pub probability: f64,
    /// The list that is drawn from; naming one twice makes it twice as likely. Published: all ten.
    pub operations: Vec<OperationName>,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            scale: (0.2, 1.0),
            ratio: (3.0 / 4.0, 4.0 / 3.0),
            flip: true,
            flip_guard: Vec::new(),
            rand_augment: RandAugmentConfig::default(),
        }
    }
}

impl Default for RandAugmentConfig {
    fn default() -> Self {
        Self { n: 2, m: 7.0, probability: 0.5, operations: OperationName::ALL.to_vec() }
    }
}

/// More operations than anybody wants; a typing error would slow down every image.
const MOST_OPERATIONS: usize = 16;

impl AugmentConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Config`] names the first key that is wrong and what would be valid.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { scale, ratio, flip_guard, rand_augment, flip: _ } = self;
        let RandAugmentConfig { n, m, probability, operations } = rand_augment;
        let check = |holds: bool, field: &'static str, value: String, remedy: &'static str| {
            if holds { Ok(()) } else { Err(Error::Config { field, value, remedy }) }
        };
        let text = |(low, high): (f64, f64)| format!("[{low}, {high}]");
        let no_word = flip_guard.iter().find(|w| w.is_empty() || !w.chars().all(char::is_alphanumeric));
        check(
            0.0 < scale.0 && scale.0 <= scale.1 && scale.1 <= 1.0,
            "scale",
            text(*scale),
            "give two shares of the area, the lower first, above 0 and at most 1",
        )?;
        check(
            0.0 < ratio.0 && ratio.0 <= ratio.1 && ratio.1.is_finite(),
            "ratio",
            text(*ratio),
            "give two aspect ratios (width / height), the lower first, above 0",
        )?;
        check(
            no_word.is_none(),
            "flip_guard",
            format!("{:?}", no_word.map_or("", String::as_str)),
            "give single words of letters and digits",
        )?;
        check(*n <= MOST_OPERATIONS, "rand_augment.n", n.to_string(), "give 0 to 16 operations")?;
        check((0.0..=MAX_LEVEL).contains(m), "rand_augment.m", m.to_string(), "give a level from 0 to 10")?;
        check(
            (0.0..=1.0).contains(probability),
            "rand_augment.probability",
            probability.to_string(),
            "give a probability from 0 to 1",
        )?;
        check(
            *n == 0 || !operations.is_empty(),
            "rand_augment.operations",
            "[]".to_owned(),
            "name at least one operation, or set n = 0",
        )
    }
}
