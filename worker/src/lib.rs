//! The training worker as a library: what the binary `albef-worker` does.
//!
//! * [`config`] — the configuration file, and the configurations that ship with the program;
//! * [`loader`] — from shards to micro-batches, ahead of need;
//! * [`load`] — the loader without a model, measured;
//! * [`train`] — the training loop, its folder, its metrics;
//! * [`saved`] and [`ask`] — a trained model, and questions to it;
//! * [`drawing`] — contact sheets and heat maps;
//! * [`evaluate`] — retrieval on a corpus that is not trained on;
//! * [`mod@normalise`] — from pixels to what the image encoder reads;
//! * [`parity`] — golden numbers of the published implementation against this one;
//! * [`mod@bench`] — images per second, memory, and the share of each part of a step;
//! * [`caption`] — what the model sees of a text;
//! * [`weights`] — initial weights from pre-trained encoders, and checking a file;
//! * [`mod@line`] — errors as one line;
//! * [`device`] — naming and opening the device to compute on.
pub mod ask;
pub mod bench;
pub mod caption;
pub mod config;
pub mod device;
pub mod drawing;
pub mod evaluate;
pub mod line;
pub mod load;
pub mod loader;
pub mod normalise;
pub mod parity;
mod process;
pub mod saved;
pub mod train;
pub mod weights;
