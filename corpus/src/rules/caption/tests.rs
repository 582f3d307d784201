#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn judge(caption: &str) -> Judgement {
    CaptionJudge::new(&CaptionRules::default()).unwrap().judge(caption)
}

/// The reason for which each of the captions is dropped; `None` for what stays.
fn reason(caption: &str) -> Option<Reason> {
    match judge(caption) {
        Judgement::Drop(finding) => Some(finding.reason),
        Judgement::Keep | Judgement::Trim { .. } => None,
    }
}

#[track_caller]
fn drops(expected: Reason, captions: &[&str]) {
    for caption in captions {
        assert_eq!(reason(caption), Some(expected), "{caption:?}");
    }
}

#[track_caller]
fn keeps(captions: &[&str]) {
    for caption in captions {
        assert_eq!(judge(caption), Judgement::Keep, "{caption:?}");
    }
}

#[track_caller]
fn trims(caption: &str, kept: &str) {
    match judge(caption) {
        Judgement::Trim { caption: trimmed, .. } => assert_eq!(trimmed, kept),
        other => panic!("{caption:?}: {other:?}"),
    }
}

#[test]
fn good_captions_are_kept_as_they_are() {
    keeps(&[
        "ox",
        "A black dog runs through the snow.",
        "<PERSON> arrives at the premiere of the film",
        "1st place medal",
        "family: man, man, boy, boy",
        "men holding hands medium skin tone light skin tone",
        "Café au lait & croissants: breakfast on the terrace (summer) #travel",
        "T-shirt",
        "xbox-controller",
        "HAL 9000",
        "100% cotton, 3/4 sleeves",
        "JAPANESE “HERE” BUTTON",
        "flag: Côte d’Ivoire",
    ]);
}

#[test]
fn nothing_visible_is_empty() {
    drops(Reason::CaptionEmpty, &["", "  \t\n", "\u{a0}\u{3000}", "\0\0", "\u{7f}\u{1b}"]);
}

#[test]
fn one_character_is_too_short_and_the_threshold_is_inclusive() {
    drops(Reason::CaptionTooShort, &["x", " é "]);
    let rules = CaptionRules { min_characters: 5, min_words: 2, ..CaptionRules::default() };
    let judge = CaptionJudge::new(&rules).unwrap();
    let Judgement::Drop(finding) = judge.judge("a dog") else { return };
    panic!("five characters, two words: {finding:?}");
}

#[test]
fn a_page_is_too_long_by_words_or_by_characters() {
    let words = |count: usize| (0..count).map(|i| format!("w{i}x")).collect::<Vec<_>>().join(" ");
    assert_eq!(reason(&words(101)), Some(Reason::CaptionTooLong));
    assert_ne!(reason(&words(100)), Some(Reason::CaptionTooLong));
    assert_eq!(reason(&"é".repeat(1001)), Some(Reason::CaptionTooLong));
}

#[test]
fn a_caption_of_many_megabytes_is_refused_before_it_is_read() {
    let huge = "\0".repeat(64 << 20);
    let judge = CaptionJudge::new(&CaptionRules::default()).unwrap();
    let start = std::time::Instant::now();
    let Judgement::Drop(finding) = judge.judge(&huge) else { panic!("kept") };
    assert_eq!(finding.reason, Reason::CaptionTooLong);
    // Reading them once takes longer.
    assert!(start.elapsed() < std::time::Duration::from_millis(2), "{:?}", start.elapsed());
}

#[test]
fn names_of_files_are_no_captions() {
    drops(
        Reason::CaptionFileName,
        &[
            "IMG_1234.JPG",
            "my summer holiday.jpeg",
            "DSC00042",
            "Image 12",
            "screenshot 2020-01-31 10.20",
            "video_lcd_sergio_luiz_ar_01",
            "pattern-arrow-heads-1",
            "banner2",
            "images/header/logo",
        ],
    );
    keeps(&["Photo of the year 1999", "a picture of a png logo", "wi-fi", "either/or", "image of 12 birds"]);
}

#[test]
fn addresses_are_found_anywhere() {
    drops(
        Reason::CaptionUrl,
        &["see http://example.org/a", "www.example.de", "more at example.com today", "OpenOffice.org"],
    );
    drops(
        Reason::CaptionEmail,
        &["write to jane.doe+news@mail.example.org", "jane (at) example", "mailto:nobody"],
    );
    keeps(&["a dog. com", "Dr. Smith et al. on stage", "meet @ the station", "www"]);
}

