//! What lies at a path or URL.
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::text_file::TextFile;
use super::{Kind, Options, Source, SourceError};
use crate::record::Problem;
use crate::storage::{Entry, Storage, StorageError, name};

/// Bytes of a file that are looked at.
const HEAD: u64 = 64 << 10;
/// The list that a folder is told by, as `fetch` makes it.
pub(crate) const PAIRS: &str = "pairs.jsonl";

pub(super) fn source(location: &str, kind: Option<Kind>) -> Result<Source, SourceError> {
    let unknown = |hint| SourceError::Unknown { location: location.to_owned(), hint };
    let made = |kind, storage, files| Source {
        kind,
        name: location.into(),
        storage,
        files,
        options: Arc::new(Options::default()),
    };
    if let Some((storage, file)) = as_file(location)? {
        let kind = match kind {
            Some(kind) => kind,
            None => of_file(&storage, &file)?.map_err(unknown)?,
        };
        return if kind == Kind::Folder {
            Err(SourceError::Storage(StorageError::NotAFolder { path: location.to_owned() }))
        } else {
            Ok(made(kind, storage, vec![file]))
        };
    }
    let storage = Storage::open(location)?;
    let (kind, files) = match kind {
        Some(kind) => (kind, files(&storage, kind)?),
        None => {
            let found = [Kind::Iconify, Kind::Tar, Kind::Parquet].into_iter().find_map(|kind| {
                files(&storage, kind).map(|files| (!files.is_empty()).then_some((kind, files))).transpose()
            });
            match found {
                Some(found) => found?,
                // Any other list beside images may be about something else.
                None if storage.exists(PAIRS)? => (Kind::JsonLines, vec![PAIRS.to_owned()]),
                None => (Kind::Folder, vec![String::new()]),
            }
        }
    };
    if files.is_empty() {
        let wanted = match kind {
            Kind::JsonList => "file *.json",
            Kind::JsonLines => "file *.jsonl or *.ndjson",
            Kind::Csv => "file *.csv",
            Kind::Tsv => "file *.tsv",
            Kind::Parquet => "file *.parquet",
            Kind::Tar => "file *.tar",
            Kind::Folder => "folder",
            Kind::Iconify => "file icons.json, below one or two folders at most,",
        };
        return Err(SourceError::NoFiles { location: location.to_owned(), wanted });
    }
    Ok(made(kind, storage, files))
}

/// The folder and the name of the file at `location`, if there is a file.
fn as_file(location: &str) -> Result<Option<(Storage, String)>, SourceError> {
    let is_url = location.contains("://");
    if !is_url {
        let path = Path::new(location);
        // Asked of the system, so that `.` and `..` and links at the end mean what they mean to it.
        let metadata = std::fs::metadata(path);
        if metadata.as_ref().is_ok_and(|metadata| metadata.is_dir()) {
            return Ok(None);
        }
        if metadata.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Err(StorageError::Missing { path: location.to_owned() }.into());
        }
        // A link to a file is followed here, since its owner named it himself.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let (Some(folder), Some(file)) = (path.parent(), path.file_name().and_then(|file| file.to_str()))
        else {
            return Err(SourceError::Unknown { location: location.to_owned(), hint: "" });
        };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        return Ok(Some((Storage::open_path(folder)?, file.to_owned())));
    }
    let Some((folder, file)) = location.trim_end_matches('/').rsplit_once('/') else { return Ok(None) };
    // "s3://bucket" is no file of "s3:/".
    if folder.ends_with('/') || file.is_empty() || location.ends_with('/') {
        return Ok(None);
    }
    let storage = match Storage::open(folder) {
        Ok(storage) => storage,
        Err(StorageError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(storage.exists(file)?.then(|| (storage, file.to_owned())))
}

/// The kind of a file by its extension, and by its first bytes where that says nothing; or a hint why not.
fn of_file(storage: &Storage, file: &str) -> Result<Result<Kind, &'static str>, SourceError> {
    let extension = text_extension(file);
    Ok(Ok(match extension.as_deref() {
        Some("jsonl" | "ndjson") => Kind::JsonLines,
        Some("csv") => Kind::Csv,
        Some("tsv") => Kind::Tsv,
        Some("parquet") => Kind::Parquet,
        Some("tar") => Kind::Tar,
        Some("tgz" | "zst" | "bz2" | "xz" | "zip") => return Ok(Err(COMPRESSED)),
        _ => {
            let mut head = Vec::new();
            let read =
                TextFile::open(&storage.file(file)?).and_then(|text| text.take(HEAD).read_to_end(&mut head));
            return match read.map_err(|error| TextFile::problem(error, &storage.path(file))) {
                Ok(_) => Ok(of_head(&head)),
                Err(Problem::Storage(error)) => Err(error.into()),
                Err(_) => Ok(Err(COMPRESSED)),
            };
        }
    }))
}

