//! A record from the fields of a JSON object.
use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::scope::Scope;
use crate::record::{At, BadRecord, Problem, Record};
use crate::storage::one_line;

/// Most captions of a record. Sets of paraphrases have some dozens.
const MOST_CAPTIONS: usize = 1000;
/// Most values of a record, nested ones included, counted by what comes before each. A value of two bytes takes thirty in
/// memory, and those of many records are held at once.
const MOST_VALUES: usize = 50_000;

/// The record that the text of one JSON object is.
pub(super) fn record(scope: &mut Scope, bytes: &[u8], at: At) -> Result<Record, BadRecord> {
    match object(bytes).and_then(|fields| from_fields(scope, fields, &at)) {
        Ok(record) => Ok(record),
        Err(problem) => Err(scope.bad(at, problem)),
    }
}

fn from_fields(scope: &mut Scope, mut fields: Map<String, Value>, at: &At) -> Result<Record, Problem> {
    let options = scope.options.clone();
    let path = match fields.remove(&options.image) {
        Some(Value::String(path)) => path,
        Some(other) => return Err(wrong_type(&options.image, "a path", &other)),
        None => return Err(Problem::Absent { field: options.image.clone() }),
    };
    let mut captions = Vec::new();
    let mut any = false;
    for field in [options.caption.as_str(), "captions"] {
        if let Some(value) = fields.remove(field) {
            any = true;
            captions.extend(texts(field, value)?);
        }
    }
    if !any {
        return Err(Problem::Absent { field: options.caption.clone() });
    }
    let (image, key) = scope.image(&path)?;
    Ok(Record { origin: scope.origin(at.clone()), key, image, captions, extra: fields })
}

/// The object that `bytes` hold; two fields of one name are refused, since either could be meant.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::NotUtf8 { what: "the record" })?;
    if memchr::memchr3_iter(b',', b'[', b'{', bytes).nth(MOST_VALUES).is_some() {
        return Err(Problem::TooMany { what: "values", limit: MOST_VALUES });
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fields = deserializer.deserialize_map(Fields).and_then(|fields| deserializer.end().map(|()| fields));
    fields.map_err(|error| {
        // The library's place is within the record, and the record's place is known.
        let reason = error.to_string();
        let reason = reason.split(" at line ").next().unwrap_or_default();
        Problem::Syntax { format: "JSON", reason: one_line(reason) }
    })
}

/// The captions in `value`: a text, a list of texts, or none.
pub(super) fn texts(field: &str, value: Value) -> Result<Vec<String>, Problem> {
    let texts = match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text],
        Value::Array(values) => values
            .into_iter()
            .map(|value| match value {
                Value::String(text) => Ok(text),
                other => Err(wrong_type(field, "a list of texts", &other)),
            })
            .collect::<Result<_, _>>()?,
        other => return Err(wrong_type(field, "a text or a list of texts", &other)),
    };
    are_usable(field, texts)
}

/// `texts`, unless there are too many or one has a NUL byte.
pub(super) fn are_usable(field: &str, texts: Vec<String>) -> Result<Vec<String>, Problem> {
    if texts.len() > MOST_CAPTIONS {
        return Err(Problem::TooMany { what: "captions", limit: MOST_CAPTIONS });
    }
    match texts.iter().any(|text| text.contains('\0')) {
        true => Err(Problem::Nul { field: field.to_owned() }),
        false => Ok(texts),
    }
}

fn wrong_type(field: &str, wanted: &'static str, value: &Value) -> Problem {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Problem::Type { field: field.to_owned(), wanted, found }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if fields.contains_key(&key) {
                return Err(de::Error::custom(format_args!("two fields {:?}", one_line(&key))));
            }
            let value = access.next_value()?;
            fields.insert(key, value);
        }
        Ok(fields)
    }
}
