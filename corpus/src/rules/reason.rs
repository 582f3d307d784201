use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a record was dropped or trimmed. The code of a reason never changes: reports of different years compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// A record that cannot be read as an image with a caption.
    RecordInvalid,
    /// Truncated, damaged or not an image.
    ImageUnreadable,
    /// Refused from its header.
    ImageTooManyPixels,
    /// A side is too short.
    ImageTooSmall,
    /// A strip.
    ImageAspect,
    /// One colour.
    ImageBlank,
    /// Nothing to read.
    CaptionEmpty,
    /// Too few characters or words.
    CaptionTooShort,
    /// Too many characters or words.
    CaptionTooLong,
    /// The name of a file or of a picture of a camera.
    CaptionFileName,
    /// A web address.
    CaptionUrl,
    /// An e-mail address.
    CaptionEmail,
    /// What a program left behind: hashes, tags, entities, templates.
    CaptionMarkup,
    /// Shared by many images.
    CaptionBoilerplate,
    /// A list of search words.
    CaptionKeywordStuffing,
    /// The same words again and again.
    CaptionRepeatedWords,
    /// Digits and signs.
    CaptionFewLetters,
    /// In a language that is not allowed.
    CaptionLanguage,
    /// Trimmed: who made the picture.
    AttributionTrimmed,
    /// Trimmed: control characters.
    ControlTrimmed,
    /// The same bytes or pixels as an earlier image.
    DuplicateImage,
    /// Looks like an earlier image.
    NearDuplicateImage,
    /// The same image with the same caption.
    DuplicatePair,
    /// The same caption as an earlier image of an evaluation set.
    DuplicateCaption,
    /// Held out for evaluation.
    EvaluationImage,
}

impl Reason {
    /// All reasons, in the order of reports: records, images, captions, whole corpus.
    pub const ALL: [Self; 25] = [
        Self::RecordInvalid,
        Self::ImageUnreadable,
        Self::ImageTooManyPixels,
        Self::ImageTooSmall,
        Self::ImageAspect,
        Self::ImageBlank,
        Self::CaptionEmpty,
        Self::CaptionTooShort,
        Self::CaptionTooLong,
        Self::CaptionFileName,
        Self::CaptionUrl,
        Self::CaptionEmail,
        Self::CaptionMarkup,
        Self::CaptionBoilerplate,
        Self::CaptionKeywordStuffing,
        Self::CaptionRepeatedWords,
        Self::CaptionFewLetters,
        Self::CaptionLanguage,
        Self::AttributionTrimmed,
        Self::ControlTrimmed,
        Self::DuplicateImage,
        Self::NearDuplicateImage,
        Self::DuplicatePair,
        Self::DuplicateCaption,
        Self::EvaluationImage,
    ];

