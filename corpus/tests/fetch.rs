//! Fetching packages, with a program in npm's place that copies an archive instead of downloading one.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use albef_corpus::fetch::{EMOJI, FetchError, Outcome, Package, packages_with};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

const NOTO: Package = Package {
    name: "@iconify-json/noto",
    version: "1.2.9",
    files: &["icons.json", "en/data.json", "package.json"],
};

struct Registry {
    dir: tempfile::TempDir,
}

impl Registry {
    /// A registry whose only archive has these members.
    fn with(members: &[(&str, EntryType, &str)]) -> Self {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, kind, content) in members {
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            if *kind == EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        Self::serving(&builder.into_inner().unwrap().finish().unwrap())
    }

    fn serving(archive: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("archive.tgz"), archive).unwrap();
        let registry = Self { dir };
        registry.npm("echo \"$@\" >> \"$here/calls\"; cp \"$here/archive.tgz\" \"$5/x.tgz\"");
        registry
    }

    fn npm(&self, does: &str) {
        let script = format!("#!/bin/sh\nhere={}\n{does}\n", self.dir.path().display());
        // Written elsewhere and moved, so that it is never open for writing when it is run.
        let path = self.dir.path().join("npm");
        fs::write(path.with_extension("new"), script).unwrap();
        fs::set_permissions(path.with_extension("new"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    fn fetch(&self, into: &Path, package: Package) -> Result<Vec<Outcome>, FetchError> {
        let mut outcomes = Vec::new();
        packages_with(&self.dir.path().join("npm"), into, &[package], |_, outcome| outcomes.push(outcome))?;
        Ok(outcomes)
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.dir.path().join("calls")).unwrap_or_default()
    }
}

fn honest(version: &str) -> Registry {
    let manifest = format!("{{\"version\": \"{version}\"}}");
    Registry::with(&[
        ("package/icons.json", EntryType::Regular, "icons"),
        ("package/en/data.json", EntryType::Regular, "labels"),
        ("package/index.js", EntryType::Regular, "not wanted"),
        ("package/package.json", EntryType::Regular, &manifest),
    ])
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let storage = albef_corpus::storage::Storage::open_path(folder).unwrap();
    storage.list("").unwrap().into_iter().map(PathBuf::from).collect()
}

#[test]
fn a_package_is_fetched_once() {
    let registry = honest("1.2.9");
    let goal = tempfile::tempdir().unwrap();
    let goal = goal.path().join("new/folder");
    assert_eq!(registry.fetch(&goal, NOTO).unwrap(), [Outcome::Fetched { bytes: 5 + 6 + 20 }]);
    assert_eq!(fs::read(goal.join("noto/icons.json")).unwrap(), b"icons");
    let kept = ["noto/en/data.json", "noto/icons.json", "noto/package.json"].map(PathBuf::from);
    assert_eq!(files(&goal), kept, "what is not wanted and what was temporary is gone");
    assert!(registry.calls().contains("pack --silent --ignore-scripts --pack-destination"));
    assert!(registry.calls().trim_end().ends_with("@iconify-json/noto@1.2.9"));
    assert_eq!(registry.fetch(&goal, NOTO).unwrap(), [Outcome::Present]);
    assert_eq!(registry.calls().lines().count(), 1);
    // Another version takes its place.
    let newer = honest("2.0.0");
    let package = Package { version: "2.0.0", ..NOTO };
    assert!(matches!(newer.fetch(&goal, package).unwrap()[0], Outcome::Fetched { .. }));
    assert_eq!(files(&goal), kept);
    assert_eq!(newer.fetch(&goal, package).unwrap(), [Outcome::Present]);
}

#[test]
fn no_member_leaves_its_folder() {
    let registry = Registry::with(&[
        ("../../../icons.json", EntryType::Regular, "out"),
        ("/icons.json", EntryType::Regular, "root"),
        ("package/../../evil", EntryType::Regular, "out"),
        ("package/link", EntryType::Symlink, ""),
        ("package/package.json", EntryType::Regular, "{\"version\": \"1.2.9\"}"),
    ]);
    let goal = tempfile::tempdir().unwrap();
    registry.fetch(goal.path(), NOTO).unwrap();
    let found = files(goal.path());
    assert!(found.iter().all(|file| file.starts_with("noto")), "{found:?}");
    assert!(!goal.path().join("evil").exists() && !goal.path().join("noto/link").exists());
}

#[test]
fn what_goes_wrong_is_one_line_and_leaves_nothing() {
    let link = Registry::with(&[("package/icons.json", EntryType::Symlink, "")]);
    let bare = Registry::with(&[("package/icons.json", EntryType::Regular, "x")]);
    let garbage = Registry::serving(b"no archive");
    let whole = fs::read(honest("1.2.9").dir.path().join("archive.tgz")).unwrap();
    let cut = Registry::serving(&whole[..whole.len() / 2]);
    let absent = honest("1.2.9");
    fs::remove_file(absent.dir.path().join("npm")).unwrap();
    let failing = honest("1.2.9");
    failing.npm("echo 'npm error code E404' >&2; echo 'npm error 404 Not Found' >&2; exit 1");
    let silent = honest("1.2.9");
    silent.npm("exit 3");
    let empty = honest("1.2.9");
    empty.npm("exit 0");
    for (registry, reason) in [
        (link, "no plain file"),
        (bare, "no package.json"),
        (garbage, "cannot be unpacked"),
        (cut, "cannot be unpacked"),
        (absent, "install Node.js"),
        (failing, "E404 npm error 404 Not Found"),
        (silent, "exit status: 3"),
        (empty, "no archive"),
    ] {
        let goal = tempfile::tempdir().unwrap();
        let error = registry.fetch(goal.path(), NOTO).unwrap_err().to_string();
        assert!(error.contains(reason) && error.lines().count() == 1, "{error}");
        assert_eq!(fs::read_dir(goal.path()).unwrap().count(), 0, "{reason}");
    }
}

#[test]
fn the_emoji_packages_have_folders_of_their_own() {
    let mut folders: Vec<_> = EMOJI.iter().map(Package::folder).collect();
    assert_eq!(folders.len(), 11);
    assert!(folders.contains(&"noto") && folders.contains(&"emojibase-data"));
    folders.sort_unstable();
    folders.dedup();
    assert_eq!(folders.len(), 11);
}
