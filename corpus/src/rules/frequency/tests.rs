#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::rules::Value;

fn counts(records: impl IntoIterator<Item = (u32, &'static str, u64)>) -> CaptionFrequency {
    let mut counts = CaptionFrequency::new(&CaptionRules::default()).unwrap();
    for (source, caption, image) in records {
        counts.add(source, caption, image);
    }
    counts
}

fn images(caption: &'static str, images: u64) -> impl Iterator<Item = (u32, &'static str, u64)> {
    (0..images).map(move |image| (0, caption, image))
}

#[test]
fn the_name_of_ten_drawings_is_kept_and_of_eleven_is_boilerplate() {
    let counts = counts(images("red apple", 10).chain(images("Home", 11)));
    assert_eq!(counts.judge(0, "red apple", 3), None);
    let finding = counts.judge(0, "Home", 3).unwrap();
    assert_eq!(finding.reason, Reason::CaptionBoilerplate);
    assert_eq!((finding.measured, finding.threshold), (Value::Number(11.0), Some(Value::Number(10.0))));
}

#[test]
fn case_punctuation_and_spacing_do_not_hide_boilerplate() {
    let spellings = ["Click here", "click  here!", "CLICK-HERE", "(click here)"];
    let counts = counts((0..12).map(|image| (0, spellings[image as usize % 4], image)));
    assert!(spellings.iter().all(|caption| counts.judge(0, caption, 0).is_some()));
    assert_eq!(counts.len(), 1);
}

#[test]
fn records_of_one_image_are_duplicates_until_a_whole_site_repeats_them() {
    let counts = counts((0..50).map(|_| (0, "A red bridge", 1)).chain((0..51).map(|_| (0, "Next", 2))));
    assert_eq!(counts.judge(0, "A red bridge", 1), None);
    assert_eq!(counts.judge(0, "Next", 2).unwrap().measured, Value::Number(51.0));
    assert_eq!(counts.judge(0, "Next", 3), None, "another image was never counted with it");
}

#[test]
fn sources_are_counted_apart() {
    let counts = counts((0..20).map(|image| (image as u32 % 2, "red apple", image)));
    assert_eq!(counts.judge(0, "red apple", 0), None);
    assert_eq!(counts.judge(1, "red apple", 1), None);
}

#[test]
fn captions_without_a_word_and_a_rule_switched_off_count_nothing() {
    let signs = counts(images("***", 100));
    assert!(signs.is_empty());
    let rules = CaptionRules { disable: [Reason::CaptionBoilerplate].into(), ..CaptionRules::default() };
    let mut off = CaptionFrequency::new(&rules).unwrap();
    (0..100).for_each(|image| off.add(0, "Home", image));
    assert!(off.is_empty() && off.judge(0, "Home", 1).is_none());
}

const CAPTIONS: [&str; 4] = ["Home", "home!", "Next", "red apple"];

proptest! {
    /// Threads count their parts in any order; what they find together is what one finds alone.
    #[test]
    fn parts_merged_in_any_order_judge_as_the_whole(
        records in prop::collection::vec((0..2_u32, 0..4_usize, 0..14_u64), 0..300),
        cut in 0..300_usize,
    ) {
        let records: Vec<_> = records.into_iter().map(|(source, at, image)| (source, CAPTIONS[at], image)).collect();
        let cut = cut.min(records.len());
        let whole = counts(records.iter().copied());
        let mut parts = counts(records[cut..].iter().rev().copied());
        parts.merge(counts(records[..cut].iter().copied()));
        prop_assert_eq!(parts.len(), whole.len());
        for (source, caption, image) in records {
            prop_assert_eq!(parts.judge(source, caption, image), whole.judge(source, caption, image));
        }
    }
}
