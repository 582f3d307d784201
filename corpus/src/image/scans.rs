//! The scans of a progressive JPEG: which of them show at an eighth of the size.
//!
//! A progressive JPEG sends each block's 64 coefficients in passes over the whole picture (ITU-T T.81, G.1): a scan has
//! a band `Ss..=Se` of the zigzag order and a bit position; the first scan of a band (`Ah = 0`) brings the upper bits and
//! later ones refine them. Decoding takes as long as there are bits, whatever the size of the result, and most bits
//! are of what a small picture does not show.
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const SOF_PROGRESSIVE: u8 = 0xc2;

/// The JPEG without the scans that do not show at an eighth of the size; nothing if it cannot be followed or none would
/// go.
///
/// There a block of the first component, the brightness, shows its mean alone, so its other scans go, except the first
/// of them: a decoder that has none would smooth the means. Halved chroma shows 2 × 2 coefficients and stays whole. At
/// larger sizes nothing can go: even the last bit of the coefficients shows (8 levels on average at half the size of a
/// drawing at quality 88).
pub(super) fn of_an_eighth(bytes: &[u8]) -> Option<Vec<u8>> {
    // Followed to its end first: what is left out must not hide that the file is cut.
    let segments = segments(bytes)?;
    let brightness = segments.iter().find_map(|segment| match segment.bytes {
        [0xff, SOF_PROGRESSIVE, ..] => segment.bytes.get(10).copied(),
        _ => None,
    })?;
    let mut kept = Vec::with_capacity(bytes.len());
    kept.extend_from_slice(&[0xff, SOI]);
    let mut details = 0;
    for segment in segments {
        details += u32::from(segment.detail_of == Some(brightness));
        if segment.detail_of != Some(brightness) || details == 1 {
            kept.extend_from_slice(segment.bytes);
        }
    }
    kept.extend_from_slice(&[0xff, EOI]);
    (details > 1).then_some(kept)
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
