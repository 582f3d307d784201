//! Icon sets of Iconify: one JSON object whose `icons` hold the bodies of SVG drawings.
//!
//! A set's default size stands after its icons, so a file is read twice: once for what is said of the whole set, once
//! for the icons. Aliases repeat drawings and are left out, as are hidden icons, which newer drawings replace.
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::concept::{concept, has_skin_tone};
use super::json_list;
use super::json_stream::{Broken, JsonStream};
use super::labels::{self, Labels};
use super::text_file::TextFile;
use super::{Item, Records, Scope, SourceError};
use crate::record::{At, ImageRef, Problem, Record};
use crate::storage::{StorageError, name, one_line};

const WANTED: &str = "an Iconify icon set";
/// Most bytes of an icon's name, of its set's name and of its set's description.
const SHORT: usize = 64 << 10;

pub(super) fn read(scope: Scope) -> Result<Records, SourceError> {
    let broken = |broken| match broken {
        Broken::Io(error) => scope.unreadable(error),
        Broken::Cut => scope.not_that(WANTED, "it is cut short"),
        Broken::Wanted(wanted) => scope.not_that(WANTED, &format!("{wanted} expected")),
    };
    let set = Set::read(scope.open_text()?).map_err(broken)?;
    if !set.has_icons {
        return Err(scope.not_that(WANTED, "it has no \"icons\""));
    }
    let problem = |problem: Problem| match problem {
        Problem::Storage(error) => SourceError::Storage(error),
        problem => scope.not_that(WANTED, &problem.to_string()),
    };
    let folder = scope.folder();
    let license = match set.license.clone() {
        None => license(&scope).map_err(problem)?,
        known => known,
    };
    let codes = labels::codes(&scope.storage, &name::join(folder, "chars.json")).map_err(problem)?;
    let labels = Labels::find(&scope.storage).map_err(problem)?;
    let mut stream = JsonStream::new(scope.open_text()?).map_err(broken)?;
    go_to_icons(&mut stream).map_err(broken)?;
    let (key, text) = (Vec::new(), Vec::new());
    Ok(Box::new(Icons { scope, set, license, codes, labels, stream, key, text, over: false }))
}

/// What is said of a whole set.
struct Set {
    prefix: String,
    width: f64,
    height: f64,
    license: Option<String>,
    has_icons: bool,
}

#[derive(Deserialize)]
struct Info {
    license: Option<License>,
}

#[derive(Deserialize)]
struct License {
    spdx: Option<String>,
    title: Option<String>,
}

impl Info {
    fn license(self) -> Option<String> {
        self.license.and_then(|license| license.spdx.or(license.title))
    }
}

#[derive(Deserialize)]
struct Icon {
    body: String,
    width: Option<f64>,
    height: Option<f64>,
    #[serde(default)]
    left: f64,
    #[serde(default)]
    top: f64,
    #[serde(default)]
    hidden: bool,
}

impl Set {
    fn read(reader: TextFile) -> Result<Self, Broken> {
        // Iconify's default size is 16.
        let mut set =
            Self { prefix: String::new(), width: 16.0, height: 16.0, license: None, has_icons: false };
        let mut stream = JsonStream::new(reader)?;
        let (mut key, mut value) = (Vec::new(), Vec::new());
        stream.enter_object()?;
        while stream.next_key(&mut key, SHORT)? {
            match key.as_slice() {
                b"\"prefix\"" if stream.value(&mut value, SHORT)? => {
                    set.prefix = serde_json::from_slice(&value).unwrap_or_default();
                }
                b"\"width\"" if stream.value(&mut value, SHORT)? => {
                    set.width = serde_json::from_slice(&value).unwrap_or(set.width);
                }
                b"\"height\"" if stream.value(&mut value, SHORT)? => {
                    set.height = serde_json::from_slice(&value).unwrap_or(set.height);
                }
                b"\"info\"" if stream.value(&mut value, SHORT)? => {
                    set.license = serde_json::from_slice::<Info>(&value).ok().and_then(Info::license);
                }
                b"\"prefix\"" | b"\"width\"" | b"\"height\"" | b"\"info\"" => {}
                b"\"icons\"" => {
                    set.has_icons = true;
                    stream.skip()?;
                }
                _ => stream.skip()?,
            }
        }
        Ok(set)
    }
}