#[test]
fn residue_of_programs_is_found_anywhere() {
    drops(
        Reason::CaptionMarkup,
        &[
            "HASH(0x862bbb8)",
            "hash, food, pizza",
            "sign, flag, 0x98554a4",
            "d41d8cd98f00b204e9800998ecf8427e",
            "a dog 123e4567-e89b-12d3-a456-426614174000",
            "a <b>black</b> dog",
            "<img src='x.png' alt='dog'>",
            "salt &amp; pepper",
            "d&#39;Aosta",
            "{{ image.caption }}",
            "[caption id=4]",
            "black%20dog%20running",
            "undefined",
        ],
    );
    keeps(&[
        "corned beef hash",
        "a < b and c > d",
        "I <3 dogs",
        "AT&T; logo",
        "[Original image]",
        "she wrote {sic} there",
    ]);
}

#[test]
fn digits_and_signs_are_no_caption() {
    drops(Reason::CaptionFewLetters, &["***", "35-54", "+100.0", ":)", "2004-07-28 12:30", "70a004"]);
}

#[test]
fn the_same_words_again_and_again_are_dropped() {
    drops(
        Reason::CaptionRepeatedWords,
        &[
            "sale sale sale today only here now",
            "Sale! Sale! Sale!",
            "red shoes red shoes",
            "Dog dog DOG cat",
        ],
    );
    keeps(&[
        "A laptop computer on the desk. Tap. Tap. Tap.",
        "Bora Bora",
        "black (0, 0, 0) and grey (0, 0, 9)",
    ]);
}

#[test]
fn long_lists_of_search_words_are_dropped_and_sentences_with_commas_are_not() {
    let list = |count: usize| ('a'..).take(count).map(|c| format!("{c}pple")).collect::<Vec<_>>().join(", ");
    assert_eq!(reason(&list(17)), Some(Reason::CaptionKeywordStuffing));
    assert_ne!(reason(&list(16)), Some(Reason::CaptionKeywordStuffing));
    drops(
        Reason::CaptionKeywordStuffing,
        &["cheap shoes, buy shoes, shoes online, best shoes, shoes", "so sweet #dog #love #cute"],
    );
    keeps(&[
        "card, flower, game, japanese, playing",
        "room #1 beside the hall and room #2 behind the door and shop #3 in the yard",
    ]);
}

#[test]
fn other_languages_are_dropped_from_six_words_on() {
    drops(
        Reason::CaptionLanguage,
        &[
            "Ein schwarzer Hund rennt durch den Schnee",
            "UN CHAT NOIR SUR UNE TABLE EN BOIS",
            "5 mele rosse su un tavolo",
            "Dwoje dzieci siedzi na ławce w parku",
            "красное яблоко",
            "一只黑色的狗",
        ],
    );
    keeps(&["Pomme rouge", "Motivo geometrico", "France - Pays de la Loire", "Ω ohm sign", "Naïve café"]);
}

/// Neither detector knows what to make of them.
#[test]
fn strings_of_english_nouns_are_no_other_language() {
    keeps(&[
        "premium vector illustration seamless geometric pattern",
        "luxury villa rental private pool Tuscany Italy",
        "electric guitar Fender Stratocaster sunburst finish",
        "animals lion tiger zebra giraffe elephant safari",
        "Victorian mansion Savannah Georgia historic district",
        "box, concertina, instrument, music, squeeze, squeezebox",
    ]);
}

#[test]
fn the_allowed_languages_are_those_of_the_configuration() {
    let rules = CaptionRules { languages: vec!["deu".into(), "rus".into()], ..CaptionRules::default() };
    let judge = CaptionJudge::new(&rules).unwrap();
    for caption in ["Ein schwarzer Hund rennt durch den Schnee", "Собака бежит по снегу в парке", "Apfel"]
    {
        assert_eq!(judge.judge(caption), Judgement::Keep, "{caption:?}");
    }
    let Judgement::Drop(finding) = judge.judge("A black dog runs through the fresh snow") else {
        panic!("kept")
    };
    assert_eq!(finding.measured, Value::Text("eng".into()));
    assert_eq!(finding.threshold, Some(Value::Text("deu rus".into())));
    let rules = CaptionRules { languages: vec!["rus".into()], ..CaptionRules::default() };
    let Judgement::Drop(finding) = CaptionJudge::new(&rules).unwrap().judge("apple") else { panic!("kept") };
    assert_eq!(finding.measured, Value::Text("Latin".into()));
}

