//! What the noise rules on pictures measure. Each function returns the measured value; the caller compares it.
use super::Rgb;

/// Default of the least [`min_side`]: smaller pictures are buttons and spacers.
pub const MIN_SIDE: u32 = 16;
/// Default of the largest [`aspect_ratio`]: beyond it a square crop shows a sliver.
pub const MAX_ASPECT: f64 = 4.0;
/// Default of the largest [`blank_share`]: of a 128 × 128 picture it leaves 33 pixels that differ.
pub const MAX_BLANK: f64 = 0.998;

/// The shorter side in pixels, known before decoding.
pub fn min_side((width, height): (u32, u32)) -> u32 {
    width.min(height)
}

/// The longer side divided by the shorter one, from 1, known before decoding.
pub fn aspect_ratio((width, height): (u32, u32)) -> f64 {
    f64::from(width.max(height)) / f64::from(min_side((width, height)).max(1))
}

/// The share of pixels, from 0 to 1, that have nearly the commonest colour.
///
/// Colours are counted in cells of 8 levels a channel; the commonest colour is the mean of the fullest cell, and a pixel
/// has nearly that colour if no channel is more than 8 levels away, so that the grain of a re-encoded blank page does
/// not count as content.
pub fn blank_share(image: &Rgb) -> f64 {
    const CELLS: usize = 1 << 15;
    let cell = |p: &[u8; 3]| {
        let [r, g, b] = p.map(|c| usize::from(c >> 3));
        r << 10 | g << 5 | b
    };
    let (pixels, _) = image.pixels().as_chunks::<3>();
    let mut counts = vec![0_u32; CELLS];
    for (pixel, length) in runs(pixels) {
        counts[cell(pixel)] += length as u32;
    }
    // The first of equals, so that the result is defined.
    let most = counts.iter().copied().max().unwrap_or(0);
    let fullest = counts.iter().position(|&count| count == most).unwrap_or(0);
    let mut sum = [0_u64; 3];
    for (pixel, length) in runs(pixels).filter(|(pixel, _)| cell(pixel) == fullest) {
        for (sum, channel) in sum.iter_mut().zip(pixel) {
            *sum += u64::from(*channel) * length as u64;
        }
    }
    let colour = sum.map(|s| (s / u64::from(most).max(1)) as u8);
    let is_near = |pixel: &[u8; 3]| pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 8);
    let near: usize = runs(pixels).filter(|(pixel, _)| is_near(pixel)).map(|(_, length)| length).sum();
    near as f64 / pixels.len().max(1) as f64
}

/// Runs of equal pixels and their lengths: pages and drawings are few long ones, photographs no longer than their pixels.
fn runs(mut pixels: &[[u8; 3]]) -> impl Iterator<Item = (&[u8; 3], usize)> {
    /// Pixels that are compared at once.
    const WIDE: usize = 16;
    /// From this length on a run is taken for a long one.
    const LONG: usize = 4;
    std::iter::from_fn(move || {
        let first = pixels.first()?;
        let same =
            |from: usize, most: usize| pixels[from..].iter().take(most).take_while(|p| *p == first).count();
        let mut length = same(0, LONG);
        if length == LONG {
            let wide = [*first; WIDE];
            length += WIDE * pixels[length..].chunks_exact(WIDE).take_while(|block| *block == wide).count();
            length += same(length, WIDE);
        }
        pixels = &pixels[length..];
        Some((first, length))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_any_length_are_counted_whole() {
        let lengths = [1, 2, 3, 4, 5, 15, 16, 17, 20, 21, 35, 36, 37, 100, 1];
        let colour = |n: usize| [n as u8, 0, 255];
        let pixels: Vec<_> =
            lengths.iter().enumerate().flat_map(|(n, &length)| vec![colour(n); length]).collect();
        let found: Vec<_> = runs(&pixels).map(|(pixel, length)| (*pixel, length)).collect();
        let wanted: Vec<_> = lengths.iter().enumerate().map(|(n, &length)| (colour(n), length)).collect();
        assert_eq!(found, wanted);
        assert_eq!(runs(&[]).count(), 0);
    }
}
