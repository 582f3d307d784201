//! Sharpness: the image moved away from its smoothed self.

/// Sharpens `[rows, width, 3]` from `source` into `target`; the outermost pixels are copied.
///
/// The smoothing kernel is 1/13 with 5/13 in the middle. OpenCV sums in floating point and rounds; an integer divided by
/// 13 is never close to a half, so that rounding integers gives the same bytes.
pub(in crate::augment) fn sharpen(source: &[u8], target: &mut [u8], width: usize, factor: f64) {
    target.copy_from_slice(source);
    if width < 3 {
        return;
    }
    let factor = factor as f32;
    let stride = 3 * width;
    let rows: Vec<&[u8]> = source.chunks_exact(stride).collect();
    let mut columns = vec![0_u16; stride];
    for (around, out) in rows.windows(3).zip(target.chunks_exact_mut(stride).skip(1)) {
        let &[above, middle, below] = around else { continue };
        for (((sum, &a), &b), &c) in columns.iter_mut().zip(above).zip(middle).zip(below) {
            *sum = u16::from(a) + u16::from(b) + u16::from(c);
        }
        let sides = columns.iter().zip(&columns[3..]).zip(&columns[6..]);
        for ((out, &value), ((&left, &centre), &right)) in out[3..].iter_mut().zip(&middle[3..]).zip(sides) {
            *out = away(value, left + centre + right + 4 * u16::from(value), factor);
        }
    }
}

/// `value` moved away from a thirteenth of `weighted`.
#[inline]
fn away(value: u8, weighted: u16, factor: f32) -> u8 {
    let smooth = f32::from((2 * weighted + 13) / 26);
    let moved = smooth + factor * (f32::from(value) - smooth);
    // Not saturated: the published conversion keeps the low eight bits.
    moved as i32 as u8
}
