//! From sources to shards: what is kept, what is dropped and why, and that nothing but the sources decides.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use albef_corpus::build::{BuildConfig, Encoding, Report, build};
use albef_corpus::image::{self, Rgb};
use albef_corpus::rules::Reason;
use albef_corpus::shard::{Corpus, ImageFormat};
use albef_corpus::storage::Storage;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A picture of random blocks: no two are alike.
fn picture(seed: u64, side: u32) -> Rgb {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let blocks: Vec<[u8; 3]> = (0..64).map(|_| rng.random()).collect();
    let pixel = |x: u32, y: u32| blocks[((y * 8 / side) * 8 + x * 8 / side) as usize];
    let pixels = (0..side * side).flat_map(|i| pixel(i % side, i / side)).collect();
    Rgb::new(side, side, pixels).unwrap()
}

fn png(image: &Rgb) -> Vec<u8> {
    image::encode(image, image::Encoding::Png).unwrap()
}

/// A folder with images and one list of records.
struct Web {
    dir: tempfile::TempDir,
    list: String,
}

impl Web {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), list: String::new() }
    }

    fn add(&mut self, name: &str, bytes: &[u8], captions: &[&str]) -> &mut Self {
        std::fs::write(self.dir.path().join(name), bytes).unwrap();
        self.entry(name, captions)
    }

    fn entry(&mut self, name: &str, captions: &[&str]) -> &mut Self {
        let line = serde_json::json!({"image": name, "caption": captions});
        self.list += &format!("{line}\n");
        self
    }

    fn config(&self) -> BuildConfig {
        let path = self.dir.path().join("list.jsonl");
        std::fs::write(&path, &self.list).unwrap();
        let mut config = BuildConfig::of(path.to_str().unwrap());
        config.sources[0].name = Some("web".into());
        config
    }
}

/// Good pairs in number, of distinct images and captions.
fn good(count: u64) -> Web {
    let mut web = Web::new();
    for n in 0..count {
        let caption = format!("a red house number {n} by the sea");
        web.add(&format!("{n}.png"), &png(&picture(n, 40)), &[&caption]);
    }
    web
}

fn out(dir: &Path) -> Storage {
    Storage::create(dir.to_str().unwrap()).unwrap()
}

fn run(config: &BuildConfig, dir: &Path) -> Report {
    build(config, &out(dir), &|_| {}).unwrap()
}

fn taken(report: &Report) -> BTreeMap<Reason, u64> {
    report.rules.iter().filter(|r| r.records > 0).map(|r| (r.reason, r.records)).collect()
}

/// Every file of a folder.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    files
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn what_is_kept_comes_out_of_the_shards_as_it_went_in() {
    let web = good(20);
    let dir = tempfile::tempdir().unwrap();
    let report = run(&web.config(), dir.path());
    assert_eq!((report.records, report.images, report.captions), (20, 20, 20));
    assert!(taken(&report).is_empty(), "{:?}", taken(&report));
    let corpus = Corpus::open(dir.path().to_str().unwrap()).unwrap();
    assert_eq!(corpus.shard_sizes(), [20]);
    corpus.verify(0).unwrap();
    for n in 0..20 {
        let sample = corpus.sample(0, n).unwrap();
        assert_eq!(sample.image, png(&picture(n, 40)), "bytes are kept");
        assert_eq!(sample.format, ImageFormat::Png);
        assert_eq!(sample.metadata.captions, [format!("a red house number {n} by the sea")]);
        assert_eq!((sample.metadata.source.as_str(), sample.metadata.width), ("web", 40));
    }
    assert!(corpus.sample(0, 20).unwrap_err().to_string().contains("no sample 20"));
    let names: Vec<_> = files(dir.path()).into_keys().collect();
    assert_eq!(
        names,
        [
            "dropped.jsonl",
            "manifest.json",
            "report.html",
            "report.json",
            "shard-00000.idx",
            "shard-00000.tar"
        ]
    );
    assert!(!dir.path().join(".build").exists());
}

