//! Bytes to 8-bit RGB.
use std::io::Cursor;

use image::{DynamicImage, ImageFormat, ImageReader};

use super::{Format, ImageError, Limits, Reduction, jpeg, probe};

/// A picture: rows from top to bottom, pixels from left to right, three bytes each, `[height, width, 3]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Rgb {
    /// The picture of `pixels`.
    ///
    /// # Errors
    /// If there is no pixel, or there are not `3 · width · height` bytes.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, ImageError> {
        if width == 0 || height == 0 {
            return Err(ImageError::NoPixels { width, height });
        }
        let wanted = 3 * u128::from(width) * u128::from(height);
        if pixels.len() as u128 != wanted {
            return Err(ImageError::WrongLength { bytes: pixels.len(), width, height });
        }
        Ok(Self { width, height, pixels })
    }

    /// Pixels from left to right, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels from top to bottom, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The bytes, `[height, width, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The bytes, `[height, width, 3]`.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}

/// A picture whose sides may have been divided while it was decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaled {
    /// The picture; each side is that of the source divided by [`Reduction::divisor`] and rounded up.
    pub image: Rgb,
    /// By what the sides were divided.
    pub reduction: Reduction,
    /// Width of the source.
    pub source_width: u32,
    /// Height of the source.
    pub source_height: u32,
}

/// Decodes a picture to 8-bit RGB, as the module's documentation says.
///
/// Of 16-bit samples the high byte is kept; transparency is composited on white; CMYK is converted as PIL does, without
/// a colour profile.
///
/// # Errors
/// As [`probe()`], and if the data is truncated or damaged.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Rgb, ImageError> {
    decode_scaled(bytes, limits, Reduction::Full).map(|scaled| scaled.image)
}

/// Decodes a JPEG at a fraction of its size; other formats, and JPEGs that cannot be scaled, at full size.
///
/// Choose `reduction` with [`Reduction::for_crop`]. The result approximates the mean of the source's pixels, so it is for
/// training, not for exact work. Of a progressive JPEG at an eighth only the scans that show there are
/// decoded.
///
/// # Errors
/// As [`decode()`].
pub fn decode_scaled(bytes: &[u8], limits: &Limits, reduction: Reduction) -> Result<Scaled, ImageError> {
    let probe = probe(bytes, limits)?;
    let (image, reduction) = match probe.format {
        Format::Jpeg => jpeg::decode(bytes, reduction)?,
        Format::Png => (other(bytes, ImageFormat::Png, Format::Png, limits)?, Reduction::Full),
        Format::WebP => (other(bytes, ImageFormat::WebP, Format::WebP, limits)?, Reduction::Full),
        Format::Gif => (other(bytes, ImageFormat::Gif, Format::Gif, limits)?, Reduction::Full),
        Format::Bmp => (other(bytes, ImageFormat::Bmp, Format::Bmp, limits)?, Reduction::Full),
    };
    Ok(Scaled { image, reduction, source_width: probe.width, source_height: probe.height })
}

fn other(bytes: &[u8], kind: ImageFormat, format: Format, limits: &Limits) -> Result<Rgb, ImageError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind);
    let mut bound = image::Limits::default();
    // The widest pixel is RGBA of 16 bits; a GIF frame or a palette comes on top.
    bound.max_alloc = Some(limits.max_pixels.saturating_mul(11).saturating_add(16 << 20));
    reader.limits(bound);
    let decoded = reader.decode().map_err(|e| ImageError::of_decoder(format, e))?;
    let (width, height) = (decoded.width(), decoded.height());
    Rgb::new(width, height, three_bytes(decoded))
}

/// Three bytes a pixel.
fn three_bytes(image: DynamicImage) -> Vec<u8> {
    match image {
        DynamicImage::ImageRgb8(image) => image.into_raw(),
        DynamicImage::ImageLuma8(image) => image.into_raw().into_iter().flat_map(|l| [l; 3]).collect(),
        DynamicImage::ImageLumaA8(image) => {
            image.pixels().flat_map(|p| on_white([p.0[0]; 3], p.0[1])).collect()
        }
        DynamicImage::ImageRgba8(image) => {
            image.pixels().flat_map(|p| on_white([p.0[0], p.0[1], p.0[2]], p.0[3])).collect()
        }
        DynamicImage::ImageLuma16(image) => image.into_raw().into_iter().flat_map(|l| [high(l); 3]).collect(),
        DynamicImage::ImageLumaA16(image) => {
            image.pixels().flat_map(|p| on_white([high(p.0[0]); 3], high(p.0[1]))).collect()
        }
        DynamicImage::ImageRgb16(image) => image.into_raw().into_iter().map(high).collect(),
        DynamicImage::ImageRgba16(image) => {
            let rgb = |p: &image::Rgba<u16>| [high(p.0[0]), high(p.0[1]), high(p.0[2])];
            image.pixels().flat_map(|p| on_white(rgb(p), high(p.0[3]))).collect()
        }
        // Floating-point pictures, which none of the five formats has.
        other => other.into_rgb8().into_raw(),
    }
}

/// As PIL reads 16-bit RGB.
fn high(sample: u16) -> u8 {
    (sample >> 8) as u8
}

/// A colour of opacity `alpha` laid on white, rounded to the nearest.
pub(crate) fn on_white(colour: [u8; 3], alpha: u8) -> [u8; 3] {
    let alpha = u32::from(alpha);
    colour.map(|c| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}
