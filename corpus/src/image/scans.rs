//! The scans of a progressive JPEG: which of them show at an eighth of the size.
//!
//! A progressive JPEG sends each block's 64 coefficients in passes over the whole picture (ITU-T T.81, G.1): a scan has
//! a band `Ss..=Se` of the zigzag order and a bit position; the first scan of a band (`Ah = 0`) brings the upper bits and
//! later ones refine them. Decoding takes as long as there are bits, whatever the size of the result, and most bits
//! are of what a small picture does not show.
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DHT: u8 = 0xc4;
const DRI: u8 = 0xdd;
const SOF_PROGRESSIVE: u8 = 0xc2;

/// The JPEG without the scans that do not show at an eighth of the size; nothing if it cannot be followed or none would
/// go.
///
/// There a block shows its mean alone, unless both its sides are halved against the brightness as chroma's usually are:
/// then it shows 2 × 2 coefficients and stays whole. Of the other components all scans but the means go, and an empty one
/// says that the rest is zero: a decoder that misses it would smooth, which takes time. At larger sizes nothing can go:
/// even the last bit of the coefficients shows (8 levels on average at half the size of a drawing at quality 88).
pub(super) fn of_an_eighth(bytes: &[u8]) -> Option<Vec<u8>> {
    // Followed to its end first: what is left out must not hide that the file is cut.
    let segments = segments(bytes)?;
    let frame = segments.iter().find(|segment| segment.bytes.starts_with(&[0xff, SOF_PROGRESSIVE]))?;
    let mut means: Vec<Component> = components(frame.bytes);
    means.retain(|component| component.shows_means);
    let shows_not = |segment: &Segment<'_>| {
        means.iter().any(|component| segment.detail_of == Some(component.name)).then_some(segment.detail_of)
    };
    let dropped: Vec<Option<u8>> = segments.iter().filter_map(shows_not).collect();
    let mut kept = Vec::with_capacity(bytes.len());
    kept.extend_from_slice(&[0xff, SOI]);
    for segment in segments.iter().filter(|segment| shows_not(segment).is_none()) {
        kept.extend_from_slice(segment.bytes);
    }
    // Restart markers, which an empty scan has not, end here.
    kept.extend_from_slice(&[0xff, DRI, 0, 4, 0, 0]);
    for component in means.iter().filter(|component| dropped.contains(&Some(component.name))) {
        empty_scan(component, &mut kept);
    }
    kept.extend_from_slice(&[0xff, EOI]);
    (!dropped.is_empty() && kept.len() < bytes.len()).then_some(kept)
}

/// A component as the frame describes it.
struct Component {
    name: u8,
    /// Blocks of a scan that it has for itself.
    blocks: u32,
    /// Whether an eighth of the size shows nothing of a block but its mean: libjpeg-turbo doubles the size of a block
    /// where both sampling factors are at most half of the largest ones.
    shows_means: bool,
}

fn components(frame: &[u8]) -> Vec<Component> {
    // Marker, length, precision, height, width, number of components; then three bytes each: name, factors, table.
    let &[_, _, _, _, _, h1, h0, w1, w0, _, ref rest @ ..] = frame else { return Vec::new() };
    let (height, width) = (u32::from(u16::from_be_bytes([h1, h0])), u32::from(u16::from_be_bytes([w1, w0])));
    let factors = |both: u8| (u32::from(both >> 4).max(1), u32::from(both & 15).max(1));
    let all = rest.as_chunks::<3>().0.iter().map(|&[name, both, _]| (name, factors(both)));
    let widest = all.clone().map(|(_, (across, _))| across).max().unwrap_or(1);
    let tallest = all.clone().map(|(_, (_, down))| down).max().unwrap_or(1);
    all.map(|(name, (across, down))| Component {
        name,
        blocks: (width * across).div_ceil(8 * widest) * (height * down).div_ceil(8 * tallest),
        shows_means: !(widest.is_multiple_of(2 * across) && tallest.is_multiple_of(2 * down)),
    })
    .collect()
}

/// Appends a scan that says of every block that all coefficients but the mean are zero: runs of "end of block" (T.81,
/// G.1.2.2), of at most 2¹⁵ − 1 blocks, under a Huffman table of two codes.
fn empty_scan(component: &Component, out: &mut Vec<u8>) {
    const LONGEST: u32 = (1 << 15) - 1;
    let rest = component.blocks % LONGEST;
    let rest_bits = rest.checked_ilog2().unwrap_or(0);
    out.extend_from_slice(&[0xff, DHT, 0, 21, 0x10, 1, 1]);
    // No longer codes.
    out.extend_from_slice(&[0; 14]);
    out.extend_from_slice(&[14 << 4, (rest_bits << 4) as u8]);
    out.extend_from_slice(&[0xff, SOS, 0, 8, 1, component.name, 0, 1, 63, 0]);
    let mut bits = Bits { out, held: 0, count: 0 };
    for _ in 0..component.blocks / LONGEST {
        bits.push(0b0, 1);
        bits.push(LONGEST - (1 << 14), 14);
    }
    if rest > 0 {
        bits.push(0b10, 2);
        bits.push(rest - (1 << rest_bits), rest_bits);
    }
    bits.finish();
}

