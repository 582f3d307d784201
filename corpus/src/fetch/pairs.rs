//! The file of pairs, and the pictures that it names.
use std::collections::HashSet;
use std::path::Path;

use serde::Serialize;

use super::debian::Unpacked;
use super::error::{FetchError, failed};
use crate::image::Limits;
pub(super) use crate::source::PAIRS;
use crate::storage::{Storage, name};

/// A text of a picture, as its package has it.
#[derive(Debug, Serialize)]
pub(super) struct Pair<'a> {
    /// The picture, from the file of pairs on.
    pub(super) image: &'a str,
    pub(super) caption: &'a str,
    /// Which of the picture's texts it is.
    pub(super) field: &'a str,
    /// Part of the collection.
    pub(super) set: &'a str,
    /// The file that has the text, or the picture's name.
    pub(super) origin: &'a str,
    pub(super) license: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    pair: &'a Pair<'a>,
    source: &'a str,
}

/// What a package has of pictures and texts, on its way into a folder.
pub(super) struct Pairs {
    source: &'static str,
    goal: Storage,
    lines: Vec<u8>,
    images: HashSet<String>,
    pub(super) records: u64,
    /// Pictures that were asked for and are not there.
    pub(super) left_out: u64,
}

impl Pairs {
    pub(super) fn new(source: &'static str, goal: Storage) -> Self {
        Self { source, goal, lines: Vec::new(), images: HashSet::new(), records: 0, left_out: 0 }
    }

    /// Copies the picture `name` below `root` of `from`, once however often it is asked for, and returns its name for
    /// [`Pair::image`]; none if there is no such file.
    ///
    /// A link becomes a file of its own: pictures that are the same are found later, by what they show.
    pub(super) fn image(
        &mut self,
        from: &Unpacked,
        root: &str,
        name: &str,
    ) -> Result<Option<String>, FetchError> {
        let image = name::join("images", name);
        if self.images.contains(&image) {
            return Ok(Some(image));
        }
        let Some(bytes) = from.read(&name::join(root, name), Limits::default().max_bytes)? else {
            self.left_out += 1;
            return Ok(None);
        };
        self.goal.write(&image, bytes)?;
        self.images.insert(image.clone());
        Ok(Some(image))
    }

    /// Adds a pair.
    pub(super) fn push(&mut self, pair: &Pair<'_>) -> Result<(), FetchError> {
        let line = Line { pair, source: self.source };
        serde_json::to_writer(&mut self.lines, &line)
            .map_err(|error| failed("write", Path::new(PAIRS))(error.into()))?;
        self.lines.push(b'\n');
        self.records += 1;
        Ok(())
    }

    /// Pictures so far.
    pub(super) fn images(&self) -> u64 {
        self.images.len() as u64
    }

    /// Writes the file of pairs.
    pub(super) fn finish(&mut self) -> Result<(), FetchError> {
        Ok(self.goal.write(PAIRS, std::mem::take(&mut self.lines))?)
    }
}
