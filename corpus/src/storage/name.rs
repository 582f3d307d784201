use std::borrow::Cow;

/// Longest name, in bytes: what Linux allows for a path.
const LONGEST: usize = 4096;

/// `name` as a storage uses it: components joined by single slashes, no `.`; `Err` says why it cannot be a name.
///
/// A name stays below its storage: it is relative and has no `..`, not even one that would come back. Backslashes are
/// ordinary characters, as on every object store.
pub(crate) fn normal(name: &str) -> Result<Cow<'_, str>, &'static str> {
    if name.len() > LONGEST {
        return Err("longer than 4096 bytes");
    }
    if name.contains('\0') {
        return Err("has a NUL byte");
    }
    if name.starts_with('/') {
        return Err("is an absolute path: give it relative to the folder");
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err("has \"..\": give a path inside the folder"),
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err("is empty: give the name of a file");
    }
    let kept = parts.iter().map(|part| part.len() + 1).sum::<usize>() - 1;
    Ok(if kept == name.len() { Cow::Borrowed(name) } else { Cow::Owned(parts.join("/")) })
}

/// As [`normal`], for a folder: the empty text and `.` are the storage itself, returned as the empty text.
pub(crate) fn normal_folder(name: &str) -> Result<Cow<'_, str>, &'static str> {
    if name.split('/').all(|part| part.is_empty() || part == ".") && !name.starts_with('/') {
        return Ok(Cow::Borrowed(""));
    }
    normal(name)
}

/// The folder of a name and its last part; the folder is empty for a file directly in the storage.
pub(crate) fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

/// A name inside a folder that may be the storage itself.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The last extension of a name in lower case, without the dot.
pub(crate) fn extension(name: &str) -> Option<String> {
    let (stem, extension) = split(name).1.rsplit_once('.')?;
    (!stem.is_empty()).then(|| extension.to_ascii_lowercase())
}