const COMPRESSED: &str = " (compressed: unpack it first)";

/// The extension of a file, without the one that gzip adds.
fn text_extension(file: &str) -> Option<String> {
    let extension = name::extension(file)?;
    match file.len().checked_sub(3).and_then(|end| file.split_at_checked(end)) {
        Some((plain, _)) if extension == "gz" => name::extension(plain),
        _ => Some(extension),
    }
}

fn of_head(head: &[u8]) -> Result<Kind, &'static str> {
    if head.is_empty() {
        return Err(" (it is empty)");
    }
    if head.starts_with(b"PAR1") {
        return Ok(Kind::Parquet);
    }
    if head.get(257..262) == Some(b"ustar") {
        return Ok(Kind::Tar);
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    match text.first() {
        Some(b'[') => Ok(Kind::JsonList),
        Some(b'{') => {
            let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
            // A set says "icons" early; an object that is complete on its first line is one of many.
            let is_set = memchr::memmem::find(text, b"\"icons\"").is_some();
            let is_line = serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
            match (is_set && memchr::memmem::find(text, b"\"prefix\"").is_some(), is_line) {
                (true, _) => Ok(Kind::Iconify),
                (false, true) => Ok(Kind::JsonLines),
                (false, false) => Err(" (a JSON object that is no icon set)"),
            }
        }
        _ => Err(""),
    }
}

/// Names of the files of a kind in a folder, sorted.
fn files(storage: &Storage, kind: Kind) -> Result<Vec<String>, SourceError> {
    let extensions: &[&str] = match kind {
        Kind::Folder => return Ok(vec![String::new()]),
        Kind::Iconify => return icon_sets(storage),
        Kind::JsonList => &["json"],
        Kind::JsonLines => &["jsonl", "ndjson"],
        Kind::Csv => &["csv"],
        Kind::Tsv => &["tsv"],
        Kind::Parquet => &["parquet"],
        Kind::Tar => &["tar"],
    };
    let entries = storage.entries("")?.into_iter().filter(|entry| !entry.is_folder);
    let wanted = |name: &str| text_extension(name).is_some_and(|found| extensions.contains(&found.as_str()));
    Ok(entries.map(|entry| entry.name).filter(|name| wanted(name)).collect())
}

/// The icon sets of a package (`icons.json`), of a folder of packages, or of Iconify's collection of all (`json/*.json`).
fn icon_sets(storage: &Storage) -> Result<Vec<String>, SourceError> {
    let has = |name: &str| storage.exists(name);
    if has("icons.json")? {
        return Ok(vec!["icons.json".to_owned()]);
    }
    for folder in ["", "package"] {
        if has(&name::join(folder, "collections.json"))? {
            let sets = storage.entries(&name::join(folder, "json"))?.into_iter().filter(|set| !set.is_folder);
            return Ok(sets.map(|set| set.name).filter(|name| name.ends_with(".json")).collect());
        }
    }
    let mut sets = Vec::new();
    // A folder with a dot is one that is still being fetched, or none of ours.
    let is_package = |entry: &Entry| entry.is_folder && !entry.is_link && !entry.name.starts_with('.');
    for entry in storage.entries("")?.into_iter().filter(is_package) {
        for name in ["icons.json", "package/icons.json"] {
            let name = name::join(&entry.name, name);
            if has(&name)? {
                sets.push(name);
                break;
            }
        }
    }
    Ok(sets)
}
