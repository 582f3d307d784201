//! A folder of images, each with a text of the same name beside it.
use serde_json::Map;

use super::tar::IMAGES;
use super::{FolderText, Item, Records, Scope, SourceError};
use crate::record::{At, ImageRef, Problem, Record};
use crate::storage::{Entry, name};

pub(super) fn read(scope: Scope) -> Result<Records, SourceError> {
    let mut folder = Folder { folders: vec![scope.file.to_string()], scope, here: Vec::new(), at: 0 };
    // A folder that cannot be listed is no source; one below it is a bad record.
    let first = folder.folders.pop().unwrap_or_default();
    folder.enter(&first)?;
    Ok(Box::new(folder))
}

struct Folder {
    scope: Scope,
    /// Folders still to be read, the next one last.
    folders: Vec<String>,
    /// What lies in this folder, sorted.
    here: Vec<Entry>,
    at: usize,
}

impl Folder {
    fn enter(&mut self, folder: &str) -> Result<(), SourceError> {
        self.here = self.scope.storage.entries(folder)?;
        self.at = 0;
        // Links to folders are left out: they could lead in a circle.
        let below = self.here.iter().filter(|entry| entry.is_folder && !entry.is_link);
        self.folders.extend(below.rev().map(|entry| entry.name.clone()));
        Ok(())
    }

    fn record(&self, image: &str, stem: &str) -> Result<Record, Problem> {
        let text = format!("{stem}.txt");
        let beside = self.here.binary_search_by(|entry| entry.name.as_str().cmp(&text)).is_ok();
        let captions = match beside {
            true => {
                lines(&self.scope.text(&text, "the text beside the image")?, self.scope.options.folder_text)
            }
            false => Vec::new(),
        };
        Ok(Record {
            origin: self.scope.origin(At::Key(image.into())),
            key: stem.to_owned(),
            image: ImageRef::File { storage: self.scope.storage.clone(), name: image.to_owned() },
            captions,
            extra: Map::new(),
        })
    }
}

fn lines(text: &str, kind: FolderText) -> Vec<String> {
    match kind {
        FolderText::FirstLine => text.lines().take(1).map(|line| line.trim().to_owned()).collect(),
        FolderText::EachLine => {
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
        FolderText::Whole => vec![text.trim().to_owned()],
    }
}

impl Iterator for Folder {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            while let Some(entry) = self.here.get(self.at) {
                self.at += 1;
                let is_image = name::extension(&entry.name).is_some_and(|ext| IMAGES.contains(&ext.as_str()));
                // A folder that is called as an image is a folder.
                if entry.is_folder || !is_image {
                    continue;
                }
                let image = &entry.name;
                let stem = image.rsplit_once('.').map_or(image.as_str(), |(stem, _)| stem);
                let at = || At::Key(image.as_str().into());
                return Some(self.record(image, stem).map_err(|problem| self.scope.bad(at(), problem)));
            }
            let folder = self.folders.pop()?;
            if let Err(error) = self.enter(&folder) {
                (self.here, self.at) = (Vec::new(), 0);
                let problem = match error {
                    SourceError::Storage(error) => Problem::Storage(error),
                    error => Problem::File { reason: error.to_string() },
                };
                return Some(Err(self.scope.bad(At::Key(folder.into()), problem)));
            }
        }
    }
}