#[test]
fn attributions_are_cut_and_the_rest_is_kept() {
    trims("Clipart by Nicu Buculei - bee", "bee");
    trims("Red apple. Photo by Jane Doe", "Red apple.");
    trims("Old bridge © 2010 Foo & Sons, all rights reserved.", "Old bridge");
    trims("Old bridge, copyright 1999-2004 Jan van der Berg", "Old bridge");
    trims("Vintage chair - Stock Photo", "Vintage chair");
    trims("A dog in the park | Shutterstock", "A dog in the park");
    trims("Sunset over the sea (photo: John Smith / Reuters)", "Sunset over the sea");
    trims("A lighthouse (CC BY-SA 2.0)", "A lighthouse");
}

#[test]
fn what_the_picture_shows_is_no_attribution() {
    keeps(&[
        "A photo by the lake",
        "a carriage drawn by two horses",
        "copyright",
        "copyright sign",
        "a picture from my window",
        "Image: A dog runs through the snow while children watch it from afar",
        "the Amazon in Brazil",
    ]);
}

#[test]
fn a_caption_that_is_only_an_attribution_is_empty_and_names_it() {
    let Judgement::Drop(finding) = judge("Photo by Jane Doe") else { panic!("kept") };
    assert_eq!(finding.reason, Reason::CaptionEmpty);
    assert_eq!(finding.measured, Value::Text("Photo by Jane Doe".into()));
}

#[test]
fn control_characters_are_cut_out() {
    trims("a black\0 dog\u{1b}", "a black  dog");
    keeps(&["family \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}", "two\nlines"]);
}

#[test]
fn every_rule_can_be_switched_off() {
    let off = |reason, caption: &str| {
        let rules = CaptionRules { disable: [reason].into(), ..CaptionRules::default() };
        CaptionJudge::new(&rules).unwrap().judge(caption)
    };
    let long = "A black dog runs through the fresh snow with a red ball in its mouth, ".repeat(9);
    for (reason, caption) in [
        (Reason::CaptionTooShort, "x"),
        (Reason::CaptionEmpty, ""),
        (Reason::CaptionFileName, "video_lcd_01"),
        (Reason::CaptionUrl, "see example.com"),
        (Reason::CaptionEmail, "write to a@b.org"),
        (Reason::CaptionMarkup, "a <b>black</b> dog"),
        (Reason::CaptionFewLetters, "2004-07-28"),
        (Reason::CaptionRepeatedWords, "red shoes red shoes"),
        (Reason::CaptionKeywordStuffing, "sweet #dog #love #cute"),
        (Reason::CaptionLanguage, "Ein schwarzer Hund rennt durch den Schnee"),
        (Reason::AttributionTrimmed, "bee. Photo by Jane Doe"),
        (Reason::ControlTrimmed, "a\0dog"),
    ] {
        let found = match off(reason, caption) {
            Judgement::Drop(finding) => vec![finding],
            Judgement::Trim { findings, .. } => findings,
            Judgement::Keep => vec![],
        };
        assert!(found.iter().all(|finding| finding.reason != reason), "{reason} on {caption:?}: {found:?}");
    }
    let found = off(Reason::CaptionTooLong, &long);
    assert!(
        !matches!(&found, Judgement::Drop(finding) if finding.reason == Reason::CaptionTooLong),
        "{found:?}"
    );
    assert_eq!(off(Reason::CaptionEmpty, " "), Judgement::Keep);
}

proptest! {
    #[test]
    fn no_text_makes_a_rule_panic(caption in any::<String>()) {
        judge(&caption);
    }

    #[test]
    fn no_mixture_of_noise_makes_a_rule_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "Photo by ", "©", " - ", "İ", "ß", "’", "\0", "\u{202e}", "<b", "&#", "0x", "@", "#", ",", "ﬁ", "é", "中",
                "http://", ".jpg", "_", "(", "2010 ", "Jane ", "de ", "stock photo", "| ", "कि", "\u{300}", "\u{10ffff}",
            ]),
            0..40,
        ),
    ) {
        judge(&parts.concat());
    }

    /// A second run over its own output finds nothing new to cut.
    #[test]
    fn what_was_trimmed_stays_trimmed(
        body in "[A-Z][a-z]{2,8} [a-z]{2,8} [a-z]{2,8}",
        tail in prop::sample::select(vec![". Photo by Jane Doe", " | Shutterstock", " © 2010 Foo", " - Stock Photo"]),
    ) {
        if let Judgement::Trim { caption, .. } = judge(&format!("{body}{tail}")) {
            prop_assert!(!matches!(judge(&caption), Judgement::Trim { .. }), "{caption:?}");
        }
    }
}
