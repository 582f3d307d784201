//! Builds that are killed, and builds that meet.
//!
//! `ALBEF_KILLS` is the number of random kills (6 if it is not set), `ALBEF_SEED` repeats a run.
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::*;

/// How often a build is killed at random.
pub(crate) fn kills() -> u64 {
    std::env::var("ALBEF_KILLS").map_or(6, |count| count.parse().unwrap())
}

/// What the moments are drawn from; shown where a test fails, so that it can be repeated.
pub(crate) fn seeded() -> Random {
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = std::env::var("ALBEF_SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
    println!("ALBEF_SEED={seed}");
    Random(seed)
}

/// Whether a build has got so far that a file is there; `work` stands for the folder of its passes.
fn has(out: &Path, name: &str) -> bool {
    let Some(file) = name.strip_prefix("work/") else { return out.join(name).exists() };
    let Ok(folders) = std::fs::read_dir(out.join(".build")) else { return false };
    folders.filter_map(Result::ok).any(|folder| folder.path().join(file).exists())
}

/// Where a killed build stood, by what it left.
fn stage(out: &Path) -> &'static str {
    let has = |name: &str| has(out, name);
    match () {
        () if has("manifest.json") && !has(".build") => "the end",
        () if has("manifest.json") => "cleaning up",
        () if has("dropped.jsonl") => "the report",
        () if has("shard-00000.tar") => "shards",
        () if has("work/tally.json") => "the first shard",
        () if has("work/records.json") => "verdicts",
        () if has("work/facts-0000000.jsonl") => "the survey",
        () => "the beginning",
    }
}

struct Corpus {
    dir: tempfile::TempDir,
    config: String,
    expected: BTreeMap<String, Vec<u8>>,
    time: Duration,
}

impl Corpus {
    /// Three chunks and several shards, built without interruption.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let list = pairs(&dir.path().join("web"), 600, 64);
        let config = dir.path().join("build.toml");
        std::fs::write(&config, format!("[[source]]\npath = {list:?}\n[shards]\ntarget_mb = 1\n")).unwrap();
        let config = config.to_str().unwrap().to_owned();
        let mut corpus = Self { dir, config, expected: BTreeMap::new(), time: Duration::ZERO };
        let (whole, path) = corpus.folder("whole");
        let begin = Instant::now();
        said(&corpus.args(&path));
        corpus.time = begin.elapsed();
        corpus.expected = tree(&whole);
        let shards = corpus.expected.keys().filter(|name| name.ends_with(".tar")).count();
        assert!(shards > 3, "{shards}");
        corpus
    }

    fn folder(&self, name: &str) -> (PathBuf, String) {
        let path = self.dir.path().join(name);
        let text = path.to_str().unwrap().to_owned();
        (path, text)
    }

    fn args<'a>(&'a self, out: &'a str) -> [&'a str; 7] {
        ["corpus", "build", &self.config, "--out", out, "--threads", "2"]
    }

    /// Builds to the end and compares.
    fn is_completed(&self, out: &Path, what: &str) {
        let args = self.args(out.to_str().unwrap());
        let summary = said(&args);
        assert!(summary.contains("kept 600 images"), "{what}: {summary}");
        is_same(&tree(out), &self.expected, what);
        std::fs::remove_dir_all(out).unwrap();
    }
}

#[test]
fn a_build_killed_at_random_moments_ends_with_the_same_bytes() {
    let corpus = Corpus::new();
    let mut random = seeded();
    let mut stages = BTreeMap::new();
    for kill in 0..kills() {
        let (out, path) = corpus.folder(&format!("killed-{kill}"));
        // Every third build is killed again and again.
        let times = if kill % 3 == 2 { 4 } else { 1 };
        let mut moments = Vec::new();
        for _ in 0..times {
            let mut build = command(&corpus.args(&path)).spawn().unwrap();
            let moment = corpus.time.mul_f64(random.share());
            std::thread::sleep(moment);
            build.kill().unwrap();
            build.wait().unwrap();
            *stages.entry(stage(&out)).or_insert(0) += 1;
            moments.push(moment);
        }
        corpus.is_completed(&out, &format!("killed after {moments:?}"));
    }
    println!("{:?} a build; killed in {stages:?}", corpus.time);
}

#[test]
fn a_build_killed_when_a_file_appears_ends_with_the_same_bytes() {
    let corpus = Corpus::new();
    let mut random = seeded();
    let mut stages = BTreeMap::new();
    for name in [
        ".build/lock",
        ".build/config.json",
        "work/facts-0000001.jsonl",
        "work/records.json",
        "work/verdicts-0000001.jsonl",
        "work/tally.json",
        "shard-00000.tar",
        "work/written-00000.json",
        "shard-00002.tar",
        "shard-00002.idx",
        "dropped.jsonl",
        "report.json",
        "report.html",
        "manifest.json",
    ] {
        let (out, path) = corpus.folder("killed");
        let mut build = command(&corpus.args(&path)).spawn().unwrap();
        // Without a pause, since some files are there for a moment only.
        while !has(&out, name) && build.try_wait().unwrap().is_none() {}
        std::thread::sleep(Duration::from_micros(random.next() % 2000));
        build.kill().unwrap();
        build.wait().unwrap();
        *stages.entry(stage(&out)).or_insert(0) += 1;
        corpus.is_completed(&out, &format!("killed at {name}"));
    }
    println!("killed in {stages:?}");
}

#[test]
fn a_second_build_in_one_folder_is_refused_and_the_first_is_whole() {
    let corpus = Corpus::new();
    let (out, path) = corpus.folder("shared");
    let first = command(&corpus.args(&path)).spawn().unwrap();
    let begin = Instant::now();
    while !out.join(".build/config.json").exists() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the first build does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
    let line = refusal(&corpus.args(&path));
    assert!(line.contains("another build is writing"), "{line}");
    is_success(&corpus.args(&path), first.wait_with_output().unwrap());
    is_same(&tree(&out), &corpus.expected, "the first build");
    corpus.is_completed(&out, "a third build");
}

#[test]
fn builds_that_begin_together_end_with_one_corpus() {
    let corpus = Corpus::new();
    let (out, path) = corpus.folder("raced");
    let builds: Vec<_> = (0..4).map(|_| command(&corpus.args(&path)).spawn().unwrap()).collect();
    let ended: Vec<_> = builds.into_iter().map(|build| build.wait_with_output().unwrap()).collect();
    assert!(ended.iter().any(|out| out.status.success()));
    for out in ended.into_iter().filter(|out| !out.status.success()) {
        let line = is_refusal(&corpus.args(&path), out);
        assert!(line.contains("another build is writing"), "{line}");
    }
    corpus.is_completed(&out, "four builds at once");
}
