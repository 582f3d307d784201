//! One JSON list of objects.
use super::fields;
use super::json_stream::{Broken, JsonStream};
use super::text_file::TextFile;
use super::{Item, Records, Scope, SourceError};
use crate::record::{At, BadRecord, Problem};

const WANTED: &str = "a JSON list of objects";

pub(super) fn read(scope: Scope) -> Result<Records, SourceError> {
    let reader = scope.open_text()?;
    let opened = JsonStream::new(reader).and_then(|mut stream| stream.enter_list().map(|()| stream));
    match opened {
        Ok(stream) => Ok(Box::new(JsonList { scope, stream, entry: 0, text: Vec::new(), over: false })),
        Err(Broken::Io(error)) => Err(scope.unreadable(error)),
        Err(Broken::Cut) => Err(scope.not_that(WANTED, "the file is empty")),
        Err(Broken::Wanted(_)) => Err(scope.not_that(WANTED, "it does not begin with \"[\"")),
    }
}

struct JsonList {
    scope: Scope,
    stream: JsonStream<TextFile>,
    entry: u64,
    /// Text of the entry, kept for its memory.
    text: Vec<u8>,
    over: bool,
}

impl JsonList {
    fn step(&mut self) -> Result<Option<Item>, Broken> {
        if !self.stream.next_value()? {
            self.over = true;
            let rest = self.stream.peek()?;
            return if rest.is_some() { Err(Broken::Wanted("nothing after the list")) } else { Ok(None) };
        }
        let at = At::Entry(self.entry);
        self.entry += 1;
        let limit = self.scope.options.record_bytes;
        if !self.stream.value(&mut self.text, limit)? {
            let problem = Problem::TooLong { what: "the entry", limit: limit as u64 };
            return Ok(Some(Err(self.scope.bad(at, problem))));
        }
        Ok(Some(fields::record(&mut self.scope, &self.text, at)))
    }
}

impl Iterator for JsonList {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.over {
            return None;
        }
        self.step().unwrap_or_else(|broken| {
            self.over = true;
            Some(Err(bad(&self.scope, At::Entry(self.entry), broken)))
        })
    }
}

/// The bad record for a file whose JSON cannot be followed any further.
pub(super) fn bad(scope: &Scope, at: At, broken: Broken) -> BadRecord {
    match broken {
        Broken::Io(error) => scope.unread(at, error),
        Broken::Cut => scope.bad(at, Problem::Cut { what: "the JSON text" }),
        Broken::Wanted(wanted) => {
            let reason = format!("{wanted} expected; the rest of the file is left out");
            scope.bad(at, Problem::Syntax { format: "JSON", reason })
        }
    }
}
