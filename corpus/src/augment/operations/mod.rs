//! The operations of RandAugment.
//!
//! Cubuk et al. 2020 (arXiv:1909.13719) with the list, the levels and the arithmetic of the published ALBEF code.
pub(super) mod affine;
pub(super) mod sharpness;
pub(super) mod tables;

pub(super) use affine::Lanes;
use rand::Rng;
use serde::{Deserialize, Serialize};

/// The highest level of an operation.
pub const MAX_LEVEL: f64 = 10.0;

/// What the geometric operations show where the image has no pixel.
const FILL: u8 = 128;

/// An operation with its argument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// Changes nothing.
    Identity,
    /// Stretches each channel to 0..=255.
    AutoContrast,
    /// Makes each channel's values about equally frequent.
    Equalize,
    /// Multiplies by this factor.
    Brightness(f64),
    /// Moves away from the smoothed image by this factor; 1 changes nothing. As published, a value that leaves 0..=255
    /// wraps around. The outermost pixels stay.
    Sharpness(f64),
    /// Moves each row by this factor times its number.
    ShearX(f64),
    /// Moves each column by this factor times its number.
    ShearY(f64),
    /// Moves the image left by so many pixels.
    TranslateX(f64),
    /// Moves the image up by so many pixels.
    TranslateY(f64),
    /// Turns counter-clockwise about (width / 2, height / 2) by so many degrees.
    Rotate(f64),
}

/// An operation as a configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OperationName {
    /// [`Operation::Identity`]
    Identity,
    /// [`Operation::AutoContrast`]
    AutoContrast,
    /// [`Operation::Equalize`]
    Equalize,
    /// [`Operation::Brightness`]
    Brightness,
    /// [`Operation::Sharpness`]
    Sharpness,
    /// [`Operation::ShearX`]
    ShearX,
    /// [`Operation::ShearY`]
    ShearY,
    /// [`Operation::TranslateX`]
    TranslateX,
    /// [`Operation::TranslateY`]
    TranslateY,
    /// [`Operation::Rotate`]
    Rotate,
}

impl OperationName {
    /// Every operation, in the order of the published list.
    pub const ALL: [Self; 10] = [
        Self::Identity,
        Self::AutoContrast,
        Self::Equalize,
        Self::Brightness,
        Self::Sharpness,
        Self::ShearX,
        Self::ShearY,
        Self::TranslateX,
        Self::TranslateY,
        Self::Rotate,
    ];

    /// The operation at `level` (0 to [`MAX_LEVEL`]). Factors grow from 0.1 to 1.9; shears to 0.3, translations to 10
    /// pixels and rotations to 30°, each to either side with equal probability.
    pub fn at(self, level: f64, rng: &mut impl Rng) -> Operation {
        let share = level / MAX_LEVEL;
        let mut either_side = |size: f64| if rng.random::<f64>() < 0.5 { -size } else { size };
        match self {
            Self::Identity => Operation::Identity,
            Self::AutoContrast => Operation::AutoContrast,
            Self::Equalize => Operation::Equalize,
            Self::Brightness => Operation::Brightness(share * 1.8 + 0.1),
            Self::Sharpness => Operation::Sharpness(share * 1.8 + 0.1),
            Self::ShearX => Operation::ShearX(either_side(share * 0.3)),
            Self::ShearY => Operation::ShearY(either_side(share * 0.3)),
            Self::TranslateX => Operation::TranslateX(either_side(share * 10.0)),
            Self::TranslateY => Operation::TranslateY(either_side(share * 10.0)),
            Self::Rotate => Operation::Rotate(either_side(share * 30.0)),
        }
    }
}
