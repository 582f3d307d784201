//! The rectangle that RandomResizedCrop takes.
use rand::Rng;

/// A rectangle of the source image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    /// Columns left of it.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Its columns.
    pub width: u32,
    /// Its rows.
    pub height: u32,
}

const TRIES: usize = 10;

impl Crop {
    /// Draws as torchvision's `RandomResizedCrop.get_params`: an area uniform in `scale` (shares of the image) and an
    /// aspect ratio uniform in the logarithm of `ratio` (width / height), ten tries to fit them, otherwise the largest
    /// centred crop whose aspect ratio is in range. The crop lies inside the image and has at least one pixel if the
    /// image has.
    pub fn draw(
        rng: &mut impl Rng,
        (width, height): (u32, u32),
        scale: (f64, f64),
        ratio: (f64, f64),
    ) -> Self {
        let area = f64::from(width) * f64::from(height);
        let mut uniform = |(low, high): (f64, f64)| low + (high - low) * rng.random::<f64>();
        let logarithms = (ratio.0.ln(), ratio.1.ln());
        for _ in 0..TRIES {
            let target = area * uniform(scale);
            let aspect = uniform(logarithms).exp();
            // Casts saturate: what is too large is refused below, and NaN is 0.
            let w = (target * aspect).sqrt().round_ties_even() as u32;
            let h = (target / aspect).sqrt().round_ties_even() as u32;
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = rng.random_range(0..=height - h);
                let left = rng.random_range(0..=width - w);
                return Self { left, top, width: w, height: h };
            }
        }
        Self::centred((width, height), ratio)
    }

    fn centred((width, height): (u32, u32), (narrowest, widest): (f64, f64)) -> Self {
        let aspect = f64::from(width) / f64::from(height);
        let rounded = |side: f64, longest: u32| (side.round_ties_even() as u32).max(1).min(longest);
        let (w, h) = if aspect < narrowest {
            (width, rounded(f64::from(width) / narrowest, height))
        } else if aspect > widest {
            (rounded(f64::from(height) * widest, width), height)
        } else {
            (width, height)
        };
        Self { left: (width - w) / 2, top: (height - h) / 2, width: w, height: h }
    }
}
