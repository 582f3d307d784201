//! Reading a sample, and reading it again.
use std::time::Duration;

use albef_corpus::order::Place;
use albef_corpus::shard::{Corpus, PackError, ReadError, Sample};
use backon::{BlockingRetryable, ExponentialBuilder};

/// Reads the sample at `place`. A storage that fails for the moment, and bytes that arrive damaged, are asked for again,
/// up to five times within about six seconds: what is on the disk may be sound.
pub(super) fn sample(corpora: &[Corpus], place: Place) -> Result<Sample, ReadError> {
    let corpus = &corpora[place.corpus as usize];
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_factor(2.0)
        .with_max_times(5);
    (|| corpus.sample(place.shard as usize, place.index)).retry(pauses).when(may_pass).call()
}

fn may_pass(error: &ReadError) -> bool {
    error.is_transient() || matches!(error, ReadError::Sample { source: PackError::Damaged, .. })
}
