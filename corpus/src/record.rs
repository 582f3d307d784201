//! One image with its captions, as a source gives it, and what a source gives instead of a record it cannot read.
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::image::{self, Limits, Rgb};
use crate::source::svg::{Renderer, SvgError};
use crate::storage::{Storage, StorageError, StoredFile, one_line};

/// One image with all its captions.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where the record stands.
    pub origin: Origin,
    /// Name of the record in its source: a tar's key, an icon's `set:name`, an image path without its extension. It
    /// need not be unique, and may hold slashes.
    pub key: String,
    /// The image, not read yet.
    pub image: ImageRef,
    /// The captions as the source has them, uncleaned; none where the source has no text for the image.
    pub captions: Vec<String>,
    /// Everything else that the source says about the record.
    pub extra: Map<String, Value>,
}

/// Where a record stands, so that a person can look at it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the source.
    #[serde(with = "shared_text")]
    pub source: Arc<str>,
    /// Name of the file in the source.
    #[serde(with = "shared_text")]
    pub file: Arc<str>,
    /// Place in the file.
    pub at: At,
}

/// Text that many records share, written and read as text.
mod shared_text {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(deserializer).map(Arc::from)
    }
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum At {
    /// The whole file.
    File,
    /// The line, from 1, on which the record begins.
    Line(u64),
    /// The entry of a list, from 0.
    Entry(u64),
    /// The row of a table, from 0.
    Row(u64),
    /// The byte at which the record begins.
    Byte(u64),
    /// The record of this name.
    Key(Box<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", one_line(&self.source), self.file)?;
        match &self.at {
            At::File => Ok(()),
            At::Line(line) => write!(f, " line {line}"),
            At::Entry(entry) => write!(f, " entry {entry}"),
            At::Row(row) => write!(f, " row {row}"),
            At::Byte(byte) => write!(f, " byte {byte}"),
            At::Key(key) => write!(f, " key {key:?}"),
        }
    }
}

/// An image that is not read yet.
#[derive(Debug, Clone)]
pub enum ImageRef {
    /// A file of a storage.
    File {
        /// The storage.
        storage: Storage,
        /// Name of the file in it.
        name: String,
    },
    /// A part of a file of a storage, such as a tar's member.
    Range {
        /// The file, open.
        file: StoredFile,
        /// The part, in bytes.
        range: Range<u64>,
    },
    /// The encoded image itself.
    Inline(Bytes),
    /// A drawing that has to be rendered.
    Svg(String),
}

impl ImageRef {
    /// The image's bytes as they are stored: an encoded image, or the text of an SVG drawing.
    ///
    /// An image of more than `limit` bytes is refused before any of them is read.
    pub fn load(&self, limit: u64) -> Result<Bytes, StorageError> {
        let check = |path: &str, size: u64| match size > limit {
            true => Err(StorageError::TooLarge { path: path.to_owned(), size, limit }),
            false => Ok(()),
        };
        match self {
            Self::File { storage, name } => storage.file(name)?.read_all(limit),
            Self::Range { file, range } => {
                check(file.path(), range.end.saturating_sub(range.start))?;
                file.read_range(range.clone())
            }
            Self::Inline(bytes) => check("inline image", bytes.len() as u64).map(|()| bytes.clone()),
            Self::Svg(text) => {
                check("inline drawing", text.len() as u64).map(|()| Bytes::copy_from_slice(text.as_bytes()))
            }
        }
    }

    /// As [`ImageRef::load`], with drawings rendered, whether they stand in the record or in a file.
    pub fn load_raster(&self, limit: u64, renderer: &Renderer) -> Result<Raster, ImageError> {
        if let Self::Svg(text) = self
            && text.len() as u64 <= limit
        {
            return Ok(Raster::Drawn(renderer.render(text)?.rgb()?));
        }
        let bytes = self.load(limit)?;
        if !crate::source::svg::looks_like_svg(&bytes) {
            return Ok(Raster::Encoded(bytes));
        }
        let text =
            std::str::from_utf8(&bytes).map_err(|_| SvgError::Invalid { reason: "not UTF-8".to_owned() })?;
        Ok(Raster::Drawn(renderer.render(text)?.rgb()?))
    }
}

