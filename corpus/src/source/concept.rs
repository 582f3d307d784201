//! What an emoji's name says besides the words: skin tones, and the thing it depicts in any drawing style.

/// The words of tones, in the order in which a longer one is recognised before its last word.
const TONES: [&[&str]; 5] = [&["medium", "light"], &["medium", "dark"], &["light"], &["medium"], &["dark"]];

/// The words of `name` that stay when its skin tone is taken off; the same words if it has none.
///
/// Tones are written `…-medium-light-skin-tone`, or at the end of a name as `…-medium-light`; `-default` at the end is
/// the drawing without one. The lights of traffic and police cars are no tones, nor are those of circles.
fn without_tone(name: &str) -> Vec<&str> {
    let mut words: Vec<&str> = name.split('-').collect();
    let mut at = 0;
    while at + 1 < words.len() {
        if words[at..].starts_with(&["skin", "tone"]) {
            words.drain(at..at + 2);
            let tone = TONES.iter().find(|tone| at > tone.len() && words[..at].ends_with(tone));
            let length = tone.map_or(0, |tone| tone.len());
            words.drain(at - length..at);
            at -= length;
        } else {
            at += 1;
        }
    }
    let is_lamp = |words: &[&str]| {
        words.ends_with(&["traffic", "light"])
            || words.ends_with(&["car", "light"])
            || words.contains(&"circle")
    };
    if !is_lamp(&words) {
        let ending = TONES.iter().copied().chain([&["default"][..]]);
        let length = ending.into_iter().find(|tone| words.len() > tone.len() && words.ends_with(tone));
        words.truncate(words.len() - length.map_or(0, <[&str]>::len));
    }
    words
}

/// Whether the icon `name` of `set` is another one in a given skin tone.
///
/// Only the sets drawn by Fluent write tones without the words "skin tone".
pub(super) fn has_skin_tone(set: &str, name: &str) -> bool {
    if name.contains("skin-tone") {
        return true;
    }
    set.starts_with("fluent") && !name.ends_with("-default") && without_tone(name).join("-") != name
}

/// A key for the thing that an icon depicts: the same in all sets, for all skin tones and genders.
pub(super) fn concept(name: &str) -> String {
    const PEOPLE: [&str; 8] = ["man", "woman", "men", "women", "person", "people", "male", "female"];
    let name = name.to_lowercase();
    let mut words = without_tone(&name);
    if let Some(flag) = words.iter().position(|&word| word == "flag")
        && words.get(flag + 1).is_some_and(|&word| word == "for" || word == "of")
    {
        words.remove(flag + 1);
    }
    let joined = |words: &mut dyn Iterator<Item = &&str>| -> String {
        words.flat_map(|word| word.chars()).filter(char::is_ascii_alphanumeric).collect()
    };
    let without_people = joined(&mut words.iter().filter(|word| !PEOPLE.contains(word)));
    // Of "man" itself nothing would be left.
    if without_people.is_empty() { joined(&mut words.iter()) } else { without_people }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_told_from_a_lamp() {
        for (set, name, has) in [
            ("noto", "woman-running-medium-dark-skin-tone", true),
            ("noto", "light-skin-tone", true),
            ("fluent-emoji", "waving-hand-medium-light", true),
            ("fluent-emoji", "waving-hand-default", false),
            ("fluent-emoji", "waving-hand", false),
            ("fluent-emoji", "vertical-traffic-light", false),
            ("fluent-emoji", "police-car-light", false),
            ("twemoji", "police-car-light", false),
            ("twemoji", "waving-hand-medium", false),
        ] {
            assert_eq!(has_skin_tone(set, name), has, "{set}:{name}");
        }
    }

    #[test]
    fn a_concept_is_the_same_for_all_genders_and_tones() {
        for name in ["woman-running", "man-running-dark-skin-tone", "person-running-medium-light", "running"]
        {
            assert_eq!(concept(name), "running", "{name}");
        }
        assert_eq!(concept("man"), "man");
        assert_eq!(concept("flag-for-france"), concept("flag-france"));
        assert_ne!(concept("police-car-light"), concept("police-car"));
    }
}
