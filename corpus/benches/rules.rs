//! Captions a second through all rules that look at one caption, and through the count of the whole corpus.
#![allow(clippy::unwrap_used, missing_docs)]

use albef_corpus::rules::{CaptionFrequency, CaptionJudge, CaptionRules};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

/// Captions as the web has them, clean and noisy.
const MIXED: [&str; 16] = [
    "A black dog runs through the snow with a red ball.",
    "interior of a modern kitchen with stainless-steel appliances, wooden floor and two large windows",
    "<PERSON> arrives at the premiere of the film in a black dress",
    "woman and man holding hands medium skin tone",
    "Naval Semaphore Flag y",
    "red apple",
    "Clipart by Nicu Buculei - bee",
    "Café au lait & croissants: breakfast on the terrace (summer) #travel",
    "Vintage Wooden Rocking Chair - Stock Photo",
    "Ein schwarzer Hund rennt mit einem roten Ball durch den Schnee",
    "IMG_20190304_123456.jpg",
    "animal, mammal, dog, pet, hash(0x862bbb8)",
    "Visit www.example.com for more pictures",
    "sale sale sale sale",
    "Prev",
    "Flowers in the garden of my grandmother. Photo by Jane Doe, © 2010",
];

const CLEAN: [&str; 4] = [MIXED[0], MIXED[1], MIXED[3], MIXED[5]];

/// The slowest kind: too little English to be sure without both detectors.
const FOREIGN: [&str; 4] = [
    "Ein schwarzer Hund rennt mit einem roten Ball durch den Schnee",
    "Znak litery A w amerykańskim języku migowym.",
    "Une voiture de pompiers devant la mairie de la ville",
    "Kita ingat mereka yang telah meninggal dunia",
];

/// Descriptions of a page rather than a picture: short of the limit of 100 words, so that every rule reads all of it.
const LONG: [&str; 2] = [
    "This charming three-bedroom cottage sits at the end of a quiet lane, surrounded by old apple trees and a low stone \
     wall. The photograph was taken early in the morning, when fog still covers the meadow behind the house, and shows \
     the front door, freshly painted in dark green, with two clay pots of lavender on either side. A ginger cat sleeps \
     on the mat, and a rusty bicycle leans against the fence that leads down to the river.",
    "Vector illustration of a set of kitchen tools in flat style: wooden spoon, whisk, rolling pin, grater, ladle, \
     chopping board with a knife, salt and pepper mills, a tea towel with blue stripes; all objects stand on a white \
     background, so that they can be used for menus, recipe cards, packaging and posters of restaurants or cafes",
];

fn judge(bencher: Bencher<'_, '_>, captions: &[&str]) {
    let judge = CaptionJudge::new(&CaptionRules::default()).unwrap();
    let captions: Vec<&str> = captions.iter().copied().cycle().take(1024).collect();
    bencher.counter(ItemsCount::new(captions.len())).bench_local(|| {
        for caption in &captions {
            divan::black_box(judge.judge(caption));
        }
    });
}

#[divan::bench]
fn mixed(bencher: Bencher<'_, '_>) {
    judge(bencher, &MIXED);
}

#[divan::bench]
fn clean(bencher: Bencher<'_, '_>) {
    judge(bencher, &CLEAN);
}

#[divan::bench]
fn long(bencher: Bencher<'_, '_>) {
    judge(bencher, &LONG);
}

#[divan::bench]
fn foreign(bencher: Bencher<'_, '_>) {
    judge(bencher, &FOREIGN);
}

/// Both passes over captions of which one in four is shared.
#[divan::bench]
fn frequency(bencher: Bencher<'_, '_>) {
    let captions: Vec<String> =
        (0..1024).map(|i| format!("{} number {}", MIXED[i % 16], i / 4 * 4)).collect();
    bencher.counter(ItemsCount::new(captions.len())).bench_local(|| {
        let mut counts = CaptionFrequency::new(&CaptionRules::default()).unwrap();
        for (caption, image) in captions.iter().zip(0..) {
            counts.add(0, caption, image);
        }
        captions.iter().zip(0..).filter(|(caption, image)| counts.judge(0, caption, *image).is_some()).count()
    });
}
