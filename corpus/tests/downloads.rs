//! The packages as their registries serve them today. Not part of `make test`, which needs no network:
//! `cargo test --locked -p albef-corpus --test downloads -- --ignored`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use albef_corpus::fetch::{Collection, EMOJI, collection, packages};
use albef_corpus::source::Source;
use albef_corpus::source::svg::Renderer;

/// 36 MB. Every drawing has a name, and can be rendered.
#[test]
#[ignore = "needs npm and its registry"]
fn the_emoji_sets_give_every_drawing() {
    let folder = tempfile::tempdir().unwrap();
    packages(folder.path(), EMOJI, |_, _| ()).unwrap();
    let records: Vec<_> = Source::detect(folder.path().to_str().unwrap())
        .unwrap()
        .records()
        .unwrap()
        .map(|record| record.unwrap())
        .collect();
    let mut sets = BTreeMap::new();
    for record in &records {
        *sets.entry(record.extra["set"].as_str().unwrap()).or_insert(0) += 1;
        record.image.load_raster(4 << 20, &Renderer::new(32)).unwrap();
    }
    let captions: usize = records.iter().map(|record| record.captions.len()).sum();
    assert_eq!((records.len(), captions, sets.len()), (15_084, 29_258, 10), "{sets:?}");
}

/// 367 MB.
#[test]
#[ignore = "needs apt-get, dpkg-deb and Debian 12's packages"]
fn the_collections_are_those_of_debian_12() {
    let folder = tempfile::tempdir().unwrap();
    for (what, images, records) in [
        (Collection::Openclipart, 8_121, 25_487),
        (Collection::Gimphelp, 1_963, 7_883),
        (Collection::Tuxpaint, 1_044, 1_044),
    ] {
        let fetched = collection(folder.path(), what, |_| ()).unwrap();
        assert_eq!((fetched.images, fetched.records), (images, records), "{what:?}");
    }
}
