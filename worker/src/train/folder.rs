//! The folder of a run: what is written there, and going on from it.
//!
//! ```text
//! config.toml         the resolved configuration
//! vocab.txt           the vocabulary
//! corpora.json        the corpora, by the hashes of their manifests
//! metrics.jsonl       a line for each step that was logged and each evaluation
//! replaced.jsonl      a line for each sample that could not be decoded
//! state.safetensors   the whole state, to go on from with the same bits
//! model.safetensors   the model in its published names, when training has ended
//! ```
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use albef_model::Trainer;
use albef_model::weights::{file, state, training};
use serde::Serialize;

use super::identity::{CorpusIdentity, Identity, difference};
use super::record::{Line, Record};
use crate::config::{ConfigError, JobConfig};
use crate::loader::Replaced;

/// Name of the configuration.
pub const CONFIG: &str = "config.toml";
/// Name of the vocabulary.
pub const VOCABULARY: &str = "vocab.txt";
/// Name of the model in published names.
pub const MODEL: &str = "model.safetensors";
/// Name of the whole state.
pub const STATE: &str = "state.safetensors";
const CORPORA: &str = "corpora.json";
const METRICS: &str = "metrics.jsonl";
const REPLACED: &str = "replaced.jsonl";
/// What names of files begin with that are not whole yet.
const UNFINISHED: &str = ".run-";

/// Why the folder of a run cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Another process trains into the folder.
    #[error("{0}: another process trains into this folder; wait for it or give another --out")]
    InUse(String),
    /// The folder holds a run of another configuration.
    #[error(
        "{path} holds a run whose configuration differs at {key}; give another --out, or --fresh to throw that run away"
    )]
    Differs {
        /// The configuration of that run.
        path: String,
        /// The first key that differs.
        key: String,
    },
    /// The vocabulary is another than that of the run.
    #[error("{0} is not the vocabulary of this job; give another --out, or --fresh to throw that run away")]
    Vocabulary(String),
    /// The corpora are others than those of the run.
    #[error(
        "{0}: the corpora of this job are not those that the run was trained on; give another --out, or --fresh to throw \
         that run away"
    )]
    Corpora(String),
    /// There is a result, but nothing to go on from.
    #[error("{0} is a trained model whose state is gone; give another --out, or --fresh to replace it")]
    NoState(String),
    /// The configuration of the run cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration cannot be written.
    #[error("the configuration cannot be written as TOML: {0}")]
    Toml(#[from] toml::ser::Error),
    /// A record cannot be written.
    #[error("a record cannot be read or written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The state cannot be read or written.
    #[error(transparent)]
    Weights(#[from] albef_model::Error),
}

type Result<T, E = FolderError> = std::result::Result<T, E>;

/// The folder of a run, which no other process can use meanwhile.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: Option<BufWriter<File>>,
    /// Whether what lies there is thrown away when the run begins.
    fresh: bool,
    /// The metrics, locked as long as they are open.
    lock: File,
}

/// What a run has behind it when it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Samples that were replaced.
    pub replaced: u64,
    /// How long it has lasted.
    pub elapsed: Duration,
    /// Whether the state was evaluated already.
    pub evaluated: bool,
}

/// Where a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Steps in all.
    pub steps: u64,
    /// How long it may last, all starts together.
    pub limit: Option<Duration>,
}

impl End {
    /// Whether nothing is left to do after `steps` steps in `elapsed`.
    pub fn is_reached(&self, steps: u64, elapsed: Duration) -> bool {
        steps >= self.steps || self.limit.is_some_and(|limit| elapsed >= limit)
    }
}

