//! What a build reads, which rules it applies, and what it writes.
use serde::{Deserialize, Serialize};

use super::{BuildError, Result, SplitConfig};
use crate::dedup::Nearness;
use crate::image::quality;
use crate::rules::CaptionRules;
use crate::source::{Options, Source};

/// A build file: TOML, unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildConfig {
    /// What is read, in this order.
    #[serde(rename = "source")]
    pub sources: Vec<SourceConfig>,
    /// Rules for images, and how they are stored.
    #[serde(default)]
    pub image: ImageConfig,
    /// Rules for captions.
    #[serde(default)]
    pub caption: CaptionRules,
    /// Rules that compare records.
    #[serde(default)]
    pub duplicates: DuplicateConfig,
    /// Which part of a split is built; everything if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitConfig>,
    /// What an evaluation set needs besides; a training corpus has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gallery: Option<GalleryConfig>,
    /// Shards.
    #[serde(default)]
    pub shards: ShardConfig,
}

/// One source of records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Its name in reports and metadata; the path's last part if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A file or folder, or an object store's URL.
    pub path: String,
    /// Kind of the source; found out from the path if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Iconify: whether icons that repeat another one in a given skin tone are read too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skin_tones: bool,
}

/// Rules for images, and how they are stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageConfig {
    /// Images of more pixels are refused from their header, before a decoder sees them. The default of 50 million is
    /// 200 MB decoded, and above any photograph that training would not shrink a hundredfold.
    pub max_pixels: u64,
    /// Images whose shorter side has fewer pixels are dropped. The default of 16 is one patch of the published model.
    pub min_side: u32,
    /// Images whose longer side is more than so many times the shorter are dropped: banners and rules.
    pub max_aspect: f64,
    /// Images of which more than this share has (nearly) one colour are dropped as blank. Thin outlines on a page reach
    /// 0.9975.
    pub max_blank: f64,
    /// Images are shrunk to this longer side; absent leaves them as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_side: Option<u32>,
    /// How images are stored.
    pub encoding: Encoding,
    /// Quality where the encoding is JPEG, 1 to 100.
    pub jpeg_quality: u8,
    /// Longer side of rendered SVG drawings.
    pub svg_side: u32,
}

/// How images are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// The bytes as they are; JPEG where they have to be shrunk, PNG where they were drawn or a format that is not
    /// stored.
    Keep,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// Lossless WebP.
    Webp,
}

/// Rules that compare records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DuplicateConfig {
    /// Drop an image whose pixels occurred before.
    pub exact: bool,
    /// Drop an image that looks like one before.
    pub near: bool,
    /// Bits of 64 in which two hashes may differ and count as alike, at most 5.
    pub near_bits: u32,
    /// Levels of 255 by which the mean colours of a quarter may differ.
    pub near_colour: u8,
    /// How far two pictures of near hashes and colours may be apart at 8 × 8 in grey, as a share of their contrast. An
    /// image that looks like one of `exclude` is kept out without this question.
    pub near_detail: f64,
    /// Corpora whose images must not occur here, byte for byte or nearly: the evaluation sets of a training corpus, or
    /// the training corpus of an evaluation set.
    pub exclude: Vec<String>,
}

/// The table `[gallery]`: pairs that are told apart by their captions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GalleryConfig {
    /// Of every record the first so many captions are kept.
    pub captions: usize,
    /// Drop a record that has a caption of an earlier one, upper and lower case being the same.
    pub unique: bool,
}

impl Default for GalleryConfig {
    /// One image to one caption.
    fn default() -> Self {
        Self { captions: 1, unique: true }
    }
}

/// Shards.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShardConfig {
    /// A shard is closed when it has reached so many megabytes (10⁶ bytes). It is held in memory until then.
    pub target_mb: u64,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self {
            max_pixels: 50_000_000,
            min_side: quality::MIN_SIDE,
            max_aspect: quality::MAX_ASPECT,
            max_blank: quality::MAX_BLANK,
            max_side: None,
            encoding: Encoding::Keep,
            jpeg_quality: 90,
            svg_side: 128,
        }
    }
}

