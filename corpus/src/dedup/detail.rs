//! What a picture looks like at 8 × 8: whether two pictures of near fingerprints are one.
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use fast_image_resize::FilterType;
use serde::{Deserialize, Serialize};

use super::dhash::luma;
use crate::image::{CropBox, ImageError, Resizer, Rgb};

const SIDE: u32 = 8;
const CELLS: usize = (SIDE * SIDE) as usize;

/// Root mean square difference, in levels of 255, that re-encoding alone makes; of pictures with little on them it is
/// all there is.
const NOISE: f64 = 2.0;

/// A picture shrunk to 8 × 8 in grey, 64 bytes.
///
/// A difference hash says which of two neighbours is brighter, not by how much: of a small thing on a white page it sees
/// little more than that there is one. Of 45 pictures of openclipart and of the manual of GIMP that had an earlier one
/// within 5 bits and 28 levels, 6 are the same picture by eye and 36 another. See docs/noise.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Detail([u8; CELLS]);

impl Default for Detail {
    /// Black.
    fn default() -> Self {
        Self([0; CELLS])
    }
}

impl Detail {
    /// The detail of a picture.
    ///
    /// # Errors
    /// If the picture cannot be resized, which no valid picture causes.
    pub fn of(image: &Rgb, resizer: &mut Resizer) -> Result<Self, ImageError> {
        let small = resizer.filtered(image, CropBox::whole(image), SIDE, SIDE, FilterType::Bilinear)?;
        let mut cells = [0; CELLS];
        for (cell, pixel) in cells.iter_mut().zip(small.pixels().as_chunks::<3>().0) {
            *cell = luma(pixel) as u8;
        }
        Ok(Self(cells))
    }

    /// How far two pictures are apart, measured by their contrast: the root mean square of the difference, divided by the
    /// root mean square of both pictures' deviations from their means. 0 is the same, unrelated pictures are about 1.4
    /// apart; a difference of no more than 2 levels of 255 counts as none.
    pub fn difference(&self, other: &Self) -> f64 {
        let squares = |a: u8, b: u8| (f64::from(a) - f64::from(b)).powi(2);
        let of_cells = |sum: f64| sum / CELLS as f64;
        let apart = of_cells(self.0.iter().zip(&other.0).map(|(a, b)| squares(*a, *b)).sum()).sqrt();
        if apart <= NOISE {
            return 0.0;
        }
        let contrast = ((self.variance() + other.variance()) / 2.0).sqrt();
        // Two flat pictures of different greys have no contrast at all.
        if contrast > 0.0 { apart / contrast } else { f64::INFINITY }
    }

    fn variance(&self) -> f64 {
        let (sum, squares) = self.0.iter().fold((0_u64, 0_u64), |(sum, squares), &cell| {
            let cell = u64::from(cell);
            (sum + cell, squares + cell * cell)
        });
        let mean = sum as f64 / CELLS as f64;
        (squares as f64 / CELLS as f64 - mean * mean).max(0.0)
    }
}

impl From<Detail> for String {
    fn from(detail: Detail) -> Self {
        STANDARD_NO_PAD.encode(detail.0)
    }
}

impl TryFrom<String> for Detail {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = STANDARD_NO_PAD.decode(text).ok();
        bytes.and_then(|b| b.try_into().ok()).map(Self).ok_or("64 bytes in base64 expected")
    }
}
