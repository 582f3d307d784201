//! What the noise rules on pictures measure. Each function returns the measured value; the caller compares it.
use super::{Probe, Rgb};

/// Default of the least [`min_side`]: smaller pictures are buttons and spacers.
pub const MIN_SIDE: u32 = 32;
/// Default of the largest [`aspect_ratio`]: beyond it a square crop shows a sliver.
pub const MAX_ASPECT: f64 = 5.0;
/// Default of the largest [`blank_share`]: of a 128 × 128 picture it leaves 33 pixels that differ.
pub const MAX_BLANK: f64 = 0.998;

/// The shorter side in pixels, known before decoding.
pub fn min_side(probe: &Probe) -> u32 {
    probe.width.min(probe.height)
}

/// The longer side divided by the shorter one, from 1, known before decoding.
pub fn aspect_ratio(probe: &Probe) -> f64 {
    f64::from(probe.width.max(probe.height)) / f64::from(min_side(probe).max(1))
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
    for pixel in pixels {
        counts[cell(pixel)] += 1;
    }
    // The first of equals, so that the result is defined.
    let mut fullest = 0;
    for (at, count) in counts.iter().enumerate() {
        if *count > counts[fullest] {
            fullest = at;
        }
    }
    let mut sum = [0_u64; 3];
    for pixel in pixels.iter().filter(|p| cell(p) == fullest) {
        for (sum, channel) in sum.iter_mut().zip(pixel) {
            *sum += u64::from(*channel);
        }
    }
    let colour = sum.map(|s| (s / u64::from(counts[fullest]).max(1)) as u8);
    let near = pixels.iter().filter(|p| p.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 8)).count();
    near as f64 / pixels.len().max(1) as f64
}
