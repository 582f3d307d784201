//! ALBEF (Li et al., "Align before Fuse", NeurIPS 2021, arXiv:2107.07651): the pre-training model and its step.
//!
//! Tensors in, tensors out: this crate knows nothing of files other than safetensors, of networks or of threads.
//!
//! * [`config`] — sizes and their validation;
//! * [`albef`] — the online network and its momentum twin, made of [`vit`] and [`bert`];
//! * [`forward`] — one micro-batch: the five [`losses`], with [`masking`] and [`negatives`];
//! * [`trainer`] — a step as a transaction (`begin`, `compute`, `commit`) over logical ranks, with [`exchange`],
//!   [`queue`], [`optim`], [`schedule`] and [`reduce`];
//! * [`weights`] — the published names in and out, BERT and ViT imports;
//! * [`retrieval`] and [`explain`] — what a trained model is asked.
pub mod albef;
pub mod attention;
pub mod bert;
pub mod config;
pub mod error;
pub mod exchange;
pub mod explain;
pub mod forward;
mod inputs;
pub mod keyed;
pub mod losses;
pub mod masking;
pub mod negatives;
pub mod nn;
pub mod optim;
pub mod params;
pub mod precision;
pub mod queue;
pub mod reduce;
pub mod retrieval;
pub mod schedule;
pub mod trainer;
pub mod vit;
pub mod weights;

pub use albef::Albef;
pub use config::ModelConfig;
pub use error::{Error, Result};
pub use precision::Precision;
pub use trainer::Trainer;
