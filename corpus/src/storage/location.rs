//! Paths and URLs.
use url::Url;

use super::StorageError;

/// What a location names.
pub(super) enum Place {
    Path(String),
    Url(Url),
}

pub(super) fn parse(location: &str) -> Result<Place, StorageError> {
    let wrong = |reason: String| StorageError::Location { location: location.to_owned(), reason };
    if location.is_empty() {
        return Err(wrong("give the path of a folder or a URL".to_owned()));
    }
    // A Windows drive or a colon in a file name is no scheme.
    let has_scheme = location.split_once(':').is_some_and(|(scheme, rest)| {
        (rest.starts_with("//") || matches!(scheme, "file" | "memory"))
            && scheme.len() > 1
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+')
    });
    if !has_scheme {
        return Ok(Place::Path(location.to_owned()));
    }
    let url = Url::parse(location).map_err(|error| wrong(error.to_string()))?;
    if url.scheme() != "file" {
        return Ok(Place::Url(url));
    }
    let path = url.to_file_path().map_err(|()| wrong("a file URL is file:///path/of/a/folder".to_owned()))?;
    path.into_os_string().into_string().map(Place::Path).map_err(|_| wrong("not UTF-8".to_owned()))
}

/// `url` as it may be shown: keys and signatures stand in its user, password and query.
pub(super) fn without_secrets(url: &Url) -> String {
    let mut shown = url.clone();
    // Refused only for URLs that cannot have them.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}