    /// The code in configurations and reports, which serde reads and writes too.
    pub const fn code(self) -> &'static str {
        match self {
            Self::RecordInvalid => "record_invalid",
            Self::ImageUnreadable => "image_unreadable",
            Self::ImageTooManyPixels => "image_too_many_pixels",
            Self::ImageTooSmall => "image_too_small",
            Self::ImageAspect => "image_aspect",
            Self::ImageBlank => "image_blank",
            Self::CaptionEmpty => "caption_empty",
            Self::CaptionTooShort => "caption_too_short",
            Self::CaptionTooLong => "caption_too_long",
            Self::CaptionFileName => "caption_file_name",
            Self::CaptionUrl => "caption_url",
            Self::CaptionEmail => "caption_email",
            Self::CaptionMarkup => "caption_markup",
            Self::CaptionBoilerplate => "caption_boilerplate",
            Self::CaptionKeywordStuffing => "caption_keyword_stuffing",
            Self::CaptionRepeatedWords => "caption_repeated_words",
            Self::CaptionFewLetters => "caption_few_letters",
            Self::CaptionLanguage => "caption_language",
            Self::AttributionTrimmed => "attribution_trimmed",
            Self::ControlTrimmed => "control_trimmed",
            Self::DuplicateImage => "duplicate_image",
            Self::NearDuplicateImage => "near_duplicate_image",
            Self::DuplicatePair => "duplicate_pair",
            Self::DuplicateCaption => "duplicate_caption",
            Self::EvaluationImage => "evaluation_image",
        }
    }

    /// One line for people.
    pub const fn description(self) -> &'static str {
        match self {
            Self::RecordInvalid => {
                "the record cannot be read as an image with a caption, or its file is missing"
            }
            Self::ImageUnreadable => "the image is truncated, damaged or of an unknown format",
            Self::ImageTooManyPixels => "the header announces more pixels than allowed; nothing was decoded",
            Self::ImageTooSmall => "the shorter side of the image has too few pixels",
            Self::ImageAspect => "the longer side of the image is too many times the shorter one",
            Self::ImageBlank => "the image shows (almost) one colour",
            Self::CaptionEmpty => "the caption is empty, or nothing but an attribution",
            Self::CaptionTooShort => "the caption has too few characters or words",
            Self::CaptionTooLong => "the caption has too many characters or words",
            Self::CaptionFileName => "the caption is the name of a file, or a camera's number of a picture",
            Self::CaptionUrl => "the caption contains a web address",
            Self::CaptionEmail => "the caption contains an e-mail address",
            Self::CaptionMarkup => {
                "the caption contains a hash, a tag, an entity or another program's residue"
            }
            Self::CaptionBoilerplate => "too many images share the caption, or a page repeats the pair",
            Self::CaptionKeywordStuffing => {
                "the caption is a long list of search words, or a row of hash tags"
            }
            Self::CaptionRepeatedWords => "too many words of the caption repeat earlier ones",
            Self::CaptionFewLetters => "too few characters of the caption are letters",
            Self::CaptionLanguage => "the caption is in a language that is not allowed",
            Self::AttributionTrimmed => "who made or sells the picture was cut off the caption",
            Self::ControlTrimmed => "control characters were cut out of the caption",
            Self::DuplicateImage => "an earlier image is the same",
            Self::NearDuplicateImage => "an earlier image looks the same",
            Self::DuplicatePair => "an earlier record has the same image and the same caption",
            Self::DuplicateCaption => "an earlier image of the evaluation set has the same caption",
            Self::EvaluationImage => "the image, or one that looks the same, is held out for evaluation",
        }
    }

    /// Whether the reason comes from a caption, so that [`CaptionRules`](super::CaptionRules) can switch it off.
    pub const fn is_caption(self) -> bool {
        match self {
            Self::CaptionEmpty
            | Self::CaptionTooShort
            | Self::CaptionTooLong
            | Self::CaptionFileName
            | Self::CaptionUrl
            | Self::CaptionEmail
            | Self::CaptionMarkup
            | Self::CaptionBoilerplate
            | Self::CaptionKeywordStuffing
            | Self::CaptionRepeatedWords
            | Self::CaptionFewLetters
            | Self::CaptionLanguage
            | Self::AttributionTrimmed
            | Self::ControlTrimmed => true,
            Self::RecordInvalid
            | Self::ImageUnreadable
            | Self::ImageTooManyPixels
            | Self::ImageTooSmall
            | Self::ImageAspect
            | Self::ImageBlank
            | Self::DuplicateImage
            | Self::NearDuplicateImage
            | Self::DuplicatePair
            | Self::DuplicateCaption
            | Self::EvaluationImage => false,
        }
    }

    /// Whether the record is kept, with a shorter caption.
    pub const fn is_trim(self) -> bool {
        matches!(self, Self::AttributionTrimmed | Self::ControlTrimmed)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn serde_writes_the_code_of_every_reason_and_reads_it_back() {
        for reason in Reason::ALL {
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(json, format!("\"{}\"", reason.code()));
            assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), reason);
        }
    }

    #[test]
    fn every_reason_has_a_code_and_a_line_of_its_own() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        let lines: BTreeSet<_> = Reason::ALL.iter().map(|r| r.description()).collect();
        assert_eq!((codes.len(), lines.len()), (Reason::ALL.len(), Reason::ALL.len()));
        assert!(lines.iter().all(|line| !line.contains('\n') && line.len() < 90));
    }

    #[test]
    fn a_code_that_begins_with_caption_is_a_caption_rule() {
        for reason in Reason::ALL {
            assert_eq!(reason.is_caption(), reason.code().starts_with("caption_") || reason.is_trim());
        }
    }
}
