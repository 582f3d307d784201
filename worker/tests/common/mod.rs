//! A small corpus, a vocabulary and a job, for tests of training.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use albef_corpus::build::{BuildConfig, build};
use albef_corpus::image::{self, Encoding, Rgb};
use albef_corpus::storage::Storage;
use albef_corpus::text::train::{Options, train};

const COLOURS: [(&str, [u8; 3]); 4] =
    [("red", [220, 30, 30]), ("green", [20, 180, 60]), ("blue", [40, 60, 230]), ("yellow", [240, 220, 20])];
const PLACES: [&str; 4] = ["above", "below", "beside", "around"];

/// Samples of the corpus.
pub(crate) const SAMPLES: u64 = 16;

/// A drawing of 24 × 24 pixels that its caption describes, no two alike.
fn drawing(colour: usize, place: usize) -> (Rgb, String) {
    let pixel = |x: usize, y: usize| match place {
        0 => y < 12,
        1 => y >= 12,
        2 => x < 12,
        _ => !(6..18).contains(&x) || !(6..18).contains(&y),
    };
    let pixels = (0..24 * 24).flat_map(|i: usize| match pixel(i % 24, i / 24) {
        true => COLOURS[colour].1,
        false => [(40 * i % 255) as u8, 250, 250],
    });
    let caption = format!("a {} thing {} a pale one", COLOURS[colour].0, PLACES[place]);
    (Rgb::new(24, 24, pixels.collect()).unwrap(), caption)
}

/// A folder with a corpus, a vocabulary and a job.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pictures = dir.path().join("pictures");
        std::fs::create_dir(&pictures).unwrap();
        let mut captions = Vec::new();
        for n in 0..SAMPLES as usize {
            let (picture, caption) = drawing(n / 4, n % 4);
            std::fs::write(
                pictures.join(format!("{n:02}.png")),
                image::encode(&picture, Encoding::Png).unwrap(),
            )
            .unwrap();
            std::fs::write(pictures.join(format!("{n:02}.txt")), &caption).unwrap();
            captions.push(caption);
        }
        let world = Self { dir };
        world.build("corpus", |_| ());
        let options = Options { vocab_size: 120, min_frequency: 1 };
        train(&captions, &options).unwrap().write(world.path("vocab.txt")).unwrap();
        let job = include_str!("job.toml")
            .replace("CORPUS", &world.path("corpus"))
            .replace("VOCABULARY", &world.path("vocab.txt"));
        std::fs::write(world.dir.path().join("job.toml"), job).unwrap();
        world
    }

    /// Builds the pictures into a corpus of that name, with a change to the configuration.
    pub(crate) fn build(&self, name: &str, change: impl Fn(&mut BuildConfig)) {
        let mut config = BuildConfig::of(&self.path("pictures"));
        config.duplicates.near = false;
        change(&mut config);
        let report = build(&config, &Storage::create(&self.path(name)).unwrap(), &|_| {}).unwrap();
        assert_eq!(report.images, SAMPLES);
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// `albef-worker train job.toml --out OUT …`, ready to start.
    pub(crate) fn training(&self, out: &str, more: &[&str]) -> Command {
        let mut command = Command::new(worker());
        command
            .args(["train", &self.path("job.toml"), "--out", &self.path(out), "--threads", "1"])
            .args(more);
        command
    }

    pub(crate) fn train(&self, out: &str, more: &[&str]) -> Output {
        self.training(out, more).output().unwrap()
    }
}

pub(crate) fn worker() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_albef-worker")).to_owned()
}

/// The one line of a refusal.
pub(crate) fn refusal(out: &Output) -> String {
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!((out.status.code(), text.trim_end().lines().count()), (Some(2), 1), "{text}");
    text
}
