//! `albef corpus vocabulary`.
use std::path::Path;

use albef_corpus::shard::Corpus;
use albef_corpus::text::train::{Options, train};

/// Learns a vocabulary from the captions of corpora and writes it to `out`.
pub(crate) fn run(corpora: &[String], size: usize, min_frequency: u64, out: &Path) -> anyhow::Result<String> {
    let corpora = corpora.iter().map(|location| Corpus::open(location)).collect::<Result<Vec<_>, _>>()?;
    let mut captions = Vec::new();
    for corpus in &corpora {
        for (shard, samples) in corpus.shard_sizes().into_iter().enumerate() {
            for index in 0..samples {
                captions.extend(corpus.sample(shard, index)?.metadata.captions);
            }
        }
    }
    let count = captions.len();
    let vocabulary = train(captions, &Options { vocab_size: size, min_frequency })?;
    vocabulary.write(out)?;
    Ok(format!("{}: {} tokens from {count} captions", out.display(), vocabulary.tokens().len()))
}
