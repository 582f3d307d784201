//! Values of a JSON list or object one after another, without holding the list.
//!
//! `serde_json` reads a value whole; a published list is one value of millions of entries. This finds where each entry
//! ends, and `serde_json` reads the entries. An entry longer than the limit is passed over without being kept.
use std::io::{self, BufRead};

/// Why the stream cannot go on.
#[derive(Debug)]
pub(super) enum Broken {
    Io(io::Error),
    /// The file ends inside a value.
    Cut,
    /// Another byte stands where `wanted` should.
    Wanted(&'static str),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

type Result<T> = std::result::Result<T, Broken>;

pub(super) struct JsonStream<R> {
    input: R,
    /// Whether nothing was taken from the list or object that was entered last.
    fresh: bool,
}

impl<R: BufRead> JsonStream<R> {
    /// Values of `input`, which may begin with a byte order mark.
    pub(super) fn new(mut input: R) -> Result<Self> {
        // A buffered reader gives at least three bytes at once, unless the file has fewer.
        if input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            input.consume(3);
        }
        Ok(Self { input, fresh: true })
    }

    /// The next byte that is not white space, left in place; `None` at the end of the file.
    pub(super) fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            match buffer.iter().position(|byte| !b" \t\r\n".contains(byte)) {
                Some(at) => {
                    let byte = buffer[at];
                    self.input.consume(at);
                    return Ok(Some(byte));
                }
                None => {
                    let length = buffer.len();
                    self.input.consume(length);
                }
            }
        }
    }

    fn take(&mut self, byte: u8, wanted: &'static str) -> Result<()> {
        match self.peek()? {
            Some(found) if found == byte => {
                self.input.consume(1);
                Ok(())
            }
            Some(_) => Err(Broken::Wanted(wanted)),
            None => Err(Broken::Cut),
        }
    }

    /// Goes into the list that begins here.
    pub(super) fn enter_list(&mut self) -> Result<()> {
        self.fresh = true;
        self.take(b'[', "\"[\"")
    }

    /// Goes into the object that begins here.
    pub(super) fn enter_object(&mut self) -> Result<()> {
        self.fresh = true;
        self.take(b'{', "\"{\"")
    }

    /// Whether the list has a further value, which is read next; `false` leaves the list.
    pub(super) fn next_value(&mut self) -> Result<bool> {
        self.step(b']', "\",\" or \"]\"")
    }

    /// The next key of the object, read into `key` with its quotes; `false` leaves the object.
    ///
    /// A key of more than `limit` bytes is left empty.
    pub(super) fn next_key(&mut self, key: &mut Vec<u8>, limit: usize) -> Result<bool> {
        if !self.step(b'}', "\",\" or \"}\"")? {
            return Ok(false);
        }
        match self.peek()? {
            Some(b'"') => {}
            Some(_) => return Err(Broken::Wanted("a key in quotes")),
            None => return Err(Broken::Cut),
        }
        self.value(key, limit)?;
        self.take(b':', "\":\"")?;
        Ok(true)
    }

    fn step(&mut self, close: u8, wanted: &'static str) -> Result<bool> {
        let first = std::mem::replace(&mut self.fresh, false);
        match self.peek()? {
            None => Err(Broken::Cut),
            Some(byte) if byte == close => {
                self.input.consume(1);
                Ok(false)
            }
            Some(_) if first => Ok(true),
            Some(b',') => {
                self.input.consume(1);
                Ok(true)
            }
            Some(_) => Err(Broken::Wanted(wanted)),
        }
    }

    /// Reads the value that begins here into `value`; `false` if it has more than `limit` bytes and was passed over.
    pub(super) fn value(&mut self, value: &mut Vec<u8>, limit: usize) -> Result<bool> {
        value.clear();
        let mut fits = true;
        let mut end = match self.peek()? {
            None => return Err(Broken::Cut),
            Some(b',' | b':' | b']' | b'}') => return Err(Broken::Wanted("a value")),
            Some(b'[' | b'{' | b'"') => ValueEnd::default(),
            Some(_) => ValueEnd { bare: true, ..ValueEnd::default() },
        };
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                // A bare number at the end of a file is complete, but no list or object is.
                return Err(Broken::Cut);
            }
            let (length, done) = match end.find(buffer) {
                Some(length) => (length, true),
                None => (buffer.len(), false),
            };
            fits = fits && value.len() + length <= limit;
            if fits {
                value.extend_from_slice(&buffer[..length]);
            } else {
                value.clear();
            }
            self.input.consume(length);
            if done {
                return Ok(fits);
            }
        }
    }

    /// Passes over the value that begins here.
    pub(super) fn skip(&mut self) -> Result<()> {
        self.value(&mut Vec::new(), 0).map(drop)
    }
}

/// Finds the end of a value in pieces of text. Depth is a number, so nesting costs nothing.
#[derive(Default)]
struct ValueEnd {
    depth: u64,
    in_text: bool,
    escaped: bool,
    /// A number or a word, which ends before the byte that does not belong to it.
    bare: bool,
}

impl ValueEnd {
    /// Bytes of `piece` up to the end of the value; `None` if it goes on.
    fn find(&mut self, piece: &[u8]) -> Option<usize> {
        if self.bare {
            return piece.iter().position(|byte| b",:]} \t\r\n".contains(byte));
        }
        let mut at = 0;
        while at < piece.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
                continue;
            }
            if self.in_text {
                at += memchr::memchr2(b'"', b'\\', &piece[at..])?;
                match piece[at] {
                    b'\\' => self.escaped = true,
                    _ => self.in_text = false,
                }
            } else {
                match piece[at] {
                    b'"' => self.in_text = true,
                    b'[' | b'{' => self.depth += 1,
                    b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
            }
            at += 1;
            if self.depth == 0 && !self.in_text {
                return Some(at);
            }
        }
        None
    }
}
