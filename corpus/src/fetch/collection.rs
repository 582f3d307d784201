//! A collection: packages that become one file of pairs with its pictures.
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use super::debian::{Release, Tools};
use super::debian::{Unpacked, contents};
use super::error::{FetchError, failed};
use super::pairs::{PAIRS, Pairs};
use super::{gimphelp, openclipart, tuxpaint, work_folder};
use crate::storage::Storage;

/// Name of the file that says what was fetched.
const PACKAGES: &str = "packages.json";

/// Image–text pairs of Debian packages, kept as they are found: cleaning is the build's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// Drawings of openclipart: titles, descriptions, keywords, file names. Noisy as the web is.
    Openclipart,
    /// Pictures of GIMP's manual: alt texts, most of them boilerplate, and captions.
    Gimphelp,
    /// Stamps of Tux Paint: a sentence each.
    Tuxpaint,
}

impl Collection {
    /// The name, which is that of the folder it is fetched into.
    pub fn name(self) -> &'static str {
        match self {
            Self::Openclipart => "openclipart",
            Self::Gimphelp => "gimphelp",
            Self::Tuxpaint => "tuxpaint",
        }
    }

    /// The packages that it comes from.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Openclipart => &["openclipart-png", "openclipart-svg"],
            Self::Gimphelp => &["gimp-help-en"],
            Self::Tuxpaint => &["tuxpaint-stamps-default"],
        }
    }

    fn collect(self, packages: &[Unpacked], pairs: &mut Pairs) -> Result<(), FetchError> {
        match (self, packages) {
            (Self::Openclipart, [pictures, drawings]) => openclipart::collect(pictures, drawings, pairs),
            (Self::Gimphelp, [manual]) => gimphelp::collect(manual, pairs),
            (Self::Tuxpaint, [stamps]) => tuxpaint::collect(stamps, pairs),
            (Self::Openclipart | Self::Gimphelp | Self::Tuxpaint, _) => Ok(()),
        }
    }
}

/// What a finished fetch has; `packages.json` beside the file of pairs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// The packages with their versions.
    pub packages: Vec<Release>,
    /// Image files.
    pub images: u64,
    /// Lines of `pairs.jsonl`: a picture with one of its texts.
    pub records: u64,
    /// How often a picture was named that is not in the package, and left out.
    pub left_out: u64,
}

/// What a fetch does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// Nothing: it was there already.
    Present,
    /// It downloads a package.
    Download {
        /// Its name.
        package: &'a str,
    },
    /// It unpacks a package.
    Unpack {
        /// Its name and version.
        release: &'a Release,
    },
    /// It writes pictures and their texts.
    Write,
}

/// Fetches `what` into the folder of its name below `folder`, and reports each step as it begins.
///
/// What is there already is left alone, whatever its version; the folder appears whole or not at all.
pub fn collection(
    folder: &Path,
    what: Collection,
    report: impl FnMut(Step<'_>),
) -> Result<Fetched, FetchError> {
    collection_with(&Tools::default(), folder, what, report)
}

/// As [`collection`], with other programs.
pub fn collection_with(
    tools: &Tools,
    folder: &Path,
    what: Collection,
    mut report: impl FnMut(Step<'_>),
) -> Result<Fetched, FetchError> {
    fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
    let goal = folder.join(what.name());
    if let Some(there) = present(&goal)? {
        report(Step::Present);
        return Ok(there);
    }
    tools.check()?;
    let work = work_folder(folder)?;
    // The programs run in other folders, and must not take a path for an option.
    let path = work.path().canonicalize().map_err(failed("find", work.path()))?;
    let (mut releases, mut unpacked) = (Vec::new(), Vec::new());
    for package in what.packages() {
        let (download, files) = (path.join(package), path.join(format!("{package}.files")));
        fs::create_dir(&download).map_err(failed("make the folder", &download))?;
        report(Step::Download { package });
        let archive = tools.download(package, &download)?;
        let release = tools.release(package, &archive)?;
        report(Step::Unpack { release: &release });
        unpacked.push(tools.unpack(package, &archive, &files)?);
        releases.push(release);
        // Two archives and all their files at once would need the more room.
        fs::remove_file(&archive).map_err(failed("remove", &archive))?;
    }
    report(Step::Write);
    let made = path.join("made");
    fs::create_dir(&made).map_err(failed("make the folder", &made))?;
    let fetched = write(what, &made, releases, &unpacked)?;
    fs::rename(&made, &goal).map_err(failed("make the folder", &goal))?;
    Ok(fetched)
}

/// The finished fetch at `goal`, if there is one. Only an empty folder may be there besides.
fn present(goal: &Path) -> Result<Option<Fetched>, FetchError> {
    let occupied = || FetchError::Occupied { path: goal.to_owned() };
    let mut entries = match fs::read_dir(goal) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(occupied()),
        Err(error) => return Err(failed("list", goal)(error)),
    };
    if entries.next().is_none() {
        return Ok(None);
    }
    let text = fs::read(goal.join(PACKAGES)).map_err(|_| occupied())?;
    let fetched = serde_json::from_slice(&text).map_err(|_| occupied())?;
    if goal.join(PAIRS).is_file() { Ok(Some(fetched)) } else { Err(occupied()) }
}

/// Writes pictures, pairs and what they come from into the folder `made`.
fn write(
    what: Collection,
    made: &Path,
    packages: Vec<Release>,
    unpacked: &[Unpacked],
) -> Result<Fetched, FetchError> {
    let storage = Storage::open_path(made)?;
    let mut pairs = Pairs::new(what.name(), storage.clone());
    what.collect(unpacked, &mut pairs)?;
    if pairs.images() == 0 {
        return Err(contents(&what.packages().join(", "), "it has no pictures where they are looked for"));
    }
    pairs.finish()?;
    let (images, records, left_out) = (pairs.images(), pairs.records, pairs.left_out);
    let fetched = Fetched { packages, images, records, left_out };
    let mut text = serde_json::json!(fetched).to_string();
    text.push('\n');
    storage.write(PACKAGES, text)?;
    Ok(fetched)
}
