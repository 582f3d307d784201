//! Writing pictures; the same picture always gives the same bytes.
use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};
use turbojpeg::{Compressor, PixelFormat, Subsamp};

use super::{CropBox, Format, ImageError, Resizer, Rgb};

/// How a picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// JPEG, baseline, with Huffman tables of its own and halved chroma, of a quality from 1 to 100.
    Jpeg {
        /// 1 to 100; 90 is hard to tell from the original.
        quality: u8,
    },
    /// PNG.
    Png,
    /// Lossless WebP, about a quarter smaller than PNG.
    WebP,
}

impl Encoding {
    /// The format that is written.
    pub fn format(self) -> Format {
        match self {
            Self::Jpeg { .. } => Format::Jpeg,
            Self::Png => Format::Png,
            Self::WebP => Format::WebP,
        }
    }
}

/// Writes `image`.
///
/// # Errors
/// If the quality is not one of JPEG, or a side is longer than the format can say (JPEG 65,500; WebP 16,384).
pub fn encode(image: &Rgb, encoding: Encoding) -> Result<Vec<u8>, ImageError> {
    let (width, height) = (image.width(), image.height());
    let longest = |limit| match width.max(height) > limit {
        true => Err(ImageError::Size { width, height, limit }),
        false => Ok(()),
    };
    match encoding {
        Encoding::Jpeg { quality } => {
            longest(65_500)?;
            jpeg(image, quality)
        }
        Encoding::Png => {
            let mut bytes = Cursor::new(Vec::new());
            PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive)
                .write_image(image.pixels(), width, height, ExtendedColorType::Rgb8)
                .map_err(|e| ImageError::Library { what: "png", source: e.into() })?;
            Ok(bytes.into_inner())
        }
        Encoding::WebP => {
            longest(16_384)?;
            let mut bytes = Vec::new();
            WebPEncoder::new_lossless(&mut bytes)
                .encode(image.pixels(), width, height, ExtendedColorType::Rgb8)
                .map_err(|e| ImageError::Library { what: "image-webp", source: e.into() })?;
            Ok(bytes)
        }
    }
}

fn jpeg(image: &Rgb, quality: u8) -> Result<Vec<u8>, ImageError> {
    if !(1..=100).contains(&quality) {
        return Err(ImageError::Quality(quality));
    }
    let compress = || {
        let mut compressor = Compressor::new()?;
        compressor.set_quality(i32::from(quality))?;
        compressor.set_subsamp(Subsamp::Sub2x2)?;
        compressor.set_optimize(true)?;
        let width = image.width() as usize;
        compressor.compress_to_vec(turbojpeg::Image {
            pixels: image.pixels(),
            width,
            pitch: 3 * width,
            height: image.height() as usize,
            format: PixelFormat::RGB,
        })
    };
    compress().map_err(|e: turbojpeg::Error| ImageError::Library { what: "libjpeg-turbo", source: e.into() })
}

/// `image` with its longer side at most `max_side`, the other in proportion; nothing if it is small enough.
///
/// # Errors
/// If `max_side` is 0.
pub fn shrink_to_side(image: &Rgb, max_side: u32, resizer: &mut Resizer) -> Result<Option<Rgb>, ImageError> {
    let (width, height) = (image.width(), image.height());
    let longest = width.max(height);
    if longest <= max_side {
        return Ok(None);
    }
    let share = |side: u32| {
        let rounded = (u64::from(side) * u64::from(max_side) + u64::from(longest) / 2) / u64::from(longest);
        // Of a very long picture the short side does not vanish.
        (rounded as u32).max(u32::from(max_side > 0))
    };
    resizer.crop(image, CropBox::whole(image), share(width), share(height)).map(Some)
}
