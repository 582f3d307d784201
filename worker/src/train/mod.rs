//! Training: `albef-worker train`.
//!
//! ```text
//! loader ──micro-batches of this worker's logical ranks──▶ Stepper ──record──▶ metrics.jsonl, progress
//!                                                             │
//!                           Exchange: the other logical ranks ┘        RunFolder: saves, and going on from them
//! ```
//!
//! [`Stepper`] knows nothing of how many workers there are: it computes a block of logical ranks and gets the rest through
//! an [`Exchange`](albef_model::exchange::Exchange). [`run`] is the one-worker job around it. [`Stream`] is what a job
//! reads.
mod folder;
mod identity;
mod job;
mod progress;
mod record;
mod stepper;
mod stream;

pub use folder::{Before, CONFIG, End, FolderError, MODEL, RunFolder, STATE, VOCABULARY};
pub use identity::{CorpusIdentity, Identity};
pub use job::{Ending, Options, run};
pub use record::{EvaluationRecord, Record, StepRecord};
pub use stepper::{StepError, Stepper, micro_batch};
pub use stream::Stream;
pub(crate) use stream::fits;