/// An image of pixels: no drawing any more.
#[derive(Debug, Clone, PartialEq)]
pub enum Raster {
    /// The bytes of a file, not looked at yet.
    Encoded(Bytes),
    /// A drawing that was rendered. It has no file, and needs none to be looked at.
    Drawn(Rgb),
}

impl Raster {
    /// Width and height, from the header.
    ///
    /// # Errors
    /// As [`image::probe`], too many pixels included.
    pub fn size(&self, limits: &Limits) -> Result<(u32, u32), image::ImageError> {
        match self {
            Self::Encoded(bytes) => image::probe(bytes, limits).map(|probe| (probe.width, probe.height)),
            Self::Drawn(pixels) => {
                let (width, height) = (pixels.width(), pixels.height());
                match u64::from(width) * u64::from(height) > limits.max_pixels {
                    true => Err(image::ImageError::TooManyPixels { width, height, limit: limits.max_pixels }),
                    false => Ok((width, height)),
                }
            }
        }
    }

    /// The pixels.
    ///
    /// # Errors
    /// As [`image::decode`].
    pub fn decode(self, limits: &Limits) -> Result<Rgb, image::ImageError> {
        match self {
            Self::Encoded(bytes) => image::decode(&bytes, limits),
            Self::Drawn(pixels) => Ok(pixels),
        }
    }
}

/// Why an image's bytes could not be had.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Its storage did not give them.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The drawing could not be rendered.
    #[error(transparent)]
    Svg(#[from] SvgError),
}

/// What a source gives in place of a record that it cannot read. It is counted; reading goes on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct BadRecord {
    /// Where the record stands.
    pub origin: Origin,
    /// Why it cannot be read.
    pub problem: Box<Problem>,
}

impl BadRecord {
    /// Whether the storage is at fault rather than the data, so that leaving the record out would lose good data: a
    /// builder stops here, or tries again.
    pub fn is_fault(&self) -> bool {
        matches!(&*self.problem, Problem::Storage(error) if !error.blames_the_file())
    }

    /// Whether reading the source again may give the record.
    pub fn is_transient(&self) -> bool {
        matches!(&*self.problem, Problem::Storage(error) if error.is_transient())
    }
}

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file does not keep to its format.
    #[error("not valid {format}: {reason}")]
    Syntax {
        /// The format.
        format: &'static str,
        /// What is wrong, on one line.
        reason: String,
    },
    /// The file ends within a record.
    #[error("the file ends in the middle of {what}: it is cut short")]
    Cut {
        /// What is incomplete.
        what: &'static str,
    },
    /// The file has nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Text is in another encoding.
    #[error("{what} is not UTF-8")]
    NotUtf8 {
        /// The text.
        what: &'static str,
    },
    /// Something is longer than the limit for one record.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// There are more of something than the limit for one record.
    #[error("more than {limit} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// A field is absent.
    #[error("no {field:?}")]
    Absent {
        /// The field's name.
        field: String,
    },
    /// A field has a value of another type.
    #[error("{field:?} is {found}, not {wanted}")]
    Type {
        /// The field's name.
        field: String,
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A text has a NUL byte, which no caption has.
    #[error("{field:?} has a NUL byte")]
    Nul {
        /// The field's name.
        field: String,
    },
    /// A row of a table has more or fewer fields than its header.
    #[error("{found} fields where the header has {wanted}")]
    Fields {
        /// Fields of the header.
        wanted: usize,
        /// Fields of the row.
        found: usize,
    },
    /// A member comes twice under one key.
    #[error("two members {name:?}")]
    Twice {
        /// Name of the second one.
        name: String,
    },
    /// A member of an archive that is no file.
    #[error("member {name:?} is {found}, not a file")]
    NotAFile {
        /// Name of the member.
        name: String,
        /// What it is.
        found: &'static str,
    },
    /// The image's path cannot be used.
    #[error("image path {path:?} {problem}")]
    Path {
        /// The path as the source has it, at most 200 characters.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The text beside an image, or the whole file, cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A file of a source of many files cannot be used at all.
    #[error("{reason}")]
    File {
        /// The reason, on one line.
        reason: String,
    },
}
