//! From sources to shards.
//!
//! ```text
//! sources ─▶ survey ─▶ facts (facts-*.jsonl)             rules that look at one record; every image is decoded once
//!                        │
//!                     verdicts (verdicts-*.jsonl)        rules that need the whole corpus, in the order of the records
//!                        │
//! sources ─▶ write ──────┴─▶ shards, manifest, report    what is kept, stored as configured
//! ```
//!
//! Every file is written whole or not at all, and every step goes on where the last run of the same configuration ended:
//! a build may be killed at any moment and started again. The output depends on configuration and sources alone, not on
//! threads, time or interruptions. Memory: a chunk of records, one shard, and the tables of the whole-corpus rules.
mod config;
mod error;
mod fact;
mod page;
mod report;
mod scope;
mod split;
mod survey;
mod verdict;
mod workspace;
mod write;

use crate::storage::Storage;

pub use config::{
    BuildConfig, DuplicateConfig, Encoding, GalleryConfig, ImageConfig, ShardConfig, SourceConfig,
};
pub use error::BuildError;
pub use report::{Example, Histogram, Report, RuleCount};
pub use split::{Part, SplitConfig};

use workspace::Workspace;

/// Result of this module.
pub type Result<T, E = BuildError> = std::result::Result<T, E>;

/// Where a build stands, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many records were looked at.
    Surveyed(u64),
    /// So many of so many were judged.
    Judged(u64, u64),
    /// So many of so many were written or passed over.
    Written(u64, u64),
}

/// Builds the corpus of `config` in `out`, with as many threads as the current rayon pool has.
pub fn build(config: &BuildConfig, out: &Storage, progress: &(dyn Fn(Progress) + Sync)) -> Result<Report> {
    config.validate()?;
    let sources = config.open_sources()?;
    for (source, SourceConfig { path, .. }) in sources.iter().zip(&config.sources) {
        if source.reads(out) {
            let (out, source_path) = (out.location().to_owned(), path.clone());
            return Err(BuildError::OutputInSource { out, source_path });
        }
    }
    let workspace = Workspace::open(out, config)?;
    if let Some(report) = workspace.finished()? {
        return Ok(report);
    }
    let records = survey::run(config, &sources, &workspace, progress).inspect_err(|_| workspace.leave())?;
    let tally = verdict::run(config, &sources, &workspace, records, progress)?;
    let shards = write::run(config, &sources, &workspace, records, progress)?;
    report::finish(config, &sources, &workspace, &tally, shards)
}
