//! Decoding and resizing beside PIL, and what the rules measure.
//!
//! `fixtures/image` holds one small picture in many formats and, in `expected.safetensors`, what Pillow 13 with
//! libjpeg-turbo makes of each: `convert("RGB")`, transparent ones composited on white first, of 16-bit grey the high
//! byte, and `baseline.jpg/2` for a draft of half the size. `fixtures/resize.safetensors` holds torchvision's
//! `resized_crop` with PIL's bicubic filter.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
use std::fs;
use std::path::PathBuf;

use albef_corpus::image::{
    CropBox, Encoding, Format, ImageError, Limits, Reduction, Resizer, Rgb, decode, decode_scaled, encode,
    probe, quality, read, shrink_to_side,
};
use safetensors::SafeTensors;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"))
}

fn tensor(file: &SafeTensors<'_>, name: &str) -> Rgb {
    let view = file.tensor(name).unwrap();
    let [height, width, 3] = *view.shape() else { panic!("{name}: {:?}", view.shape()) };
    Rgb::new(width as u32, height as u32, view.data().to_vec()).unwrap()
}

/// Mean and largest difference, in levels of 255.
fn difference(a: &Rgb, b: &Rgb) -> (f64, u8) {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let differences: Vec<u8> = a.pixels().iter().zip(b.pixels()).map(|(a, b)| a.abs_diff(*b)).collect();
    let sum: f64 = differences.iter().map(|d| f64::from(*d)).sum();
    (sum / differences.len() as f64, differences.into_iter().max().unwrap())
}

/// A picture with something in every corner.
fn picture(width: u32, height: u32) -> Rgb {
    let pixel = |i: u32| {
        let (x, y) = (i % width, i / width);
        [(x * 255 / width) as u8, (y * 255 / height) as u8, ((x * x / 7 + y * 3) % 256) as u8]
    };
    Rgb::new(width, height, (0..width * height).flat_map(pixel).collect()).unwrap()
}

#[test]
fn every_format_is_decoded_to_the_pixels_that_pil_gives() {
    let expected = fixture("image/expected.safetensors");
    let expected = SafeTensors::deserialize(&expected).unwrap();
    let names: Vec<_> = expected.names().into_iter().filter(|n| !n.contains('/')).collect();
    assert_eq!(names.len(), 20);
    for name in names {
        let bytes = fixture(&format!("image/{name}"));
        let (mean, max) = difference(&decode(&bytes, &Limits::default()).unwrap(), &tensor(&expected, name));
        // Lossy WebP: libwebp and the Rust decoder interpolate chroma with other roundings.
        let bound = if name == "lossy.webp" { (1.0, 8) } else { (0.1, 1) };
        println!("{name}: mean {mean:.4}, largest {max}");
        assert!(mean <= bound.0 && max <= bound.1, "{name}: mean {mean}, largest {max}");
        // libjpeg-turbo beside libjpeg-turbo: the same bits.
        assert!(!name.ends_with("jpg") || max == 0, "{name}: {max}");
    }
}

#[test]
fn a_jpeg_is_decoded_at_a_fraction_of_its_size_as_pil_drafts_it() {
    let expected = fixture("image/expected.safetensors");
    let expected = SafeTensors::deserialize(&expected).unwrap();
    let bytes = fixture("image/baseline.jpg");
    for reduction in [Reduction::Half, Reduction::Quarter, Reduction::Eighth] {
        let scaled = decode_scaled(&bytes, &Limits::default(), reduction).unwrap();
        assert_eq!((scaled.source_width, scaled.source_height, scaled.reduction), (45, 34, reduction));
        assert_eq!(scaled.image, tensor(&expected, &format!("baseline.jpg/{}", reduction.divisor())));
    }
    let png = decode_scaled(&fixture("image/rgb.png"), &Limits::default(), Reduction::Half).unwrap();
    assert_eq!((png.reduction, png.image.width()), (Reduction::Full, 45), "only JPEG can be scaled");
}

#[test]
fn a_progressive_jpeg_decoded_small_looks_like_the_baseline_one() {
    // The same coefficients in another order, of which an eighth of the size does not need all.
    let (progressive, baseline) = (fixture("image/progressive.jpg"), fixture("image/baseline.jpg"));
    for reduction in [Reduction::Half, Reduction::Quarter, Reduction::Eighth] {
        let small = |bytes: &[u8]| decode_scaled(bytes, &Limits::default(), reduction).unwrap().image;
        let (mean, max) = difference(&small(&progressive), &small(&baseline));
        println!("1/{}: mean {mean:.3}, largest {max}", reduction.divisor());
        assert!(max == 0, "{reduction:?}: mean {mean}, largest {max}");
    }
}

