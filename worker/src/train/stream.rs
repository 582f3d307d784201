//! What a job reads: its corpora, its vocabulary, and what becomes of a sample.
use std::sync::Arc;

use albef_corpus::order::OrderConfig;
use albef_corpus::shard::Corpus;
use albef_corpus::text::{Vocabulary, WordPiece};
use anyhow::{Context, bail};

use super::identity::CorpusIdentity;
use crate::config::{DataConfig, JobConfig};
use crate::loader::{Block, LoadError, Loader, Recipe, RecipeConfig, Threads};

/// The stream of a job, opened and checked.
#[derive(Debug)]
pub struct Stream<'a> {
    /// The section that says what it is.
    pub data: &'a DataConfig,
    /// The vocabulary, by id.
    pub vocabulary: Vocabulary,
    /// The same, to encode with.
    pub words: Arc<WordPiece>,
    /// What becomes of each sample.
    pub recipe: Arc<Recipe>,
}

impl<'a> Stream<'a> {
    /// Opens what `job` reads; `name` is what its configuration is called.
    ///
    /// # Errors
    /// If the job has no data, or they do not fit its model.
    pub fn open(job: &'a JobConfig, name: &str) -> anyhow::Result<Self> {
        let Some(data) = &job.data else {
            bail!("{name}: has no section [data]: name a corpus and a vocabulary to train on");
        };
        let vocabulary = Vocabulary::load(&data.vocabulary)?;
        let words = Arc::new(WordPiece::new(&vocabulary)?);
        fits(job, &words, &data.vocabulary)?;
        let recipe = Arc::new(recipe(job, data, Arc::clone(&words))?);
        Ok(Self { data, vocabulary, words, recipe })
    }

    /// Starts to load `block` from `first_step` on.
    ///
    /// # Errors
    /// If threads cannot be started.
    pub fn start(&self, block: Block, first_step: u64) -> Result<Loader, LoadError> {
        Loader::start(Arc::clone(&self.recipe), block, first_step, self.threads())
    }

    /// The corpora, by their contents.
    pub fn corpora(&self) -> Vec<CorpusIdentity> {
        let opened = self.data.corpus.iter().zip(self.recipe.corpora());
        opened
            .map(|(config, corpus)| CorpusIdentity {
                path: config.path.clone(),
                manifest: corpus.hash().to_hex().to_string(),
            })
            .collect()
    }

    /// How the loader uses the machine.
    pub fn threads(&self) -> Threads {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let DataConfig { threads, readers, prefetch, .. } = *self.data;
        Threads { readers, decoders: if threads == 0 { cores } else { threads }, prefetch }
    }
}

/// Side of the model's images, pixels.
pub(super) fn side(job: &JobConfig) -> u32 {
    u32::try_from(job.model.vision.image_res).unwrap_or(u32::MAX)
}

/// The model's vocabulary must hold the tokens, and its special ids must be theirs.
pub(crate) fn fits(job: &JobConfig, words: &WordPiece, path: &str) -> anyhow::Result<()> {
    let text = &job.model.text;
    if words.vocab_size() as i64 > text.vocab {
        bail!(
            "{path}: has {} tokens, model.text.vocab = {}: make them equal",
            words.vocab_size(),
            text.vocab
        );
    }
    for (key, configured, found) in [
        ("pad_id", text.pad_id, words.pad_id()),
        ("cls_id", text.cls_id, words.cls_id()),
        ("mask_id", text.mask_id, words.mask_id()),
    ] {
        if configured != found {
            bail!("{path}: model.text.{key} = {configured}, but in this vocabulary it is {found}");
        }
    }
    Ok(())
}

fn recipe(job: &JobConfig, data: &DataConfig, words: Arc<WordPiece>) -> anyhow::Result<Recipe> {
    // Each logical rank is inside one window, or between two.
    let ranks = usize::try_from(job.logical_ranks).unwrap_or(usize::MAX);
    let open_shards = ranks.saturating_mul(data.window.saturating_add(1));
    let corpora = data
        .corpus
        .iter()
        .map(|corpus| Ok((Corpus::open(&corpus.path)?.keeping_indexes(open_shards), corpus.weight)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let order = OrderConfig {
        seed: job.seed,
        logical_ranks: job.logical_ranks,
        local_batch: job.local_batch.unsigned_abs(),
        window: data.window,
    };
    let config = RecipeConfig {
        order,
        augment: job.augment.clone(),
        side: side(job),
        max_words: data.max_words,
        max_tokens: data.max_tokens,
        exact: data.exact,
    };
    Recipe::new(corpora, words, config).context("[data]")
}
