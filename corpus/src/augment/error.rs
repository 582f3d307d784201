/// Why an image or a configuration of the augmentation was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value of the configuration is impossible.
    #[error("augment.{field} = {value}: {remedy}")]
    Config {
        /// Path of the key below `augment`.
        field: &'static str,
        /// What was given.
        value: String,
        /// What would be valid.
        remedy: &'static str,
    },
    /// The image has a side that coordinates cannot hold.
    #[error("an image of {width} x {height} pixels cannot be augmented: resize it to sides of 1 to {max}")]
    Size {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// The longest side, [`MAX_SIDE`](super::MAX_SIDE).
        max: usize,
    },
    /// The bytes are not the image that was announced.
    #[error("{found} bytes are not an RGB image of {width} x {height} pixels: give {expected} bytes")]
    Length {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// 3 × width × height.
        expected: usize,
        /// What was given.
        found: usize,
    },
}