#[test]
fn the_reduction_leaves_at_least_the_pixels_that_the_crop_needs() {
    let of = |width, height, margin| Reduction::for_crop((width, height), (256, 256), margin);
    assert_eq!(of(255.0, 9000.0, 1.0), Reduction::Full);
    assert_eq!(of(511.9, 9000.0, 1.0), Reduction::Full);
    assert_eq!(of(512.0, 9000.0, 1.0), Reduction::Half);
    assert_eq!(of(9000.0, 1024.0, 1.0), Reduction::Quarter);
    assert_eq!(of(2048.0, 2048.0, 0.0), Reduction::Eighth);
    assert_eq!(of(2048.0, 2048.0, 2.0), Reduction::Quarter);
    assert_eq!(of(f64::NAN, 2048.0, f64::NAN), Reduction::Full);
}

#[test]
fn crops_are_resized_as_torchvision_does_with_pil() {
    let golden = fixture("resize.safetensors");
    let golden = SafeTensors::deserialize(&golden).unwrap();
    let input = tensor(&golden, "resize.input");
    // One of the crops reaches a row below the picture, which PIL fills with black.
    let rows = input.height() + 1;
    let mut padded = input.pixels().to_vec();
    padded.resize(3 * (input.width() * rows) as usize, 0);
    let padded = Rgb::new(input.width(), rows, padded).unwrap();
    let mut seen = 0;
    for name in golden.names().into_iter().filter(|n| *n != "resize.input") {
        let numbers: Vec<f64> = name.split('_').filter_map(|part| part.parse().ok()).collect();
        let (image, crop, side) = match numbers[..] {
            [top, left, height, width, side] => (&padded, CropBox { left, top, width, height }, side as u32),
            [side] => (&input, CropBox::whole(&input), side as u32),
            _ => panic!("{name}"),
        };
        let resized = Resizer::new().crop(image, crop, side, side).unwrap();
        let (mean, max) = difference(&resized, &tensor(&golden, name));
        println!("{name}: mean {mean:.4}, largest {max}");
        assert!(mean <= 0.3 && max <= 1, "{name}: mean {mean}, largest {max}");
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn a_crop_reads_no_pixel_outside_of_itself() {
    let mut pixels = vec![255; 3 * 20 * 20];
    for y in 5..15 {
        pixels[3 * (20 * y + 5)..3 * (20 * y + 15)].fill(0);
    }
    let image = Rgb::new(20, 20, pixels).unwrap();
    let crop = CropBox { left: 5.0, top: 5.0, width: 10.0, height: 10.0 };
    let resized = Resizer::new().crop(&image, crop, 33, 7).unwrap();
    assert!(resized.pixels().iter().all(|&p| p == 0));
}

#[test]
fn a_crop_outside_of_the_picture_is_refused_in_one_line() {
    let image = picture(8, 8);
    for (left, width) in [
        (-1.0, 4.0),
        (5.0, 4.0),
        (0.0, 0.0),
        (8.0, 1.0),
        (f64::NAN, 1.0),
        (0.0, f64::INFINITY),
        (1e300, 1e300),
    ] {
        let crop = CropBox { left, top: 0.0, width, height: 8.0 };
        let error = Resizer::new().crop(&image, crop, 4, 4).unwrap_err();
        assert!(matches!(error, ImageError::Crop { .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
    for (width, height) in [(0, 4), (4, 0), (4, 70_000)] {
        let error = Resizer::new().crop(&image, CropBox::whole(&image), width, height).unwrap_err();
        assert!(matches!(error, ImageError::Size { .. }), "{error}");
    }
}

#[test]
fn the_header_alone_tells_format_and_size() {
    for (name, format, header) in [
        ("baseline.jpg", Format::Jpeg, 700),
        ("rgba.png", Format::Png, 60),
        ("lossless.webp", Format::WebP, 60),
        ("lossy.webp", Format::WebP, 60),
        ("palette.gif", Format::Gif, 820),
        ("rgb.bmp", Format::Bmp, 60),
    ] {
        let bytes = fixture(&format!("image/{name}"));
        for length in [header, bytes.len()] {
            let probe = probe(&bytes[..length.min(bytes.len())], &Limits::default());
            let probe = probe.unwrap_or_else(|e| panic!("{name} of {length} bytes: {e}: {e:?}"));
            assert_eq!((probe.format, probe.width, probe.height), (format, 45, 34), "{name}");
        }
    }
}

#[test]
fn too_many_pixels_are_refused_from_the_header() {
    let limits = Limits { max_pixels: 45 * 34 - 1, ..Limits::default() };
    for name in ["baseline.jpg", "rgba.png", "lossless.webp", "palette.gif", "rgb.bmp"] {
        let bytes = fixture(&format!("image/{name}"));
        let error = decode(&bytes, &limits).unwrap_err();
        assert!(matches!(error, ImageError::TooManyPixels { width: 45, height: 34, .. }), "{name}: {error}");
    }
    decode(&fixture("image/rgb.png"), &Limits { max_pixels: 45 * 34, ..limits }).unwrap();
}

#[test]
fn what_is_not_an_image_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { max_bytes: 100, ..Limits::default() };
    let path = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    assert!(matches!(read(folder.path(), &limits), Err(ImageError::NotAFile { .. })));
    assert!(matches!(read(&folder.path().join("none"), &limits), Err(ImageError::Read { .. })));
    assert!(matches!(read(&path("empty.png", b""), &limits), Err(ImageError::Empty)));
    let long = read(&path("long.png", &[0; 101]), &limits);
    assert!(matches!(long, Err(ImageError::TooManyBytes { bytes: 101, limit: 100 })));
    let page = read(&path("page.jpg", b"<!DOCTYPE html><html>404</html>"), &limits).unwrap();
    assert!(matches!(decode(&page, &limits), Err(ImageError::NotAnImage)));
    assert!(matches!(decode(b"", &limits), Err(ImageError::Empty)));
}

#[test]
fn the_same_picture_gives_the_same_bytes_and_comes_back() {
    let image = picture(61, 47);
    for encoding in [Encoding::Png, Encoding::WebP, Encoding::Jpeg { quality: 92 }] {
        let bytes = encode(&image, encoding).unwrap();
        assert_eq!(bytes, encode(&image, encoding).unwrap());
        assert_eq!(probe(&bytes, &Limits::default()).unwrap().format, encoding.format());
        let (mean, _) = difference(&image, &decode(&bytes, &Limits::default()).unwrap());
        assert!(mean < if encoding.format() == Format::Jpeg { 12.0 } else { 1e-9 }, "{encoding:?}: {mean}");
    }
    assert!(matches!(encode(&image, Encoding::Jpeg { quality: 0 }), Err(ImageError::Quality(0))));
    let wide = Rgb::new(16_385, 1, vec![7; 3 * 16_385]).unwrap();
    assert!(matches!(encode(&wide, Encoding::WebP), Err(ImageError::Size { .. })));
    assert!(encode(&wide, Encoding::Png).is_ok());
}

#[test]
fn shrinking_keeps_the_proportions_and_leaves_small_pictures_alone() {
    let mut resizer = Resizer::new();
    let mut size = |width, height, side| {
        shrink_to_side(&picture(width, height), side, &mut resizer).unwrap().map(|i| (i.width(), i.height()))
    };
    assert_eq!(size(64, 48, 64), None);
    assert_eq!(size(64, 48, 32), Some((32, 24)));
    assert_eq!(size(48, 64, 32), Some((24, 32)));
    assert_eq!(size(500, 1, 10), Some((10, 1)));
    assert!(shrink_to_side(&picture(4, 4), 0, &mut Resizer::new()).is_err());
}

#[test]
fn a_page_with_grain_is_blank_and_a_minus_sign_is_not() {
    let grain: Vec<u8> =
        (0..3 * 128 * 128_u32).map(|i| 247 + (i.wrapping_mul(2_654_435_761) >> 30) as u8).collect();
    let page = Rgb::new(128, 128, grain).unwrap();
    assert!(quality::blank_share(&page) > quality::MAX_BLANK);
    let mut pixels = page.into_pixels();
    for y in 60..68 {
        pixels[3 * (128 * y + 30)..3 * (128 * y + 98)].fill(20);
    }
    let minus = Rgb::new(128, 128, pixels).unwrap();
    let share = quality::blank_share(&minus);
    assert!((share - (1.0 - 8.0 * 68.0 / 16_384.0)).abs() < 1e-9, "{share}");
    assert!(share < quality::MAX_BLANK);
    assert!(quality::blank_share(&picture(64, 64)) < 0.1);
    let probe = probe(&fixture("image/rgb.png"), &Limits::default()).unwrap();
    let size = (probe.width, probe.height);
    assert_eq!(quality::min_side(size), 34);
    assert!((quality::aspect_ratio(size) - 45.0 / 34.0).abs() < 1e-12);
}

#[test]
fn pixels_that_do_not_fit_the_size_are_refused() {
    assert!(matches!(Rgb::new(2, 2, vec![0; 11]), Err(ImageError::WrongLength { bytes: 11, .. })));
    assert!(matches!(Rgb::new(0, 2, vec![]), Err(ImageError::NoPixels { .. })));
    assert!(Rgb::new(u32::MAX, u32::MAX, vec![]).is_err());
}
