//! Holding out: the parts share no picture, and nothing but the records decides.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use albef_corpus::build::{BuildConfig, GalleryConfig, Part, Report, SplitConfig, build};
use albef_corpus::image::{self, Encoding, Rgb};
use albef_corpus::rules::Reason;
use albef_corpus::shard::{Corpus, Metadata};
use albef_corpus::storage::Storage;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A picture of random blocks.
fn picture(seed: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let blocks: Vec<[u8; 3]> = (0..64).map(|_| rng.random()).collect();
    let pixels = (0..32 * 32).flat_map(|i| blocks[(i / 32 / 4) * 8 + i % 32 / 4]).collect();
    image::encode(&Rgb::new(32, 32, pixels).unwrap(), Encoding::Png).unwrap()
}

/// Thing `n` in `n % 5 + 1` styles, and one record without either.
fn records(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for thing in 0..40_u64 {
        for style in 0..=thing % 5 {
            let name = format!("{thing}-{style}.png");
            std::fs::write(dir.join(&name), picture(10 * thing + style)).unwrap();
            let caption =
                [format!("the old thing number {thing}"), format!("drawn in style {style} of {thing}")];
            let line = serde_json::json!({
                "image": name, "caption": caption, "thing": thing, "style": format!("style {style}"),
            });
            lines.push(line.to_string());
        }
    }
    std::fs::write(dir.join("other.png"), picture(9999)).unwrap();
    lines.push(serde_json::json!({"image": "other.png", "caption": "something else entirely"}).to_string());
    lines
}

fn config(dir: &Path, lines: &[String], part: Part) -> BuildConfig {
    let list = dir.join("list.jsonl");
    std::fs::write(&list, lines.join("\n")).unwrap();
    let mut config = BuildConfig::of(list.to_str().unwrap());
    config.sources[0].name = Some("things".into());
    config.split = Some(SplitConfig { part, group: "thing".into(), style: "style".into(), least: 3 });
    config
}

fn samples(config: &BuildConfig) -> (Report, Vec<Metadata>) {
    let out = tempfile::tempdir().unwrap();
    let location = out.path().to_str().unwrap();
    let report = build(config, &Storage::create(location).unwrap(), &|_| {}).unwrap();
    let corpus = Corpus::open(location).unwrap();
    let all = (0..corpus.shard_sizes()[0]).map(|n| corpus.sample(0, n).unwrap().metadata).collect();
    (report, all)
}

#[test]
fn every_record_lies_in_one_part_and_a_thing_is_learned_from_other_styles() {
    let dir = tempfile::tempdir().unwrap();
    let lines = records(dir.path());
    let (report, train) = samples(&config(dir.path(), &lines, Part::Train));
    let (held, test) = samples(&config(dir.path(), &lines, Part::Test));
    // Things of three styles and more: 24 of 40.
    assert_eq!((test.len(), train.len() + test.len()), (24, lines.len()));
    assert_eq!((report.elsewhere, held.elsewhere), (24, train.len() as u64));
    assert!(report.rules.iter().chain(&held.rules).all(|rule| rule.records == 0), "a part is no noise");
    let key = |sample: &Metadata| sample.source_key.clone();
    let (train_keys, test_keys): (BTreeSet<_>, BTreeSet<_>) =
        (train.iter().map(key).collect(), test.iter().map(key).collect());
    assert!(train_keys.is_disjoint(&test_keys));
    let mut styles = BTreeMap::<String, u64>::new();
    for sample in &train {
        *styles.entry(sample.extra.get("thing").map_or("none".into(), ToString::to_string)).or_default() += 1;
    }
    assert!(test.iter().all(|sample| styles[&sample.extra["thing"].to_string()] >= 2));
    assert_eq!(styles["none"], 1);
}

#[test]
fn the_order_of_records_does_not_move_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = records(dir.path());
    let keys = |lines: &[String]| -> BTreeSet<String> {
        samples(&config(dir.path(), lines, Part::Test)).1.into_iter().map(|s| s.source_key).collect()
    };
    let expected = keys(&lines);
    lines.shuffle(&mut ChaCha8Rng::seed_from_u64(5));
    assert_eq!(keys(&lines), expected);
}

#[test]
fn a_gallery_has_each_caption_once_and_nothing_of_the_training_set() {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = records(dir.path());
    // Another drawing of a tested thing under another name in capitals; and a training picture under a new name.
    std::fs::write(dir.path().join("again.png"), picture(7777)).unwrap();
    for (thing, name) in [("x", "again.png"), ("y", "1-0.png")] {
        for style in 0..3 {
            let line = serde_json::json!({
                "image": name, "caption": "The OLD thing number 2", "thing": thing, "style": style,
            });
            lines.push(line.to_string());
        }
    }
    let out = tempfile::tempdir().unwrap();
    let train = out.path().join("train");
    let mut training = config(dir.path(), &lines, Part::Train);
    training.duplicates.exact = false;
    build(&training, &Storage::create(train.to_str().unwrap()).unwrap(), &|_| {}).unwrap();
    let mut test = config(dir.path(), &lines, Part::Test);
    test.gallery = Some(GalleryConfig::default());
    test.duplicates.near = false;
    test.duplicates.exclude = vec![train.to_str().unwrap().to_owned()];
    let (report, gallery) = samples(&test);
    let captions: BTreeSet<String> = gallery.iter().map(|s| s.captions.join("|").to_lowercase()).collect();
    assert_eq!((captions.len(), gallery.len()), (24, 24));
    assert!(captions.iter().all(|caption| caption.starts_with("the old thing number")));
    let taken = |reason| report.rules.iter().find(|rule| rule.reason == reason).unwrap().records;
    assert_eq!(taken(Reason::DuplicateCaption), 2);
}

#[test]
fn an_impossible_split_names_its_key() {
    let dir = tempfile::tempdir().unwrap();
    for (group, style, least, key) in [
        ("", "style", 3, "split.group"),
        ("a", "a", 3, "split.group"),
        ("a", "", 3, "split.style"),
        ("a", "b", 1, "split.least"),
    ] {
        let mut config = config(dir.path(), &records(dir.path()), Part::Train);
        config.split =
            Some(SplitConfig { part: Part::Train, group: group.into(), style: style.into(), least });
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}
