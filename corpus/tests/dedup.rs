//! Doubles are found, all of them, in the order of the corpus, without comparing all pairs.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
use std::time::Instant;

use albef_corpus::dedup::{Detail, ExactIndex, Fingerprint, NearIndex, Nearness, Owner, PixelHash};
use albef_corpus::image::{CropBox, Encoding, Limits, Resizer, Rgb, decode, encode};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A drawing that differs from seed to seed.
fn drawing(seed: u64, side: u32) -> Rgb {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let blobs: Vec<(f64, f64, f64, [u8; 3])> =
        (0..12).map(|_| (rng.random(), rng.random(), rng.random_range(0.05..0.3), rng.random())).collect();
    let pixel = |i: u32| {
        let (x, y) = (f64::from(i % side) / f64::from(side), f64::from(i / side) / f64::from(side));
        let inside = |blob: &&(f64, f64, f64, [u8; 3])| (x - blob.0).hypot(y - blob.1) < blob.2;
        blobs.iter().rev().find(inside).map_or([255; 3], |blob| blob.3)
    };
    Rgb::new(side, side, (0..side * side).flat_map(pixel).collect()).unwrap()
}

fn print_of(image: &Rgb) -> Fingerprint {
    Fingerprint::of(image, &mut Resizer::new()).unwrap().expect("not flat")
}

fn detail_of(image: &Rgb) -> Detail {
    Detail::of(image, &mut Resizer::new()).unwrap()
}

#[test]
fn the_same_pixels_have_the_same_hash_in_any_format() {
    let image = drawing(1, 50);
    let hash = |encoding| {
        let bytes = encode(&image, encoding).unwrap();
        PixelHash::of(&decode(&bytes, &Limits::default()).unwrap())
    };
    assert_eq!(hash(Encoding::Png), hash(Encoding::WebP));
    assert_ne!(hash(Encoding::Png), hash(Encoding::Jpeg { quality: 90 }));
    // The same bytes in another shape are another picture.
    let flat = |width, height| PixelHash::of(&Rgb::new(width, height, vec![9; 36]).unwrap());
    assert_ne!(flat(3, 4), flat(4, 3));

    let mut index = ExactIndex::new();
    assert_eq!(index.find_or_insert(hash(Encoding::Png), 7), None);
    assert_eq!(index.find_or_insert(hash(Encoding::WebP), 8), Some(7));
    assert_eq!(index.find_or_insert(flat(3, 4), 9), None);
    assert_eq!(index.len(), 2);
}

#[test]
fn a_picture_resized_and_re_encoded_is_near_itself_and_others_are_not() {
    let nearness = Nearness::default();
    let prints: Vec<_> = (0..60).map(|seed| print_of(&drawing(seed, 160))).collect();
    let mut resizer = Resizer::new();
    for (seed, original) in (0..60).zip(&prints) {
        let image = drawing(seed, 160);
        let small = resizer.crop(&image, CropBox::whole(&image), 97, 91).unwrap();
        let bytes = encode(&small, Encoding::Jpeg { quality: 60 }).unwrap();
        let copy = print_of(&decode(&bytes, &Limits::default()).unwrap());
        assert!(nearness.holds(original, &copy), "{seed}: {} bits", original.distance(&copy));
    }
    let pairs = (0..60).flat_map(|a| (0..a).map(move |b| (a, b)));
    assert_eq!(pairs.filter(|&(a, b)| nearness.holds(&prints[a], &prints[b])).count(), 0);
}

#[test]
fn a_flat_picture_has_no_fingerprint() {
    let flat = Rgb::new(64, 64, vec![200; 3 * 64 * 64]).unwrap();
    assert_eq!(Fingerprint::of(&flat, &mut Resizer::new()).unwrap(), None);
}

#[test]
fn training_pictures_near_the_evaluation_are_told_apart_from_doubles() {
    let (held_out, known) = (print_of(&drawing(1, 64)), print_of(&drawing(2, 64)));
    let mut index =
        NearIndex::with_evaluation(Nearness::default(), [None, Some(held_out), Some(held_out)]).unwrap();
    let flipped = Fingerprint { hash: held_out.hash ^ 0b1000_0100_0001, ..held_out };
    let mut find = |print, seed, number| index.find_or_insert(print, detail_of(&drawing(seed, 64)), number);
    // What looks like the evaluation is kept out whatever its detail.
    assert_eq!(find(flipped, 7, 0), Ok(Some(Owner::Evaluation(1))));
    assert_eq!(find(known, 2, 1), Ok(None));
    assert_eq!(find(known, 2, 2), Ok(Some(Owner::Training(1))));
    assert_eq!(find(known, 3, 3), Ok(None), "another picture of the same fingerprint");
    assert_eq!(find(known, 3, 4), Ok(Some(Owner::Training(3))));
    assert_eq!(index.len(), 3);
}

/// A small disc on a page: all that the hash sees is that there is one.
fn page(side: u32, (x, y): (f64, f64), inner: f64) -> Rgb {
    let pixel = |i: u32| {
        let (dx, dy) = (f64::from(i % side) / f64::from(side) - x, f64::from(i / side) / f64::from(side) - y);
        let distance = dx.hypot(dy);
        if distance < 0.2 && distance >= inner { [30; 3] } else { [255; 3] }
    };
    Rgb::new(side, side, (0..side * side).flat_map(pixel).collect()).unwrap()
}

