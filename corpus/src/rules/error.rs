use super::Reason;

/// Why a configuration of the rules cannot be used. Every message is one line that names the key and a valid value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number lies outside its range.
    #[error("{key} is {value}: it must be {valid}")]
    Range {
        /// The key of the configuration.
        key: &'static str,
        /// The value given.
        value: f64,
        /// What would be valid.
        valid: &'static str,
    },
    /// A lower threshold lies above its upper one, so that every caption would be dropped.
    #[error("{low} is {low_value} and {high} is {high_value}: {low} must not be the larger one")]
    Order {
        /// The key of the lower threshold.
        low: &'static str,
        /// Its value.
        low_value: usize,
        /// The key of the upper threshold.
        high: &'static str,
        /// Its value.
        high_value: usize,
    },
    /// A language that the detector does not know.
    #[error(
        "languages has {code:?}: give three-letter ISO 639-3 codes of known languages, as \"eng\" or \"deu\""
    )]
    Language {
        /// The code given.
        code: String,
    },
    /// No language is allowed, so that every long caption would be dropped.
    #[error("languages is empty: name at least one, as \"eng\", or put \"caption_language\" into disable")]
    NoLanguage,
    /// A rule that does not judge captions cannot be switched off here.
    #[error("disable has \"{}\", which is not a caption rule: give codes that begin with caption_, \
             \"attribution_trimmed\" or \"control_trimmed\"", .reason.code())]
    NotCaption {
        /// The reason given.
        reason: Reason,
    },
    /// A word list has an entry that could never match.
    #[error("{key} has {word:?}: give single words in lower case, without spaces")]
    Word {
        /// The key of the configuration.
        key: &'static str,
        /// The word given.
        word: String,
    },
    /// A built-in pattern does not compile, which no configuration causes.
    #[error("a built-in pattern of the caption rules does not compile: report this with your version")]
    Pattern(#[source] regex::Error),
}
