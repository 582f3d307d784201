//! Augmentation: the published bytes, the random choices, and images of any shape.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;

use albef_corpus::augment::{AugmentConfig, Canvas, Crop, Operation, OperationName, RandAugmentConfig};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

const GOLDEN: &[u8] = include_bytes!("fixtures/augment.safetensors");

fn operation(name: &str, argument: f64) -> Operation {
    match name {
        "AutoContrast" => Operation::AutoContrast,
        "Equalize" => Operation::Equalize,
        "Brightness" => Operation::Brightness(argument),
        "Sharpness" => Operation::Sharpness(argument),
        "ShearX" => Operation::ShearX(argument),
        "ShearY" => Operation::ShearY(argument),
        "TranslateX" => Operation::TranslateX(argument),
        "TranslateY" => Operation::TranslateY(argument),
        "Rotate" => Operation::Rotate(argument),
        other => panic!("unknown operation {other}"),
    }
}

/// Mean and greatest absolute difference.
fn difference(ours: &[u8], published: &[u8]) -> (f64, u8) {
    assert_eq!(ours.len(), published.len());
    let differences = || ours.iter().zip(published).map(|(a, b)| a.abs_diff(*b));
    let sum: f64 = differences().map(f64::from).sum();
    (sum / ours.len() as f64, differences().max().unwrap_or(0))
}

/// `{n}.{Operation}[.{argument}]`; run with `--nocapture` for the table.
#[test]
fn every_operation_gives_the_published_bytes() {
    let golden = SafeTensors::deserialize(GOLDEN).unwrap();
    let mut seen = Vec::new();
    for name in golden.names() {
        let mut parts = name.splitn(3, '.');
        let (case, kind) = (parts.next().unwrap(), parts.next().unwrap());
        if kind == "input" {
            continue;
        }
        let argument = parts.next().map_or(0.0, |text| text.parse().unwrap());
        let input = golden.tensor(&format!("{case}.input")).unwrap();
        let mut canvas = Canvas::new();
        canvas.load(input.shape()[1], input.shape()[0], input.data()).unwrap();
        canvas.operate(operation(kind, argument));
        let (mean, max) = difference(canvas.pixels(), golden.tensor(name).unwrap().data());
        println!("{kind:<13}{argument:>6}  mean {mean:.4}  max {max}");
        assert_eq!(max, 0, "{name}: mean difference {mean}");
        seen.push(kind.to_owned());
    }
    assert_eq!(seen.len(), 14, "the fixture is cut short: {seen:?}");
}

/// White on black: the smoothed middle is 98, and 98 + 1.36 · (255 − 98) = 311 keeps its low eight bits.
#[test]
fn sharpness_wraps_around_as_published_and_leaves_the_border() {
    let mut pixels = vec![0_u8; 27];
    pixels[12..15].fill(255);
    let mut canvas = on_canvas(&(3, 3, pixels.clone()));
    canvas.operate(Operation::Sharpness(1.36));
    pixels[12..15].fill(55);
    assert_eq!(canvas.pixels(), pixels);
}

