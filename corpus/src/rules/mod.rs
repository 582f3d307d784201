//! Noise rules: which pairs of a corpus are left out, and why.
//!
//! Every drop and every trim carries a [`Finding`]: the [`Reason`], what was measured and the threshold it was held
//! against. Two kinds of rules are separate passes:
//!
//! * [`caption`]: rules that look at one caption, pure functions without memory;
//! * [`frequency`]: rules that need the whole corpus, as two passes: count all captions, then judge each.
//!
//! ```text
//! caption ──CaptionJudge::judge──▶ Keep │ Trim(caption, findings) │ Drop(finding)
//!    kept or trimmed ──CaptionFrequency::add──▶ counts ──CaptionFrequency::judge──▶ None │ finding
//! ```

pub mod caption;
mod error;
mod finding;
pub mod frequency;
mod reason;

pub use caption::{CaptionJudge, CaptionRules, Judgement};
pub use error::Error;
pub use finding::{Finding, Value};
pub use frequency::CaptionFrequency;
pub use reason::Reason;

/// What the functions of this module return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
