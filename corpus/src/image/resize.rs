//! Cutting and resizing as PIL's bicubic filter does.
use std::fmt;

use fast_image_resize as fir;
use fir::images::{CroppedImage, Image, ImageRef};

use super::{ImageError, Rgb};

/// A rectangle in the pixels of a picture; fractions arise where the picture was decoded at a smaller size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CropBox {
    /// Its left edge.
    pub left: f64,
    /// Its upper edge.
    pub top: f64,
    /// Its width, above 0.
    pub width: f64,
    /// Its height, above 0.
    pub height: f64,
}

impl CropBox {
    /// All of `image`.
    pub fn whole(image: &Rgb) -> Self {
        Self { left: 0.0, top: 0.0, width: f64::from(image.width()), height: f64::from(image.height()) }
    }

    /// The same part of a picture whose sides were divided by `divisor`.
    pub fn divided(self, divisor: u32) -> Self {
        let divide = |x: f64| x / f64::from(divisor);
        Self {
            left: divide(self.left),
            top: divide(self.top),
            width: divide(self.width),
            height: divide(self.height),
        }
    }
}

impl fmt::Display for CropBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {} at ({}, {})", self.width, self.height, self.left, self.top)
    }
}

/// Resizes pictures, keeping its buffers from one to the next: one for each thread.
#[derive(Debug, Default)]
pub struct Resizer {
    inner: fir::Resizer,
}

/// The longest side of a result.
const MAX_SIDE: u32 = 1 << 16;

impl Resizer {
    /// A resizer with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts `crop` out of `image` and resizes it to `width × height`, as PIL's `image.crop(…).resize(…, BICUBIC)`:
    /// the cubic filter of a = −0.5, widened by the scale when shrinking, with 8 bits between its two passes.
    ///
    /// Only pixels that the crop touches are read.
    ///
    /// # Errors
    /// If the crop is empty or reaches outside of the picture, or a side is 0 or above 65,536.
    pub fn crop(&mut self, image: &Rgb, crop: CropBox, width: u32, height: u32) -> Result<Rgb, ImageError> {
        self.filtered(image, crop, width, height, fir::FilterType::CatmullRom)
    }

    pub(crate) fn filtered(
        &mut self,
        image: &Rgb,
        crop: CropBox,
        width: u32,
        height: u32,
        filter: fir::FilterType,
    ) -> Result<Rgb, ImageError> {
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(ImageError::Size { width, height, limit: MAX_SIDE });
        }
        let outside =
            || ImageError::Crop { crop: crop.to_string(), width: image.width(), height: image.height() };
        let (left, columns) = touched(crop.left, crop.width, image.width()).ok_or_else(outside)?;
        let (top, rows) = touched(crop.top, crop.height, image.height()).ok_or_else(outside)?;

        let source = ImageRef::new(image.width(), image.height(), image.pixels(), fir::PixelType::U8x3)
            .map_err(library)?;
        let source = CroppedImage::new(&source, left, top, columns, rows).map_err(library)?;
        // Rows before columns, as PIL: between the two passes overshoot is cut off, so that the order shows.
        let algorithm = fir::ResizeAlg::Convolution(filter);
        let options = fir::ResizeOptions::new().resize_alg(algorithm).use_alpha(false);
        let mut narrow = Image::new(width, rows, fir::PixelType::U8x3);
        let across =
            (crop.left - f64::from(left), crop.width.min(f64::from(columns) - (crop.left - f64::from(left))));
        let horizontal = options.crop(across.0, 0.0, across.1, f64::from(rows));
        self.inner.resize(&source, &mut narrow, &horizontal).map_err(library)?;
        let mut resized = Image::new(width, height, fir::PixelType::U8x3);
        let down =
            (crop.top - f64::from(top), crop.height.min(f64::from(rows) - (crop.top - f64::from(top))));
        let vertical = options.crop(0.0, down.0, f64::from(width), down.1);
        self.inner.resize(&narrow, &mut resized, &vertical).map_err(library)?;
        Rgb::new(width, height, resized.into_vec())
    }
}

/// First pixel and number of the pixels that `[from, from + length)` touches of a side of `side` pixels.
fn touched(from: f64, length: f64, side: u32) -> Option<(u32, u32)> {
    // A box computed in floating point may miss the edge by its rounding.
    const SLACK: f64 = 1e-6;
    let inside = from >= 0.0 && length > 0.0 && from + length <= f64::from(side) + SLACK;
    if !inside {
        return None;
    }
    let first = from.floor() as u32;
    let end = ((from + length - SLACK).ceil() as u32).clamp(first + 1, side.max(first + 1));
    (end <= side).then_some((first, end - first))
}

fn library(error: impl std::error::Error + Send + Sync + 'static) -> ImageError {
    ImageError::Library { what: "fast_image_resize", source: error.into() }
}
