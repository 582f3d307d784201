use std::io;
use std::path::PathBuf;

use super::Format;

/// Why a picture could not be read, decoded or written.
///
/// Every message is one line. Bytes have no name of their own, so that of the file or the shard's key is for the caller
/// to put before it; the variants with a path name it themselves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file cannot be read.
    #[error("cannot read the image {path:?}: check that the file exists and that you may read it")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The path is a directory or a device.
    #[error("{path:?} is not a regular file: give the path of an image")]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is larger than any picture that is wanted.
    #[error("the image has {bytes} bytes: at most {limit} are read; raise the limit or leave the image out")]
    TooManyBytes {
        /// Length of the file.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// No bytes at all.
    #[error("the image is empty (0 bytes): fetch it again or leave it out")]
    Empty,
    /// The first bytes are not those of a known format, whatever the file's name says.
    #[error("not an image: the content is none of JPEG, PNG, WebP, GIF and BMP, whatever the name says")]
    NotAnImage,
    /// The picture ends before its end.
    #[error("truncated {format} image: fetch it again or leave it out")]
    Truncated {
        /// Its format.
        format: Format,
        /// What the decoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The picture contradicts its format, or uses a part of it that is not supported.
    #[error("unreadable {format} image: fetch it again, convert it or leave it out")]
    Unreadable {
        /// Its format.
        format: Format,
        /// What the decoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Refused from the header, before decoding.
    #[error(
        "the image has {width} x {height} pixels: at most {limit} pixels are decoded; raise the limit or leave it out"
    )]
    TooManyPixels {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The limit.
        limit: u64,
    },
    /// A picture without pixels.
    #[error("the image has {width} x {height} pixels: both sides must be at least 1")]
    NoPixels {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// The pixels are not as many as the size says.
    #[error("{bytes} bytes for {width} x {height} RGB pixels: give three bytes a pixel")]
    WrongLength {
        /// Bytes given.
        bytes: usize,
        /// The width given.
        width: u32,
        /// The height given.
        height: u32,
    },
    /// A crop that reaches outside, or is empty.
    #[error("crop of {crop} from {width} x {height} pixels: it must be inside the image and not empty")]
    Crop {
        /// The crop, as text.
        crop: String,
        /// Width of the image.
        width: u32,
        /// Height of the image.
        height: u32,
    },
    /// A side is beyond what can be made.
    #[error("cannot make an image of {width} x {height} pixels: sides are 1 to {limit}")]
    Size {
        /// The width asked for.
        width: u32,
        /// The height asked for.
        height: u32,
        /// The longest side.
        limit: u32,
    },
    /// A quality that JPEG has not.
    #[error("JPEG quality is {0}: it must be from 1 to 100")]
    Quality(u8),
    /// An encoder or the resizer refused, which valid input does not cause.
    #[error("the {what} library failed: report this with the image that caused it")]
    Library {
        /// Which one.
        what: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ImageError {
    /// The decoder's `source`, told apart by whether the bytes ran out.
    pub(super) fn of_decoder(format: Format, source: image::ImageError) -> Self {
        let ran_out = match &source {
            image::ImageError::IoError(error) => error.kind() == io::ErrorKind::UnexpectedEof,
            _ => false,
        };
        match ran_out {
            true => Self::Truncated { format, source: source.into() },
            false => Self::Unreadable { format, source: source.into() },
        }
    }
}
