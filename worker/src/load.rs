//! The loader without a model: is the data fast enough?
use std::time::Instant;

use serde::Serialize;
use tch::Device;

use crate::config::JobConfig;
use crate::loader::{Block, Loader};
use crate::process::{cpu_seconds, peak_rss_mib};
use crate::train::{Stream, micro_batch};

/// Steps before the clock starts. Meanwhile buffers grow and the loader gets as far ahead as it ever is, so that what is
/// ahead at the end of the measurement was ahead at its beginning.
const WARM_UP: u64 = 2;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name or path of a configuration.
    pub config: String,
    /// `KEY=VALUE`, instead of the configuration's.
    pub replaced: Vec<String>,
    /// Measured steps.
    pub steps: u64,
    /// Samples that are decoded at once, instead of the configuration's `data.threads`.
    pub threads: Option<usize>,
}

/// One line of results.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// The configuration.
    pub config: String,
    /// Measured steps.
    pub steps: u64,
    /// Samples in them.
    pub samples: u64,
    /// Of these, stand-ins for samples that could not be decoded.
    pub replaced: u64,
    /// Threads that decode.
    pub threads: usize,
    /// Threads that read.
    pub readers: usize,
    /// Whether pictures are decoded and resized exactly as PIL does.
    pub exact: bool,
    /// Seconds they took.
    pub seconds: f64,
    /// Samples per second.
    pub images_per_s: f64,
    /// Samples per second that all threads together computed: what one core brings.
    pub images_per_cpu_s: f64,
    /// Stored pictures read per second, in 10⁶ bytes.
    pub mb_per_s: f64,
    /// Share of the time in which decoding waited for reading: near 0 the cores are the limit, near 1 the storage.
    pub read_wait: f64,
    /// The most memory the process has held.
    pub peak_rss_mib: f64,
}

/// Loads the first steps of a job as training does: reads, decodes, augments, tokenises, and makes tensors on `device`.
pub fn run(options: &Options, device: Device) -> anyhow::Result<Figures> {
    let mut job = JobConfig::load_with(&options.config, &options.replaced)?;
    if let (Some(data), Some(threads)) = (&mut job.data, options.threads) {
        data.threads = threads;
    }
    let stream = Stream::open(&job, &options.config)?;
    let threads = stream.threads();
    tch::set_num_threads(i32::try_from(threads.decoders).unwrap_or(i32::MAX));

    let mut loader = stream.start(Block { first: 0, count: job.logical_ranks }, 0)?;
    for _ in 0..WARM_UP {
        load(&mut loader, device)?;
    }
    torch_ext::runtime::synchronize(device)?;
    let before = loader.work();
    let (start, computed) = (Instant::now(), cpu_seconds()?);
    let (mut samples, mut replaced) = (0, 0);
    for _ in 0..options.steps {
        let loaded = load(&mut loader, device)?;
        samples += loaded.samples;
        replaced += loaded.replaced;
    }
    torch_ext::runtime::synchronize(device)?;
    let (seconds, computed) = (start.elapsed().as_secs_f64(), cpu_seconds()? - computed);
    let after = loader.work();
    let images = samples as f64;
    Ok(Figures {
        config: options.config.clone(),
        steps: options.steps,
        samples,
        replaced,
        threads: threads.decoders,
        readers: threads.readers,
        exact: stream.data.exact,
        seconds,
        images_per_s: images / seconds,
        images_per_cpu_s: images / computed.max(0.01),
        mb_per_s: (after.bytes - before.bytes) as f64 / 1e6 / seconds,
        // A wait that began before the clock counts when it ends.
        read_wait: ((after.starved - before.starved).as_secs_f64() / seconds).min(1.0),
        peak_rss_mib: peak_rss_mib()?,
    })
}

/// What came with a step.
struct Loaded {
    samples: u64,
    replaced: u64,
}

/// Loads a step up to the tensors that a model would read.
fn load(loader: &mut Loader, device: Device) -> anyhow::Result<Loaded> {
    let mut loaded = Loaded { samples: 0, replaced: 0 };
    for batch in loader.next_step()?.batches {
        micro_batch(&batch, device)?;
        loaded.samples += batch.text.captions as u64;
        loaded.replaced += batch.replaced.len() as u64;
    }
    Ok(loaded)
}
