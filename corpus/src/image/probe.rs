//! What a picture says about itself, before anything is decoded.
use std::fmt;
use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::Path;

use image::{ImageDecoder, ImageFormat, ImageReader};

use super::{ImageError, jpeg};

/// A format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// JPEG, baseline or progressive, 8 bits.
    Jpeg,
    /// PNG of any kind.
    Png,
    /// WebP, lossy or lossless.
    WebP,
    /// GIF; its first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
}

impl Format {
    /// The format that the first bytes announce.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'B', b'M', ..] => Some(Self::Bmp),
            _ => None,
        }
    }

    /// The usual ending of a file's name, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
        })
    }
}

/// What a picture may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels that are decoded.
    pub max_pixels: u64,
    /// Most bytes that are read of a file.
    pub max_bytes: u64,
}

impl Default for Limits {
    /// 50 million pixels (150 MB as RGB, 550 MB while decoding at worst) and 256 MiB.
    ///
    /// Of the 8,121 drawings of Debian's openclipart 16 are larger, up to 623 million pixels. PIL warns from 89 million.
    fn default() -> Self {
        Self { max_pixels: 50_000_000, max_bytes: 256 << 20 }
    }
}

/// Format and size of a picture, from its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The format of the content.
    pub format: Format,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

/// Reads format and size from the header of `bytes`, without decoding.
///
/// # Errors
/// If the header is missing, cut or contradictory, or announces no pixel or more than `limits` allow.
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<Probe, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    let format = Format::of(bytes).ok_or(ImageError::NotAnImage)?;
    let (width, height) = match format {
        Format::Jpeg => jpeg::dimensions(bytes)?,
        Format::Png => reader(bytes, ImageFormat::Png, format)?.dimensions(),
        Format::WebP => reader(bytes, ImageFormat::WebP, format)?.dimensions(),
        Format::Gif => reader(bytes, ImageFormat::Gif, format)?.dimensions(),
        Format::Bmp => reader(bytes, ImageFormat::Bmp, format)?.dimensions(),
    };
    if width == 0 || height == 0 {
        return Err(ImageError::NoPixels { width, height });
    }
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(ImageError::TooManyPixels { width, height, limit: limits.max_pixels });
    }
    Ok(Probe { format, width, height })
}

/// A decoder that has read the header. What it allocates for the header's metadata is bounded here, because a few
/// kilobytes of compressed text can stand for gigabytes.
fn reader(bytes: &[u8], kind: ImageFormat, format: Format) -> Result<impl ImageDecoder + '_, ImageError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(HEADER_BYTES);
    reader.limits(limits);
    reader.into_decoder().map_err(|e| ImageError::of_decoder(format, e))
}

/// Most bytes that a decoder may allocate while it reads a header.
const HEADER_BYTES: u64 = 16 << 20;

/// Reads a file of at most `limits.max_bytes`.
///
/// # Errors
/// If the file is missing, unreadable, not a regular file, empty or too long.
pub fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, ImageError> {
    let failed = |source| ImageError::Read { path: path.to_owned(), source };
    // Asked before opening: opening a named pipe would wait for its writer.
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(ImageError::NotAFile { path: path.to_owned() });
    }
    let too_long = |bytes| ImageError::TooManyBytes { bytes, limit: limits.max_bytes };
    if metadata.len() > limits.max_bytes {
        return Err(too_long(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    // The file may grow meanwhile.
    File::open(path)
        .and_then(|file| file.take(limits.max_bytes.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(failed)?;
    match bytes.len() as u64 {
        0 => Err(ImageError::Empty),
        length if length > limits.max_bytes => Err(too_long(length)),
        _ => Ok(bytes),
    }
}