/// A source of so many icon sets, each with a drawing of a home and thirteen that are all named alike.
fn icon_sets(sets: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut drawing = || {
        let rects = (0..64).map(|i| {
            let (x, y, colour) = (i % 8, i / 8, rng.random_range(0..0x100_0000));
            format!("<rect x=\"{x}\" y=\"{y}\" width=\"1\" height=\"1\" fill=\"#{colour:06x}\"/>")
        });
        serde_json::json!({"body": rects.collect::<String>()})
    };
    for set in 0..sets {
        let mut icons = serde_json::Map::new();
        icons.insert("home".into(), drawing());
        // Names differ in what a caption has not: "some icon" thirteen times.
        icons.extend((1..=13).map(|n| (format!("some{}icon", "-".repeat(n)), drawing())));
        let set_file =
            serde_json::json!({"prefix": format!("set{set}"), "icons": icons, "width": 8, "height": 8});
        let folder = dir.path().join(format!("set{set}"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("icons.json"), set_file.to_string()).unwrap();
    }
    dir
}

#[test]
fn a_name_that_many_icon_sets_share_is_no_boilerplate_and_one_that_a_set_repeats_is() {
    for (sets, boilerplate) in [(10, 130), (11, 143), (30, 390)] {
        let sets = icon_sets(sets);
        let dir = tempfile::tempdir().unwrap();
        let report = run(&BuildConfig::of(sets.path().to_str().unwrap()), dir.path());
        assert_eq!(taken(&report), BTreeMap::from([(Reason::CaptionBoilerplate, boilerplate)]));
    }
}

#[test]
fn every_kind_of_noise_is_taken_by_its_rule() {
    let mut web = good(6);
    let fine = "a painting of two blue boats";
    let strip = Rgb::new(300, 20, picture(90, 100).into_pixels()[..300 * 20 * 3].to_vec()).unwrap();
    let blank = Rgb::new(64, 64, vec![250; 64 * 64 * 3]).unwrap();
    let whole = png(&picture(91, 40));
    let same = png(&picture(3, 40));
    let near = image::shrink_to_side(&picture(4, 40), 33, &mut image::Resizer::new()).unwrap().unwrap();
    web.add("strip.png", &png(&strip), &[fine])
        .add("small.png", &png(&picture(92, 8)), &[fine])
        .add("blank.png", &png(&blank), &[fine])
        .add("cut.png", &whole[..whole.len() / 2], &[fine])
        .add("text.png", b"<html>", &[fine])
        .add("same.png", &same, &[fine])
        .add("near.png", &png(&near), &[fine])
        .add("named.png", &png(&picture(93, 40)), &["IMG_2031.JPG"])
        .add("url.png", &png(&picture(94, 40)), &["see http://example.org/x.html for more"])
        .add("empty.png", &png(&picture(95, 40)), &["  "])
        .entry("missing.png", &[fine])
        .entry("../../etc/passwd", &[fine])
        .entry("0.png", &["a red house number 0 by the sea"]);
    web.list += "not json\n";
    let dir = tempfile::tempdir().unwrap();
    let report = run(&web.config(), dir.path());
    let expected = [
        (Reason::RecordInvalid, 2),
        (Reason::ImageUnreadable, 3),
        (Reason::ImageTooSmall, 1),
        (Reason::ImageAspect, 1),
        (Reason::ImageBlank, 1),
        (Reason::CaptionEmpty, 1),
        (Reason::CaptionFileName, 1),
        (Reason::CaptionUrl, 1),
        (Reason::DuplicateImage, 1),
        (Reason::NearDuplicateImage, 1),
        (Reason::DuplicatePair, 1),
    ];
    assert_eq!(taken(&report), BTreeMap::from(expected));
    assert_eq!(report.images, 6);
    let dropped = String::from_utf8(files(dir.path())["dropped.jsonl"].clone()).unwrap();
    assert_eq!(dropped.lines().count() as u64, report.records - report.images);
    for line in dropped.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["reason"].is_string() && line["origin"]["file"].is_string(), "{line}");
    }
    let page = String::from_utf8(files(dir.path())["report.html"].clone()).unwrap();
    assert!(page.contains("image_blank") && page.contains("data:image/jpeg;base64,"));
    assert!(!page.contains("http://") || page.contains("see http://example.org"), "nothing is fetched");
}

#[test]
fn captions_of_one_image_stay_together_and_bad_ones_go() {
    let mut web = good(1);
    web.entry("0.png", &["the old house", "IMG_0001.jpg", "the old house"])
        .entry("0.png", &["a red house number 0 by the sea"]);
    let dir = tempfile::tempdir().unwrap();
    let report = run(&web.config(), dir.path());
    assert_eq!((report.images, report.captions, report.joined), (1, 2, 1));
    let corpus = Corpus::open(dir.path().to_str().unwrap()).unwrap();
    let captions = corpus.sample(0, 0).unwrap().metadata.captions;
    assert_eq!(captions, ["a red house number 0 by the sea", "the old house"]);
}

#[test]
fn images_of_an_evaluation_set_are_kept_out_even_resized() {
    let evaluation = good(3);
    let evaluation_dir = tempfile::tempdir().unwrap();
    run(&evaluation.config(), evaluation_dir.path());
    let mut web = Web::new();
    let smaller = image::shrink_to_side(&picture(1, 40), 36, &mut image::Resizer::new()).unwrap().unwrap();
    web.add("a.png", &png(&picture(0, 40)), &["the same picture again"])
        .add("b.png", &png(&smaller), &["a smaller picture"])
        .add("c.png", &png(&picture(50, 40)), &["another picture"]);
    let mut config = web.config();
    config.duplicates.exclude = vec![evaluation_dir.path().to_str().unwrap().to_owned()];
    let dir = tempfile::tempdir().unwrap();
    let report = run(&config, dir.path());
    assert_eq!(taken(&report), BTreeMap::from([(Reason::EvaluationImage, 2)]));
}

/// Several chunks and several shards.
fn large() -> (Web, BuildConfig) {
    let web = good(700);
    let mut config = web.config();
    config.image.encoding = Encoding::Jpeg;
    config.image.max_side = Some(32);
    config.shards.target_mb = 1;
    (web, config)
}

