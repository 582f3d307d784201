//! What the command line says when it ends early: always one line.
use std::io;

/// An error with its causes on one line: "what: why". Control characters, which a path may hold, are shown escaped.
pub(crate) fn of_error(error: &anyhow::Error) -> String {
    let causes = error.chain().map(|cause| escaped(&cause.to_string()));
    let mut line: Vec<String> = Vec::new();
    for cause in causes {
        // An error that shows its own cause already says it.
        if !line.last().is_some_and(|last| last.ends_with(&cause)) {
            line.push(cause);
        }
    }
    line.join(": ")
}

/// A refusal of clap's on one line.
pub(crate) fn of_usage(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let said = said.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let line = said.collect::<Vec<_>>().join(" ");
    format!("{} (see --help)", escaped(line.trim_start_matches("error: ")))
}

/// Whether whoever read the output has stopped reading, as `head` does.
pub(crate) fn is_closed_output(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().map(io::Error::kind) == Some(io::ErrorKind::BrokenPipe)
    })
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_and_control_characters_are_one_line() {
        let error = anyhow!("file \u{1b}[31m").context("a\nb");
        assert_eq!(of_error(&error), "a\\nb: file \\u{1b}[31m");
    }

    #[test]
    fn a_closed_output_is_told_from_other_failures() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_closed_output(&closed().into()));
        assert!(is_closed_output(&anyhow::Error::new(closed()).context("x")));
        assert!(!is_closed_output(&io::Error::from(io::ErrorKind::StorageFull).into()));
    }
}
