//! `albef corpus build`.
use std::fmt::Write;

use albef_corpus::build::{self, BuildConfig, Progress, Report, SourceConfig};
use albef_corpus::storage::Storage;
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// Builds what a build file or a list of sources says.
pub(crate) fn run(from: &[String], out: &str, threads: Option<usize>) -> anyhow::Result<Report> {
    let config = config(from)?;
    let out = Storage::create(out)?;
    let bar = ProgressBar::no_length();
    let style = |template: &str| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let counting = style("{msg} {human_pos} records, {per_sec}, {elapsed}");
    let known = style("{msg} {wide_bar} {human_pos}/{human_len}, {per_sec}, {eta} left");
    let progress = |progress: Progress| {
        let (message, position, length) = match progress {
            Progress::Surveyed(records) => ("looking at images and captions:", records, None),
            Progress::Judged(records, all) => ("comparing records", records, Some(all)),
            Progress::Written(records, all) => ("writing shards", records, Some(all)),
        };
        if bar.message() != message {
            bar.reset();
            bar.set_message(message);
            bar.set_style(if length.is_some() { known.clone() } else { counting.clone() });
        }
        if let Some(length) = length {
            bar.set_length(length);
        }
        bar.set_position(position);
    };
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = threads {
        pool = pool.num_threads(threads);
    }
    let report =
        pool.build().context("cannot start threads")?.install(|| build::build(&config, &out, &progress));
    bar.finish_and_clear();
    Ok(report?)
}

fn config(from: &[String]) -> anyhow::Result<BuildConfig> {
    match from {
        [file] if file.ends_with(".toml") => {
            let text = std::fs::read_to_string(file).with_context(|| format!("{file}: cannot be read"))?;
            BuildConfig::parse(&text).with_context(|| file.clone())
        }
        sources => {
            if let Some(file) = sources.iter().find(|source| source.ends_with(".toml")) {
                bail!("{file}: a build file stands alone; name the other sources in it");
            }
            let source = |path: &String| SourceConfig {
                name: None,
                path: path.clone(),
                kind: None,
                skin_tones: false,
            };
            let sources: Vec<_> = sources.iter().map(source).collect();
            Ok(BuildConfig { sources, ..BuildConfig::of("") })
        }
    }
}

/// The outcome for a person.
pub(crate) fn summary(report: &Report, out: &str) -> String {
    let mut text = String::new();
    let share = |count: u64| 100.0 * count as f64 / report.records.max(1) as f64;
    for rule in report.rules.iter().filter(|rule| rule.records > 0) {
        let code = rule.reason.code();
        let _ = writeln!(text, "{code:<26} {:>10} records {:>6.2} %", rule.records, share(rule.records));
    }
    let Report { records, images, captions, joined, shards, bytes, .. } = report;
    let _ = writeln!(
        text,
        "kept {images} images with {captions} captions of {records} records ({joined} joined others): {shards} shards, {} MB",
        bytes / 1_000_000
    );
    let _ = writeln!(text, "{out}: see report.html and dropped.jsonl");
    text
}
