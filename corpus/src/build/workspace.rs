//! The folder of an unfinished build.
//!
//! ```text
//! .build/lock          held by the process that builds
//! .build/config.json   whose build this is: without it, what else lies here is the rest of one that was being deleted
//! .build/unfinished/   files that are not whole yet
//! .build/HASH/         what the passes have done, for the configuration of that hash
//! ```
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::survey::facts_name;
use super::{BuildConfig, BuildError, Report, Result};
use crate::shard::MANIFEST;
use crate::storage::{Lock, Storage, StorageError};

/// Everything in it is deleted when the build is finished.
const FOLDER: &str = ".build";
/// The report, in JSON.
pub(super) const REPORT: &str = "report.json";

/// What marks the folder as a build to go on with.
const CONFIG: &str = ".build/config.json";
/// Where the output's files lie until they are whole.
const UNFINISHED: &str = ".build/unfinished";

/// Files of an unfinished build, and the corpus that it becomes.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) out: Storage,
    config: serde_json::Value,
    /// Where the passes put their files. Builds of two configurations that meet where nothing can be locked read none of
    /// each other's.
    work: String,
    /// Held while the build goes on, so that a second one does not clean up behind the first.
    _lock: Option<Lock>,
}

impl Workspace {
    /// Begins a build, or goes on with one of the same configuration.
    pub(super) fn open(out: &Storage, config: &BuildConfig) -> Result<Self> {
        let config = serde_json::to_value(config)?;
        let text = serde_json::to_vec(&config)?;
        let work = format!("{FOLDER}/{}", &blake3::hash(&text).to_hex()[..16]);
        let workspace = Self { out: out.clone().with_unfinished_in(UNFINISHED), config, work, _lock: None };
        // A finished corpus may be somewhere that cannot be written.
        if out.exists(MANIFEST)? {
            return Ok(workspace);
        }
        let lock = out.lock(&format!("{FOLDER}/lock"))?;
        let lock = lock.ok_or_else(|| BuildError::Busy { path: out.location().to_owned() })?;
        let workspace = Self { _lock: Some(lock), ..workspace };
        // The one that held the lock may have finished meanwhile.
        if out.exists(MANIFEST)? {
            return Ok(workspace);
        }
        workspace.out.delete_folder(UNFINISHED)?;
        if !workspace.out.exists(CONFIG)? {
            workspace.out.delete_folder(&workspace.work)?;
        }
        if !workspace.out.write_new(CONFIG, text)?
            && workspace.json::<serde_json::Value>(CONFIG)?.is_some_and(|found| found != workspace.config)
        {
            return Err(BuildError::OtherBuild { path: workspace.path() });
        }
        Ok(workspace)
    }

    /// The report of a build that is finished already.
    pub(super) fn finished(&self) -> Result<Option<Report>> {
        if !self.out.exists(MANIFEST)? {
            return Ok(None);
        }
        let damaged = |problem: String| BuildError::Workspace { path: self.out.path(MANIFEST), problem };
        let manifest = crate::shard::Manifest::from_bytes(&self.out.read(MANIFEST)?)
            .map_err(|error| damaged(error.to_string()))?;
        if manifest.config != self.config {
            return Err(BuildError::OtherCorpus { path: self.out.location().to_owned() });
        }
        self.clean()?;
        let report = self.out.read(REPORT)?;
        Ok(Some(serde_json::from_slice(&report).map_err(|error| damaged(error.to_string()))?))
    }

    /// The configuration, defaults included.
    pub(super) fn config(&self) -> &serde_json::Value {
        &self.config
    }

    /// The folder, for messages.
    pub(super) fn path(&self) -> String {
        self.out.path(FOLDER)
    }

    /// A value that was written under `name`.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        self.json(&self.name(name))
    }

    /// As [`Workspace::read`], of a value that an earlier pass has written.
    pub(super) fn need<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        self.read(name)?.ok_or_else(|| self.gone(name))
    }

    /// Writes a value under `name`.
    pub(super) fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        Ok(self.out.write(&self.name(name), serde_json::to_vec(value)?)?)
    }

    /// Values that were written under `name`, one a line.
    pub(super) fn read_lines<T: DeserializeOwned>(&self, name: &str) -> Result<Option<Vec<T>>> {
        let name = self.name(name);
        let Some(bytes) = self.bytes(&name)? else { return Ok(None) };
        serde_json::Deserializer::from_slice(&bytes)
            .into_iter()
            .collect::<Result<_, _>>()
            .map(Some)
            .map_err(|error| self.damaged(&name, &error))
    }

    /// As [`Workspace::read_lines`], of values that an earlier pass has written.
    pub(super) fn need_lines<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>> {
        self.read_lines(name)?.ok_or_else(|| self.gone(name))
    }

    /// Writes values under `name`, one a line.
    pub(super) fn write_lines<T: Serialize>(&self, name: &str, values: &[T]) -> Result<()> {
        let mut bytes = Vec::new();
        for value in values {
            serde_json::to_writer(&mut bytes, value)?;
            bytes.push(b'\n');
        }
        Ok(self.out.write(&self.name(name), bytes)?)
    }

    /// Raw bytes that were written under `name`.
    pub(super) fn read_bytes(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.bytes(&self.name(name))?.map(|bytes| bytes.to_vec()))
    }

    /// Writes raw bytes under `name`.
    pub(super) fn write_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        Ok(self.out.write(&self.name(name), bytes)?)
    }

    /// That nobody has deleted what the passes have done.
    pub(super) fn is_still_here(&self) -> Result<()> {
        match self.out.exists(CONFIG)? {
            true => Ok(()),
            false => Err(BuildError::Gone { path: self.out.path(CONFIG) }),
        }
    }

    /// Deletes the folder.
    pub(super) fn clean(&self) -> Result<()> {
        // First what says that there is something to go on with.
        match self.out.delete(CONFIG) {
            Ok(()) | Err(StorageError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.out.delete_folder(FOLDER)?)
    }

    /// Deletes the folder if nothing is done yet, so that another configuration can be tried after an error.
    pub(super) fn leave(&self) {
        let is_begun = self.out.exists(&self.name(&facts_name(0)));
        if is_begun.is_ok_and(|begun| !begun) {
            // The error that ends the build says more than a folder that stays.
            let _ = self.clean();
        }
    }

    fn gone(&self, name: &str) -> BuildError {
        BuildError::Gone { path: self.out.path(&self.name(name)) }
    }

    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.work)
    }

    fn bytes(&self, name: &str) -> Result<Option<Bytes>> {
        match self.out.read(name) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StorageError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| self.damaged(name, &error))
    }

    fn damaged(&self, name: &str, error: &serde_json::Error) -> BuildError {
        BuildError::Workspace { path: self.out.path(name), problem: error.to_string() }
    }
}
