//! From shards to micro-batches: the same for any number of threads and workers, and whatever lies in a shard.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::process::Command;
use std::sync::Arc;

use albef_corpus::augment::AugmentConfig;
use albef_corpus::image::{self, Encoding, Rgb};
use albef_corpus::order::OrderConfig;
use albef_corpus::shard::{
    Content, Corpus, FileInfo, ImageFormat, Manifest, Metadata, Packer, Sample, ShardInfo, index_name,
    shard_name,
};
use albef_corpus::text::WordPiece;
use albef_worker::loader::{Batch, Block, LoadError, Loader, Recipe, RecipeConfig, Threads};
use common::World;

const ORDER: OrderConfig = OrderConfig { seed: 3, logical_ranks: 4, local_batch: 3, window: 2 };
const ONE: Threads = Threads { readers: 1, decoders: 1, prefetch: 1 };

fn recipe(world: &World, corpus: &str) -> Arc<Recipe> {
    recipe_with(world, corpus, AugmentConfig::default(), false)
}

fn recipe_with(world: &World, corpus: &str, augment: AugmentConfig, exact: bool) -> Arc<Recipe> {
    let words = Arc::new(WordPiece::load(world.path("vocab.txt")).unwrap());
    let config = RecipeConfig { order: ORDER, augment, side: 16, max_words: 30, max_tokens: 12, exact };
    Arc::new(Recipe::new(vec![(Corpus::open(corpus).unwrap(), 1.0)], words, config).unwrap())
}

fn load(
    recipe: &Arc<Recipe>,
    block: Block,
    steps: std::ops::Range<u64>,
    threads: Threads,
) -> Vec<Vec<Batch>> {
    let mut loader = Loader::start(Arc::clone(recipe), block, steps.start, threads).unwrap();
    steps.map(|_| loader.next_step().unwrap().batches).collect()
}

#[test]
fn threads_workers_and_the_first_step_change_nothing() {
    let world = World::new();
    let recipe = recipe(&world, &world.path("corpus"));
    let all = Block { first: 0, count: 4 };
    let expected = load(&recipe, all, 0..6, ONE);
    let first = &expected[0][0];
    assert_eq!((first.side, first.pixels.len(), first.text.captions), (16, 3 * 16 * 16 * 3, 3));
    assert!(first.replaced.is_empty());
    // Twelve of sixteen samples a step: steps straddle epochs.
    assert_eq!(load(&recipe, all, 0..6, Threads { readers: 5, decoders: 4, prefetch: 3 }), expected);
    assert_eq!(load(&recipe, all, 4..6, ONE), expected[4..]);
    for (step, expected) in expected.iter().enumerate() {
        let blocks = [Block { first: 0, count: 1 }, Block { first: 1, count: 3 }];
        let step = step as u64;
        let parts = blocks.map(|block| load(&recipe, block, step..step + 1, ONE).remove(0));
        assert_eq!(&parts.concat(), expected);
    }
    // Augmentation changes what is seen of a sample from step to step.
    assert_ne!(expected[0], expected[1]);
}

/// A corpus of one shard with these images, whatever they are.
fn corpus(dir: &std::path::Path, images: &[Vec<u8>]) -> String {
    let mut packer = Packer::new(0);
    for (n, image) in images.iter().enumerate() {
        let metadata = Metadata {
            captions: vec![format!("a red thing {n}")],
            width: 24,
            height: 24,
            source: "test".into(),
            source_key: n.to_string(),
            content: Content::default(),
            extra: serde_json::Map::new(),
        };
        packer.push(&Sample { image: image.clone(), format: ImageFormat::Png, metadata }).unwrap();
    }
    let (samples, captions) = (packer.samples() as u64, packer.captions());
    let (data, index) = packer.finish();
    let index = index.to_bytes();
    let info = ShardInfo {
        data: FileInfo::of(shard_name(0), &data),
        index: FileInfo::of(index_name(0), &index),
        samples,
        captions,
    };
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join(shard_name(0)), data).unwrap();
    std::fs::write(dir.join(index_name(0)), index).unwrap();
    let manifest = Manifest::new(vec![info], serde_json::json!({}), Vec::new());
    std::fs::write(dir.join("manifest.json"), manifest.to_bytes().unwrap()).unwrap();
    dir.to_str().unwrap().to_owned()
}

