//! Reading a sample, and reading it again.
use std::time::Duration;

use albef_corpus::shard::{Corpus, PackError, ReadError, Sample};
use backon::{BlockingRetryable, ExponentialBuilder};

/// Reads a sample. A storage that fails for the moment, and bytes that arrive damaged, are asked for again, up to five
/// times within about six seconds: what is on the disk may be sound.
pub fn sample(corpus: &Corpus, shard: usize, index: u64) -> Result<Sample, ReadError> {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_factor(2.0)
        .with_max_times(5);
    (|| corpus.sample(shard, index)).retry(pauses).when(may_pass).call()
}

fn may_pass(error: &ReadError) -> bool {
    match error {
        ReadError::Sample { source, .. } => matches!(source, PackError::Damaged),
        // The index's bytes, of which a hash is known as well.
        ReadError::Foreign { .. } | ReadError::Index { .. } => true,
        other => other.is_transient(),
    }
}
