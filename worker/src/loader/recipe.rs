//! What each sample of the stream becomes: pure functions, without threads.
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use albef_corpus::augment::AugmentConfig;
use albef_corpus::order::{CorpusShape, Epoch, Key, Order, OrderConfig, Place, Purpose};
use albef_corpus::shard::{Corpus, ReadError, Sample};
use albef_corpus::text::{self, WordPiece, caption};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::picture::{PictureError, Pictures};
use super::{LoadError, read};

/// Samples that are tried in place of one that cannot be decoded.
const TRIES: u64 = 16;

/// What decides the stream besides the corpora.
#[derive(Debug, Clone)]
pub struct RecipeConfig {
    /// Seed, logical ranks, local batch and window.
    pub order: OrderConfig,
    /// What is done to images.
    pub augment: AugmentConfig,
    /// Side of the model's images, pixels.
    pub side: u32,
    /// Words that are kept of a caption.
    pub max_words: usize,
    /// Tokens that are kept of a caption, `[CLS]` and `[SEP]` included.
    pub max_tokens: usize,
    /// Decode and resize exactly as PIL does, instead of decoding JPEG at a fraction of its size.
    pub exact: bool,
}

/// The stream of a job.
#[derive(Debug)]
pub struct Recipe {
    config: RecipeConfig,
    corpora: Vec<Corpus>,
    order: Order,
    words: Arc<WordPiece>,
}

/// One sample as it is stored, and where in the stream it is read.
#[derive(Debug)]
pub struct Raw {
    step: u64,
    logical_rank: u64,
    index: u64,
    place: Place,
    sample: Sample,
}

impl Raw {
    /// Bytes of the stored picture.
    pub(super) fn bytes(&self) -> usize {
        self.sample.image.len()
    }
}

/// The samples of one logical rank in a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The logical rank.
    pub logical_rank: u64,
    /// Pixels, `[batch, side, side, 3]`.
    pub pixels: Vec<u8>,
    /// Side of the images, pixels.
    pub side: u32,
    /// Captions as ids, padded to the longest.
    pub text: text::wordpiece::Batch,
    /// Samples that stand in place of others.
    pub replaced: Vec<Replaced>,
}

/// A sample that could not be decoded, in whose place another was read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Replaced {
    /// The step.
    pub step: u64,
    /// The logical rank.
    pub logical_rank: u64,
    /// Its index in the batch.
    pub index: u64,
    /// Position of the corpus in the job's list.
    pub corpus: u32,
    /// Number of the shard.
    pub shard: u32,
    /// Number in the shard.
    pub sample: u64,
    /// What is wrong with it.
    pub problem: String,
}

/// A sample after decoding.
struct Cooked {
    caption: String,
    replaced: Vec<Replaced>,
}

thread_local! {
    /// Buffers of the decoding threads, which live as long as the loader.
    static PICTURES: RefCell<Pictures> = RefCell::default();
}

impl Recipe {
    /// The stream over `corpora`, each with the weight at which an epoch reads it.
    ///
    /// # Errors
    /// If the corpora cannot be ordered or the augmentation's configuration is wrong.
    pub fn new(
        corpora: Vec<(Corpus, f64)>,
        words: Arc<WordPiece>,
        config: RecipeConfig,
    ) -> Result<Self, LoadError> {
        config.augment.validate()?;
        let shapes = corpora
            .iter()
            .map(|(corpus, weight)| CorpusShape { shards: corpus.shard_sizes(), weight: *weight });
        let order = Order::new(shapes.collect(), config.order)?;
        Ok(Self { config, corpora: corpora.into_iter().map(|(corpus, _)| corpus).collect(), order, words })
    }

    /// Where each position of the stream lies.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// The corpora, in the order of the job's list.
    pub fn corpora(&self) -> &[Corpus] {
        &self.corpora
    }

    /// Samples of one logical rank in a step.
    pub fn local_batch(&self) -> u64 {
        self.config.order.local_batch
    }

    /// Reads one sample as it is stored. `epoch` is the order of the epoch that it lies in.
    pub fn read(
        &self,
        epoch: &Epoch<'_>,
        step: u64,
        logical_rank: u64,
        index: u64,
    ) -> Result<Raw, LoadError> {
        let place = epoch.sample(self.order.position(step, logical_rank, index));
        let sample =
            self.stored(place).map_err(|source| LoadError::Read { step, logical_rank, index, source })?;
        Ok(Raw { step, logical_rank, index, place, sample })
    }

    fn stored(&self, place: Place) -> Result<Sample, ReadError> {
        read::sample(&self.corpora[place.corpus as usize], place.shard as usize, place.index)
    }