#[test]
fn a_picture_that_cannot_be_decoded_is_replaced_by_the_same_one_everywhere() {
    let world = World::new();
    let mut images: Vec<Vec<u8>> = (0..16).map(|n| world.read(&format!("pictures/{n:02}.png"))).collect();
    images[3] = b"\x89PNG\r\n\x1a\n and nothing more".to_vec();
    let cut = images[9].len() / 2;
    images[9].truncate(cut);
    let location = corpus(&world.dir.path().join("bad"), &images);
    let recipe = recipe(&world, &location);
    let all = Block { first: 0, count: 4 };
    // Four steps of twelve are three epochs of sixteen.
    let steps = load(&recipe, all, 0..4, ONE);
    let replaced: Vec<_> = steps.iter().flatten().flat_map(|batch| &batch.replaced).collect();
    let of = |sample: u64| replaced.iter().filter(|r| r.sample == sample).count();
    assert!(of(3) >= 3 && of(9) >= 3 && of(3) + of(9) == replaced.len(), "{replaced:?}");
    assert!(replaced.iter().all(|r| !r.problem.is_empty() && r.shard == 0));
    assert_eq!(load(&recipe, all, 0..4, Threads { readers: 2, decoders: 3, prefetch: 2 }), steps);
    let half = load(&recipe, Block { first: 2, count: 2 }, 0..4, ONE);
    assert!(half.iter().zip(&steps).all(|(half, whole)| half[..] == whole[2..]));
}

#[test]
fn a_corpus_of_nothing_but_rubbish_ends_with_a_line() {
    let world = World::new();
    let location = corpus(&world.dir.path().join("rubbish"), &vec![b"rubbish".to_vec(); 16]);
    let mut loader = Loader::start(recipe(&world, &location), Block { first: 0, count: 4 }, 0, ONE).unwrap();
    let error = loader.next_step().unwrap_err();
    assert!(matches!(error, LoadError::NoPicture { tries: 17, .. }), "{error}");
    assert!(error.to_string().contains("step 0") && !error.to_string().contains('\n'));
    assert!(matches!(loader.next_step(), Err(LoadError::Ended(0))));
}

/// Bytes that are not those that were written are no bad sample: training on another one would hide a broken disk.
#[test]
fn damaged_bytes_are_a_fault_and_no_replacement() {
    let world = World::new();
    let images: Vec<Vec<u8>> = (0..16).map(|n| world.read(&format!("pictures/{n:02}.png"))).collect();
    let dir = world.dir.path().join("damaged");
    let location = corpus(&dir, &images);
    let shard = dir.join(shard_name(0));
    let mut bytes = std::fs::read(&shard).unwrap();
    let at = bytes.len() / 2;
    bytes[at..at + 600].iter_mut().for_each(|b| *b ^= 0x55);
    std::fs::write(&shard, bytes).unwrap();
    let mut loader = Loader::start(recipe(&world, &location), Block { first: 0, count: 4 }, 0, ONE).unwrap();
    // Each sample comes within two steps.
    let error = (0..2).find_map(|_| loader.next_step().err()).unwrap();
    assert!(matches!(error, LoadError::Read { .. }), "{error}");
    assert!(error.to_string().contains(&shard_name(0)), "{error}");
}

/// What a network file system mends by itself is waited for.
#[test]
fn bytes_that_are_sound_when_asked_again_are_read() {
    let world = World::new();
    let images: Vec<Vec<u8>> = (0..16).map(|n| world.read(&format!("pictures/{n:02}.png"))).collect();
    let all = Block { first: 0, count: 4 };
    let sound = corpus(&world.dir.path().join("sound"), &images);
    let expected = load(&recipe(&world, &sound), all, 0..2, ONE);
    for name in [shard_name(0), index_name(0)] {
        let dir = world.dir.path().join(format!("late-{name}"));
        let location = corpus(&dir, &images);
        let whole = std::fs::read(dir.join(&name)).unwrap();
        std::fs::write(dir.join(&name), vec![0; whole.len()]).unwrap();
        let mending = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(500));
            // As a whole: half a file would be a second fault.
            std::fs::write(dir.join("whole"), whole).unwrap();
            std::fs::rename(dir.join("whole"), dir.join(name)).unwrap();
        });
        assert_eq!(load(&recipe(&world, &location), all, 0..2, ONE), expected);
        mending.join().unwrap();
    }
}

