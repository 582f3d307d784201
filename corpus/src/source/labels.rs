//! Labels and keywords of emoji by code point, as emojibase gives them (from the Unicode CLDR).
use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use super::json_stream::{Broken, JsonStream};
use crate::record::Problem;
use crate::storage::{Storage, StorageReader, one_line};

/// Most bytes of a file of labels or code points; emojibase's has 0.8 MB.
const LIMIT: u64 = 64 << 20;

#[derive(Default)]
pub(super) struct Labels {
    by_code: HashMap<String, Label>,
    keywords_by_label: HashMap<String, Arc<[String]>>,
}

#[derive(Clone)]
pub(super) struct Label {
    pub(super) text: String,
    pub(super) keywords: Arc<[String]>,
}

#[derive(Deserialize)]
struct Emoji {
    label: String,
    hexcode: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    skins: Vec<Emoji>,
}

impl Labels {
    /// The labels in `en/data.json` of emojibase's package, if `storage` has it at its root.
    pub(super) fn find(storage: &Storage) -> Result<Self, Problem> {
        for folder in ["emojibase-data", "emojibase-data/package"] {
            let name = format!("{folder}/en/data.json");
            if !storage.exists(&name)? {
                continue;
            }
            let bytes = storage.file(&name)?.read_all(LIMIT)?;
            let emoji: Vec<Emoji> = serde_json::from_slice(&bytes).map_err(|error| Problem::Syntax {
                format: "emojibase data",
                reason: one_line(&format!("{}: {error}", storage.path(&name))),
            })?;
            return Ok(Self::new(emoji));
        }
        Ok(Self::default())
    }

    fn new(emoji: Vec<Emoji>) -> Self {
        let mut labels = Self::default();
        for Emoji { label, hexcode, tags, skins } in emoji {
            let keywords: Arc<[String]> = tags.into();
            let skins = skins.into_iter().map(|skin| (skin.label, skin.hexcode));
            for (text, code) in std::iter::once((label, hexcode)).chain(skins) {
                labels.keywords_by_label.insert(letters(&text), keywords.clone());
                labels.by_code.insert(plain_code(&code), Label { text, keywords: keywords.clone() });
            }
        }
        labels
    }

    pub(super) fn of_code(&self, code: &str) -> Option<&Label> {
        self.by_code.get(code)
    }

    /// Keywords of the emoji whose label is the icon's name.
    pub(super) fn keywords_of_name(&self, name: &str) -> Option<&Arc<[String]>> {
        self.keywords_by_label.get(&letters(name))
    }
}

/// The code point of each icon of a set: the first one that `chars.json` gives it.
pub(super) fn codes(storage: &Storage, name: &str) -> Result<HashMap<String, String>, Problem> {
    let mut codes = HashMap::new();
    if !storage.exists(name)? {
        return Ok(codes);
    }
    let file = storage.file(name)?;
    if file.size() > LIMIT {
        return Err(Problem::TooLong { what: "chars.json", limit: LIMIT });
    }
    let path = file.path().to_owned();
    read_codes(file.reader(), &mut codes).map_err(|broken| match broken {
        Broken::Io(error) => Problem::Storage(StorageReader::storage_error(error, &path)),
        Broken::Cut => Problem::Syntax { format: "chars.json", reason: "it is cut short".to_owned() },
        Broken::Wanted(wanted) => {
            Problem::Syntax { format: "chars.json", reason: format!("{wanted} expected") }
        }
    })?;
    Ok(codes)
}

/// The order of the file decides, which a parsed object does not keep.
fn read_codes(reader: StorageReader, codes: &mut HashMap<String, String>) -> Result<(), Broken> {
    const LONGEST: usize = 1024;
    let mut stream = JsonStream::new(reader)?;
    let (mut code, mut icon) = (Vec::new(), Vec::new());
    stream.enter_object()?;
    while stream.next_key(&mut code, LONGEST)? {
        stream.value(&mut icon, LONGEST)?;
        let code = serde_json::from_slice::<String>(&code);
        let icon = serde_json::from_slice::<String>(&icon);
        if let (Ok(code), Ok(icon)) = (code, icon) {
            codes.entry(icon).or_insert_with(|| plain_code(&code));
        }
    }
    Ok(())
}

/// A code point sequence in lower case, without the selector of the coloured form, which the two sources write or not.
fn plain_code(code: &str) -> String {
    code.to_ascii_lowercase().replace("-fe0f", "")
}

fn letters(text: &str) -> String {
    text.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect()
}
