//! The folder of a run: what is written there, and going on from it.
//!
//! ```text
//! config.toml         the resolved configuration
//! vocab.txt           the vocabulary
//! metrics.jsonl       a line for each step that was logged and each evaluation
//! replaced.jsonl      a line for each sample that could not be decoded
//! state.safetensors   the whole state, to go on from with the same bits
//! model.safetensors   the model in its published names, when training has ended
//! ```
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use albef_model::Trainer;
use albef_model::weights::{state, training};
use serde::Serialize;

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
const METRICS: &str = "metrics.jsonl";
const REPLACED: &str = "replaced.jsonl";

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
    /// The configuration of the run cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration cannot be written.
    #[error("the configuration cannot be written as TOML: {0}")]
    Toml(#[from] toml::ser::Error),
    /// A record cannot be written.
    #[error("a record cannot be written as JSON: {0}")]
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
    /// Locked as long as it is open.
    _lock: File,
}

/// What a run has behind it when it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Samples that were replaced.
    pub replaced: u64,
    /// Whether the state was evaluated already.
    pub evaluated: bool,
}

impl RunFolder {
    /// Opens or makes the folder for `job` with this vocabulary. A run of the same job there can be gone on with; one of
    /// another is refused, or with `fresh` thrown away.
    pub fn open(path: &Path, job: &JobConfig, vocabulary: &str, fresh: bool) -> Result<Self> {
        let at = |name: &str| path.join(name);
        fs::create_dir_all(path).map_err(io(path))?;
        let lock =
            OpenOptions::new().create(true).append(true).open(at(METRICS)).map_err(io(&at(METRICS)))?;
        if lock.try_lock().is_err() {
            return Err(FolderError::InUse(path.display().to_string()));
        }
        if fresh {
            for name in [STATE, MODEL, CONFIG, VOCABULARY, REPLACED] {
                if at(name).exists() {
                    fs::remove_file(at(name)).map_err(io(&at(name)))?;
                }
            }
            lock.set_len(0).map_err(io(&at(METRICS)))?;
        }
        if at(CONFIG).exists() {
            let before = JobConfig::load(&at(CONFIG).to_string_lossy())?;
            if let Some(key) = difference(&before, job)? {
                return Err(FolderError::Differs { path: at(CONFIG).display().to_string(), key });
            }
            let written = fs::read_to_string(at(VOCABULARY)).map_err(io(&at(VOCABULARY)))?;
            if written != vocabulary {
                return Err(FolderError::Vocabulary(at(VOCABULARY).display().to_string()));
            }
        } else {
            replace(&at(VOCABULARY), vocabulary.as_bytes())?;
            // Last, so that a folder with a configuration has its vocabulary.
            replace(&at(CONFIG), toml::to_string(job)?.as_bytes())?;
        }
        Ok(Self { path: path.to_owned(), metrics: None, _lock: lock })
    }

    /// Where a file of the folder lies.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether there is a state to go on from.
    pub fn has_state(&self) -> bool {
        self.at(STATE).exists()
    }

    /// Loads the state, if there is one, and forgets the records of steps after it. `steps` are all that there will be:
    /// the evaluation after the last one is made again, since it is what the run ends with.
    pub fn go_on(&mut self, trainer: &mut Trainer, steps: u64) -> Result<Before> {
        if self.has_state() {
            training::load(self.at(STATE), trainer)?;
        }
        let step = trainer.step();
        let evaluation = |line: &Line| line.kind == "evaluation" && line.step == step && step < steps;
        let mut evaluated = false;
        // A step's own records bear its number; an evaluation's is that of the steps before it.
        self.keep_lines(METRICS, |line| {
            evaluated |= evaluation(line);
            line.step < step || evaluation(line)
        })?;
        let replaced = self.keep_lines(REPLACED, |line| line.step < step)?;
        let path = self.at(METRICS);
        self.metrics = Some(BufWriter::new(OpenOptions::new().append(true).open(&path).map_err(io(&path))?));
        Ok(Before { replaced, evaluated })
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
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io(path))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(io(path))?;
    file.persist(path).map_err(|error| io(path)(error.error))?;
    Ok(())
}

/// The first key at which two configurations differ in what they compute.
fn difference(before: &JobConfig, now: &JobConfig) -> Result<Option<String>> {
    let tree = |job: &JobConfig| serde_json::to_value(job);
    Ok(first_difference("", &tree(before)?, &tree(now)?))
}

fn first_difference(path: &str, a: &serde_json::Value, b: &serde_json::Value) -> Option<String> {
    let (serde_json::Value::Object(x), serde_json::Value::Object(y)) = (a, b) else {
        return (a != b).then(|| path.to_owned());
    };
    let null = serde_json::Value::Null;
    x.keys().chain(y.keys().filter(|key| !x.contains_key(*key))).find_map(|key| {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        first_difference(&below, x.get(key).unwrap_or(&null), y.get(key).unwrap_or(&null))
    })
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> FolderError + '_ {
    |source| FolderError::Io { path: path.to_owned(), source }
}