impl RunFolder {
    /// Opens or makes the folder for the run `identity`, and changes nothing in it yet. A run of the same job there can
    /// be gone on with; one of another is refused, or with `fresh` thrown away as soon as this one begins.
    pub fn open(path: &Path, identity: &Identity<'_>, fresh: bool) -> Result<Self> {
        fs::create_dir_all(path).map_err(io(path))?;
        let metrics = path.join(METRICS);
        let lock = OpenOptions::new().create(true).append(true).open(&metrics).map_err(io(&metrics))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse(path.display().to_string())),
            // A file system without locks: two runs that meet there are the user's to keep apart.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(io(&metrics)(error)),
        }
        let folder = Self { path: path.to_owned(), metrics: None, fresh, lock };
        folder.sweep()?;
        if !fresh && folder.has_state() {
            folder.check(identity)?;
        } else if !fresh && folder.at(MODEL).exists() {
            return Err(FolderError::NoState(folder.at(MODEL).display().to_string()));
        }
        Ok(folder)
    }

    /// Removes what a killed process left half written.
    fn sweep(&self) -> Result<()> {
        for entry in fs::read_dir(&self.path).map_err(io(&self.path))? {
            let entry = entry.map_err(io(&self.path))?;
            let name = entry.file_name();
            if [UNFINISHED, file::UNFINISHED].iter().any(|prefix| name.to_string_lossy().starts_with(prefix))
            {
                fs::remove_file(entry.path()).map_err(io(&entry.path()))?;
            }
        }
        Ok(())
    }

    /// Whether the state that is there is of the same run.
    fn check(&self, identity: &Identity<'_>) -> Result<()> {
        let path = self.at(CONFIG).display().to_string();
        let before = JobConfig::load(&self.at(CONFIG).to_string_lossy())?;
        if let Some(key) = difference(&before, identity.job)? {
            return Err(FolderError::Differs { path, key });
        }
        let read = |name: &str| fs::read_to_string(self.at(name)).map_err(io(&self.at(name)));
        if read(VOCABULARY)? != identity.vocabulary {
            return Err(FolderError::Vocabulary(self.at(VOCABULARY).display().to_string()));
        }
        let corpora: Vec<CorpusIdentity> = serde_json::from_str(&read(CORPORA)?)?;
        let manifests = |corpora: &[CorpusIdentity]| -> Vec<String> {
            corpora.iter().map(|corpus| corpus.manifest.clone()).collect()
        };
        if manifests(&corpora) != manifests(&identity.corpora) {
            return Err(FolderError::Corpora(self.at(CORPORA).display().to_string()));
        }
        Ok(())
    }

    /// Where a file of the folder lies.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether there is a state to go on from.
    pub fn has_state(&self) -> bool {
        !self.fresh && self.at(STATE).exists()
    }

    /// Begins the run, or loads its state and forgets the records of steps after it. The evaluation that a run ended with
    /// is forgotten, too, since it is made again.
    pub fn go_on(&mut self, identity: &Identity<'_>, trainer: &mut Trainer, end: End) -> Result<Before> {
        let loaded = self.has_state();
        if loaded {
            training::load(self.at(STATE), trainer)?;
        } else {
            for name in [STATE, MODEL, REPLACED] {
                if self.at(name).exists() {
                    fs::remove_file(self.at(name)).map_err(io(&self.at(name)))?;
                }
            }
            self.lock.set_len(0).map_err(io(&self.at(METRICS)))?;
            replace(&self.at(VOCABULARY), identity.vocabulary.as_bytes())?;
            replace(&self.at(CORPORA), &serde_json::to_vec_pretty(&identity.corpora)?)?;
        }
        // Keys that no weight depends on may have changed.
        replace(&self.at(CONFIG), toml::to_string(identity.job)?.as_bytes())?;

        let step = trainer.step();
        let (mut elapsed, mut evaluated) = (Duration::ZERO, false);
        // A step's own records bear its number; an evaluation's is that of the steps before it.
        self.keep_lines(METRICS, |line| {
            if line.step < step {
                elapsed = line.elapsed.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or(elapsed);
                return true;
            }
            let kept = line.kind == "evaluation" && line.step == step && !end.is_reached(step, elapsed);
            evaluated |= kept;
            kept
        })?;
        let replaced = self.keep_lines(REPLACED, |line| line.step < step)?;
        if loaded && !end.is_reached(step, elapsed) && self.at(MODEL).exists() {
            // It was of this step, and would soon be older than the state.
            fs::remove_file(self.at(MODEL)).map_err(io(&self.at(MODEL)))?;
        }
        let path = self.at(METRICS);
        self.metrics = Some(BufWriter::new(OpenOptions::new().append(true).open(&path).map_err(io(&path))?));
        self.fresh = false;
        Ok(Before { replaced, elapsed, evaluated })
    }

    /// Keeps the whole lines of a file, from its beginning, that `keep` accepts, and returns how many there are.
    fn keep_lines(&self, name: &str, mut keep: impl FnMut(&Line) -> bool) -> Result<u64> {
        let path = self.at(name);
        if !path.exists() {
            return Ok(0);
        }
        let mut reader = BufReader::new(File::open(&path).map_err(io(&path))?);
        let (mut line, mut end, mut lines) = (String::new(), 0, 0);
        while reader.read_line(&mut line).map_err(io(&path))? > 0 {
            let kept =
                line.ends_with('\n') && serde_json::from_str::<Line>(&line).is_ok_and(|line| keep(&line));
            if !kept {
                break;
            }
            end += line.len() as u64;
            lines += 1;
            line.clear();
        }
        // In place: the lock is held on this file, and cutting it off cannot leave half a line.
        let file = OpenOptions::new().write(true).open(&path).map_err(io(&path))?;
        file.set_len(end).map_err(io(&path))?;
        Ok(lines)
    }

    /// Appends a line to the metrics.
    pub fn record(&mut self, record: &Record) -> Result<()> {
        let path = self.at(METRICS);
        if let Some(metrics) = &mut self.metrics {
            append(metrics, record)?.map_err(io(&path))?;
        }
        Ok(())
    }

    /// Appends the samples that were replaced.
    pub fn list(&self, replaced: &[Replaced]) -> Result<()> {
        if replaced.is_empty() {
            return Ok(());
        }
        let path = self.at(REPLACED);
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(io(&path))?;
        let mut file = BufWriter::new(file);
        for sample in replaced {
            append(&mut file, &Listed { kind: "replaced", sample })?.map_err(io(&path))?;
        }
        Ok(())
    }

    /// Saves the whole state: the old one stays until the new one is complete.
    pub fn save(&self, trainer: &Trainer) -> Result<()> {
        Ok(training::save(self.at(STATE), trainer)?)
    }

    /// Writes the model in its published names.
    pub fn export(&self, trainer: &Trainer) -> Result<()> {
        Ok(state::save(self.at(MODEL), trainer.model(), trainer.queue())?)
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    kind: &'static str,
    #[serde(flatten)]
    sample: &'a Replaced,
}

/// Writes one line and hands it to the operating system, so that whoever watches the file sees it.
fn append(to: &mut impl Write, value: &impl Serialize) -> Result<std::io::Result<()>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(to.write_all(&line).and_then(|()| to.flush()))
}

/// Writes a file under another name and renames it.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let ordinary = fs::Permissions::from_mode(0o666);
    let mut builder = tempfile::Builder::new();
    let mut file = builder.prefix(UNFINISHED).permissions(ordinary).tempfile_in(folder).map_err(io(path))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(io(path))?;
    file.persist(path).map_err(|error| io(path)(error.error))?;
    Ok(())
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> FolderError + '_ {
    |source| FolderError::Io { path: path.to_owned(), source }
}