    /// Decodes and augments a sample into `out`, `[side, side, 3]`; where that cannot be done, another that the position
    /// names.
    fn cook(&self, raw: &Raw, out: &mut [u8]) -> Result<Cooked, LoadError> {
        let Raw { step, logical_rank, index, place, .. } = *raw;
        let position = self.order.position(step, logical_rank, index);
        let mut replaced = Vec::new();
        let mut problem = match self.picture(raw, &raw.sample, position, out) {
            Ok(caption) => return Ok(Cooked { caption, replaced }),
            Err(problem) => problem,
        };
        let mut place = place;
        let epoch = self.order.epoch(self.order.epoch_of(position));
        let begin = self.order.epoch_of(position) * self.order.epoch_len();
        for attempt in 0..TRIES {
            replaced.push(Replaced {
                step,
                logical_rank,
                index,
                corpus: place.corpus,
                shard: place.shard,
                sample: place.index,
                problem: with_causes(&problem),
            });
            let key = Key::new(self.config.order.seed, Purpose::Replacement, [position, attempt]);
            place = epoch.sample(begin + key.below(self.order.epoch_len()));
            let other =
                self.stored(place).map_err(|source| LoadError::Read { step, logical_rank, index, source })?;
            problem = match self.picture(raw, &other, position, out) {
                Ok(caption) => return Ok(Cooked { caption, replaced }),
                Err(problem) => problem,
            };
        }
        let place = format!("corpus {}, shard {}, sample {}", place.corpus, place.shard, place.index);
        Err(LoadError::NoPicture { step, logical_rank, index, tries: TRIES + 1, place, source: problem })
    }

    /// Writes the picture of `sample` to `out` as position `at` shows it, and returns its caption.
    fn picture(
        &self,
        at: &Raw,
        sample: &Sample,
        position: u64,
        out: &mut [u8],
    ) -> Result<String, PictureError> {
        let captions = &sample.metadata.captions;
        // The reader refuses a sample without a caption.
        let raw = &captions[self.order.caption(position, captions.len() as u64) as usize];
        let config = &self.config;
        PICTURES.with_borrow_mut(|pictures| {
            pictures.augmented(
                &sample.image,
                raw,
                &config.augment,
                &mut self.generator(at),
                config.exact,
                out,
            )
        })?;
        Ok(caption::clean(raw, config.max_words))
    }

    /// The generator of one sample's augmentation: ChaCha's key is (seed, step, logical rank), its stream the index.
    fn generator(&self, at: &Raw) -> ChaCha8Rng {
        let mut key = [0; 32];
        let words = [self.config.order.seed, at.step, at.logical_rank];
        for (slot, word) in key.chunks_exact_mut(8).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        // Apart from every generator of the model's, whose last word is a small number.
        key[24..].copy_from_slice(b"augments");
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(at.index);
        generator
    }

    /// The micro-batches of `raw`: whole logical ranks, one after another. Decodes on the threads of the current pool.
    /// Ends after the sample that each is at when nobody wants them any more.
    pub(super) fn batches(&self, raw: &[Raw], ended: &AtomicBool) -> Result<Vec<Batch>, LoadError> {
        use rayon::prelude::*;
        let square = 3 * self.config.side as usize * self.config.side as usize;
        let local = self.local_batch() as usize;
        let mut pixels: Vec<Vec<u8>> = raw.chunks(local).map(|rank| vec![0; square * rank.len()]).collect();
        let cooked: Vec<Vec<Cooked>> = raw
            .par_chunks(local)
            .zip(&mut pixels)
            .map(|(rank, pixels)| {
                let samples = rank.par_iter().zip(pixels.par_chunks_mut(square));
                let cook = |(raw, out): (&Raw, &mut [u8])| match ended.load(Ordering::Relaxed) {
                    true => Err(LoadError::Ended(raw.step)),
                    false => self.cook(raw, out),
                };
                samples.map(cook).collect()
            })
            .collect::<Result<_, _>>()?;
        raw.chunks(local)
            .zip(pixels)
            .zip(cooked)
            .map(|((rank, pixels), cooked)| {
                let captions: Vec<&str> = cooked.iter().map(|c| c.caption.as_str()).collect();
                let text = self.words.encode_batch(&captions, self.config.max_tokens)?;
                Ok(Batch {
                    logical_rank: rank.first().map_or(0, |raw| raw.logical_rank),
                    pixels,
                    side: self.config.side,
                    text,
                    replaced: cooked.into_iter().flat_map(|c| c.replaced).collect(),
                })
            })
            .collect()
    }
}

/// What is wrong and why, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut line: Vec<String> = causes.map(ToString::to_string).collect();
    line.dedup();
    line.join(": ").replace(['\n', '\r'], " ")
}