#[test]
fn threads_and_interruptions_change_no_byte() {
    let (_web, config) = large();
    let expected = tempfile::tempdir().unwrap();
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let report = pool(1).install(|| run(&config, expected.path()));
    assert!(report.shards > 1, "{}", report.shards);
    let expected = files(expected.path());

    let other = tempfile::tempdir().unwrap();
    pool(3).install(|| run(&config, other.path()));
    assert!(files(other.path()) == expected, "three threads");

    // Ended in the middle of each pass, again and again.
    let broken = tempfile::tempdir().unwrap();
    let mut runs = 0_u32;
    loop {
        let calls = AtomicU32::new(0);
        // A little later in every run; what is done already reports progress, too.
        let stop = |_| {
            if calls.fetch_add(1, Ordering::SeqCst) > runs {
                std::panic::resume_unwind(Box::new("killed"));
            }
        };
        let ended = catch_unwind(AssertUnwindSafe(|| build(&config, &out(broken.path()), &stop)));
        runs += 1;
        match ended {
            Ok(report) => break drop(report.unwrap()),
            Err(_) => assert!(runs < 50, "no progress from run to run"),
        }
    }
    assert!(runs > 2, "{runs} runs");
    assert!(files(broken.path()) == expected, "interrupted {runs} times");
}

#[test]
fn a_finished_corpus_is_not_built_again_and_another_is_not_overwritten() {
    let web = good(3);
    let dir = tempfile::tempdir().unwrap();
    let first = run(&web.config(), dir.path());
    let before = files(dir.path());
    assert_eq!(run(&web.config(), dir.path()), first);
    assert!(files(dir.path()) == before);
    let mut other = web.config();
    other.image.min_side = 20;
    let line = build(&other, &out(dir.path()), &|_| {}).unwrap_err().to_string();
    assert!(line.contains("finished corpus of another configuration") && line.lines().count() == 1, "{line}");
}

#[test]
fn a_build_that_keeps_nothing_says_so() {
    let mut web = Web::new();
    web.add("a.png", &png(&picture(0, 40)), &["http://example.org"]);
    let dir = tempfile::tempdir().unwrap();
    let line = build(&web.config(), &out(dir.path()), &|_| {}).unwrap_err().to_string();
    assert!(line.contains("no record is left of 1") && line.contains("report.json"), "{line}");
    assert!(!dir.path().join(".build").exists() && dir.path().join("dropped.jsonl").exists());
}

#[test]
fn two_images_of_one_key_do_not_share_their_captions() {
    let mut web = Web::new();
    web.add("a.png", &png(&picture(0, 40)), &["a red house by the sea"])
        .add("a.jpg", &png(&picture(1, 40)), &["two blue boats on a lake"])
        .add("a.webp", &png(&picture(0, 40)), &["a small house near the water"]);
    let dir = tempfile::tempdir().unwrap();
    let report = run(&web.config(), dir.path());
    assert_eq!((report.images, report.captions, report.joined), (2, 3, 1));
    let corpus = Corpus::open(dir.path().to_str().unwrap()).unwrap();
    let captions = |n| corpus.sample(0, n).unwrap().metadata.captions;
    assert_eq!(captions(0), ["a red house by the sea", "a small house near the water"]);
    assert_eq!(captions(1), ["two blue boats on a lake"]);
}

#[test]
fn a_build_whose_work_is_deleted_beneath_it_ends_with_a_line() {
    let (_web, config) = large();
    let dir = tempfile::tempdir().unwrap();
    // As a second build does that ends first, in a store that knows no locks.
    let delete = |progress| {
        if matches!(progress, albef_corpus::build::Progress::Judged(..)) {
            let _ = std::fs::remove_dir_all(dir.path().join(".build"));
        }
    };
    let line = build(&config, &out(dir.path()), &delete).unwrap_err().to_string();
    assert!(line.contains("is gone: another build deleted it") && line.lines().count() == 1, "{line}");
}

#[test]
fn impossible_configurations_name_their_key() {
    let web = good(1);
    for (change, key) in [
        ((|c| c.sources.clear()) as fn(&mut BuildConfig), "source"),
        (|c| c.image.max_pixels = 0, "image.max_pixels"),
        (|c| c.image.max_aspect = 0.5, "image.max_aspect"),
        (|c| c.image.max_aspect = f64::NAN, "image.max_aspect"),
        (|c| c.image.max_blank = 1.5, "image.max_blank"),
        (|c| c.image.jpeg_quality = 0, "image.jpeg_quality"),
        (|c| c.duplicates.near_bits = 6, "duplicates.near_bits"),
        (|c| c.shards.target_mb = 0, "shards.target_mb"),
        (|c| c.sources[0].path = "/nonexistent/list.jsonl".into(), "/nonexistent/list.jsonl"),
        (|c| c.sources[0].kind = Some("xml".into()), "xml"),
    ] {
        let mut config = web.config();
        change(&mut config);
        let dir = tempfile::tempdir().unwrap();
        let line = build(&config, &out(dir.path()), &|_| {}).unwrap_err().to_string();
        assert!(line.contains(key) && line.lines().count() == 1, "{key}: {line}");
    }
}
