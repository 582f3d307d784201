//! Fetching Debian packages, with programs in the place of apt-get and dpkg-deb that copy folders.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use albef_corpus::fetch::{Collection, FetchError, Fetched, Step, Tools, collection_with};
use albef_corpus::source::{Kind, Source};
use albef_corpus::storage::Storage;
use serde_json::{Value, json};

/// Packages that are served as folders of their name.
struct Release {
    dir: tempfile::TempDir,
    tools: Tools,
}

impl Release {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let tools = Tools { apt_get: at("apt-get"), dpkg_deb: at("dpkg-deb") };
        let release = Self { dir, tools };
        release.apt_get(
            "[ -d \"$here/$3\" ] || { echo 'W: old lists' >&2; echo \"E: Unable to locate package $3\" >&2; exit 100; }
             echo \"$3\" > \"$3_1%3a2.0-1_all.deb\"",
        );
        release.dpkg_deb(
            "case \"$1\" in
               -f) echo '1:2.0-1';;
               -x) cp -a \"$here/$(cat \"$2\")\" \"$3\";;
             esac",
        );
        release
    }

    /// The release with a file in one of its packages.
    fn with(self, file: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn with_link(self, file: &str, target: &str) -> Self {
        symlink(target, self.dir.path().join(file)).unwrap();
        self
    }

    fn apt_get(&self, does: &str) {
        self.script(&self.tools.apt_get, does);
    }

    fn dpkg_deb(&self, does: &str) {
        self.script(&self.tools.dpkg_deb, does);
    }

    fn script(&self, path: &Path, does: &str) {
        let here = self.dir.path().display();
        let text = format!("#!/bin/sh\nhere={here}\necho \"$(basename $0) $@\" >> \"$here/calls\"\n{does}\n");
        // Written elsewhere and moved, so that it is never open for writing when it is run.
        fs::write(path.with_extension("new"), text).unwrap();
        fs::set_permissions(path.with_extension("new"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    fn fetch(&self, into: &Path, what: Collection) -> Result<Fetched, FetchError> {
        collection_with(&self.tools, into, what, |_| ())
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.dir.path().join("calls")).unwrap_or_default().lines().count()
    }
}

const PNG: &str = "openclipart-png/usr/share/openclipart/png";
const SVG: &str = "openclipart-svg/usr/share/openclipart/svg";

fn openclipart() -> Release {
    let about = "<svg xmlns:cc='c' xmlns:dc='http://purl.org/dc/elements/1.1/' \
                 xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><cc:Work><dc:title>frog</dc:title>\
                 <dc:description>frog</dc:description><dc:subject><rdf:li>animal</rdf:li><rdf:li>hash</rdf:li>\
                 </dc:subject><cc:license rdf:resource='PD'/></cc:Work></svg>";
    Release::new()
        .with(&format!("{PNG}/animals/frog_1.png"), "a frog")
        .with(&format!("{PNG}/animals/readme.txt"), "no picture")
        .with(&format!("{PNG}/plants/tree.png"), "a tree")
        .with(&format!("{SVG}/animals/frog_1.svg"), about)
        .with(&format!("{SVG}/plants/tree.svg"), "<svg> broken")
        .with_link(&format!("{PNG}/animals/again.png"), "../plants/tree.png")
        .with_link(&format!("{PNG}/animals/nowhere.png"), "../gone.png")
}

fn pairs(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("pairs.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Image, field and caption of each pair.
fn shown(pairs: &[Value]) -> Vec<[&str; 3]> {
    pairs.iter().map(|pair| ["image", "field", "caption"].map(|key| pair[key].as_str().unwrap())).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let storage = Storage::open_path(folder).unwrap();
    storage.list("").unwrap().into_iter().map(PathBuf::from).collect()
}

#[test]
fn openclipart_becomes_pairs_that_a_build_can_read() {
    let release = openclipart();
    let goal = tempfile::tempdir().unwrap();
    let goal = goal.path().join("new/folder");
    let mut steps = Vec::new();
    let fetched = collection_with(&release.tools, &goal, Collection::Openclipart, |step| {
        steps.push(match step {
            Step::Unpack { release } => format!("{} {}", release.package, release.version),
            step => format!("{step:?}"),
        });
    });
    let fetched = fetched.unwrap();
    assert_eq!(steps[1], "openclipart-png 1:2.0-1");
    assert_eq!(steps.len(), 5, "{steps:?}");
    assert_eq!((fetched.images, fetched.records, fetched.left_out), (3, 5, 1));
    let folder = goal.join("openclipart");
    let pairs = pairs(&folder);
    assert_eq!(
        shown(&pairs),
        [
            ["images/animals/again.png", "filename", "again"],
            ["images/animals/frog_1.png", "title", "frog"],
            ["images/animals/frog_1.png", "keywords", "animal, hash"],
            ["images/animals/frog_1.png", "filename", "frog_1"],
            ["images/plants/tree.png", "filename", "tree"],
        ],
        "texts that repeat another one are left out"
    );
    let more =
        json!({"source": "openclipart", "set": "animals", "origin": "animals/frog_1", "license": "PD"});
    for (key, value) in more.as_object().unwrap() {
        assert_eq!(&pairs[1][key], value);
    }
    assert_eq!(pairs[0]["license"], "public domain");
    let kept = ["images/animals/again.png", "images/animals/frog_1.png", "images/plants/tree.png"];
    let kept: Vec<_> = kept.into_iter().chain(["packages.json", "pairs.jsonl"]).map(PathBuf::from).collect();
    assert_eq!(files(&folder), kept);
    assert!(fs::symlink_metadata(folder.join(kept[0].as_path())).unwrap().is_file(), "links become files");
    assert_eq!(fs::read_dir(&goal).unwrap().count(), 1, "what was temporary is gone");

    let source = Source::detect(folder.to_str().unwrap()).unwrap();
    assert_eq!(source.kind(), Kind::JsonLines);
    let records: Vec<_> = source.records().unwrap().map(|record| record.unwrap()).collect();
    assert_eq!(records.len(), 5);
    assert_eq!(&records[2].image.load(10).unwrap()[..], b"a frog");
    assert_eq!(records[2].extra["field"], "keywords");
}

#[test]
fn what_is_there_is_left_alone() {
    let release = openclipart();
    let goal = tempfile::tempdir().unwrap();
    fs::create_dir(goal.path().join("openclipart")).unwrap();
    let fetched = release.fetch(goal.path(), Collection::Openclipart).unwrap();
    let calls = release.calls();
    let mut steps = 0;
    let again = collection_with(&release.tools, goal.path(), Collection::Openclipart, |step| {
        assert_eq!(step, Step::Present);
        steps += 1;
    });
    assert_eq!((again.unwrap(), steps, release.calls()), (fetched, 1, calls));

    for (name, file) in [("gimphelp/notes.txt", true), ("tuxpaint", true)] {
        let path = goal.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(file && fs::write(&path, "mine").is_ok());
        let what = if name == "tuxpaint" { Collection::Tuxpaint } else { Collection::Gimphelp };
        let error = release.fetch(goal.path(), what).unwrap_err();
        assert!(matches!(error, FetchError::Occupied { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }
    assert_eq!(release.calls(), calls);
}

#[test]
fn every_picture_of_every_page_is_a_pair() {
    const EN: &str = "gimp-help-en/usr/share/gimp/3.0/help/en";
    let release = Release::new()
        .with(&format!("{EN}/images/next.png"), "next")
        .with(&format!("{EN}/images/menus/a b.jpg"), "a menu")
        .with(&format!("{EN}/style.css"), "")
        .with(
            &format!("{EN}/index.html"),
            "<img src='images/next.png' alt='Next'><img src='images/gone.png'>",
        )
        .with(
            &format!("{EN}/menus/a.html"),
            "<img src='../images/next.png'><img src='../images/menus/a%20b.jpg' alt='The menu'>\
             <div class='caption'>Where it <b>is</b></div>",
        );
    let goal = tempfile::tempdir().unwrap();
    let fetched = release.fetch(goal.path(), Collection::Gimphelp).unwrap();
    assert_eq!((fetched.images, fetched.records, fetched.left_out), (2, 4, 1));
    let pairs = pairs(&goal.path().join("gimphelp"));
    assert_eq!(
        shown(&pairs),
        [
            ["images/images/next.png", "alt", "Next"],
            ["images/images/next.png", "alt", ""],
            ["images/images/menus/a b.jpg", "alt", "The menu"],
            ["images/images/menus/a b.jpg", "figcaption", "Where it is"],
        ]
    );
    assert_eq!(pairs[3]["origin"], "menus/a.html");
}

#[test]
fn a_stamp_has_the_first_line_of_its_text_or_of_the_one_it_mirrors() {
    const STAMPS: &str = "tuxpaint-stamps-default/usr/share/tuxpaint/stamps";
    let stamp = |name: &str| format!("{STAMPS}/{name}");
    let release = Release::new()
        .with(&stamp("animals/cat.svg"), "<svg/>")
        .with(&stamp("animals/cat.txt"), "\u{feff} A cat. \r\nde.utf8=Eine Katze.\r\n")
        .with(&stamp("animals/cat.ogg"), "meow")
        .with(&stamp("animals/cat_mirror.png"), "a mirrored cat")
        .with(&stamp("animals/dog.png"), "a dog")
        .with(&stamp("animals/dog_mirror.png"), "a mirrored dog")
        .with(&stamp("animals/dog_mirror.txt"), "\nan empty first line")
        .with(&stamp("animals/dog.txt"), b"A \xff dog");
    let goal = tempfile::tempdir().unwrap();
    release.fetch(goal.path(), Collection::Tuxpaint).unwrap();
    assert_eq!(
        shown(&pairs(&goal.path().join("tuxpaint"))),
        [
            ["images/animals/cat.svg", "caption", "A cat."],
            ["images/animals/cat_mirror.png", "caption", "A cat."],
            ["images/animals/dog.png", "caption", "A \u{fffd} dog"],
            ["images/animals/dog_mirror.png", "caption", ""],
        ]
    );
}

#[test]
fn what_goes_wrong_is_one_line_and_leaves_nothing() {
    let broken = |change: &dyn Fn(&Release)| {
        let release = openclipart();
        change(&release);
        release
    };
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let link = |from: &str, to: &str| openclipart().with_link(&format!("{PNG}/{from}"), to);
    for (release, reason) in [
        (broken(&|release| remove(&release.tools.apt_get)), "fetch it on Debian, Ubuntu"),
        (broken(&|release| remove(&release.tools.dpkg_deb)), "install dpkg"),
        (
            broken(&|release| fs::remove_dir_all(release.dir.path().join("openclipart-svg")).unwrap()),
            "apt-get download openclipart-svg: Unable to locate package openclipart-svg; refresh the lists",
        ),
        (broken(&|release| release.apt_get("exit 3")), "exit status: 3"),
        (broken(&|release| release.apt_get("exit 0")), "no archive"),
        (broken(&|release| release.dpkg_deb("[ $1 != -f ]")), "exit status: 1; check that the disk"),
        (broken(&|release| release.dpkg_deb("exit 0")), "does not say its version"),
        (
            broken(&|release| release.dpkg_deb("[ $1 = -x ] && echo 'tar: no\nroom' >&2 && exit 2; echo 1")),
            "dpkg-deb on openclipart-png: tar: no room",
        ),
        (broken(&|release| release.dpkg_deb("echo 1; [ $1 = --version ] || mkdir -p \"$3\"")), "no folder"),
        (Release::new().with(&format!("{PNG}/a.txt"), "").with(&format!("{SVG}/b"), ""), "no pictures"),
        (link("evil.png", "/etc/passwd"), "\"usr/share/openclipart/png/evil.png\" is a link that leads out"),
        (link("animals/up.png", "../../../../../../../../../../etc/passwd"), "leads out"),
        (
            Release::new()
                .with("openclipart-png/usr/x", "")
                .with("openclipart-svg/usr/x", "")
                .with_link("openclipart-png/usr/share", "/usr/share"),
            "of it",
        ),
    ] {
        let goal = tempfile::tempdir().unwrap();
        let error = release.fetch(goal.path(), Collection::Openclipart).unwrap_err().to_string();
        assert!(error.contains(reason) && error.lines().count() == 1, "{reason}: {error}");
        assert_eq!(fs::read_dir(goal.path()).unwrap().count(), 0, "{reason}");
    }
}

#[test]
fn only_what_is_needed_before_a_download_is_asked() {
    let release = openclipart();
    fs::remove_file(&release.tools.dpkg_deb).unwrap();
    let goal = tempfile::tempdir().unwrap();
    release.fetch(goal.path(), Collection::Openclipart).unwrap_err();
    assert_eq!(release.calls(), 0, "nothing is downloaded that cannot be unpacked");
}