/// The levels behind the published recipe, N = 2 and M = 7.
#[test]
fn level_seven_gives_the_published_arguments() {
    let found: Vec<Operation> =
        OperationName::ALL.into_iter().map(|name| positive(name.at(7.0, &mut rng(1)))).collect();
    let expected = [
        Operation::Identity,
        Operation::AutoContrast,
        Operation::Equalize,
        Operation::Brightness(0.7 * 1.8 + 0.1),
        Operation::Sharpness(0.7 * 1.8 + 0.1),
        Operation::ShearX(0.7 * 0.3),
        Operation::ShearY(0.7 * 0.3),
        Operation::TranslateX(7.0),
        Operation::TranslateY(7.0),
        Operation::Rotate(21.0),
    ];
    assert_eq!(found, expected);
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn positive(operation: Operation) -> Operation {
    match operation {
        Operation::ShearX(x) => Operation::ShearX(x.abs()),
        Operation::ShearY(x) => Operation::ShearY(x.abs()),
        Operation::TranslateX(x) => Operation::TranslateX(x.abs()),
        Operation::TranslateY(x) => Operation::TranslateY(x.abs()),
        Operation::Rotate(x) => Operation::Rotate(x.abs()),
        other => other,
    }
}

fn name(operation: Operation) -> String {
    let text = format!("{operation:?}");
    text.split('(').next().unwrap().to_owned()
}

fn images() -> impl Strategy<Value = (usize, usize, Vec<u8>)> {
    let side = || prop_oneof![1..4_usize, 1..40_usize];
    (side(), side()).prop_flat_map(|(width, height)| {
        let pixels = prop::collection::vec(any::<u8>(), 3 * width * height);
        (Just(width), Just(height), pixels)
    })
}

fn on_canvas((width, height, pixels): &(usize, usize, Vec<u8>)) -> Canvas {
    let mut canvas = Canvas::new();
    canvas.load(*width, *height, pixels).unwrap();
    canvas
}

/// Bilinear interpolation in double precision, rounded only at the end; `from` maps target to source coordinates.
fn plain_warp(image: &(usize, usize, Vec<u8>), from: impl Fn(f64, f64) -> (f64, f64)) -> Vec<f64> {
    let (width, height, pixels) = image;
    let pixel = |x: f64, y: f64, channel: usize| {
        let inside = (0.0..*width as f64).contains(&x) && (0.0..*height as f64).contains(&y);
        if inside { f64::from(pixels[3 * (y as usize * width + x as usize) + channel]) } else { 128.0 }
    };
    let mut out = Vec::new();
    for (y, x) in (0..*height).flat_map(|y| (0..*width).map(move |x| (y, x))) {
        let (x, y) = from(x as f64, y as f64);
        let (left, top) = (x.floor(), y.floor());
        let (fx, fy) = (x - left, y - top);
        out.extend((0..3).map(|c| {
            let row = |y: f64| (1.0 - fx) * pixel(left, y, c) + fx * pixel(left + 1.0, y, c);
            (1.0 - fy) * row(top) + fy * row(top + 1.0)
        }));
    }
    out
}

proptest! {
    #[test]
    fn identity_arguments_change_nothing(image in images()) {
        let none = [
            Operation::Identity, Operation::Brightness(1.0), Operation::Sharpness(1.0), Operation::ShearX(0.0),
            Operation::ShearY(0.0), Operation::TranslateX(0.0), Operation::TranslateY(0.0), Operation::Rotate(0.0),
        ];
        for operation in none {
            let mut canvas = on_canvas(&image);
            canvas.operate(operation);
            prop_assert_eq!(canvas.pixels(), &image.2, "{:?}", operation);
        }
    }

    /// Any float, infinite and NaN too.
    #[test]
    fn the_size_stays_and_no_argument_panics(image in images(), argument in any::<f64>(), small in -2.0..2.0_f64) {
        for argument in [argument, small, f64::NAN, f64::INFINITY, f64::MIN] {
            for make in [
                Operation::Brightness, Operation::Sharpness, Operation::ShearX, Operation::ShearY,
                Operation::TranslateX, Operation::TranslateY, Operation::Rotate,
            ] {
                let mut canvas = on_canvas(&image);
                canvas.operate(make(argument));
                prop_assert_eq!(canvas.pixels().len(), image.2.len());
                prop_assert_eq!((canvas.width(), canvas.height()), (image.0, image.1));
            }
        }
    }

    /// A source coordinate is off by at most 1/32 pixel in each direction, which moves a value by at most 2 · 255 / 32.
    #[test]
    fn warps_agree_with_plain_interpolation(image in images(), size in 0.0..1.0_f64, degrees in -180.0..180.0_f64) {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (cx, cy) = (image.0 as f64 / 2.0, image.1 as f64 / 2.0);
        let turned = |x: f64, y: f64| {
            (cos * (x - cx) - sin * (y - cy) + cx, sin * (x - cx) + cos * (y - cy) + cy)
        };
        let cases = [
            (Operation::ShearX(size), plain_warp(&image, |x, y| (x - size * y, y))),
            (Operation::ShearY(size), plain_warp(&image, |x, y| (x, y - size * x))),
            (Operation::TranslateX(9.0 * size), plain_warp(&image, |x, y| (x + 9.0 * size, y))),
            (Operation::TranslateY(-9.0 * size), plain_warp(&image, |x, y| (x, y - 9.0 * size))),
            (Operation::Rotate(degrees), plain_warp(&image, turned)),
        ];
        for (operation, plain) in cases {
            let mut canvas = on_canvas(&image);
            canvas.operate(operation);
            for (ours, plain) in canvas.pixels().iter().zip(plain) {
                prop_assert!((f64::from(*ours) - plain).abs() < 17.0, "{:?}: {} {}", operation, ours, plain);
            }
        }
    }

    #[test]
    fn whole_translations_move_whole_pixels(image in images(), offset in -50..50_i32) {
        let (width, height, pixels) = &image;
        let mut canvas = on_canvas(&image);
        canvas.operate(Operation::TranslateX(f64::from(offset)));
        for (i, &value) in canvas.pixels().iter().enumerate() {
            let (y, x, channel) = (i / (3 * width), (i / 3) % width, i % 3);
            let from = x as i32 + offset;
            let inside = (0..*width as i32).contains(&from);
            let expected = if inside { pixels[3 * (y * width + from as usize) + channel] } else { 128 };
            prop_assert_eq!(value, expected);
        }
        canvas.load(*width, *height, pixels).unwrap();
        canvas.operate(Operation::TranslateY(f64::from(offset)));
        for (y, row) in canvas.pixels().chunks(3 * width).enumerate() {
            let from = y as i32 + offset;
            if (0..*height as i32).contains(&from) {
                prop_assert_eq!(row, &pixels[3 * width * from as usize..][..3 * width]);
            } else {
                prop_assert!(row.iter().all(|&value| value == 128));
            }
        }
    }

    #[test]
    fn flipping_twice_gives_the_image_back(image in images()) {
        let mut canvas = on_canvas(&image);
        canvas.flip();
        prop_assert_eq!(&canvas.pixels()[..3], &image.2[3 * (image.0 - 1)..3 * image.0]);
        canvas.flip();
        prop_assert_eq!(canvas.pixels(), &image.2);
    }

    #[test]
    fn a_used_canvas_gives_the_bytes_of_a_new_one(first in images(), second in images(), seed in any::<u64>()) {
        let config = AugmentConfig {
            rand_augment: RandAugmentConfig { n: 6, probability: 1.0, ..Default::default() },
            ..Default::default()
        };
        let plan = config.draw(&mut rng(seed), (10, 10), "");
        let mut used = on_canvas(&first);
        used.apply(&plan);
        used.load(second.0, second.1, &second.2).unwrap();
        used.apply(&plan);
        let mut new = on_canvas(&second);
        new.apply(&plan);
        prop_assert_eq!(used.pixels(), new.pixels());
    }

    #[test]
    fn a_crop_lies_inside_the_image(
        width in prop_oneof![1..5_u32, 1..5000_u32, any::<u32>().prop_map(|n| n.max(1))],
        height in prop_oneof![1..5_u32, 1..5000_u32, any::<u32>().prop_map(|n| n.max(1))],
        seed in any::<u64>(), scale in (0.001..1.0_f64, 0.001..1.0_f64), ratio in (0.01..100.0_f64, 0.01..100.0_f64),
    ) {
        let ordered = |(a, b): (f64, f64)| (a.min(b), a.max(b));
        let crop = Crop::draw(&mut rng(seed), (width, height), ordered(scale), ordered(ratio));
        prop_assert!(crop.width >= 1 && crop.height >= 1);
        prop_assert!(u64::from(crop.left) + u64::from(crop.width) <= u64::from(width), "{:?}", crop);
        prop_assert!(u64::from(crop.top) + u64::from(crop.height) <= u64::from(height), "{:?}", crop);
    }

    #[test]
    fn a_plan_depends_on_the_generator_and_the_size_alone(seed in any::<u64>(), size in (1..999_u32, 1..999_u32)) {
        let config = AugmentConfig { flip_guard: vec!["left".into()], ..Default::default() };
        let plan = config.draw(&mut rng(seed), size, "a dog");
        prop_assert_eq!(&plan, &config.draw(&mut rng(seed), size, "a dog"));
        let guarded = config.draw(&mut rng(seed), size, "the left dog");
        prop_assert!(!guarded.flip);
        prop_assert_eq!((plan.crop, plan.operations), (guarded.crop, guarded.operations));
    }
}

#[test]
fn areas_aspects_and_places_of_crops_are_spread_as_asked() {
    let mut rng = rng(5);
    let crops: Vec<Crop> =
        (0..20_000).map(|_| Crop::draw(&mut rng, (1000, 1000), (0.2, 1.0), (0.75, 4.0 / 3.0))).collect();
    let area = |crop: &Crop| f64::from(crop.width) * f64::from(crop.height) / 1e6;
    let share =
        |holds: &dyn Fn(&Crop) -> bool| crops.iter().filter(|c| holds(c)).count() as f64 / crops.len() as f64;
    assert!(crops.iter().all(|c| (0.199..=1.0).contains(&area(c))));
    assert!(crops.iter().all(|c| (0.745..1.34).contains(&(f64::from(c.width) / f64::from(c.height)))));
    // All areas up to 0.75 fit, at any aspect ratio: their density is even, and that of larger ones lower.
    let (low, middle) = (share(&|c| area(c) < 0.45), share(&|c| (0.45..0.70).contains(&area(c))));
    assert!((low - middle).abs() < 0.02, "{low} {middle}");
    assert!(share(&|c| area(c) > 0.95) < 0.05);
    let wide = share(&|c| c.width > c.height);
    assert!((0.48..0.52).contains(&wide), "{wide}");
    let leftward = share(&|c| 2 * c.left < 1000 - c.width);
    assert!((0.48..0.52).contains(&leftward), "{leftward}");
}

#[test]
fn an_image_too_long_for_any_crop_gives_its_centre() {
    let draw = |size| Crop::draw(&mut rng(3), size, (0.2, 1.0), (0.75, 4.0 / 3.0));
    assert_eq!(draw((10_000, 30)), Crop { left: 4980, top: 0, width: 40, height: 30 });
    assert_eq!(draw((30, 10_000)), Crop { left: 0, top: 4980, width: 30, height: 40 });
    assert_eq!(draw((1, 1)), Crop { left: 0, top: 0, width: 1, height: 1 });
}

#[test]
fn operations_signs_and_flips_come_as_often_as_published() {
    let config = AugmentConfig::default();
    let mut rng = rng(11);
    let (mut counts, mut lengths) = (BTreeMap::<String, f64>::new(), [0.0_f64; 3]);
    let (mut flips, mut signs) = (0.0_f64, [0.0_f64; 2]);
    let draws = 40_000.0;
    for _ in 0..draws as usize {
        let plan = config.draw(&mut rng, (64, 64), "");
        flips += f64::from(u8::from(plan.flip));
        lengths[plan.operations.len()] += 1.0;
        for operation in plan.operations {
            *counts.entry(name(operation)).or_default() += 1.0;
            signs[usize::from(operation != positive(operation))] += f64::from(u8::from(matches!(
                operation,
                Operation::Rotate(_) | Operation::ShearX(_) | Operation::TranslateY(_)
            )));
        }
    }
    assert!((flips / draws - 0.5).abs() < 0.01, "{flips}");
    assert!((lengths[0] / draws - 0.25).abs() < 0.01 && (lengths[1] / draws - 0.5).abs() < 0.015);
    assert_eq!(counts.len(), 10);
    assert!(counts.values().all(|count| (count / draws - 0.1).abs() < 0.006), "{counts:?}");
    assert!((signs[1] / (signs[0] + signs[1]) - 0.5).abs() < 0.02, "{signs:?}");
}

#[test]
fn captions_with_a_guarded_word_are_never_mirrored() {
    let config = AugmentConfig { flip_guard: vec!["left".into(), "right".into()], ..Default::default() };
    let flips = |caption: &str| (0..200).filter(|&s| config.draw(&mut rng(s), (9, 9), caption).flip).count();
    for caption in ["a man on the left", "RIGHT!", "the left-hand door", "(Right) arrow"] {
        assert_eq!(flips(caption), 0, "{caption}");
    }
    for caption in ["bright leftovers", "", "a dog"] {
        assert!(flips(caption) > 60, "{caption}");
    }
    let never = AugmentConfig { flip: false, ..Default::default() };
    assert!((0..200).all(|s| !never.draw(&mut rng(s), (9, 9), "a dog").flip));
}

/// A running job resumes in the middle of its stream, so what a generator gives must never change between versions.
#[test]
fn plans_are_pinned() {
    let plans: Vec<String> = (0..3)
        .map(|seed| format!("{:?}", AugmentConfig::default().draw(&mut rng(seed), (640, 480), "")))
        .collect();
    assert_eq!(plans, PINNED);
}

const PINNED: [&str; 3] = [
    "Plan { crop: Crop { left: 45, top: 13, width: 584, height: 454 }, flip: true, operations: [] }",
    "Plan { crop: Crop { left: 170, top: 6, width: 355, height: 452 }, flip: true, operations: [Equalize] }",
    "Plan { crop: Crop { left: 17, top: 4, width: 560, height: 456 }, flip: false, \
     operations: [AutoContrast, Rotate(-21.0)] }",
];

#[test]
fn images_that_do_not_fit_are_refused_in_one_line() {
    let mut canvas = Canvas::new();
    let error = canvas.load(2, 2, &[0; 11]).unwrap_err().to_string();
    assert_eq!(error, "11 bytes are not an RGB image of 2 x 2 pixels: give 12 bytes");
    for (width, height) in [(0, 1), (1, 0), (40_000, 1), (usize::MAX, usize::MAX)] {
        assert!(canvas.reset(width, height).unwrap_err().to_string().contains("sides of 1 to 32767"));
    }
    // A canvas of no pixels takes every operation.
    canvas.flip();
    for name in OperationName::ALL {
        canvas.operate(name.at(7.0, &mut rng(0)));
    }
}

#[test]
fn defaults_are_valid_and_unknown_keys_are_not() {
    AugmentConfig::default().validate().unwrap();
    let parse = serde_json::from_str::<AugmentConfig>;
    assert_eq!(parse("{}").unwrap(), AugmentConfig::default());
    let given = parse(r#"{"flip": false, "rand_augment": {"n": 1, "operations": ["ShearX"]}}"#).unwrap();
    assert_eq!((given.flip, given.rand_augment.m), (false, 7.0));
    assert!(parse(r#"{"scales": [0.2, 1]}"#).unwrap_err().to_string().contains("unknown field `scales`"));
    let error = parse(r#"{"rand_augment": {"operations": ["Solarize"]}}"#).unwrap_err().to_string();
    assert!(error.contains("unknown variant `Solarize`") && error.contains("`Equalize`"), "{error}");
}

#[test]
fn impossible_values_are_refused_by_key() {
    let refused = |change: &dyn Fn(&mut AugmentConfig)| {
        let mut config = AugmentConfig::default();
        change(&mut config);
        let error = config.validate().unwrap_err().to_string();
        assert!(!error.contains('\n'));
        error
    };
    for scale in [(0.0, 1.0), (0.5, 0.2), (0.2, 1.5), (f64::NAN, 1.0)] {
        assert!(refused(&|c| c.scale = scale).starts_with("augment.scale = ["));
    }
    for ratio in [(0.0, 1.0), (2.0, 1.0), (1.0, f64::INFINITY), (f64::NAN, 1.0)] {
        assert!(refused(&|c| c.ratio = ratio).starts_with("augment.ratio = ["));
    }
    for word in ["", "on the left", "left\n"] {
        assert!(refused(&|c| c.flip_guard = vec![word.into()]).starts_with("augment.flip_guard = \""));
    }
    assert!(refused(&|c| c.rand_augment.n = 17).starts_with("augment.rand_augment.n = 17: give 0 to 16"));
    assert!(refused(&|c| c.rand_augment.m = 10.5).starts_with("augment.rand_augment.m = 10.5: give a level"));
    assert!(refused(&|c| c.rand_augment.probability = -0.1).contains("from 0 to 1"));
    assert!(refused(&|c| c.rand_augment.operations.clear()).contains("at least one operation, or set n = 0"));
}
