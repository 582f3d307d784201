//! What the noise rules on pictures measure. Each function returns the measured value; the caller compares it.
use super::Rgb;

/// Default of the least [`min_side`]: smaller pictures are buttons and spacers.
pub const MIN_SIDE: u32 = 32;
/// Default of the largest [`aspect_ratio`]: beyond it a square crop shows a sliver.
pub const MAX_ASPECT: f64 = 5.0;
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
    // Run by run, since pages and drawings are runs, and counting into one cell again and again waits for itself.
    for run in pixels.chunk_by(|a, b| a == b) {
        counts[cell(&run[0])] += run.len() as u32;
    }
    // The first of equals, so that the result is defined.
    let most = counts.iter().copied().max().unwrap_or(0);
    let fullest = counts.iter().position(|&count| count == most).unwrap_or(0);
    let mut sum = [0_u64; 3];
    for run in pixels.chunk_by(|a, b| a == b).filter(|run| cell(&run[0]) == fullest) {
        for (sum, channel) in sum.iter_mut().zip(run[0]) {
            *sum += u64::from(channel) * run.len() as u64;
        }
    }
    let colour = sum.map(|s| (s / u64::from(most).max(1)) as u8);
    // Without a branch in it, so that it is done for many pixels at once.
    let is_near = |p: &[u8; 3]| p.iter().zip(colour).fold(true, |near, (a, b)| near & (a.abs_diff(b) <= 8));
    let near = pixels.iter().map(|p| is_near(p)).map(u64::from).sum::<u64>();
    near as f64 / pixels.len().max(1) as f64
}
