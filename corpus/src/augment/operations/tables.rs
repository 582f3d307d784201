//! Operations that replace each value by looking it up.

type Table = [u8; 256];
type Histogram = [u32; 256];

const UNCHANGED: Table = {
    let mut table = [0; 256];
    let mut value = 0;
    while value < 256 {
        table[value] = value as u8;
        value += 1;
    }
    table
};

/// As `PIL.ImageOps.autocontrast` without a cutoff.
pub(in crate::augment) fn auto_contrast(pixels: &mut [u8]) {
    let (mut lowest, mut highest) = ([u8::MAX; 3], [0_u8; 3]);
    // Sixteen pixels at a time: folded in one register per channel position, which compilers turn into vector code.
    let (blocks, rest) = pixels.as_chunks::<48>();
    let (mut low, mut high) = ([u8::MAX; 48], [0_u8; 48]);
    for block in blocks {
        for i in 0..48 {
            low[i] = low[i].min(block[i]);
            high[i] = high[i].max(block[i]);
        }
    }
    let folded = low.iter().zip(&high).enumerate();
    let single = rest.iter().map(|value| (value, value)).enumerate();
    for (i, (&low, &high)) in folded.chain(single) {
        lowest[i % 3] = lowest[i % 3].min(low);
        highest[i % 3] = highest[i % 3].max(high);
    }
    let tables = std::array::from_fn(|channel| {
        let (low, high) = (f64::from(lowest[channel]), f64::from(highest[channel]));
        if high <= low {
            return UNCHANGED;
        }
        let scale = 255.0 / (high - low);
        let offset = -low * scale;
        // The cast cuts off and saturates, as PIL does in two steps.
        std::array::from_fn(|value| (value as f64 * scale + offset) as u8)
    });
    look_up_by_channel(pixels, &tables);
}

/// As `PIL.ImageOps.equalize`.
pub(in crate::augment) fn equalize(pixels: &mut [u8]) {
    let tables = histograms(pixels).map(|histogram| equalizing(&histogram));
    look_up_by_channel(pixels, &tables);
}

fn equalizing(histogram: &Histogram) -> Table {
    let total: u32 = histogram.iter().sum();
    let last = histogram.iter().rev().find(|&&count| count > 0).copied().unwrap_or(0);
    let step = (total - last) / 255;
    if step == 0 {
        return UNCHANGED;
    }
    let mut below = step / 2;
    histogram.map(|count| {
        let value = below / step;
        below += count;
        value.min(255) as u8
    })
}

/// Counts of each channel's values. MAX_SIDE² pixels are fewer than 2³².
fn histograms(pixels: &[u8]) -> [Histogram; 3] {
    // Two sets by turns: neighbours are often equal, and counting up the same place twice in a row makes a core wait.
    let mut counts = [[[0_u32; 256]; 3]; 2];
    let (pairs, rest) = pixels.as_chunks::<6>();
    let mut count = |set: usize, pixel: &[u8]| {
        for (histogram, &value) in counts[set].iter_mut().zip(pixel) {
            histogram[usize::from(value)] += 1;
        }
    };
    for pair in pairs {
        count(0, &pair[..3]);
        count(1, &pair[3..]);
    }
    count(0, rest);
    let [mut sum, other] = counts;
    for (sum, other) in sum.iter_mut().flatten().zip(other.iter().flatten()) {
        *sum += other;
    }
    sum
}

/// Multiplies in single precision and cuts off, as the published function.
pub(in crate::augment) fn brightness(pixels: &mut [u8], factor: f64) {
    let factor = factor as f32;
    // The cast cuts off, saturates, and turns NaN into 0.
    let table: Table = std::array::from_fn(|value| (value as f32 * factor) as u8);
    for value in pixels {
        *value = table[usize::from(*value)];
    }
}

fn look_up_by_channel(pixels: &mut [u8], tables: &[Table; 3]) {
    for pixel in pixels.as_chunks_mut::<3>().0 {
        for (value, table) in pixel.iter_mut().zip(tables) {
            *value = table[usize::from(*value)];
        }
    }
}
