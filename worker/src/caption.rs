//! What the model sees of a text: one JSON string a line in, cleaned caption and token ids out.
use std::io::{BufRead, Write};
use std::path::Path;

use albef_corpus::text::caption::{MAX_WORDS, clean};
use albef_corpus::text::wordpiece::{MAX_TOKENS, WordPiece};
use anyhow::Context;
use serde::Serialize;

const OUTPUT: &str = "cannot write the results";

#[derive(Serialize)]
struct Line {
    caption: String,
    input_ids: Vec<i64>,
}

/// Reads JSON strings from `input` and writes `{"caption", "input_ids"}` to `output`, line by line.
pub fn run(vocabulary: &Path, input: impl BufRead, mut output: impl Write) -> anyhow::Result<()> {
    let wordpiece = WordPiece::load(vocabulary)?;
    for (number, line) in (1..).zip(input.lines()) {
        let line = line.with_context(|| format!("line {number}: not UTF-8 text"))?;
        if line.trim().is_empty() {
            continue;
        }
        let raw: String = serde_json::from_str(&line)
            .with_context(|| format!("line {number}: not a JSON string; write it as \"text\""))?;
        let caption = clean(&raw, MAX_WORDS);
        let input_ids = wordpiece.encode(&caption, MAX_TOKENS)?;
        let line = serde_json::to_string(&Line { caption, input_ids })?;
        writeln!(output, "{line}").context(OUTPUT)?;
    }
    output.flush().context(OUTPUT)?;
    Ok(())
}