#[test]
fn a_loader_that_is_not_wanted_ends_soon() {
    let world = World::new();
    let images: Vec<Vec<u8>> = (0..16).map(|n| world.read(&format!("pictures/{n:02}.png"))).collect();
    let dir = world.dir.path().join("gone");
    let recipe = recipe(&world, &corpus(&dir, &images));
    std::fs::write(dir.join(shard_name(0)), vec![0; 10_000_000]).unwrap();
    let loader = Loader::start(recipe, Block { first: 0, count: 4 }, 0, ONE).unwrap();
    let start = std::time::Instant::now();
    drop(loader);
    // One sample is asked for six times within six seconds; a step has twelve of them.
    assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?}", start.elapsed());
}

/// Two colours and a gradient at 320 × 240, as a photograph's JPEG is: large, and smooth where it is looked at.
fn photograph(n: u8) -> Vec<u8> {
    let pixels = (0..240 * 320_u32).flat_map(|i| {
        let (x, y) = (i % 320, i / 320);
        let side = if (x < 160) == (y < 120) { 40 } else { 200 };
        [(x * 255 / 320) as u8, side, n.wrapping_mul(15)]
    });
    let picture = Rgb::new(320, 240, pixels.collect()).unwrap();
    image::encode(&picture, Encoding::Jpeg { quality: 95 }).unwrap()
}

#[test]
fn scaled_decoding_shows_what_exact_decoding_shows() {
    let world = World::new();
    let images: Vec<Vec<u8>> = (0..16).map(photograph).collect();
    let location = corpus(&world.dir.path().join("photographs"), &images);
    let mut plain = AugmentConfig::default();
    plain.rand_augment.n = 0;
    let of = |exact: bool| recipe_with(&world, &location, plain.clone(), exact);
    let all = Block { first: 0, count: 4 };
    let (scaled, exact) = (load(&of(false), all, 0..4, ONE), load(&of(true), all, 0..4, ONE));
    let pixels = |steps: &[Vec<Batch>]| -> Vec<u8> {
        steps.iter().flatten().flat_map(|batch| batch.pixels.iter().copied()).collect()
    };
    let (scaled, exact) = (pixels(&scaled), pixels(&exact));
    let differences = scaled.iter().zip(&exact).map(|(a, b)| u64::from(a.abs_diff(*b)));
    let mean = differences.sum::<u64>() as f64 / exact.len() as f64;
    assert!(scaled != exact, "nothing was decoded at a fraction of its size");
    assert!(mean < 2.0, "{mean} levels on average");
}

#[test]
fn the_loader_is_measured_without_its_model() {
    let world = World::new();
    let timed = |args: &[&str]| {
        Command::new(common::worker()).arg("load").arg(world.path("job.toml")).args(args).output().unwrap()
    };
    let out = timed(&["--steps", "3", "--threads", "1", "--set", "data.readers=1"]);
    let text = String::from_utf8(out.stdout.clone()).unwrap();
    assert!(out.status.success() && text.lines().count() == 1, "{}", String::from_utf8_lossy(&out.stderr));
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    // Two logical ranks of three.
    assert_eq!((&line["steps"], &line["samples"], &line["replaced"]), (&3.into(), &18.into(), &0.into()));
    assert_eq!((&line["threads"], &line["readers"], &line["exact"]), (&1.into(), &1.into(), &false.into()));
    for key in ["seconds", "images_per_s", "images_per_cpu_s", "mb_per_s", "peak_rss_mib"] {
        assert!(line[key].as_f64().unwrap() > 0.0, "{key}: {line}");
    }
    assert!((0.0..=1.0).contains(&line["read_wait"].as_f64().unwrap()), "{line}");

    let line = common::refusal(&timed(&["--set", "data.vocabulary=no-such-file"]));
    assert!(line.contains("no-such-file"), "{line}");
    assert!(common::refusal(&timed(&["--steps", "0"])).contains("--steps"));
    let bare = Command::new(common::worker()).args(["load", "small"]).output().unwrap();
    assert!(common::refusal(&bare).contains("[data]"));
}
