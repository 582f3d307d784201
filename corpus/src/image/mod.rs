//! From the bytes of a picture to pixels, and back.
//!
//! Bytes come from the web, so nothing is believed: [`probe()`] reads the header and refuses what is too large before a
//! decoder allocates anything; [`decode()`] returns 8-bit RGB or an error of one line; [`decode_scaled`] spends less on
//! a JPEG that is going to be shrunk anyway; [`Resizer`] cuts and resizes as PIL's bicubic filter does;
//! [`quality`] measures what the noise rules compare with their thresholds.
//!
//! **As PIL does.** The result is that of PIL's `Image.open(f).convert("RGB")`, transparent pictures first laid on
//! white: EXIF orientation is *not* applied, the first frame of an animation is taken, colour profiles are ignored. The
//! content decides about the format, not the name.
//!
//! **Memory.** A picture of `n` pixels takes at most 11 bytes a pixel while it is decoded (a progressive JPEG keeps 8
//! bytes of coefficients beside the 3 of the result; 16-bit PNG with alpha likewise), and 3 bytes a pixel afterwards.
mod decode;
mod encode;
mod error;
mod jpeg;
mod probe;
pub mod quality;
mod resize;
mod scans;

pub(crate) use decode::on_white;
pub use decode::{Rgb, Scaled, decode, decode_scaled};
pub use encode::{Encoding, encode, shrink_to_side};
pub use error::ImageError;
pub use jpeg::Reduction;
pub use probe::{Format, Limits, Probe, probe, read};
pub use resize::{CropBox, Resizer};
