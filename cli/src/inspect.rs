//! `albef corpus inspect` and `albef corpus verify`.
use std::fmt::Write;

use albef_corpus::shard::Corpus;
use anyhow::{Context, bail};

/// A corpus, a shard or a sample, for a person.
pub(crate) fn run(location: &str, shard: Option<usize>, sample: Option<u64>) -> anyhow::Result<String> {
    let corpus = Corpus::open(location)?;
    match (shard, sample) {
        (None, _) => Ok(whole(&corpus)),
        (Some(shard), None) => of_shard(&corpus, shard),
        (Some(shard), Some(index)) => of_sample(&corpus, shard, index),
    }
}

fn whole(corpus: &Corpus) -> String {
    let manifest = corpus.manifest();
    let mut text = format!("{} images, {} captions\n", manifest.samples, manifest.captions);
    for (number, shard) in manifest.shards.iter().enumerate() {
        let _ = writeln!(
            text,
            "shard {number:>5}  {}  {:>9} images  {:>9} captions  {:>7.1} MB",
            shard.data.name,
            shard.samples,
            shard.captions,
            shard.data.bytes as f64 / 1e6
        );
    }
    text
}

fn of_shard(corpus: &Corpus, shard: usize) -> anyhow::Result<String> {
    let mut text = String::new();
    for index in 0..corpus.index_of(shard)?.entries.len() as u64 {
        let sample = corpus.sample(shard, index)?;
        let caption = sample.metadata.captions.first().map_or("", String::as_str);
        let (width, height) = (sample.metadata.width, sample.metadata.height);
        let _ = writeln!(text, "{index:>6}  {width:>5} x {height:<5}  {}", caption.escape_debug());
    }
    Ok(text)
}

fn of_sample(corpus: &Corpus, shard: usize, index: u64) -> anyhow::Result<String> {
    let sample = corpus.sample(shard, index)?;
    let metadata = &sample.metadata;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} x {} {}, {} bytes, from {} {}",
        metadata.width,
        metadata.height,
        sample.format.extension(),
        sample.image.len(),
        metadata.source.escape_debug(),
        metadata.source_key.escape_debug()
    );
    for caption in &metadata.captions {
        let _ = writeln!(text, "caption: {}", caption.escape_debug());
    }
    for (key, value) in &metadata.extra {
        let _ = writeln!(text, "{}: {value}", key.escape_debug());
    }
    Ok(text)
}

/// Checks every shard; every one that is damaged is named.
pub(crate) fn verify(location: &str) -> anyhow::Result<String> {
    let corpus = Corpus::open(location)?;
    let shards = corpus.manifest().shards.len();
    let damaged: Vec<String> =
        (0..shards).filter_map(|shard| corpus.verify(shard).err()).map(|error| error.to_string()).collect();
    match damaged.as_slice() {
        [] => Ok(format!("{shards} shards: ok")),
        [first, ..] => {
            let count = damaged.len();
            if count > 1 {
                return Err(anyhow::anyhow!(damaged.join("; ")))
                    .with_context(|| format!("{count} of {shards} shards"));
            }
            bail!("1 of {shards} shards: {first}")
        }
    }
}
