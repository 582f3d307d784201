//! What makes a run that run: its configuration, its vocabulary, the corpora it is trained on.
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::JobConfig;

/// Keys that may change between two starts of a run: they say where things lie, how the machine is used, what is
/// reported, and when to stop. No weight depends on them.
const FREE: [&str; 8] = [
    "data.vocabulary",
    "data.prefetch",
    "data.threads",
    "data.readers",
    "train.max_minutes",
    "train.save_every",
    "train.log_every",
    "evaluation",
];

/// What a run is trained on and how.
#[derive(Debug)]
pub struct Identity<'a> {
    /// The resolved configuration.
    pub job: &'a JobConfig,
    /// The vocabulary's text.
    pub vocabulary: &'a str,
    /// The corpora, in the order of the configuration.
    pub corpora: Vec<CorpusIdentity>,
}

/// A corpus as a run remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorpusIdentity {
    /// Where it lay.
    pub path: String,
    /// BLAKE3 of its manifest, which has the hashes of all other files.
    pub manifest: String,
}

/// The first key at which two configurations differ in what they compute.
pub(super) fn difference(before: &JobConfig, now: &JobConfig) -> serde_json::Result<Option<String>> {
    let tree = |job: &JobConfig| {
        let mut tree = serde_json::to_value(job)?;
        for key in FREE {
            remove(&mut tree, key);
        }
        // Corpora are compared by what is in them.
        for corpus in tree.pointer_mut("/data/corpus").and_then(Value::as_array_mut).into_iter().flatten() {
            remove(corpus, "path");
        }
        Ok::<_, serde_json::Error>(tree)
    };
    Ok(first_difference("", &tree(before)?, &tree(now)?))
}

fn remove(tree: &mut Value, key: &str) {
    match key.split_once('.') {
        Some((section, key)) => {
            if let Some(section) = tree.get_mut(section) {
                remove(section, key);
            }
        }
        None => {
            tree.as_object_mut().map(|table| table.remove(key));
        }
    }
}

fn first_difference(path: &str, a: &Value, b: &Value) -> Option<String> {
    let (Value::Object(x), Value::Object(y)) = (a, b) else {
        return (a != b).then(|| path.to_owned());
    };
    x.keys().chain(y.keys().filter(|key| !x.contains_key(*key))).find_map(|key| {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        first_difference(&below, x.get(key).unwrap_or(&Value::Null), y.get(key).unwrap_or(&Value::Null))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo(replaced: &[&str]) -> JobConfig {
        let replaced: Vec<String> = replaced.iter().map(|&setting| setting.to_owned()).collect();
        JobConfig::load_with("demo", &replaced).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn what_no_weight_depends_on_may_change_and_nothing_else() {
        let before = demo(&[]);
        let same = demo(&[
            "data.threads=7",
            "data.vocabulary=\"elsewhere.txt\"",
            "data.corpus=[{ path = \"elsewhere\" }]",
            "train.max_minutes=1",
            "evaluation.every=3",
        ]);
        assert_eq!(difference(&before, &same).ok().flatten(), None);
        for (setting, key) in [
            ("data.corpus=[{ path = \"data/demo/train\", weight = 2.0 }]", "data.corpus"),
            ("data.max_tokens=11", "data.max_tokens"),
            ("seed=1", "seed"),
            ("train.dtype=\"fp32\"", "train.dtype"),
            ("optimizer.clip_norm=1.0", "optimizer.clip_norm"),
        ] {
            assert_eq!(difference(&before, &demo(&[setting])).ok().flatten().as_deref(), Some(key));
        }
    }
}
