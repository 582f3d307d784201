//! One JSON object a line.
use std::io::BufRead;

use super::fields;
use super::lines::{Line, Lines};
use super::text_file::TextFile;
use super::{Item, Records, Scope, SourceError};
use crate::record::{At, Problem};

pub(super) fn read(scope: Scope) -> Result<Records, SourceError> {
    let mut file = scope.open_text()?;
    if file.fill_buf().map_err(|error| scope.unreadable(error))?.is_empty() {
        return Err(scope.not_that("a file of JSON lines", "the file is empty"));
    }
    Ok(Box::new(JsonLines { lines: Lines::new(file), scope, text: Vec::new(), over: false }))
}

struct JsonLines {
    scope: Scope,
    lines: Lines<TextFile>,
    /// Text of the line, kept for its memory.
    text: Vec<u8>,
    over: bool,
}

impl Iterator for JsonLines {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        while !self.over {
            let limit = self.scope.options.record_bytes;
            let line = self.lines.next(&mut self.text, limit);
            let at = At::Line(self.lines.line());
            match line {
                Ok(Line::Here) if self.text.iter().all(u8::is_ascii_whitespace) => {}
                Ok(Line::Here) => return Some(fields::record(&mut self.scope, &self.text, at)),
                Ok(Line::TooLong) => {
                    let problem = Problem::TooLong { what: "the line", limit: limit as u64 };
                    return Some(Err(self.scope.bad(at, problem)));
                }
                Ok(Line::End) => self.over = true,
                Err(error) => {
                    self.over = true;
                    return Some(Err(self.scope.unread(at, error)));
                }
            }
        }
        None
    }
}
