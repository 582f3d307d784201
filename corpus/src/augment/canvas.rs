//! One image and the buffers that changing it needs.
use super::operations::{Lanes, Operation, affine, sharpness, tables};
use super::{Error, Plan};

/// The longest side of an image, in pixels. OpenCV's coordinates have this limit too.
pub const MAX_SIDE: usize = i16::MAX as usize;

/// An RGB image with the buffers that the operations need. Made once and used for many images, it allocates only when
/// an image is larger than all before it.
#[derive(Debug, Default)]
pub struct Canvas {
    width: usize,
    height: usize,
    /// `[height, width, 3]`
    pixels: Vec<u8>,
    /// The next image, where an operation cannot work in place.
    spare: Vec<u8>,
    lanes: Lanes,
}

impl Canvas {
    /// A canvas of no pixels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for an image and returns its bytes, `[height, width, 3]`, to be overwritten: they still hold what was
    /// there before.
    ///
    /// # Errors
    /// [`Error::Size`] if a side is 0 or longer than [`MAX_SIDE`].
    pub fn reset(&mut self, width: usize, height: usize) -> Result<&mut [u8], Error> {
        let possible = 1..=MAX_SIDE;
        if !(possible.contains(&width) && possible.contains(&height)) {
            return Err(Error::Size { width, height, max: MAX_SIDE });
        }
        (self.width, self.height) = (width, height);
        self.pixels.resize(3 * width * height, 0);
        Ok(&mut self.pixels)
    }

    /// Copies an image in.
    ///
    /// # Errors
    /// Those of [`Self::reset`], and [`Error::Length`] if `pixels` is not `[height, width, 3]`.
    pub fn load(&mut self, width: usize, height: usize, pixels: &[u8]) -> Result<(), Error> {
        let expected = 3_usize.saturating_mul(width).saturating_mul(height);
        if pixels.len() != expected {
            return Err(Error::Length { width, height, expected, found: pixels.len() });
        }
        self.reset(width, height)?.copy_from_slice(pixels);
        Ok(())
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The image, `[height, width, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Flips and changes the image as planned. The crop is not taken here: the image is the resized crop.
    pub fn apply(&mut self, plan: &Plan) {
        if plan.flip {
            self.flip();
        }
        for &operation in &plan.operations {
            self.operate(operation);
        }
    }

    /// Mirrors the image left to right.
    pub fn flip(&mut self) {
        for row in self.pixels.chunks_exact_mut(3 * self.width.max(1)) {
            row.as_chunks_mut::<3>().0.reverse();
        }
    }

    /// Carries out one operation. The size stays; no argument, not even NaN, is an error.
    pub fn operate(&mut self, operation: Operation) {
        match operation {
            Operation::Identity => {}
            Operation::AutoContrast => tables::auto_contrast(&mut self.pixels),
            Operation::Equalize => tables::equalize(&mut self.pixels),
            Operation::Brightness(factor) => tables::brightness(&mut self.pixels, factor),
            Operation::Sharpness(factor) => {
                self.spare.resize(self.pixels.len(), 0);
                sharpness::sharpen(&self.pixels, &mut self.spare, self.width, factor);
                std::mem::swap(&mut self.pixels, &mut self.spare);
            }
            Operation::ShearX(factor) => self.warp(affine::Map::shear_x(factor)),
            Operation::ShearY(factor) => self.warp(affine::Map::shear_y(factor)),
            Operation::TranslateX(offset) => self.warp(affine::Map::translate(offset, 0.0)),
            Operation::TranslateY(offset) => self.warp(affine::Map::translate(0.0, offset)),
            Operation::Rotate(degrees) => {
                self.warp(affine::Map::rotate(degrees, self.width, self.height));
            }
        }
    }

    fn warp(&mut self, map: affine::Map) {
        self.spare.resize(self.pixels.len(), 0);
        affine::warp(&self.pixels, &mut self.spare, self.width, &map, &mut self.lanes);
        std::mem::swap(&mut self.pixels, &mut self.spare);
    }
}