impl DuplicateConfig {
    /// When two pictures are near.
    pub(super) fn nearness(&self) -> Nearness {
        Nearness::new(self.near_bits, self.near_colour, self.near_detail)
    }
}

impl Default for DuplicateConfig {
    fn default() -> Self {
        Self {
            exact: true,
            near: true,
            near_bits: 5,
            near_colour: 28,
            near_detail: 0.15,
            exclude: Vec::new(),
        }
    }
}

impl Default for ShardConfig {
    /// A hundred megabytes: large enough for sequential reading, small enough for a few per core in memory.
    fn default() -> Self {
        Self { target_mb: 100 }
    }
}

impl BuildConfig {
    /// A configuration of defaults for one source.
    pub fn of(path: &str) -> Self {
        Self {
            sources: vec![SourceConfig { name: None, path: path.to_owned(), kind: None, skin_tones: false }],
            image: ImageConfig::default(),
            caption: CaptionRules::default(),
            duplicates: DuplicateConfig::default(),
            split: None,
            gallery: None,
            shards: ShardConfig::default(),
        }
    }

    /// Reads a build file's text.
    pub fn parse(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start).min(text.len());
            let line = text.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count() + 1;
            let problem = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            BuildError::File { line, problem }
        })?;
        config.validate()?;
        Ok(config)
    }

    /// Checks every value.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field, value: String, problem: &str| {
            Err(BuildError::Config { field, value, problem: problem.to_owned() })
        };
        let ImageConfig { max_pixels, max_aspect, max_blank, max_side, jpeg_quality, svg_side, .. } =
            self.image;
        if self.sources.is_empty() {
            return refuse("source", "[]".into(), "name at least one: [[source]] path = \"…\"");
        }
        if max_pixels == 0 {
            return refuse("image.max_pixels", "0".into(), "must be at least 1");
        }
        if max_aspect < 1.0 || max_aspect.is_nan() {
            return refuse("image.max_aspect", max_aspect.to_string(), "must be at least 1");
        }
        if !(0.0..=1.0).contains(&max_blank) {
            return refuse("image.max_blank", max_blank.to_string(), "must lie in [0, 1]");
        }
        if max_side == Some(0) {
            return refuse("image.max_side", "0".into(), "must be at least 1; leave it out to keep sizes");
        }
        if !(1..=100).contains(&jpeg_quality) {
            return refuse("image.jpeg_quality", jpeg_quality.to_string(), "must lie between 1 and 100");
        }
        if !(1..=8192).contains(&svg_side) {
            return refuse("image.svg_side", svg_side.to_string(), "must lie between 1 and 8192");
        }
        let near_detail = self.duplicates.near_detail;
        if !(0.0..=2.0).contains(&near_detail) {
            return refuse("duplicates.near_detail", near_detail.to_string(), "must lie in [0, 2]");
        }
        if self.duplicates.near_bits > Nearness::MAX_BITS {
            return refuse(
                "duplicates.near_bits",
                self.duplicates.near_bits.to_string(),
                "must be at most 5",
            );
        }
        if !(1..=4000).contains(&self.shards.target_mb) {
            return refuse(
                "shards.target_mb",
                self.shards.target_mb.to_string(),
                "must lie between 1 and 4000",
            );
        }
        if self.gallery.is_some_and(|gallery| gallery.captions == 0) {
            return refuse("gallery.captions", "0".into(), "must be at least 1");
        }
        self.split.as_ref().map_or(Ok(()), SplitConfig::validate)?;
        Ok(self.caption.validate()?)
    }

    /// The sources, in order.
    pub(super) fn open_sources(&self) -> Result<Vec<Source>> {
        self.sources
            .iter()
            .map(|SourceConfig { name, path, kind, skin_tones }| {
                let source = match kind {
                    Some(kind) => Source::open(path, kind.parse()?)?,
                    None => Source::detect(path)?,
                };
                let source = source.with_options(Options { skin_tones: *skin_tones, ..Options::default() });
                Ok(match name {
                    Some(name) => source.with_name(name),
                    None => source,
                })
            })
            .collect()
    }
}
