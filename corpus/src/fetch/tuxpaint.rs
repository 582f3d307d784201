//! Stamps of Tux Paint: drawings and photographs, each with a text file beside it.
use super::FetchError;
use super::debian::Unpacked;
use super::pairs::{Pair, Pairs};

const STAMPS: &str = "usr/share/tuxpaint/stamps";
/// Most bytes of a text; the largest that Debian has is 20 kB.
const LONGEST: u64 = 1 << 20;
const LICENSE: &str = "GPL-2";

/// Every stamp with the first line of its text, which is English; the others are translations.
pub(super) fn collect(stamps: &Unpacked, pairs: &mut Pairs) -> Result<(), FetchError> {
    for path in stamps.files(STAMPS)? {
        let stamp = path.strip_prefix(STAMPS).unwrap_or(&path).trim_start_matches('/');
        let Some(stem) = stamp.strip_suffix(".png").or_else(|| stamp.strip_suffix(".svg")) else { continue };
        let Some(image) = pairs.image(stamps, STAMPS, stamp)? else { continue };
        let caption = &caption(stamps, stem)?;
        let set = stem.split_once('/').map_or("", |(set, _)| set);
        pairs.push(&Pair {
            image: &image,
            caption,
            field: "caption",
            set,
            origin: stamp,
            license: LICENSE,
        })?;
    }
    Ok(())
}

/// The caption of the stamp `stem`, or of the one that it mirrors; empty if neither has a text.
fn caption(stamps: &Unpacked, stem: &str) -> Result<String, FetchError> {
    for stem in [Some(stem), stem.strip_suffix("_mirror")].into_iter().flatten() {
        if let Some(bytes) = stamps.read(&format!("{STAMPS}/{stem}.txt"), LONGEST)? {
            let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes));
            return Ok(text.lines().next().unwrap_or_default().trim().to_owned());
        }
    }
    Ok(String::new())
}
