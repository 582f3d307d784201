//! JPEG through libjpeg-turbo, the library that PIL uses, so that full decoding gives the same bits.
use turbojpeg::{Colorspace, DecompressHeader, Decompressor, PixelFormat, ScalingFactor};

use super::{Format, ImageError, Rgb, scans};

/// By what the sides of a JPEG are divided while it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reduction {
    /// Every pixel.
    Full,
    /// Half the sides, from 4 × 4 of the 8 × 8 coefficients of a block.
    Half,
    /// A quarter, from 2 × 2 coefficients.
    Quarter,
    /// An eighth, from a block's mean.
    Eighth,
}

impl Reduction {
    /// The strongest reduction that leaves a crop of `crop` source pixels (width, height) at least `margin` times as
    /// large as `target` both ways.
    ///
    /// A margin of 1 is the cheapest; the bicubic filter then hardly averages any more, and 1.5 or 2 come closer to
    /// what it would make of the full picture. A margin below 1 counts as 1.
    pub fn for_crop(crop: (f64, f64), target: (u32, u32), margin: f64) -> Self {
        let fits = |reduction: &Self| {
            let room = margin.max(1.0) * f64::from(reduction.divisor());
            crop.0 >= room * f64::from(target.0) && crop.1 >= room * f64::from(target.1)
        };
        [Self::Eighth, Self::Quarter, Self::Half].into_iter().find(fits).unwrap_or(Self::Full)
    }

    /// 1, 2, 4 or 8.
    pub fn divisor(self) -> u32 {
        match self {
            Self::Full => 1,
            Self::Half => 2,
            Self::Quarter => 4,
            Self::Eighth => 8,
        }
    }

    fn factor(self) -> ScalingFactor {
        match self {
            Self::Full => ScalingFactor::ONE,
            Self::Half => ScalingFactor::ONE_HALF,
            Self::Quarter => ScalingFactor::ONE_QUARTER,
            Self::Eighth => ScalingFactor::ONE_EIGHTH,
        }
    }
}

/// A progressive JPEG may repeat a scan over all pixels without end at a few bytes each; real ones have about ten.
const MAX_SCANS: u32 = 100;

/// Width and height from the header.
pub(super) fn dimensions(bytes: &[u8]) -> Result<(u32, u32), ImageError> {
    let header = read_header(&mut decompressor()?, bytes)?;
    // JPEG's sides have 16 bits.
    Ok((header.width as u32, header.height as u32))
}

/// Decodes at the given reduction, or at full size where the JPEG cannot be scaled (lossless ones).
pub(super) fn decode(bytes: &[u8], reduction: Reduction) -> Result<(Rgb, Reduction), ImageError> {
    let mut decompressor = decompressor()?;
    let header = read_header(&mut decompressor, bytes)?;
    let reduction = if header.is_lossless { Reduction::Full } else { reduction };
    decompressor.set_scan_limit(MAX_SCANS).map_err(|e| library(&e))?;
    decompressor.set_scaling_factor(reduction.factor()).map_err(|e| library(&e))?;
    let fewer = match header.is_progressive && reduction == Reduction::Eighth {
        true => scans::of_an_eighth(bytes),
        false => None,
    };
    let bytes = fewer.as_deref().unwrap_or(bytes);

    let header = header.scaled(reduction.factor());
    let (width, height) = (header.width, header.height);
    let ink = matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
    let format = if ink { PixelFormat::CMYK } else { PixelFormat::RGB };
    let pitch = width.saturating_mul(format.size());
    let mut pixels = vec![0; pitch.saturating_mul(height)];
    let output = turbojpeg::Image { pixels: &mut pixels[..], width, pitch, height, format };
    match decompressor.decompress(bytes, output) {
        Err(error) if !harmless(&error, bytes) => return Err(refused(error)),
        _ => {}
    }
    if ink {
        pixels = pixels.chunks_exact(4).flat_map(without_ink).collect();
    }
    Ok((Rgb::new(width as u32, height as u32, pixels)?, reduction))
}

fn decompressor() -> Result<Decompressor, ImageError> {
    Decompressor::new().map_err(|e| library(&e))
}

fn read_header(decompressor: &mut Decompressor, bytes: &[u8]) -> Result<DecompressHeader, ImageError> {
    decompressor.read_header(bytes).map_err(refused)
}

/// Warnings come back as errors, with the picture complete. These say nothing about pixels, and PIL does not mind them
/// either; but only the first warning is known, so the picture must also have its end.
fn harmless(error: &turbojpeg::Error, bytes: &[u8]) -> bool {
    const HARMLESS: [&str; 3] =
        ["extraneous bytes before marker", "Invalid SOS parameters", "Unknown Adobe color transform"];
    let turbojpeg::Error::TurboJpegError(message) = error else { return false };
    HARMLESS.iter().any(|known| message.contains(known)) && scans::has_end(bytes)
}

fn refused(error: turbojpeg::Error) -> ImageError {
    // libjpeg invents the missing end and goes on with grey; the words are its own.
    let ran_out = match &error {
        turbojpeg::Error::TurboJpegError(message) => {
            let message = message.to_ascii_lowercase();
            message.contains("premature end") || message.contains("empty input")
        }
        _ => false,
    };
    let (format, source) = (Format::Jpeg, error.into());
    if ran_out { ImageError::Truncated { format, source } } else { ImageError::Unreadable { format, source } }
}

fn library(error: &turbojpeg::Error) -> ImageError {
    ImageError::Library { what: "libjpeg-turbo", source: error.to_string().into() }
}

/// One pixel of CMYK, stored inverted as Adobe's programs do, in PIL's arithmetic.
fn without_ink(pixel: &[u8]) -> [u8; 3] {
    let paper = |i: usize| u32::from(pixel.get(i).copied().unwrap_or_default());
    let light = paper(3);
    [0, 1, 2].map(|channel| {
        let product = (255 - paper(channel)) * light + 128;
        light.saturating_sub(((product >> 8) + product) >> 8) as u8
    })
}
