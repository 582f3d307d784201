//! Threads that load steps ahead of need.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use albef_corpus::order::Epoch;
use rayon::prelude::*;

use super::LoadError;
use super::recipe::{Batch, Raw, Recipe};

/// The logical ranks that are loaded: `first .. first + count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The first of them.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// A step, loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The step.
    pub step: u64,
    /// The micro-batches of the block's logical ranks, in order.
    pub batches: Vec<Batch>,
}

/// How a loader uses the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    /// Samples that are read at once; more than there are cores where the corpus is far away.
    pub readers: usize,
    /// Samples that are decoded at once.
    pub decoders: usize,
    /// Steps that wait between reading and decoding, and as many again between decoding and training.
    pub prefetch: usize,
}

/// What a loader has done since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Bytes of the pictures that were read, as they are stored.
    pub bytes: u64,
    /// How long decoding had nothing to do because it waited for reading.
    pub starved: Duration,
}

/// [`Work`] in the making.
#[derive(Debug, Default)]
struct Counters {
    bytes: AtomicU64,
    starved_ns: AtomicU64,
}

/// Loads the steps of a block of logical ranks, one after another.
///
/// Dropping it stops its threads after the sample that each is at.
#[derive(Debug)]
pub struct Loader {
    steps: Option<Receiver<Result<Vec<Batch>, LoadError>>>,
    next: u64,
    threads: Vec<JoinHandle<()>>,
    counters: Arc<Counters>,
    /// Set when nobody wants the steps any more.
    ended: Arc<AtomicBool>,
}

impl Loader {
    /// Starts to load `block` from `first_step` on.
    ///
    /// # Errors
    /// If threads cannot be started.
    pub fn start(
        recipe: Arc<Recipe>,
        block: Block,
        first_step: u64,
        threads: Threads,
    ) -> Result<Self, LoadError> {
        let (to_decode, raw) = sync_channel::<Result<Vec<Raw>, LoadError>>(threads.prefetch.max(1));
        let (to_train, steps) = sync_channel(threads.prefetch.max(1));
        let reading = pool("albef-read", threads.readers)?;
        let decoding = pool("albef-decode", threads.decoders)?;
        let counters = Arc::<Counters>::default();
        let ended = Arc::<AtomicBool>::default();
        let reader = {
            let (recipe, counters, ended) = (Arc::clone(&recipe), Arc::clone(&counters), Arc::clone(&ended));
            spawn("albef-reader", move || {
                let mut steps = Steps { recipe: &recipe, epochs: Vec::new(), block, ended: &ended };
                for step in first_step.. {
                    let raw = steps.read(step, &reading);
                    let failed = raw.is_err();
                    let bytes = raw.iter().flatten().map(Raw::bytes).sum::<usize>() as u64;
                    counters.bytes.fetch_add(bytes, Ordering::Relaxed);
                    if to_decode.send(raw).is_err() || failed {
                        return;
                    }
                }
            })?
        };
        let (waiting, unwanted) = (Arc::clone(&counters), Arc::clone(&ended));
        let decoder = spawn("albef-decoder", move || {
            loop {
                let start = Instant::now();
                let Ok(raw) = raw.recv() else { return };
                let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                waiting.starved_ns.fetch_add(nanoseconds, Ordering::Relaxed);
                let batches = raw.and_then(|raw| decoding.install(|| recipe.batches(&raw, &unwanted)));
                let failed = batches.is_err();
                if to_train.send(batches).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(Self { steps: Some(steps), next: first_step, threads: vec![reader, decoder], counters, ended })
    }

    /// What it has done so far, steps that nobody has asked for yet included.
    pub fn work(&self) -> Work {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Work {
            bytes: count(&self.counters.bytes),
            starved: Duration::from_nanos(count(&self.counters.starved_ns)),
        }
    }

    /// The next step. Waits for it.
    ///
    /// # Errors
    /// What kept the step from being loaded; nothing can be loaded after it.
    pub fn next_step(&mut self) -> Result<Loaded, LoadError> {
        let received = self.steps.as_ref().and_then(|steps| steps.recv().ok());
        let batches = received.unwrap_or(Err(LoadError::Ended(self.next)))?;
        let step = self.next;
        self.next += 1;
        Ok(Loaded { step, batches })
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Whoever waits to send finds nobody there; whoever reads or decodes ends after its sample.
        self.ended.store(true, Ordering::Relaxed);
        self.steps = None;
        for thread in self.threads.drain(..) {
            // A panic has been printed where it happened.
            let _ = thread.join();
        }
    }
}

/// Steps read in sequence, with the orders of the epochs that one lies in.
struct Steps<'a> {
    recipe: &'a Recipe,
    epochs: Vec<(u64, Epoch<'a>)>,
    block: Block,
    ended: &'a AtomicBool,
}

impl Steps<'_> {
    fn read(&mut self, step: u64, pool: &rayon::ThreadPool) -> Result<Vec<Raw>, LoadError> {
        let (order, local) = (self.recipe.order(), self.recipe.local_batch());
        // The samples of the step with their epochs, which only rise.
        let places: Vec<(u64, u64, u64)> = (self.block.first..self.block.first + self.block.count)
            .flat_map(|rank| (0..local).map(move |index| (rank, index)))
            .map(|(rank, index)| (order.epoch_of(order.position(step, rank, index)), rank, index))
            .collect();
        let first = places.first().map_or(0, |&(epoch, ..)| epoch);
        let last = places.last().map_or(0, |&(epoch, ..)| epoch);
        self.epochs.retain(|(epoch, _)| *epoch >= first);
        let next = self.epochs.last().map_or(first, |(epoch, _)| epoch + 1);
        self.epochs.extend((next..=last).map(|epoch| (epoch, order.epoch(epoch))));
        let epochs = &self.epochs;
        pool.install(|| {
            places
                .par_iter()
                .map(|&(epoch, rank, index)| {
                    if self.ended.load(Ordering::Relaxed) {
                        return Err(LoadError::Ended(step));
                    }
                    let order = &epochs[(epoch - first) as usize].1;
                    self.recipe.read(order, step, rank, index)
                })
                .collect()
        })
    }
}

fn pool(name: &'static str, threads: usize) -> Result<rayon::ThreadPool, LoadError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .thread_name(move |number| format!("{name}-{number}"))
        .build()
        .map_err(|error| LoadError::Threads(error.to_string()))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, LoadError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| LoadError::Threads(error.to_string()))
}
