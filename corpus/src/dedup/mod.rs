//! Pictures that are there twice.
//!
//! * [`PixelHash`]: the same pixels, whatever the file's format or metadata;
//! * [`Fingerprint`]: nearly the same picture: resized, re-encoded, slightly retouched;
//! * [`NearIndex`]: which known picture a fingerprint is near, without comparing all pairs;
//! * [`Detail`]: whether two pictures that are near by their fingerprints really are one.
mod detail;
mod dhash;
mod exact;
mod near;

pub use detail::Detail;
pub use dhash::Fingerprint;
pub use exact::{ExactIndex, PixelHash};
pub use near::{NearIndex, Nearness, Owner, TooMany};
