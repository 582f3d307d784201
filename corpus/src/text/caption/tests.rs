#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn cleaned(raw: &str) -> String {
    clean(raw, MAX_WORDS)
}

#[test]
fn punctuation_is_deleted_and_dashes_and_slashes_are_spaces() {
    assert_eq!(cleaned("Fire-brigade, 24/7: it's (nearly) \"free\"!"), "fire brigade 24 7 its nearly free");
}

#[test]
fn a_masked_name_becomes_person_even_when_punctuation_hid_it() {
    assert_eq!(cleaned("<PERSON> and <per.son> smile"), "person and person smile");
    assert_eq!(cleaned("<<person>person>"), "<personperson>", "replaced once, from the left");
}

#[test]
fn a_single_tab_stays_and_a_run_of_any_whitespace_is_one_space() {
    assert_eq!(cleaned("a\tb\t\tc \u{1c}d\u{85}\u{a0}e\u{2003}f"), "a\tb c d e\u{2003}f");
}

#[test]
fn deleting_punctuation_can_make_a_run_of_spaces() {
    assert_eq!(cleaned("a . b -- c"), "a b c");
}

#[test]
fn line_breaks_are_stripped_from_the_end_only_and_other_whitespace_not_at_all() {
    assert_eq!(cleaned("\na\n"), "\na");
    assert_eq!(cleaned("\ta\t"), "\ta\t");
    assert_eq!(cleaned(" a\n "), "a");
}

#[test]
fn lower_case_is_that_of_python() {
    assert_eq!(cleaned("ΟΔΟΣ ΣΑΣ Σ"), "οδος σας σ");
    assert_eq!(cleaned("İ K Å"), "i\u{307} k å");
}

#[test]
fn a_capital_added_after_unicode_14_keeps_its_case() {
    let garay_capital_a = "\u{10d50}";
    assert_eq!(cleaned(garay_capital_a), garay_capital_a);
    assert_eq!(cleaned("ΑΣ\u{10d50}ΑΣ"), "ας\u{10d50}ας", "and ends a word before it");
}

#[test]
fn words_beyond_the_limit_are_dropped() {
    assert_eq!(clean("one two three", 2), "one two");
    assert_eq!(clean("one two", 2), "one two");
    assert_eq!(clean("one\ttwo three", 1), "one\ttwo", "only a space separates words");
    assert_eq!(clean("one", 0), "");
}

#[test]
fn nothing_may_be_left() {
    assert_eq!(cleaned(""), "");
    assert_eq!(cleaned(" \n ... \n"), "");
}

#[test]
fn a_megabyte_of_anything_is_cleaned_in_linear_time() {
    for unit in [" ", "\n ", "<person", "Σ", "\u{301}", "\u{10d50}", "a ", "~"] {
        let hostile = unit.repeat(1 << 20);
        let started = std::time::Instant::now();
        clean(&hostile, MAX_WORDS);
        assert!(started.elapsed().as_secs() < 30, "{unit:?} took {:?}", started.elapsed());
    }
}

/// The published rule, one step after the other on a list of characters, as slow as it likes.
fn specification(raw: &str, max_words: usize) -> String {
    let lower = raw.to_lowercase();
    let mut text: Vec<char> = lower.chars().collect();
    text.retain(|c| !",.'!?\"()*#:;~".contains(*c));
    for c in &mut text {
        if "-/".contains(*c) {
            *c = ' ';
        }
    }
    let person: Vec<char> = "<person>".chars().collect();
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(&person) {
            text.splice(at..at + 8, "person".chars());
            at += 6;
        } else {
            at += 1;
        }
    }
    const SPACES: &str = "\t\n\u{b}\u{c}\r\u{1c}\u{1d}\u{1e}\u{1f} \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\
        \u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";
    let mut at = 0;
    while at < text.len() {
        let run = text[at..].iter().take_while(|c| SPACES.contains(**c)).count();
        if run >= 2 {
            text.splice(at..at + run, [' ']);
        }
        at += 1;
    }
    while text.last() == Some(&'\n') {
        text.pop();
    }
    while text.last() == Some(&' ') {
        text.pop();
    }
    while text.first() == Some(&' ') {
        text.remove(0);
    }
    let text: String = text.into_iter().collect();
    text.split(' ').take(max_words).collect::<Vec<_>>().join(" ")
}

/// Captions in which every rule has work to do.
fn caption() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ a-cA-C]{0,3}",
        3 => r#"[,.'!?"()*#:;~/-]{1,2}"#,
        3 => "[ \t\n\r\u{b}\u{c}\u{1c}-\u{1f}\u{85}\u{a0}\u{2003}\u{2028}\u{3000}]{1,3}",
        1 => prop_oneof![Just("<person>"), Just("<PER,SON>"), Just("<person"), Just("person>")]
            .prop_map(str::to_owned),
        1 => "[ΣσςİıẞK\u{301}\u{200d}]{1,3}",
        1 => any::<char>().prop_filter("known to every version", |&c| !is_unassigned(c)).prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn cleaning_follows_its_specification(raw in caption(), max_words in 0usize..8) {
        prop_assert_eq!(clean(&raw, max_words), specification(&raw, max_words));
    }

    #[test]
    fn cleaning_is_total_and_leaves_no_run_of_whitespace(raw in any::<String>(), max_words in 0usize..40) {
        let caption = clean(&raw, max_words);
        let spaces: Vec<bool> = caption.chars().map(is_python_space).collect();
        prop_assert!(!spaces.windows(2).any(|pair| pair == [true, true]), "{:?}", caption);
    }

    #[test]
    fn no_more_words_than_asked_for_are_kept(raw in caption(), max_words in 0usize..8) {
        let caption = clean(&raw, max_words);
        let words = if caption.is_empty() { 0 } else { caption.split(' ').count() };
        prop_assert!(words <= max_words);
    }
}
