//! A difference hash with colours: what stays of a picture when it is resized or re-encoded.
use fast_image_resize::FilterType;
use serde::{Deserialize, Serialize};

use crate::image::{CropBox, ImageError, Resizer, Rgb};

/// 20 bytes that are nearly the same for nearly the same picture.
///
/// The hash is the difference hash (dHash, N. Krawetz, "Kind of Like That", 2013): the picture shrunk to 9 × 8 in grey,
/// a bit for each pixel that is brighter than its right neighbour. It knows nothing of colour, so the means of the four
/// quarters are kept beside it: icons differ in colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// 64 comparisons, row by row from the highest bit.
    pub hash: u64,
    /// Mean colours of the upper left, upper right, lower left and lower right quarter, RGB each.
    pub colours: [u8; 12],
}

const COLUMNS: u32 = 9;
const ROWS: u32 = 8;

/// Bits that must be set, and must be clear: a flat picture's hash is noise, and would be near any other flat one's.
const LEAST_BITS: u32 = 4;

impl Fingerprint {
    /// The fingerprint of a picture; nothing if it is too flat to have one (fewer than 4 bits, or more than 60).
    ///
    /// # Errors
    /// If the picture cannot be resized, which no valid picture causes.
    pub fn of(image: &Rgb, resizer: &mut Resizer) -> Result<Option<Self>, ImageError> {
        let small = resizer.filtered(image, CropBox::whole(image), COLUMNS, ROWS, FilterType::Bilinear)?;
        let (pixels, _) = small.pixels().as_chunks::<3>();
        let grey: Vec<u32> = pixels.iter().map(luma).collect();
        let mut hash = 0_u64;
        for row in grey.chunks_exact(COLUMNS as usize) {
            for pair in row.windows(2) {
                hash = hash << 1 | u64::from(pair[0] > pair[1]);
            }
        }
        if hash.count_ones() < LEAST_BITS || hash.count_zeros() < LEAST_BITS {
            return Ok(None);
        }
        let quarters = resizer.filtered(&small, CropBox::whole(&small), 2, 2, FilterType::Box)?;
        let mut colours = [0; 12];
        for (colour, mean) in colours.iter_mut().zip(quarters.pixels()) {
            *colour = *mean;
        }
        Ok(Some(Self { hash, colours }))
    }

    /// Bits in which the hashes differ, 0 to 64.
    pub fn distance(&self, other: &Self) -> u32 {
        (self.hash ^ other.hash).count_ones()
    }

    /// The largest difference of a colour channel, 0 to 255.
    pub fn colour_distance(&self, other: &Self) -> u8 {
        self.colours.iter().zip(&other.colours).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
    }
}

/// Luma of ITU-R BT.601 in PIL's integers, 0 to 255.
pub(super) fn luma(pixel: &[u8; 3]) -> u32 {
    let [r, g, b] = pixel.map(u32::from);
    (r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16
}
