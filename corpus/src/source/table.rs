//! Comma- and tab-separated text with a header.
use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use super::scope::text;
use super::text_file::TextFile;
use super::{Item, Records, Scope, SourceError};
use crate::record::{At, Problem, Record};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As RFC 4180: fields may be quoted.
    Csv,
    /// As the media type text/tab-separated-values: no quotes, and no tab within a field.
    Tsv,
}

/// Most fields of a row.
const MOST_FIELDS: usize = 4096;

pub(super) fn read(scope: Scope, dialect: Dialect) -> Result<Records, SourceError> {
    let wanted = "a table with a header";
    let mut rows = Rows::new(scope.open_text()?, dialect, scope.options.record_bytes);
    match rows.next() {
        Ok(Row::Here) => {}
        Ok(Row::End) => return Err(scope.not_that(wanted, "the file is empty")),
        Ok(Row::TooLong) => return Err(scope.not_that(wanted, "its header is too long")),
        Ok(Row::Open) => return Err(scope.not_that(wanted, "a quote in its header is never closed")),
        Err(error) => return Err(scope.unreadable(error)),
    }
    let header: Vec<String> = rows
        .fields()
        .map(|field| text(field, "the header"))
        .collect::<Result<_, _>>()
        .map_err(|problem| scope.not_that(wanted, &problem.to_string()))?;
    for (at, name) in header.iter().enumerate() {
        if header[..at].contains(name) {
            return Err(SourceError::TwoColumns { path: scope.path(), name: name.clone() });
        }
    }
    let column = |wanted: &str| {
        header.iter().position(|name| name == wanted).ok_or_else(|| SourceError::Column {
            path: scope.path(),
            wanted: wanted.to_owned(),
            found: crate::storage::one_line(&format!("{header:?}")),
        })
    };
    let (image, caption) = (column(&scope.options.image)?, column(&scope.options.caption)?);
    Ok(Box::new(Table { scope, rows, header, image, caption, over: false }))
}

struct Table {
    scope: Scope,
    rows: Rows,
    header: Vec<String>,
    image: usize,
    caption: usize,
    over: bool,
}

impl Table {
    fn record(&mut self, at: &At) -> Result<Record, Problem> {
        let fields: Vec<String> = self
            .rows
            .fields()
            .map(|field| std::str::from_utf8(field).map(str::to_owned))
            .collect::<Result<_, _>>()
            .map_err(|_| Problem::NotUtf8 { what: "the row" })?;
        if fields.len() != self.header.len() {
            return Err(Problem::Fields { wanted: self.header.len(), found: fields.len() });
        }
        let (mut path, mut caption, mut extra) = (String::new(), String::new(), Map::new());
        for (column, (name, field)) in self.header.iter().zip(fields).enumerate() {
            if field.contains('\0') {
                return Err(Problem::Nul { field: name.clone() });
            }
            if column == self.image {
                path = field;
            } else if column == self.caption {
                caption = field;
            } else {
                extra.insert(name.clone(), Value::String(field));
            }
        }
        let (image, key) = self.scope.image(&path)?;
        Ok(Record { origin: self.scope.origin(at.clone()), key, image, captions: vec![caption], extra })
    }
}

impl Iterator for Table {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.over {
            return None;
        }
        let row = self.rows.next();
        let at = At::Line(self.rows.line);
        match row {
            Ok(Row::Here) => Some(self.record(&at).map_err(|problem| self.scope.bad(at, problem))),
            Ok(Row::TooLong) => {
                let limit = self.scope.options.record_bytes as u64;
                Some(Err(self.scope.bad(at, Problem::TooLong { what: "the row", limit })))
            }
            Ok(Row::Open) => {
                let reason = "a quote is never closed; the rest of the file is left out".to_owned();
                Some(Err(self.scope.bad(at, Problem::Syntax { format: "CSV", reason })))
            }
            Ok(Row::End) => {
                self.over = true;
                None
            }
            Err(error) => {
                self.over = true;
                Some(Err(self.scope.unread(at, error)))
            }
        }
    }
}

/// Rows of bounded length; the crate `csv` would hold a row of any length.
struct Rows {
    input: TextFile,
    parser: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    /// Fields of the row read last.
    count: usize,
    /// Line on which it begins, from 1.
    line: u64,
    limit: usize,
}

enum Row {
    Here,
    TooLong,
    /// The file ends within quotes, so that this row has swallowed those after it.
    Open,
    End,
}

impl Rows {
    fn new(input: TextFile, dialect: Dialect, limit: usize) -> Self {
        let mut builder = ReaderBuilder::new();
        if dialect == Dialect::Tsv {
            builder.delimiter(b'\t').quoting(false);
        }
        let parser = builder.build();
        let text = vec![0; limit.clamp(1, 4096)];
        Self { input, parser, text, ends: vec![0; 64], count: 0, line: 1, limit }
    }

    fn next(&mut self) -> io::Result<Row> {
        // The parser ends a row at "\r" and passes over blank lines with the row that follows.
        let blank = self.input.fill_buf()?.iter().take_while(|byte| b"\r\n".contains(byte));
        self.line = self.parser.line() + blank.filter(|&&byte| byte == b'\n').count() as u64;
        let (mut length, mut count, mut fits) = (0, 0, true);
        // The file's end closes any row; a line's end before it closes all but a quoted field, which keeps it as text.
        let mut last_line = Some(&b"\n"[..]);
        let mut open = false;
        loop {
            let piece = self.input.fill_buf()?;
            let at_end = piece.is_empty();
            let piece = if at_end { last_line.unwrap_or_default() } else { piece };
            let (result, read, written, ended) =
                self.parser.read_record(piece, &mut self.text[length..], &mut self.ends[count..]);
            if !at_end {
                self.input.consume(read);
            } else if read > 0 {
                last_line = None;
                open = written > 0;
            }
            length += written;
            count += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.text.len() < self.limit => {
                    self.text.resize((self.text.len() * 2).min(self.limit), 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < MOST_FIELDS => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                // The rest of the row is parsed into the same memory and forgotten.
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    (length, count, fits) = (0, 0, false);
                }
                ReadRecordResult::Record => {
                    self.count = if fits { count } else { 0 };
                    return Ok(match fits {
                        _ if open => Row::Open,
                        true => Row::Here,
                        false => Row::TooLong,
                    });
                }
                ReadRecordResult::End => return Ok(Row::End),
            }
        }
    }

    fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let ends = &self.ends[..self.count];
        let starts = std::iter::once(0).chain(ends.iter().copied());
        starts.zip(ends).map(|(start, &end)| &self.text[start..end])
    }
}
