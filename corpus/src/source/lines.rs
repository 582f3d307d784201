use std::io::{self, BufRead};

/// Lines of bounded length.
pub(super) struct Lines<R> {
    input: R,
    line: u64,
}

pub(super) enum Line {
    /// The line is in the buffer, without its end.
    Here,
    /// The line had more bytes than the limit and was passed over.
    TooLong,
    /// There is no further line.
    End,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: 0 }
    }

    /// Number of the line read last, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Reads the next line into `buffer`, without `\n` or `\r\n` and without the byte order mark of a file.
    pub(super) fn next(&mut self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<Line> {
        buffer.clear();
        let mut fits = true;
        let mut begun = false;
        loop {
            let piece = self.input.fill_buf()?;
            if piece.is_empty() {
                if !begun {
                    return Ok(Line::End);
                }
                break;
            }
            if !begun {
                begun = true;
                self.line += 1;
            }
            let end = memchr::memchr(b'\n', piece);
            let length = end.unwrap_or(piece.len());
            fits = fits && buffer.len() + length <= limit;
            if fits {
                buffer.extend_from_slice(&piece[..length]);
            } else {
                buffer.clear();
            }
            self.input.consume(length + usize::from(end.is_some()));
            if end.is_some() {
                break;
            }
        }
        if self.line == 1 && buffer.starts_with(b"\xef\xbb\xbf") {
            buffer.drain(..3);
        }
        if buffer.last() == Some(&b'\r') {
            buffer.pop();
        }
        Ok(if fits { Line::Here } else { Line::TooLong })
    }
}
