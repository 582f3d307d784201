//! A model that training has saved: the folder of a run.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use albef_corpus::text::{Vocabulary, WordPiece};
use albef_model::trainer::initial_state;
use albef_model::weights::file::TensorFile;
use albef_model::weights::state;
use albef_model::{Albef, Precision};
use anyhow::bail;
use tch::Device;

use crate::config::{DataConfig, JobConfig};
use crate::train::{CONFIG, MODEL, STATE, VOCABULARY, fits};

/// A trained model with what it needs to be asked.
#[derive(Debug)]
pub struct SavedModel {
    /// The job that trained it.
    pub job: JobConfig,
    /// The weights.
    pub model: Albef,
    /// Its vocabulary, by id.
    pub vocabulary: Vocabulary,
    /// The same, to encode with.
    pub words: Arc<WordPiece>,
}

impl SavedModel {
    /// Opens the folder of a run: its finished model, or that of its last saved state.
    ///
    /// # Errors
    /// One line that names the file that is missing, or does not fit the others.
    pub fn open(folder: &Path, device: Device) -> anyhow::Result<Self> {
        let at = |name: &str| folder.join(name);
        if !at(CONFIG).is_file() {
            bail!(
                "{}: has no {CONFIG}, so it is not the folder of a run; `albef-worker train … --out` makes one",
                folder.display()
            );
        }
        let job = JobConfig::load(&at(CONFIG).to_string_lossy())?;
        let vocabulary = Vocabulary::load(at(VOCABULARY))?;
        let words = Arc::new(WordPiece::new(&vocabulary)?);
        fits(&job, &words, &at(VOCABULARY).to_string_lossy())?;
        let (path, prefix) = weights(folder)?;
        let (mut model, _) = initial_state(&job.model, device, job.seed)?;
        state::load_for_evaluation(&TensorFile::open(path)?, prefix, &mut model)?;
        Ok(Self { job, model, vocabulary, words })
    }

    /// Side of its images, pixels.
    pub fn side(&self) -> u32 {
        u32::try_from(self.job.model.vision.image_res).unwrap_or(u32::MAX)
    }

    /// Words and tokens that it keeps of a caption.
    pub fn text_limits(&self) -> (usize, usize) {
        let data = self.job.data.as_ref();
        data.map_or((30, 25), |DataConfig { max_words, max_tokens, .. }| (*max_words, *max_tokens))
    }

    /// The arithmetic that was asked for, or that of its training.
    pub fn precision(&self, asked: Option<Precision>) -> anyhow::Result<Precision> {
        let precision = asked.unwrap_or(self.job.train.dtype);
        precision.activate()?;
        Ok(precision)
    }
}

/// The file with the weights, and what its names begin with.
fn weights(folder: &Path) -> anyhow::Result<(PathBuf, &'static str)> {
    match [(MODEL, ""), (STATE, "model.")].into_iter().find(|(name, _)| folder.join(name).is_file()) {
        Some((name, prefix)) => Ok((folder.join(name), prefix)),
        None => bail!("{}: has neither {MODEL} nor {STATE}; train until the first save", folder.display()),
    }
}
