//! Readers of image–text pairs: each gives its records one after another, in an order that never changes.
//!
//! | kind | what it reads |
//! |---|---|
//! | `json-list` | `[{"image": path, "caption": text or [texts]}, …]`, as the lists published with ALBEF |
//! | `json-lines` | one such object a line; a folder with `pairs.jsonl` is that list |
//! | `csv`, `tsv` | a table with a header; tab-separated text has no quotes (as published for Conceptual Captions) |
//! | `parquet` | a column of paths, of encoded images, or of `{bytes, path}`, and one of captions |
//! | `tar` | WebDataset: `key.jpg`, `key.txt`, `key.json`; the images stay where they are, as byte ranges |
//! | `folder` | images, each with a `.txt` of the same name beside it |
//! | `iconify` | icon sets: `icons.json`, with `chars.json` and emojibase's labels where they are |
//!
//! All but `parquet` and `tar` may be compressed with gzip.
//!
//! Memory does not grow with the number of records; it is bounded by [`Options::record_bytes`], one folder's names
//! (`folder`) and one page of a column (`parquet`). A record that cannot be read is a [`BadRecord`], and reading goes
//! on; [`SourceError`] is for a source that cannot be read at all. Image paths stay inside their folder.
mod concept;
mod detect;
mod error;
mod fields;
mod folder;
mod iconify;
mod json_lines;
mod json_list;
mod json_stream;
mod labels;
mod lines;
#[cfg(feature = "parquet")]
mod parquet;
mod scope;
pub mod svg;
mod svg_cost;
mod svg_thread;
mod table;
mod tar;
mod text_file;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::record::{At, BadRecord, Problem, Record};
use crate::storage::Storage;

pub(crate) use detect::PAIRS;
pub use error::SourceError;
use scope::Scope;

/// What a source gives: a record, or the place of one that cannot be read and the reason.
pub type Item = Result<Record, BadRecord>;

/// Records of a source, one after another.
pub type Records = Box<dyn Iterator<Item = Item> + Send>;

/// Kinds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One JSON list.
    JsonList,
    /// One JSON object a line.
    JsonLines,
    /// Comma-separated text with a header.
    Csv,
    /// Tab-separated text with a header, without quotes.
    Tsv,
    /// Parquet.
    Parquet,
    /// WebDataset tars.
    Tar,
    /// A folder of images with texts beside them.
    Folder,
    /// Iconify icon sets.
    Iconify,
}

impl Kind {
    /// All kinds by name.
    pub const NAMES: &'static str = "json-list, json-lines, csv, tsv, parquet, tar, folder, iconify";

    /// The kind's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonList => "json-list",
            Self::JsonLines => "json-lines",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Parquet => "parquet",
            Self::Tar => "tar",
            Self::Folder => "folder",
            Self::Iconify => "iconify",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = SourceError;

    fn from_str(name: &str) -> Result<Self, SourceError> {
        use Kind::{Csv, Folder, Iconify, JsonLines, JsonList, Parquet, Tar, Tsv};
        [JsonList, JsonLines, Csv, Tsv, Parquet, Tar, Folder, Iconify]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| SourceError::Kind { name: name.chars().take(100).collect() })
    }
}

/// How a source is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// Key or column of the image; `image` by default.
    pub image: String,
    /// Key or column of the caption or the captions; `caption` by default. JSON objects may have `captions` as well.
    pub caption: String,
    /// Where the image paths begin; by default in the folder of the file that names them.
    pub images: Option<Storage>,
    /// Beginning of image paths that is taken off before they are looked up, such as another machine's folder.
    pub strip_prefix: String,
    /// Whether an image path may be absolute, and then name any file of this machine; no by default.
    pub absolute_paths: bool,
    /// Most bytes of one record's text (a JSON object, a table's row, a tar's `.txt` or `.json`, an icon); 4 MiB by
    /// default. A longer one is a bad record and is never held.
    pub record_bytes: usize,
    /// What the `.txt` beside an image holds.
    pub folder_text: FolderText,
    /// Whether icons that repeat another one in a given skin tone are read too; no by default.
    pub skin_tones: bool,
}

/// What the `.txt` beside an image of a folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FolderText {
    /// A caption in the first line; what follows is something else, such as translations.
    #[default]
    FirstLine,
    /// A caption on each line that is not blank.
    EachLine,
    /// One caption.
    Whole,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            image: "image".to_owned(),
            caption: "caption".to_owned(),
            images: None,
            strip_prefix: String::new(),
            absolute_paths: false,
            record_bytes: 4 << 20,
            folder_text: FolderText::default(),
            skin_tones: false,
        }
    }
}

/// Image–text pairs at a path or URL.
#[derive(Debug, Clone)]
pub struct Source {
    kind: Kind,
    name: Arc<str>,
    storage: Storage,
    /// Names of the files in the storage; a single empty name is the storage itself.
    files: Vec<String>,
    options: Arc<Options>,
}

impl Source {
    /// The source at `location`, whose kind is told from names and first bytes.
    pub fn detect(location: &str) -> Result<Self, SourceError> {
        detect::source(location, None)
    }

    /// The source of `kind` at `location`: one file, or a folder with files of that kind.
    pub fn open(location: &str, kind: Kind) -> Result<Self, SourceError> {
        detect::source(location, Some(kind))
    }

    /// The same source, read as `options` say.
    #[must_use]
    pub fn with_options(self, options: Options) -> Self {
        Self { options: Arc::new(options), ..self }
    }

    /// The same source under the name that its records' origins show; the location by default.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name that records' origins show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The files that records are read from, in their order: the unit of reading in parallel.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Whether reading the source would read what is written into the folder `out`.
    pub fn reads(&self, out: &Storage) -> bool {
        match self.kind {
            // Read with all folders in it.
            Kind::Folder => out.is_within(&self.storage),
            _ => out.is_within(&self.storage) && self.storage.is_within(out),
        }
    }

    /// All records, file after file.
    ///
    /// A source of one file that cannot be read is an error; of many files, the bad one is a bad record.
    pub fn records(&self) -> Result<Records, SourceError> {
        if let [file] = self.files.as_slice() {
            return self.records_of(file);
        }
        let source = self.clone();
        let all = (0..self.files.len()).flat_map(move |at| {
            let file = &source.files[at];
            source.records_of(file).unwrap_or_else(|error| {
                let problem = match error {
                    SourceError::Storage(error) => Problem::Storage(error),
                    error => Problem::File { reason: error.to_string() },
                };
                Box::new(std::iter::once(Err(source.scope(file).bad(At::File, problem))))
            })
        });
        Ok(Box::new(all))
    }

    /// The records of one of [`Source::files`].
    pub fn records_of(&self, file: &str) -> Result<Records, SourceError> {
        let scope = self.scope(file);
        match self.kind {
            Kind::JsonList => json_list::read(scope),
            Kind::JsonLines => json_lines::read(scope),
            Kind::Csv => table::read(scope, table::Dialect::Csv),
            Kind::Tsv => table::read(scope, table::Dialect::Tsv),
            #[cfg(feature = "parquet")]
            Kind::Parquet => parquet::read(scope),
            #[cfg(not(feature = "parquet"))]
            Kind::Parquet => Err(SourceError::NoParquet { path: scope.path() }),
            Kind::Tar => tar::read(scope),
            Kind::Folder => folder::read(scope),
            Kind::Iconify => iconify::read(scope),
        }
    }

    fn scope(&self, file: &str) -> Scope {
        Scope::new(self.name.clone(), file, self.storage.clone(), self.options.clone())
    }
}
