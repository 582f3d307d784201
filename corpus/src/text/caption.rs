//! Cleaning a caption, exactly as the published data loader does.

use super::unicode::{is_python_space, is_unassigned};

/// Words that the published training keeps of a caption.
pub const MAX_WORDS: usize = 30;

/// Cleans `raw` and keeps its first `max_words` words. In this order:
///
/// 1. lower-case, as Python's `str.lower`;
/// 2. delete `, . ' ! ? " ( ) * # : ; ~`, turn `-` and `/` into spaces;
/// 3. `<person>`, which Conceptual Captions puts in place of names, becomes `person`;
/// 4. two or more whitespace characters become one space; a single tab or line break stays what it is;
/// 5. line breaks are stripped from the end, then spaces from both ends;
/// 6. words are what stands between spaces.
///
/// The result may be empty, may hold a tab or line break, and never holds two whitespace characters in a row.
/// Linear in the length of `raw`.
///
/// Source: `pre_caption` in `dataset/utils.py` of the published implementation (salesforce/ALBEF).
pub fn clean(raw: &str, max_words: usize) -> String {
    let mut caption: String = lowercase(raw).chars().filter_map(punctuation).collect();
    if caption.contains("<person>") {
        caption = caption.replace("<person>", "person");
    }
    let caption = collapse_whitespace(&caption);
    first_words(caption.trim_end_matches('\n').trim_matches(' '), max_words).to_owned()
}

/// `str.lower` of a Python with Unicode 14.0.
///
/// Rust's `to_lowercase` agrees with it, final sigma and dotted capital I included, but knows the capitals of later
/// versions too. An unassigned character neither has case nor is transparent to the final-sigma rule, therefore
/// lower-casing what stands between two of them separately is exact.
///
/// Known to differ, and left so: a capital sigma beside U+0295 or U+1171E, which later versions classed anew.
fn lowercase(text: &str) -> String {
    let mut lower = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, unassigned)) = rest.char_indices().find(|&(_, c)| is_unassigned(c)) {
        let (known, tail) = rest.split_at(at);
        lower.push_str(&known.to_lowercase());
        lower.push(unassigned);
        rest = &tail[unassigned.len_utf8()..];
    }
    lower.push_str(&rest.to_lowercase());
    lower
}

fn punctuation(c: char) -> Option<char> {
    match c {
        ',' | '.' | '\'' | '!' | '?' | '"' | '(' | ')' | '*' | '#' | ':' | ';' | '~' => None,
        '-' | '/' => Some(' '),
        _ => Some(c),
    }
}

/// Python's `re.sub(r"\s{2,}", " ", text)`.
fn collapse_whitespace(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let mut run = false;
        if is_python_space(c) {
            while characters.next_if(|&next| is_python_space(next)).is_some() {
                run = true;
            }
        }
        out.push(if run { ' ' } else { c });
    }
    out
}

fn first_words(caption: &str, max_words: usize) -> &str {
    let Some(last) = max_words.checked_sub(1) else { return "" };
    match caption.match_indices(' ').nth(last) {
        Some((end, _)) => &caption[..end],
        None => caption,
    }
}

#[cfg(test)]
mod tests;