/// Coded data in the making: bits from the highest on, a zero after each byte of ones.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits<'_> {
    /// Appends the lowest `count` bits of `value`, at most 16.
    fn push(&mut self, value: u32, count: u32) {
        self.held = self.held << count | value;
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.held >> self.count) as u8;
            self.held &= (1 << self.count) - 1;
            self.out.push(byte);
            if byte == 0xff {
                self.out.push(0);
            }
        }
    }

    /// Fills the last byte up with ones.
    fn finish(mut self) {
        let missing = (8 - self.count) % 8;
        self.push((1 << missing) - 1, missing);
    }
}

/// Whether there is an end marker behind the last scan.
pub(super) fn has_end(bytes: &[u8]) -> bool {
    let last = |code| memchr::memmem::rfind(bytes, &[0xff, code]);
    last(EOI).is_some() && last(EOI) > last(SOS)
}

/// A marker with what belongs to it; of a scan, its coded data too.
struct Segment<'a> {
    bytes: &'a [u8],
    /// Of a scan whose band has no means (Ss > 0), its component; such a scan has only one.
    detail_of: Option<u8>,
}

/// The segments between start and end marker; nothing if one of the two is missing or a length is wrong.
fn segments(bytes: &[u8]) -> Option<Vec<Segment<'_>>> {
    let mut rest = bytes.strip_prefix(&[0xff, SOI])?;
    let mut segments = Vec::new();
    loop {
        let &[0xff, code, ..] = rest else { return None };
        match code {
            EOI => return Some(segments),
            // Fill bytes before a marker.
            0xff => {
                rest = rest.get(1..)?;
                continue;
            }
            // Markers without a length do not stand here, a second picture least of all.
            0x00 | 0x01 | 0xd0..=SOI => return None,
            _ => {}
        }
        let &[high, low] = rest.get(2..4)? else { return None };
        let mut end = 2 + usize::from(u16::from_be_bytes([high, low]));
        let header = rest.get(4..end)?;
        let mut detail_of = None;
        if code == SOS {
            let &[_, component, .., first, _, _] = header else { return None };
            detail_of = (first > 0).then_some(component);
            end += coded_data(rest.get(end..)?)?;
        }
        segments.push(Segment { bytes: rest.get(..end)?, detail_of });
        rest = rest.get(end..)?;
    }
}

/// Length of a scan's coded data: up to the next marker that is neither a stuffed byte nor a restart.
fn coded_data(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(0xff, bytes)
        .find(|&at| bytes.get(at + 1).is_some_and(|code| !matches!(code, 0x00 | 0xd0..=0xd7 | 0xff)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use turbojpeg::{Compressor, Decompressor, Image, PixelFormat, ScalingFactor, Subsamp};

    use super::*;

    fn progressive(width: usize, height: usize, subsampling: Subsamp) -> Vec<u8> {
        let pixels: Vec<u8> = (0..3 * width * height)
            .map(|i| {
                let (x, y, channel) = (i / 3 % width, i / 3 / width, i % 3);
                ((x * x / (90 + 40 * channel) + y * (3 + channel)) % 256) as u8
            })
            .collect();
        let mut compressor = Compressor::new().unwrap();
        compressor.set_progressive(true).unwrap();
        compressor.set_subsamp(subsampling).unwrap();
        compressor.set_quality(90).unwrap();
        let picture =
            Image { pixels: &pixels[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
        compressor.compress_to_vec(picture).unwrap()
    }

    fn eighth(bytes: &[u8]) -> Vec<u8> {
        let mut decompressor = Decompressor::new().unwrap();
        let header = decompressor.read_header(bytes).unwrap().scaled(ScalingFactor::ONE_EIGHTH);
        decompressor.set_scaling_factor(ScalingFactor::ONE_EIGHTH).unwrap();
        let (width, height) = (header.width, header.height);
        let mut pixels = vec![0; 3 * width * height];
        let out =
            Image { pixels: &mut pixels[..], width, pitch: 3 * width, height, format: PixelFormat::RGB };
        decompressor.decompress(bytes, out).unwrap();
        pixels
    }

    #[test]
    fn fewer_scans_give_the_same_pixels_whatever_the_subsampling() {
        use Subsamp::{Gray, None, Sub1x2, Sub2x1, Sub2x2};
        // The larger size has more blocks than one run of them can name.
        for (width, height) in [(45, 34), (1900, 1500)] {
            for subsampling in [Gray, None, Sub1x2, Sub2x1, Sub2x2] {
                let whole = progressive(width, height, subsampling);
                let fewer = of_an_eighth(&whole).unwrap();
                assert!(fewer.len() < whole.len() * 3 / 4, "{subsampling:?}: {}", fewer.len());
                assert!(eighth(&fewer) == eighth(&whole), "{width} × {height}, {subsampling:?}");
            }
        }
    }
}
