//! Pictures that somebody cut, damaged or made to hurt: an error or a picture, never a panic, never much memory.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
use std::fs;
use std::path::PathBuf;

use albef_corpus::image::{ImageError, Limits, Reduction, decode, decode_scaled, probe};
use proptest::prelude::*;
use proptest::sample::Index;

/// Small enough that a decoder which believes a damaged header shows.
const LIMITS: Limits = Limits { max_pixels: 1 << 20, max_bytes: 1 << 20 };

fn pictures() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/image");
    let mut pictures: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e != "safetensors"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    pictures.sort();
    pictures
}

/// Everything that reads bytes; the result of full decoding.
fn all_of(bytes: &[u8]) -> Result<albef_corpus::image::Rgb, ImageError> {
    let probed = probe(bytes, &LIMITS);
    for reduction in [Reduction::Half, Reduction::Quarter, Reduction::Eighth] {
        if let Ok(scaled) = decode_scaled(bytes, &LIMITS, reduction) {
            assert!(scaled.image.pixels().len() <= 3 << 20);
        }
    }
    let decoded = decode(bytes, &LIMITS);
    match &decoded {
        Ok(image) => {
            let probe = probed.unwrap();
            assert_eq!((probe.width, probe.height), (image.width(), image.height()));
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
    decoded
}

#[test]
fn a_file_cut_anywhere_is_an_error_or_the_whole_picture() {
    for (name, bytes) in pictures() {
        let whole = decode(&bytes, &LIMITS).unwrap();
        let mut complete = 0;
        for length in 0..bytes.len() {
            match all_of(&bytes[..length]) {
                // The end of some formats says nothing about pixels.
                Ok(image) => {
                    complete += 1;
                    assert!(
                        image == whole,
                        "{name} cut to {length} of {} bytes is another picture",
                        bytes.len()
                    );
                    assert!(!name.ends_with("jpg"), "{name} of {length} bytes");
                }
                Err(ImageError::Truncated { .. } | ImageError::Empty | ImageError::NotAnImage) => {}
                Err(ImageError::Unreadable { .. }) => {}
                Err(other) => panic!("{name} cut to {length}: {other}"),
            }
        }
        assert!(complete <= 40, "{name}: {complete} cuts go unnoticed");
    }
}

#[test]
fn a_few_bytes_that_promise_a_huge_picture_are_refused_before_decoding() {
    let mut png =
        fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/image/rgb.png")).unwrap();
    png[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    let error = decode(&png, &Limits::default()).unwrap_err();
    assert!(matches!(error, ImageError::TooManyPixels { width: 65_536, height: 65_536, .. }), "{error}");
}

#[test]
fn a_progressive_jpeg_of_endless_scans_is_refused() {
    let (_, bytes) = pictures().into_iter().find(|(name, _)| name == "progressive.jpg").unwrap();
    let sos = |from: usize| (from..bytes.len() - 1).find(|&i| bytes[i..i + 2] == [0xff, 0xda]).unwrap();
    let last = (0..bytes.len() - 1).rfind(|&i| bytes[i..i + 2] == [0xff, 0xda]).unwrap();
    assert!(sos(0) < last);
    let mut endless = bytes[..bytes.len() - 2].to_vec();
    for _ in 0..2000 {
        endless.extend_from_slice(&bytes[last..bytes.len() - 2]);
    }
    endless.extend_from_slice(&[0xff, 0xd9]);
    for reduction in [Reduction::Full, Reduction::Half] {
        if let Ok(scaled) = decode_scaled(&endless, &LIMITS, reduction) {
            // Left out, not decoded.
            assert_ne!(scaled.reduction, Reduction::Full);
        }
    }
    assert!(decode(&endless, &LIMITS).is_err());
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_behind_any_signature_do_no_harm(
        signature in prop::sample::select(vec![
            &b"\xff\xd8\xff"[..], b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBPVP8 ", b"RIFF\x40\0\0\0WEBPVP8L",
            b"RIFF\x40\0\0\0WEBPVP8X", b"GIF89a", b"BM", b"",
        ]),
        noise in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let _ = all_of(&[signature, &noise].concat());
    }

    #[test]
    fn damaged_files_do_no_harm(
        which in any::<Index>(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<Index>()),
        repeat in prop::option::of((any::<Index>(), any::<Index>())),
    ) {
        let pictures = pictures();
        let mut bytes = which.get(&pictures).1.clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some((from, to)) = repeat {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.splice(from..from, part);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = all_of(&bytes);
    }
}
