//! Readers of image–text pairs: what they give, and what they make of files that are wrong or mean harm.
#![allow(clippy::unwrap_used)]

mod emoji;
mod files;
mod lists;
mod svg;
mod tables;
mod tars;

use std::path::Path;

use albef_corpus::record::{At, BadRecord, Origin, Record};
use albef_corpus::source::{Item, Kind, Options, Source, SourceError};

/// A folder with files in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn source(&self, name: &str) -> Source {
        Source::detect(&self.path(name)).unwrap()
    }

    fn items(&self, name: &str) -> Vec<Item> {
        self.source(name).records().unwrap().collect()
    }

    fn items_with(&self, name: &str, options: Options) -> Vec<Item> {
        self.source(name).with_options(options).records().unwrap().collect()
    }

    fn error(&self, name: &str) -> SourceError {
        match Source::detect(&self.path(name)).and_then(|source| source.records()) {
            Ok(_) => panic!("{name} is a source"),
            Err(error) => {
                is_one_line(&error.to_string());
                error
            }
        }
    }
}

fn is_one_line(message: &str) {
    assert!(!message.is_empty() && message.len() < 1000, "{} bytes: {message:.200}", message.len());
    assert!(!message.contains(['\n', '\r', '\0']), "{message:?}");
}

fn good(items: &[Item]) -> Vec<&Record> {
    items.iter().filter_map(|item| item.as_ref().ok()).collect()
}

fn bad(items: &[Item]) -> Vec<&BadRecord> {
    let bad: Vec<_> = items.iter().filter_map(|item| item.as_ref().err()).collect();
    bad.iter().for_each(|bad| is_one_line(&bad.to_string()));
    bad
}

/// Key and captions of each good record.
fn shown(items: &[Item]) -> Vec<(&str, Vec<&str>)> {
    fn row(record: &Record) -> (&str, Vec<&str>) {
        (&record.key, record.captions.iter().map(String::as_str).collect())
    }
    good(items).into_iter().map(row).collect()
}

fn load(record: &Record) -> Vec<u8> {
    record.image.load(1 << 20).unwrap().to_vec()
}

/// A source that repeats `piece` until `size` bytes, between `before` and `after`.
fn large(before: &[u8], piece: u8, size: usize, after: &[u8]) -> Vec<u8> {
    let mut bytes = before.to_vec();
    bytes.resize(bytes.len() + size, piece);
    bytes.extend_from_slice(after);
    bytes
}
