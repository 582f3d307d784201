//! Who made or sells a picture: cut off, because what is left is often a good caption.
//!
//! Patterns find where an attribution may begin; what follows must then look like one, since "drawn by Jane Doe" is cut
//! and "drawn by two horses" is what the picture shows.

use regex::Regex;

use super::pattern::compile;
use crate::rules::Result;

/// Of each kind a caption may carry one or two: "A dog. Photo by Jane Doe, © 2010 | Shutterstock".
const ROUNDS: usize = 4;
/// Words of a name or a company.
const NAME_WORDS: usize = 8;
/// Characters behind a copyright sign.
const HOLDER: usize = 80;

/// At the beginning, with a separator behind it: "Clipart by Nicu Buculei - bee".
const PREFIX: &str = r"(?x)^\s*
    (?:clip\s?art|photo(?:graph|graphy)?|pictures?|image|illustration|drawing|artwork|graphics?|vector|icon|logo|design)
    \s+(?:by|©|courtesy\s+of|credit:?)\s+(?-i:[\p{Lu}@])[^|:\n]{1,40}?
    (?:\s+[-–—|]+\s+|:\s+|\s*\n\s*)
";

/// A word for pictures or for making them, before a name.
const MAKER: &str = r"(?x)(?-u:\b)(?:
    (?:clip\s?art|photo(?:s|graph|graphs|graphy)?|photo\s+credit|pictures?|image|illustration|drawing|artwork|graphics?
      |vector|icon|logo|design|(?:originally\s+|re-?)?(?:drawn|designed|created|made|illustrated|photographed|uploaded
      |submitted|posted|vectori[sz]ed|contributed|taken))
    \s+(?:by|from|via|courtesy(?:\s+of)?)(?-u:\b)\s*:?
  | (?:(?:photo|image|picture)\s+)?(?:courtesy\s+of(?-u:\b)|credits?\s*:)
  | (?:photo|image|picture)\s*:
)";

/// Before a holder of rights, if a year or another sign follows.
const COPYRIGHT: &str = r"(?:copyright\s*)?©|(?-u:\b)copyright(?-u:\b)|\(c\)";
const COPYRIGHT_GOES_ON: &str = r"^\s*(?:©|\(c\)|by(?-u:\b))|(?-u:\b)(?:19|20)[0-9]{2}(?-u:\b)";

/// At the very end: formulas, agencies behind a separator, what they sell, licences.
const ENDING: &str = r"(?x)(?:
    (?-u:\b)all\s+rights\s+reserved
  | (?:[|/\u{2013}\u{2014}]|\s-|(?-u:\b)via)\s*
    (?:shutterstock|getty\s?images|istock(?:photo)?|alamy|dreamstime|123rf|depositphotos|adobe\s?stock|fotolia|flickr
      |pinterest|wikimedia(?:\s+commons)?|wikipedia|open\s?clip\s?art(?:\s+library)?|unsplash|pexels|pixabay|reuters|afp
      |youtube|etsy|ebay|amazon|freepik|vecteezy|clker|clipartpanda)(?:\.com|\.org)?
  | (?-i:[,|:\u{2013}\u{2014}-]\s*(?:[Rr]oyalty[\ -][Ff]ree\s+)?[Ss]tock|(?:Royalty[\ -]Free\s+)?Stock|[Rr]oyalty[\ -][Ff]ree)
    \s+(?:photos?|images?|pictures?|illustrations?|vectors?|photography|footage|clip\s?art)(?:\s+\#?[0-9]+)?
  | (?:(?:licen[cs]ed\s+)?under\s+(?:a\s+)?)?(?-u:\b)cc[\ -](?:by|0|zero)(?:[\ -](?:sa|nc|nd))*(?:\s*[0-9]\.[0-9])?
)[\s.)\]]*$";

/// Small words inside names.
const PARTICLES: [&str; 16] = [
    "de", "del", "della", "di", "da", "la", "le", "van", "von", "der", "den", "of", "and", "on", "at", "the",
];

#[derive(Debug, Clone)]
pub(super) struct Attributions {
    prefix: Regex,
    maker: Regex,
    copyright: Regex,
    copyright_goes_on: Regex,
    ending: Regex,
}

impl Attributions {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            prefix: compile(PREFIX)?,
            maker: compile(MAKER)?,
            copyright: compile(COPYRIGHT)?,
            copyright_goes_on: compile(COPYRIGHT_GOES_ON)?,
            ending: compile(ENDING)?,
        })
    }

    /// The part of `caption` that is not about who made it; empty when nothing else is there.
    pub(super) fn trim<'a>(&self, caption: &'a str) -> &'a str {
        let mut kept = caption;
        for _ in 0..ROUNDS {
            let before = kept.len();
            if let Some(found) = self.prefix.find(kept) {
                kept = &kept[found.end()..];
            }
            if let Some(end) = self.suffix(kept) {
                kept = kept[..end].trim_end_matches(is_gap);
            }
            if kept.len() == before {
                break;
            }
        }
        kept
    }

    /// Where the attribution at the end begins.
    fn suffix(&self, text: &str) -> Option<usize> {
        if let Some(found) = self.ending.find(text) {
            return Some(found.start());
        }
        let copyright = |found: &regex::Match<'_>| {
            let holder = &text[found.end()..];
            let short = holder.chars().nth(HOLDER).is_none() && !holder.trim_end().contains('\n');
            short && (found.as_str().ends_with('©') || self.copyright_goes_on.is_match(holder))
        };
        if let Some(found) = self.copyright.find(text).filter(copyright) {
            return Some(found.start());
        }
        self.maker.find_iter(text).find(|found| is_name(&text[found.end()..])).map(|found| found.start())
    }
}

/// What stands between a caption and its attribution.
fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '|' | '/' | '(' | '[' | '-' | '–' | '—')
}

/// Capitals, handles, numbers and the small words of names, to the end of the text.
fn is_name(text: &str) -> bool {
    let mut words = text.split_whitespace().take(NAME_WORDS + 1);
    let capital = |word: &str| {
        let first = word.trim_start_matches(['(', '"', '“']).chars().next();
        first.is_some_and(|c| c.is_uppercase() || c.is_numeric() || matches!(c, '@' | '&'))
            || word.contains('@')
    };
    let mut count = 1;
    words.next().is_some_and(capital)
        && words.all(|word| {
            count += 1;
            count <= NAME_WORDS && (capital(word) || PARTICLES.contains(&word))
        })
}