#[test]
fn detail_tells_pictures_apart_that_the_hash_does_not() {
    let (disc, ring) = (page(200, (0.5, 0.5), 0.0), page(200, (0.5, 0.5), 0.12));
    let copy = Resizer::new().crop(&disc, CropBox::whole(&disc), 77, 77).unwrap();
    let copy = decode(&encode(&copy, Encoding::Jpeg { quality: 60 }).unwrap(), &Limits::default()).unwrap();
    let [disc, ring, copy] = [disc, ring, copy].map(|image| detail_of(&image));
    let limit = 0.15;
    assert!(disc.difference(&copy) <= limit, "{}", disc.difference(&copy));
    assert!(disc.difference(&ring) > limit, "{}", disc.difference(&ring));
    assert_eq!(disc.difference(&ring), ring.difference(&disc));
    assert_eq!(disc.difference(&disc), 0.0);
    let grey = |level| detail_of(&Rgb::new(8, 8, vec![level; 192]).unwrap());
    assert_eq!(grey(100).difference(&grey(102)), 0.0, "noise");
    assert!(grey(100).difference(&grey(103)).is_infinite(), "flat pictures have no contrast to measure by");
    let text = serde_json::to_string(&ring).unwrap();
    assert_eq!(serde_json::from_str::<Detail>(&text).unwrap(), ring);
    assert!(serde_json::from_str::<Detail>("\"AAAA\"").is_err());
}

/// Hashes as a corpus has them: strangers, families a few bits apart, sparse ones; few or many colours.
fn prints(count: usize, seed: u64, colours: u8) -> Vec<Fingerprint> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut prints: Vec<Fingerprint> = Vec::with_capacity(count);
    for i in 0..count {
        let hash = match rng.random_range(0..3) {
            0 => rng.random::<u64>(),
            1 if i > 0 => {
                let flips = rng.random_range(0..9);
                let parent = prints[rng.random_range(0..i)].hash;
                (0..flips).fold(parent, |hash, _| hash ^ 1 << rng.random_range(0..64))
            }
            _ => rng.random::<u64>() & rng.random::<u64>() & rng.random::<u64>(),
        };
        let base: u8 = rng.random_range(0..colours);
        let colours = std::array::from_fn(|_| base.saturating_add(rng.random_range(0..20)));
        prints.push(Fingerprint { hash, colours });
    }
    prints
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_as_comparing_with_every_picture_does(
        seed in any::<u64>(), bits in 0_u32..=6, colour in 0_u8..=60, colours in 1_u8..=230, held_out in 0_usize..40,
    ) {
        let nearness = Nearness::new(bits, colour, 0.15);
        let details: Vec<Detail> = (0..4).map(|seed| detail_of(&drawing(seed, 32))).collect();
        let detail = |number: u32| details[number.wrapping_mul(7) as usize % 4];
        let prints = prints(400, seed, colours);
        let (evaluation, training) = prints.split_at(held_out);
        let mut index = NearIndex::with_evaluation(nearness, evaluation.iter().copied().map(Some)).unwrap();
        let mut known: Vec<(Fingerprint, Owner)> =
            (0..).zip(evaluation).map(|(i, print)| (*print, Owner::Evaluation(i))).collect();
        for (number, print) in (0..).zip(training) {
            let alike = |owner: &Owner| match owner {
                Owner::Evaluation(_) => true,
                Owner::Training(other) => detail(*other) == detail(number),
            };
            let near = known.iter().find(|(other, owner)| nearness.holds(print, other) && alike(owner));
            let first = near.map(|(_, owner)| *owner);
            prop_assert_eq!(index.find_or_insert(*print, detail(number), number), Ok(first));
            if first.is_none() {
                known.push((*print, Owner::Training(number)));
            }
        }
    }

    #[test]
    fn a_crowd_of_one_hash_in_many_colours_is_searched_as_exactly(seed in any::<u64>(), colour in 0_u8..=60) {
        let nearness = Nearness::new(5, colour, 0.15);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut index = NearIndex::new(nearness);
        let mut known: Vec<(Fingerprint, u32)> = Vec::new();
        for number in 0..600 {
            let hash = 0xf0_0f00 ^ if rng.random_bool(0.2) { 1 << rng.random_range(0..64) } else { 0 };
            let print = Fingerprint { hash, colours: rng.random() };
            let first = known.iter().find(|(other, _)| nearness.holds(&print, other)).map(|k| Owner::Training(k.1));
            prop_assert_eq!(index.find_or_insert(print, Detail::default(), number), Ok(first));
            if first.is_none() {
                known.push((print, number));
            }
        }
    }
}

#[test]
fn time_and_memory_grow_with_the_pictures_and_not_with_their_square() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let worst: Vec<Fingerprint> =
        (0..50_000).map(|_| Fingerprint { hash: 0xf0_0f00, colours: rng.random() }).collect();
    for (name, prints) in [("as in a corpus", prints(200_000, 3, 230)), ("one hash, all colours", worst)] {
        let mut index = NearIndex::new(Nearness::default());
        let started = Instant::now();
        let mut half = started.elapsed();
        for (number, print) in (0..).zip(&prints) {
            if 2 * number as usize == prints.len() {
                half = started.elapsed();
            }
            index.find_or_insert(*print, Detail::default(), number).unwrap();
        }
        let whole = started.elapsed();
        let bytes = index.entry_bytes() as f64 / index.len() as f64;
        println!("{name}: {} kept, {half:?} for half, {whole:?}, {bytes:.0} bytes each", index.len());
        assert!(bytes < 200.0 + 3.0 * 32.0, "{name}: {bytes} bytes a fingerprint");
        // All pairs would be 20 billion comparisons: minutes in this profile.
        assert!(whole.as_secs() < 240, "{name}: {whole:?}");
    }
}
