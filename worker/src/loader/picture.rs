//! One stored picture to the square that the model sees.
use albef_corpus::augment::{self, AugmentConfig, Canvas, Plan};
use albef_corpus::image::{CropBox, ImageError, Limits, Reduction, Resizer, decode_scaled, probe};
use rand_chacha::ChaCha8Rng;

/// How much larger than the model's square a scaled decoding must leave the crop. At 1 the bicubic filter would see
/// nothing but block means where the crop is just twice the square; costs are in docs/speed.md.
const MARGIN: f64 = 1.0;

/// Why a picture whose bytes are as they were written is not shown.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum PictureError {
    /// It cannot be decoded.
    Image(#[from] ImageError),
    /// Its crop cannot be held.
    Augment(#[from] augment::Error),
}

/// Turns stored pictures into squares, keeping its buffers: one for each thread.
#[derive(Debug, Default)]
pub struct Pictures {
    resizer: Resizer,
    canvas: Canvas,
}

impl Pictures {
    /// Draws a plan from `rng`, carries it out and writes the square, `[side, side, 3]`, to `out`.
    ///
    /// `exact` decodes every pixel and resizes as PIL does; otherwise a JPEG is decoded at a fraction of its size where
    /// the crop allows it.
    ///
    /// # Errors
    /// If the picture is not one, or is larger than [`Limits::default`] allows.
    pub fn augmented(
        &mut self,
        bytes: &[u8],
        caption: &str,
        config: &AugmentConfig,
        rng: &mut ChaCha8Rng,
        exact: bool,
        out: &mut [u8],
    ) -> Result<(), PictureError> {
        let side = side_of(out);
        let limits = Limits::default();
        let header = probe(bytes, &limits)?;
        let plan: Plan = config.draw(rng, (header.width, header.height), caption);
        let crop = CropBox {
            left: plan.crop.left.into(),
            top: plan.crop.top.into(),
            width: plan.crop.width.into(),
            height: plan.crop.height.into(),
        };
        let reduction = match exact {
            true => Reduction::Full,
            false => Reduction::for_crop((crop.width, crop.height), (side, side), MARGIN),
        };
        let decoded = decode_scaled(bytes, &limits, reduction)?;
        let crop = crop.divided(decoded.reduction.divisor());
        let square = self.resizer.crop(&decoded.image, crop, side, side)?;
        self.canvas.load(side as usize, side as usize, square.pixels())?;
        self.canvas.apply(&plan);
        out.copy_from_slice(self.canvas.pixels());
        Ok(())
    }
}

/// The side of a square of three bytes a pixel.
fn side_of(square: &[u8]) -> u32 {
    (square.len() / 3).isqrt() as u32
}
