//! Time of each augmentation of one RGB image of 256 × 256 pixels.
#![allow(clippy::unwrap_used, missing_docs)]

use albef_corpus::augment::{AugmentConfig, Canvas, Operation};
use divan::{Bencher, black_box};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn main() {
    divan::main();
}

const SIDE: usize = 256;

/// Waves of other lengths in each channel, with the noise of a photograph.
fn picture() -> Vec<u8> {
    let mut noise = 1_u32;
    (0..3 * SIDE * SIDE)
        .map(|i| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, y, channel) = ((i / 3 % SIDE) as f32, (i / 3 / SIDE) as f32, (i % 3) as f32);
            let wave = (x / (20.0 + 9.0 * channel)).sin() + (y / (31.0 - 7.0 * channel)).cos();
            (125.0 + 50.0 * wave + (noise >> 28) as f32) as u8
        })
        .collect()
}

const OPERATIONS: [(&str, Operation); 9] = [
    ("AutoContrast", Operation::AutoContrast),
    ("Equalize", Operation::Equalize),
    ("Brightness", Operation::Brightness(1.36)),
    ("Sharpness", Operation::Sharpness(1.36)),
    ("ShearX", Operation::ShearX(0.21)),
    ("ShearY", Operation::ShearY(0.21)),
    ("TranslateX", Operation::TranslateX(7.0)),
    ("TranslateY", Operation::TranslateY(7.0)),
    ("Rotate", Operation::Rotate(21.0)),
];

/// Includes copying the image in.
#[divan::bench(args = OPERATIONS.map(|(name, _)| name))]
fn operation(bencher: Bencher<'_, '_>, name: &str) {
    let (_, operation) = OPERATIONS.into_iter().find(|(other, _)| *other == name).unwrap();
    let (picture, mut canvas) = (picture(), Canvas::new());
    bencher.bench_local(|| {
        canvas.load(SIDE, SIDE, &picture).unwrap();
        canvas.operate(black_box(operation));
    });
}

#[divan::bench]
fn flip(bencher: Bencher<'_, '_>) {
    let (picture, mut canvas) = (picture(), Canvas::new());
    bencher.bench_local(|| {
        canvas.load(SIDE, SIDE, &picture).unwrap();
        canvas.flip();
    });
}

/// What an image costs on average: a plan drawn, flip and operations applied.
#[divan::bench(sample_count = 1000)]
fn plan(bencher: Bencher<'_, '_>) {
    let (picture, mut canvas) = (picture(), Canvas::new());
    let (config, mut rng) = (AugmentConfig::default(), ChaCha8Rng::seed_from_u64(7));
    bencher.bench_local(|| {
        canvas.load(SIDE, SIDE, &picture).unwrap();
        canvas.apply(&config.draw(&mut rng, (640, 480), "a dog runs through the snow"));
    });
}
