//! The training worker as a library: what the binary `albef-worker` does.
//!
//! * [`config`] — the configuration file, and the configurations that ship with the program;
//! * [`parity`] — golden numbers of the published implementation against this one;
//! * [`mod@bench`] — images per second, memory, and the share of each part of a step;
//! * [`caption`] — what the model sees of a text;
//! * [`weights`] — initial weights from pre-trained encoders, and checking a file;
//! * [`mod@line`] — errors as one line;
//! * [`device`] — naming and opening the device to compute on.
pub mod bench;
pub mod caption;
pub mod config;
pub mod device;
pub mod line;
pub mod parity;
pub mod weights;
