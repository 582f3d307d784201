//! Rules that look for a form: residue of programs, addresses, file names.

use std::collections::BTreeSet;

use regex::{Regex, RegexBuilder};

use super::shape::entries;
use crate::rules::{Error, Finding, Reason, Result};

/// What a program left behind. `<PERSON>`, which Conceptual Captions puts in place of names, is no HTML tag.
const MARKUP: &str = r"(?x)
    (?-u:\b)(?:hash|array|code|scalar|object)\(0x[0-9a-f]+\)        # a Perl reference, printed
  | (?-u:\b)0x[0-9a-f]{6,}(?-u:\b)                                  # an address
  | (?-u:\b)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?-u:\b)     # a UUID
  | (?-u:\b)[0-9a-f]{16,}(?-u:\b)                                   # a digest
  | </?(?:a|abbr|b|blockquote|body|br|center|code|div|em|embed|font|form|h[1-6]|head|hr|html|i|iframe|img|input|li
      |link|meta|object|ol|p|pre|s|script|small|span|strong|style|sub|sup|svg|table|tbody|td|th|title|tr|tt|u|ul)
      (?:\s[^<>]*)?/?>                                              # an HTML tag
  | <!(?:--|doctype|\[cdata)
  | &(?:\#[0-9]{1,7}|\#x[0-9a-f]{1,6}|[a-z]{2,8}[0-9]{0,2});        # an HTML entity
  | \{\{[^{}]*\}\} | \$\{[^{}]*\} | \{%[^{}]*%\} | <%= | <\?(?:php|=)   # a template
  | \[\[[^\[\]]*\]\]                                                # a wiki link
  | \[/?(?:b|caption|code|embed|gallery|i|img|quote|u|url|vc_\w+)(?:[=\s][^\[\]]*)?\]   # a forum's tag
  | %[0-9a-f]{2}\S*%[0-9a-f]{2} | %20                               # a part of a URL
  | \\u[0-9a-f]{4} | \\x[0-9a-f]{2}                                 # an escape
  | \[object\x20object\]
";

const EMAIL: &str = r"(?x)
    (?-u:\b)[a-z0-9._%+-]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}(?-u:\b)
  | [a-z0-9._-]+\s?(?:\(at\)|\[at\]|\{at\})\s?[a-z0-9._-]+          # the usual disguise
  | (?-u:\b)mailto:
";

/// With or without a scheme; without one only under the domains that no file or sentence ends in.
const URL: &str = r"(?x)
    (?-u:\b)(?:https?|ftps?|file)://?\S
  | (?-u:\b)www\.[a-z0-9-]+\.[a-z]
  | (?-u:\b)[a-z0-9-]{2,}\.(?:[a-z0-9-]+\.)*(?:com|org|net|edu|gov|info|biz|co\.[a-z]{2})(?-u:\b)
";

/// The whole caption.
const FILE_NAME: &str = r"(?x)^(?:
    # It ends in the suffix of a picture, with or without spaces before it.
    .*[^\s.]\.(?:jpe?g|png|gif|svgz?|webp|bmp|tiff?|psd|avif|heic|xcf|cr2|nef|dng)
  | \S+\.(?:eps|ai|pdf|ico|raw|html?|php|aspx?|mp4|mov|zip|txt)
    # A camera or a web page counted.
  | (?:img|image|photo|picture|pic|pict|dsc[nf]?|_dsc|dcim|sam|gopr|mvi|vid|pxl|scan|screen[\ _-]?shot|untitled|unnamed
      |p10)[\ _.\#-]*\(?[0-9][0-9\ _.:,()x×apm-]*
    # Words joined by underscores, or by hyphens with a number at the end; a word with a number.
  | \S+_\S+
  | [a-z0-9.]+(?:-[a-z0-9.]+)+-v?[0-9][0-9.]*
  | [a-z]{3,}[0-9]{1,3} | [a-z]+0[0-9]+
    # A path.
  | \S*[/\\]\S+[/\\]\S*
)$";

#[derive(Debug, Clone)]
pub(super) struct Patterns {
    markup: Regex,
    email: Regex,
    url: Regex,
    file_name: Regex,
    residue: BTreeSet<String>,
}

impl Patterns {
    pub(super) fn new(residue_words: &[String]) -> Result<Self> {
        Ok(Self {
            markup: compile(MARKUP)?,
            email: compile(EMAIL)?,
            url: compile(URL)?,
            file_name: compile(FILE_NAME)?,
            residue: residue_words.iter().cloned().collect(),
        })
    }

    pub(super) fn markup(&self, caption: &str) -> Option<Finding> {
        find(&self.markup, Reason::CaptionMarkup, caption).or_else(|| {
            let residue = |entry: &&str| self.residue.contains(&entry.to_lowercase());
            let entry = entries(caption).filter(|entry| !entry.contains(' ')).find(residue)?;
            Some(Finding::text(Reason::CaptionMarkup, entry))
        })
    }

    pub(super) fn email(&self, caption: &str) -> Option<Finding> {
        find(&self.email, Reason::CaptionEmail, caption)
    }

    pub(super) fn url(&self, caption: &str) -> Option<Finding> {
        find(&self.url, Reason::CaptionUrl, caption)
    }

    pub(super) fn file_name(&self, caption: &str) -> Option<Finding> {
        find(&self.file_name, Reason::CaptionFileName, caption)
    }
}

/// The pattern, in which case does not matter.
pub(super) fn compile(pattern: &str) -> Result<Regex> {
    RegexBuilder::new(pattern).case_insensitive(true).build().map_err(Error::Pattern)
}

fn find(regex: &Regex, reason: Reason, caption: &str) -> Option<Finding> {
    regex.find(caption).map(|found| Finding::text(reason, found.as_str()))
}
