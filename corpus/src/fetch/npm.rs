//! Packages of the npm registry, fetched with the user's own `npm`.
//!
//! `npm pack` downloads a package without installing it or running anything of it, through the registry, proxy and
//! credentials that the user has set, and checks its integrity. What is unpacked is a list of plain files by name.
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use serde::Deserialize;
use tar::{Archive, EntryType};

use super::error::{FetchError, failed};
use crate::storage::{Storage, name, one_line};

/// A package of the npm registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: &'static str,
    /// Its version: a corpus should be the same tomorrow.
    pub version: &'static str,
    /// Its files that are kept; those that it lacks are not missed.
    pub files: &'static [&'static str],
}

impl Package {
    /// Name of the folder that it is unpacked into: the package's name without its scope.
    pub fn folder(&self) -> &'static str {
        name::split(self.name).1
    }
}

const ICONS: &[&str] =
    &["icons.json", "chars.json", "info.json", "metadata.json", "package.json", "README.md", "license.txt"];
const LABELS: &[&str] = &["en/data.json", "package.json", "LICENSE", "README.md"];

const fn icons(name: &'static str, version: &'static str) -> Package {
    Package { name, version, files: ICONS }
}

/// The emoji sets of Iconify that have colours, and the labels and keywords of emojibase.
pub const EMOJI: &[Package] = &[
    icons("@iconify-json/noto", "1.2.9"),
    icons("@iconify-json/twemoji", "1.2.5"),
    icons("@iconify-json/openmoji", "1.2.29"),
    icons("@iconify-json/fluent-emoji-flat", "1.2.6"),
    icons("@iconify-json/fluent-emoji", "1.2.7"),
    icons("@iconify-json/noto-v1", "1.2.5"),
    icons("@iconify-json/emojione", "1.2.3"),
    icons("@iconify-json/emojione-v1", "1.2.3"),
    icons("@iconify-json/fxemoji", "1.2.2"),
    icons("@iconify-json/streamline-emojis", "1.2.4"),
    Package { name: "emojibase-data", version: "17.0.0", files: LABELS },
];

/// Most bytes that a package unpacks to; the largest of [`EMOJI`] has 104 MB.
const LARGEST: u64 = 1 << 30;
/// Most members of a package.
const MEMBERS: usize = 100_000;

/// What became of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was there already, in the right version.
    Present,
    /// It was fetched and unpacked.
    Fetched {
        /// Bytes of the files kept.
        bytes: u64,
    },
}

/// Fetches `packages`, each into the folder of its name below `folder`, and reports each as it is done.
///
/// What is there already is left alone, so a call after a broken one goes on where that ended; a package's folder
/// appears whole or not at all.
pub fn packages(
    folder: &Path,
    packages: &[Package],
    report: impl FnMut(&Package, Outcome),
) -> Result<(), FetchError> {
    packages_with(Path::new("npm"), folder, packages, report)
}

/// As [`packages`], with npm at another path.
pub fn packages_with(
    npm: &Path,
    folder: &Path,
    packages: &[Package],
    mut report: impl FnMut(&Package, Outcome),
) -> Result<(), FetchError> {
    fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
    for package in packages {
        let outcome = if is_present(folder, package) {
            Outcome::Present
        } else {
            Outcome::Fetched { bytes: fetch(npm, folder, package)? }
        };
        report(package, outcome);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Manifest {
    version: String,
}

fn is_present(folder: &Path, package: &Package) -> bool {
    let manifest = fs::read(folder.join(package.folder()).join("package.json")).ok();
    let manifest = manifest.and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok());
    manifest.is_some_and(|manifest| manifest.version == package.version)
}

fn fetch(npm: &Path, folder: &Path, package: &Package) -> Result<u64, FetchError> {
    let work = super::work_folder(folder)?;
    let archive = download(npm, work.path(), package)?;
    let unpacked = work.path().join("files");
    let bytes = unpack(&archive, &unpacked, package)?;
    let goal = folder.join(package.folder());
    // Another version moves away first, since a folder does not replace one that has files.
    match fs::rename(&goal, work.path().join("before")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("replace", &goal)(error));
        }
        _ => {}
    }
    fs::rename(&unpacked, &goal).map_err(failed("make the folder", &goal))?;
    Ok(bytes)
}

/// The package's archive, downloaded into `work`.
fn download(npm: &Path, work: &Path, package: &Package) -> Result<PathBuf, FetchError> {
    let wanted = format!("{}@{}", package.name, package.version);
    let output = Command::new(npm)
        .args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
        .arg(work)
        .arg(&wanted)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FetchError::NoNpm { program: npm.to_owned() },
            _ => FetchError::Npm { package: wanted.clone(), reason: one_line(&error.to_string()) },
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = match one_line(&said) {
            // `--silent` keeps npm's reasons to itself as well.
            said if said.is_empty() => format!("it failed with {}", output.status),
            said => said,
        };
        return Err(FetchError::Npm { package: wanted, reason });
    }
    let entries = fs::read_dir(work).map_err(failed("list", work))?;
    let archive = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz" || extension == "gz"));
    archive.ok_or_else(|| FetchError::Npm { package: wanted, reason: "it wrote no archive".to_owned() })
}

/// Writes the wanted files of the archive below `goal`; their bytes.
///
/// Members are looked up by exact name, so no other name, and no link, ever reaches the disk.
fn unpack(archive: &Path, goal: &Path, package: &Package) -> Result<u64, FetchError> {
    let broken = |reason: &str| FetchError::Package {
        package: format!("{}@{}", package.name, package.version),
        reason: one_line(reason),
    };
    let unreadable = |error: io::Error| broken(&error.to_string());
    fs::create_dir_all(goal).map_err(failed("make the folder", goal))?;
    let storage = Storage::open_path(goal)?;
    let file = fs::File::open(archive).map_err(failed("open", archive))?;
    // Everything that is unpacked counts, names included.
    let mut archive = Archive::new(GzDecoder::new(file).take(LARGEST));
    let (mut bytes, mut members) = (0, 0);
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        members += 1;
        if members > MEMBERS {
            return Err(broken("it has more than 100,000 members"));
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        // Packages put everything below one folder, mostly "package".
        let Some((_, name)) = path.split_once('/') else { continue };
        let Some(name) = package.files.iter().find(|wanted| **wanted == name) else { continue };
        if entry.header().entry_type() != EntryType::Regular {
            return Err(broken(&format!("its {name} is no plain file")));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(unreadable)?;
        if content.len() as u64 != entry.size() {
            return Err(broken(&format!("it ends in the middle of {name}")));
        }
        bytes += content.len() as u64;
        storage.write(name, content)?;
    }
    match storage.exists("package.json")? {
        true => Ok(bytes),
        false => Err(broken("it has no package.json")),
    }
}
