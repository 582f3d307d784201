//! Planted noise: each rule finds what was planted for it, and little else.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use albef_corpus::rules::{CaptionFrequency, CaptionJudge, CaptionRules, Error, Judgement, Reason};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PRECISION: f64 = 0.99;
const RECALL: f64 = 0.97;

/// Who does what, by language.
struct Sentences(BTreeMap<&'static str, (Vec<&'static str>, Vec<&'static str>)>);

impl Sentences {
    fn read() -> Self {
        let lines = include_str!("fixtures/captions_by_language.txt").lines().filter(|l| !l.starts_with('#'));
        let split = |list: &'static str| list.split('|').collect();
        Self(
            lines
                .map(|line| {
                    let [language, who, what] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
                    (language, (split(who), split(what)))
                })
                .collect(),
        )
    }

    fn all(&self, language: &str) -> Vec<String> {
        // Chinese and Japanese have no spaces.
        let space = if matches!(language, "zho" | "jpn") { "" } else { " " };
        let (who, what) = &self.0[language];
        who.iter().flat_map(|who| what.iter().map(move |what| format!("{who}{space}{what}"))).collect()
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    include_str!("fixtures/emoji_names.txt").lines().filter(|line| !line.starts_with('#'))
}

fn hex(rng: &mut ChaCha8Rng, digits: usize) -> String {
    (0..digits).map(|_| char::from_digit(rng.random_range(0..16), 16).unwrap()).collect()
}

fn words(rng: &mut ChaCha8Rng, count: usize) -> Vec<&'static str> {
    let vocabulary: Vec<&str> =
        names().filter(|name| name.is_ascii() && name.len() > 3 && !name.contains(' ')).collect();
    vocabulary.choose_multiple(rng, count).copied().collect()
}

/// A caption that the rule should take. `clean` is a good caption that may be spoilt.
fn noise(reason: Reason, clean: &str, foreign: &[String], rng: &mut ChaCha8Rng) -> String {
    let kind = rng.random_range(0..4);
    let number = rng.random_range(100..9999);
    match (reason, kind) {
        (Reason::CaptionEmpty, 0) => String::new(),
        (Reason::CaptionEmpty, 1) => " \t\r\n".repeat(kind + 1),
        (Reason::CaptionEmpty, 2) => "\u{3000}\u{a0}".to_owned(),
        (Reason::CaptionEmpty, _) => "\0".repeat(number % 7 + 1),
        (Reason::CaptionTooShort, _) => char::from(b'a' + (number % 26) as u8).to_string(),
        (Reason::CaptionTooLong, 0) => "long".repeat(number + 300),
        (Reason::CaptionTooLong, _) => format!("{clean} ").repeat(20),
        (Reason::CaptionFileName, 0) => format!("IMG_{number}.JPG"),
        (Reason::CaptionFileName, 1) => format!("DSC{number:05}"),
        (Reason::CaptionFileName, 2) => clean.replace([' ', '\''], "_"),
        (Reason::CaptionFileName, _) => format!("{clean}.{}", ["jpg", "png", "gif", "webp"][number % 4]),
        (Reason::CaptionUrl, 0) => format!("https://example.org/{}", hex(rng, 6)),
        (Reason::CaptionUrl, 1) => format!("{clean} www.example{number}.de"),
        (Reason::CaptionUrl, _) => format!("{clean} at shop{number}.com"),
        (Reason::CaptionEmail, 0) => format!("jane.doe{number}@example.org"),
        (Reason::CaptionEmail, _) => format!("{clean}, contact jane_{number}@mail.example.co.uk"),
        (Reason::CaptionMarkup, 0) => format!("HASH(0x{})", hex(rng, 7)),
        (Reason::CaptionMarkup, 1) => hex(rng, [32, 40, 64][number % 3]),
        (Reason::CaptionMarkup, 2) => format!("<p class=\"c{number}\">{clean}</p>"),
        (Reason::CaptionMarkup, _) => format!("{clean} &#{number}; {{{{ caption }}}}"),
        (Reason::CaptionKeywordStuffing, 0) => {
            words(rng, 5).iter().map(|w| format!("{w} shoes")).collect::<Vec<_>>().join(", ")
        }
        (Reason::CaptionKeywordStuffing, 1) => {
            words(rng, 6).iter().map(|w| format!("#{w}")).collect::<Vec<_>>().join(" ")
        }
        (Reason::CaptionKeywordStuffing, _) => {
            words(rng, 20 + number % 20).join([", ", "; ", " | "][number % 3])
        }
        (Reason::CaptionRepeatedWords, 0) => format!("{0} {0} {0} {0}", words(rng, 1)[0]),
        (Reason::CaptionRepeatedWords, _) => {
            let phrase = words(rng, 3).join(" ");
            [phrase.as_str(); 3].join(" ")
        }
        (Reason::CaptionFewLetters, 0) => format!("{number}-{number}"),
        (Reason::CaptionFewLetters, 1) => "*".repeat(number % 9 + 2),
        (Reason::CaptionFewLetters, _) => {
            format!("2004-07-28 12:{} #{number} ({number}x{number})", number % 60)
        }
        (Reason::CaptionLanguage, _) => foreign.choose(rng).unwrap().clone(),
        (other, _) => panic!("nothing is planted for {other}"),
    }
}

const PLANTED: [Reason; 11] = [
    Reason::CaptionEmpty,
    Reason::CaptionTooShort,
    Reason::CaptionTooLong,
    Reason::CaptionFileName,
    Reason::CaptionUrl,
    Reason::CaptionEmail,
    Reason::CaptionMarkup,
    Reason::CaptionKeywordStuffing,
    Reason::CaptionRepeatedWords,
    Reason::CaptionFewLetters,
    Reason::CaptionLanguage,
];

/// One caption in three is noise of a kind drawn at random, the others are names and sentences.
#[test]
fn planted_noise_is_found_by_its_own_rule() {
    let sentences = Sentences::read();
    let english = sentences.all("eng");
    let foreign: Vec<String> =
        sentences.0.keys().filter(|&&l| l != "eng").flat_map(|language| sentences.all(language)).collect();
    // The set calls the keys of a telephone "0" to "9": clean for a person who sees them, not for this rule.
    let names: Vec<String> =
        names().filter(|name| name.contains(char::is_alphabetic)).map(str::to_owned).collect();
    let judge = CaptionJudge::new(&CaptionRules::default()).unwrap();
    let mut planted: BTreeMap<Reason, usize> = BTreeMap::new();
    let mut found: BTreeMap<Reason, [usize; 2]> = BTreeMap::new();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..30_000 {
        let clean = if rng.random_bool(0.5) { &names } else { &english }.choose(&mut rng).unwrap();
        let truth = rng.random_ratio(1, 3).then(|| *PLANTED.choose(&mut rng).unwrap());
        let caption = match truth {
            // A name of one word with another ending is no file name.
            Some(reason) => noise(reason, english.choose(&mut rng).unwrap(), &foreign, &mut rng),
            None => clean.clone(),
        };
        if let Some(reason) = truth {
            *planted.entry(reason).or_default() += 1;
        }
        if let Judgement::Drop(finding) = judge.judge(&caption) {
            found.entry(finding.reason).or_default()[usize::from(truth == Some(finding.reason))] += 1;
            if truth != Some(finding.reason) {
                println!("{truth:?} {caption:?}: {finding:?}");
            }
        }
    }
    for reason in PLANTED {
        let [wrong, right] = found.get(&reason).copied().unwrap_or_default();
        let precision = right as f64 / (right + wrong).max(1) as f64;
        let recall = right as f64 / planted[&reason] as f64;
        println!("{reason}: precision {precision:.4}, recall {recall:.4} of {}", planted[&reason]);
        assert!(precision >= PRECISION && recall >= RECALL, "{reason}: {precision} {recall}");
    }
}

#[test]
fn every_language_is_told_from_english_at_six_words_and_more() {
    let sentences = Sentences::read();
    let judge = CaptionJudge::new(&CaptionRules::default()).unwrap();
    let foreign = |caption: &String| match judge.judge(caption) {
        Judgement::Drop(finding) => finding.reason == Reason::CaptionLanguage,
        Judgement::Keep | Judgement::Trim { .. } => false,
    };
    for language in sentences.0.keys() {
        let captions = sentences.all(language);
        let share = captions.iter().filter(|caption| foreign(caption)).count() as f64 / captions.len() as f64;
        if *language == "eng" {
            assert_eq!(share, 0.0);
        } else {
            assert!(share >= 0.9, "{language}: {share}");
        }
    }
}

#[test]
fn planted_attributions_are_cut_and_nothing_else_is() {
    let english = Sentences::read().all("eng");
    let judge = CaptionJudge::new(&CaptionRules::default()).unwrap();
    let tails = [
        ". Photo by Jane Doe",
        " (photo by John van der Berg)",
        " - Stock Photo",
        " | Shutterstock",
        " © 2010 Foo",
        ", copyright 1999 Foo & Sons. All rights reserved.",
        " - illustration by @jane_doe",
    ];
    let (mut cut, mut exact) = (0, 0);
    for (caption, tail) in english.iter().flat_map(|caption| tails.iter().map(move |tail| (caption, tail))) {
        if let Judgement::Trim { caption: kept, findings } = judge.judge(&format!("{caption}{tail}")) {
            cut += 1;
            exact += i32::from(kept.trim_end_matches('.') == caption);
            assert_eq!(findings[0].reason, Reason::AttributionTrimmed);
        }
        assert_eq!(judge.judge(caption), Judgement::Keep, "{caption}");
    }
    let planted = (english.len() * tails.len()) as f64;
    assert!(f64::from(cut) / planted >= RECALL, "{cut} of {planted}");
    assert!(f64::from(exact) / f64::from(cut) >= PRECISION, "{exact} of {cut}");
}

#[test]
fn planted_boilerplate_is_found_among_names_that_ten_styles_share() {
    let mut counts = CaptionFrequency::new(&CaptionRules::default()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut image = 0_u64;
    let mut records: Vec<(String, u64, bool)> = Vec::new();
    for name in names() {
        for _ in 0..rng.random_range(1..=10) {
            image += 1;
            records.push((name.to_owned(), image, false));
        }
    }
    for text in 0..100 {
        for _ in 0..rng.random_range(11..60) {
            image += 1;
            records.push((format!("Click to enlarge, part {text}"), image, true));
        }
        // One image on the pages of a site.
        image += 1;
        records.extend((0..rng.random_range(51..90)).map(|_| (format!("Go to chapter {text}"), image, true)));
    }
    let hash = |image: u64| {
        let mut hasher = DefaultHasher::new();
        image.hash(&mut hasher);
        hasher.finish()
    };
    records.iter().for_each(|(caption, image, _)| counts.add(0, caption, hash(*image)));
    for (caption, image, planted) in &records {
        assert_eq!(counts.judge(0, caption, hash(*image)).is_some(), *planted, "{caption}");
    }
}

#[test]
fn no_rule_drops_more_than_one_percent_of_clean_emoji_names() {
    let judge = CaptionJudge::new(&CaptionRules::default()).unwrap();
    let mut dropped: BTreeMap<Reason, Vec<&str>> = BTreeMap::new();
    for name in names() {
        match judge.judge(name) {
            Judgement::Drop(finding) => dropped.entry(finding.reason).or_default().push(name),
            Judgement::Trim { .. } => panic!("{name:?} was trimmed"),
            Judgement::Keep => {}
        }
    }
    assert!(names().count() >= 500);
    assert!(dropped.values().all(|names| names.len() <= 5), "{dropped:?}");
}

#[test]
fn a_wrong_configuration_is_refused_in_one_line_that_names_the_key() {
    let refused = |change: &dyn Fn(&mut CaptionRules)| {
        let mut rules = CaptionRules::default();
        change(&mut rules);
        let message = CaptionJudge::new(&rules).unwrap_err().to_string();
        assert!(!message.contains('\n'));
        message
    };
    assert_eq!(
        refused(&|r| r.min_letter_share = 1.5),
        "min_letter_share is 1.5: it must be a share from 0 to 1"
    );
    assert!(refused(&|r| r.max_repeated_share = f64::NAN).starts_with("max_repeated_share is NaN"));
    assert!(refused(&|r| r.max_images_per_caption = 0).ends_with("must be at least 1"));
    assert!(refused(&|r| r.min_words = 200).starts_with("min_words is 200 and max_words is 100"));
    assert!(refused(&|r| r.languages = vec!["en".into()]).contains("\"eng\""));
    assert!(refused(&|r| r.languages.clear()).starts_with("languages is empty"));
    assert!(refused(&|r| r.residue_words.push("Two Words".into())).starts_with("residue_words has"));
    assert_eq!(
        CaptionRules { disable: [Reason::ImageBlank].into(), ..CaptionRules::default() }.validate(),
        Err(Error::NotCaption { reason: Reason::ImageBlank })
    );
}

#[test]
fn the_configuration_reads_back_and_refuses_unknown_keys_and_codes() {
    let rules =
        CaptionRules { disable: [Reason::CaptionUrl].into(), max_words: 40, ..CaptionRules::default() };
    let json = serde_json::to_string(&rules).unwrap();
    assert_eq!(serde_json::from_str::<CaptionRules>(&json).unwrap(), rules);
    assert_eq!(serde_json::from_str::<CaptionRules>("{}").unwrap(), CaptionRules::default());
    for wrong in [r#"{"max_word": 40}"#, r#"{"disable": ["caption_urls"]}"#] {
        assert!(serde_json::from_str::<CaptionRules>(wrong).is_err(), "{wrong}");
    }
}
