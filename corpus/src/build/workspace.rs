//! The folder of an unfinished build.
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BuildConfig, BuildError, Report, Result};
use crate::shard::MANIFEST;
use crate::storage::{Storage, StorageError};

/// Everything in it is deleted when the build is finished.
const FOLDER: &str = ".build";
/// The report, in JSON.
pub(super) const REPORT: &str = "report.json";

/// Files of an unfinished build, and the corpus that it becomes.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) out: Storage,
    config: serde_json::Value,
}

impl Workspace {
    /// Begins a build, or goes on with one of the same configuration.
    pub(super) fn open(out: &Storage, config: &BuildConfig) -> Result<Self> {
        let workspace = Self { out: out.clone(), config: serde_json::to_value(config)? };
        if out.exists(MANIFEST)? {
            return Ok(workspace);
        }
        match workspace.read::<serde_json::Value>("config.json")? {
            Some(found) if found == workspace.config => {}
            Some(_) => return Err(BuildError::OtherBuild { path: workspace.path() }),
            None => workspace.write("config.json", &workspace.config)?,
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
        let name = format!("{FOLDER}/{name}");
        if !self.out.exists(&name)? {
            return Ok(None);
        }
        let bytes = self.out.read(&name)?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| self.damaged(&name, &error))
    }

    /// Writes a value under `name`.
    pub(super) fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        Ok(self.out.write(&format!("{FOLDER}/{name}"), serde_json::to_vec(value)?)?)
    }

    /// Values that were written under `name`, one a line.
    pub(super) fn read_lines<T: DeserializeOwned>(&self, name: &str) -> Result<Option<Vec<T>>> {
        let name = format!("{FOLDER}/{name}");
        if !self.out.exists(&name)? {
            return Ok(None);
        }
        let bytes = self.out.read(&name)?;
        serde_json::Deserializer::from_slice(&bytes)
            .into_iter()
            .collect::<Result<_, _>>()
            .map(Some)
            .map_err(|error| self.damaged(&name, &error))
    }

    /// Writes values under `name`, one a line.
    pub(super) fn write_lines<T: Serialize>(&self, name: &str, values: &[T]) -> Result<()> {
        let mut bytes = Vec::new();
        for value in values {
            serde_json::to_writer(&mut bytes, value)?;
            bytes.push(b'\n');
        }
        Ok(self.out.write(&format!("{FOLDER}/{name}"), bytes)?)
    }

    /// Raw bytes that were written under `name`.
    pub(super) fn read_bytes(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let name = format!("{FOLDER}/{name}");
        Ok(if self.out.exists(&name)? { Some(self.out.read(&name)?.to_vec()) } else { None })
    }

    /// Writes raw bytes under `name`.
    pub(super) fn write_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        Ok(self.out.write(&format!("{FOLDER}/{name}"), bytes)?)
    }

    /// Deletes the folder.
    pub(super) fn clean(&self) -> Result<()> {
        let names = match self.out.list(FOLDER) {
            Ok(names) => names,
            Err(StorageError::Missing { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for name in names {
            self.out.delete(&name)?;
        }
        Ok(())
    }

    fn damaged(&self, name: &str, error: &serde_json::Error) -> BuildError {
        BuildError::Workspace { path: self.out.path(name), problem: error.to_string() }
    }
}