fn go_to_icons(stream: &mut JsonStream<TextFile>) -> Result<(), Broken> {
    let mut key = Vec::new();
    stream.enter_object()?;
    while stream.next_key(&mut key, SHORT)? {
        if key == b"\"icons\"" {
            return stream.enter_object();
        }
        stream.skip()?;
    }
    Err(Broken::Wanted("\"icons\""))
}

/// The licence in the `info.json` beside the set.
fn license(scope: &Scope) -> Result<Option<String>, Problem> {
    match scope.text(&name::join(scope.folder(), "info.json"), "info.json") {
        Ok(text) => Ok(serde_json::from_str::<Info>(&text).ok().and_then(Info::license)),
        Err(Problem::Storage(StorageError::Missing { .. })) => Ok(None),
        Err(problem) => Err(problem),
    }
}

struct Icons {
    scope: Scope,
    set: Set,
    license: Option<String>,
    codes: HashMap<String, String>,
    labels: Labels,
    stream: JsonStream<TextFile>,
    key: Vec<u8>,
    text: Vec<u8>,
    over: bool,
}

impl Icons {
    /// The next icon that is not left out.
    fn step(&mut self) -> Result<Option<Item>, Broken> {
        let limit = self.scope.options.record_bytes;
        while self.stream.next_key(&mut self.key, SHORT)? {
            let name = serde_json::from_slice::<String>(&self.key).unwrap_or_default();
            let fits = self.stream.value(&mut self.text, limit)?;
            let at = At::Key(name.as_str().into());
            let icon = match fits {
                true => self.icon(&name),
                false => Err(Problem::TooLong { what: "the icon", limit: limit as u64 }),
            };
            match icon {
                Ok(None) => {}
                Ok(Some(record)) => return Ok(Some(Ok(record))),
                Err(problem) => return Ok(Some(Err(self.scope.bad(at, problem)))),
            }
        }
        self.over = true;
        Ok(None)
    }

    fn icon(&self, name: &str) -> Result<Option<Record>, Problem> {
        if name.is_empty() {
            return Err(Problem::Absent { field: "name".to_owned() });
        }
        if !self.scope.options.skin_tones && has_skin_tone(&self.set.prefix, name) {
            return Ok(None);
        }
        let icon: Icon = serde_json::from_slice(&self.text).map_err(|error| Problem::Syntax {
            format: "Iconify",
            reason: one_line(error.to_string().split(" at line ").next().unwrap_or_default()),
        })?;
        if icon.hidden {
            return Ok(None);
        }
        let (captions, fields) = self.captions(name);
        let mut extra = Map::new();
        extra.insert("set".to_owned(), json!(self.set.prefix));
        extra.insert("name".to_owned(), json!(name));
        extra.insert("concept".to_owned(), json!(concept(name)));
        extra.insert("fields".to_owned(), json!(fields));
        if let Some(license) = &self.license {
            extra.insert("license".to_owned(), Value::String(license.clone()));
        }
        Ok(Some(Record {
            origin: self.scope.origin(At::Key(name.into())),
            key: format!("{}:{name}", self.set.prefix),
            image: ImageRef::Svg(self.drawing(&icon)),
            captions,
            extra,
        }))
    }

    fn drawing(&self, icon: &Icon) -> String {
        let (width, height) = (icon.width.unwrap_or(self.set.width), icon.height.unwrap_or(self.set.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"{} {} {width} {height}\">{}</svg>",
            icon.left, icon.top, icon.body
        )
    }

    /// The icon's name as words, its label where that says more, and its keywords in one caption; with the name of each.
    fn captions(&self, name: &str) -> (Vec<String>, Vec<&'static str>) {
        let words = name.replace('-', " ");
        let label = self.codes.get(name).and_then(|code| self.labels.of_code(code));
        let keywords = label
            .map(|label| &label.keywords)
            .filter(|keywords| !keywords.is_empty())
            .or_else(|| self.labels.keywords_of_name(name))
            .filter(|keywords| !keywords.is_empty());
        let label = label.filter(|label| label.text != words);
        let texts = [
            Some(("name", words)),
            label.map(|label| ("label", label.text.clone())),
            keywords.map(|keywords| ("keywords", keywords.join(", "))),
        ];
        texts.into_iter().flatten().map(|(field, text)| (text, field)).unzip()
    }
}

impl Iterator for Icons {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.over {
            return None;
        }
        self.step().unwrap_or_else(|broken| {
            self.over = true;
            let at = At::Key(String::from_utf8_lossy(&self.key).trim_matches('"').into());
            Some(Err(json_list::bad(&self.scope, at, broken)))
        })
    }
}
