//! Threads that load steps ahead of need.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
        let reader = {
            let (recipe, counters) = (Arc::clone(&recipe), Arc::clone(&counters));
            spawn("albef-reader", move || {
                let mut steps = Steps { recipe: &recipe, epochs: Vec::new(), block };
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
        let waiting = Arc::clone(&counters);
        let decoder = spawn("albef-decoder", move || {
            loop {
                let start = Instant::now();
                let Ok(raw) = raw.recv() else { return };
                let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
                waiting.starved_ns.fetch_add(nanoseconds, Ordering::Relaxed);
                let batches = raw.and_then(|raw| decoding.install(|| recipe.batches(&raw)));
                let failed = batches.is_err();
                if to_train.send(batches).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(Self { steps: Some(steps), next: first_step, threads: vec![reader, decoder], counters })
    }

    /// What it has done so far, steps that nobody has asked for yet included.
    pub fn work(&self) -> Work {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Work {
            bytes: count(&self.counters.bytes),
            starved: Duration::from_nanos(count(&self.counters.starved_ns)),
        }
    }

    /// The micro-batches of the next step, one for each logical rank of the block. Waits for them.
    ///
    /// # Errors
    /// What kept the step from being loaded; nothing can be loaded after it.
    pub fn next_step(&mut self) -> Result<Vec<Batch>, LoadError> {
        let received = self.steps.as_ref().and_then(|steps| steps.recv().ok());
        let batches = received.unwrap_or(Err(LoadError::Ended(self.next)))?;
        self.next += 1;
        Ok(batches)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        // Whoever waits to send finds nobody there.
        self.steps = None;
        for thread in self.threads.drain(..) {
            // A panic has been printed where it happened.
            let _ = thread.join();
        }
    }
}

/// Steps read in sequence, which need the orders of one epoch, at most two.
struct Steps<'a> {
    recipe: &'a Recipe,
    epochs: Vec<(u64, Epoch<'a>)>,
    block: Block,
}

impl Steps<'_> {
    fn read(&mut self, step: u64, pool: &rayon::ThreadPool) -> Result<Vec<Raw>, LoadError> {
        let (order, local) = (self.recipe.order(), self.recipe.local_batch());
        let places: Vec<(u64, u64)> = (self.block.first..self.block.first + self.block.count)
            .flat_map(|rank| (0..local).map(move |index| (rank, index)))
            .collect();
        let epoch_of = |&(rank, index): &(u64, u64)| order.epoch_of(order.position(step, rank, index));
        let oldest = places.iter().map(epoch_of).min().unwrap_or(0);
        self.epochs.retain(|(epoch, _)| *epoch >= oldest);
        for place in &places {
            let epoch = epoch_of(place);
            if !self.epochs.iter().any(|(known, _)| *known == epoch) {
                self.epochs.push((epoch, order.epoch(epoch)));
            }
        }
        let epochs = &self.epochs;
        pool.install(|| {
            places
                .par_iter()
                .map(|place @ &(rank, index)| {
                    let epoch = epoch_of(place);
                    match epochs.iter().find(|(known, _)| *known == epoch) {
                        Some((_, order)) => self.recipe.read(order, step, rank, index),
                        None => self.recipe.read(&order.epoch(epoch), step, rank, index),
                    }
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
