//! Image augmentation of training, on the CPU and without torch: random crop, flip, RandAugment, as ALBEF published them.
//!
//! Deciding and doing are apart. [`AugmentConfig::draw`] makes every random choice of one sample and returns a [`Plan`];
//! the loader reads [`Plan::crop`] to choose a scaled decoding, resizes the crop into a [`Canvas`], and then
//! [`Canvas::apply`] carries out the rest. The loader gives a generator of its own to each sample, keyed by (seed, step,
//! logical rank, index in the batch), so that a plan does not depend on which worker draws it, nor on other samples.
//!
//! Pixels are 8-bit RGB, interleaved, row by row. The operations give the same bytes as the published ones (NumPy, and
//! OpenCV before 5), with two exceptions. AutoContrast is PIL's, which the published one meant to be: it negates an
//! unsigned byte and turns every channel without a 0 white. Sharpness 0, which no level reaches, leaves the border as it
//! is.
mod canvas;
mod config;
mod crop;
mod error;
mod operations;
mod policy;

pub use canvas::{Canvas, MAX_SIDE};
pub use config::{AugmentConfig, RandAugmentConfig};
pub use crop::Crop;
pub use error::Error;
pub use operations::{MAX_LEVEL, Operation, OperationName};
pub use policy::Plan;
