//! Within what captions are counted.
use std::collections::HashSet;
use std::sync::Arc;

use super::fact::Fact;
use crate::record::Origin;
use crate::source::{Kind, Source};

/// Captions are counted per source, and per set where a source has more icon sets than images may share a caption:
/// every set draws a "home", and none draws it twice.
#[derive(Debug)]
pub(super) struct Scopes {
    /// Names of the sources whose sets count by themselves.
    by_set: HashSet<Arc<str>>,
}

impl Scopes {
    /// Scopes of `sources`, where `most` images may share a caption.
    pub(super) fn new(sources: &[Source], most: usize) -> Self {
        let by_set = |source: &&Source| source.kind() == Kind::Iconify && source.files().len() > most;
        Self { by_set: sources.iter().filter(by_set).map(|source| source.name().into()).collect() }
    }

    /// A number for the scope of a record.
    pub(super) fn of(&self, fact: &Fact) -> u32 {
        let Origin { source, file, .. } = &fact.origin;
        let mut hasher = blake3::Hasher::new();
        hasher.update(source.as_bytes());
        if self.by_set.contains(source) {
            hasher.update(b"\0").update(file.as_bytes());
        }
        let hash = hasher.finalize();
        u32::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
    }
}
