//! What the programs say when they end early: always one line, whatever a path, a key or a library put into it.
use std::error::Error;
use std::io;

/// An error with its causes on one line, "what: why". Control characters, which a path may hold, are shown escaped.
pub fn of_error(error: &anyhow::Error) -> String {
    of_error_as(error, |cause| cause.to_string())
}

/// The same where `text_of` says how a cause is put, for instance of which only the first line is wanted.
pub fn of_error_as(error: &anyhow::Error, text_of: impl Fn(&(dyn Error + 'static)) -> String) -> String {
    let mut line: Vec<String> = Vec::new();
    for cause in error.chain().map(|cause| escaped(&text_of(cause))) {
        // An error that shows its own cause already says it.
        if !line.last().is_some_and(|last| last.ends_with(&cause)) {
            line.push(cause);
        }
    }
    line.join(": ")
}

/// A refusal of clap's on one line.
pub fn of_usage(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let said = said.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let line = said.collect::<Vec<_>>().join(" ");
    format!("{} (see --help)", escaped(line.trim_start_matches("error: ")))
}

/// Whether whoever read the output has stopped reading, as `head` does.
pub fn is_closed_output(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = match cause.downcast_ref::<serde_json::Error>() {
            Some(json) => json.io_error_kind(),
            None => cause.downcast_ref::<io::Error>().map(io::Error::kind),
        };
        kind == Some(io::ErrorKind::BrokenPipe)
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
    fn a_cause_that_an_error_shows_itself_is_said_once() {
        let error = anyhow!("no such file").context("a.toml: no such file").context("configuration");
        assert_eq!(of_error(&error), "configuration: a.toml: no such file");
    }

    #[test]
    fn a_cause_is_put_as_the_caller_wants_it() {
        let error = anyhow!("sizes differ\nframe #0").context("batch");
        let first = |cause: &(dyn Error + 'static)| cause.to_string().lines().take(1).collect();
        assert_eq!(of_error_as(&error, first), "batch: sizes differ");
    }

    #[test]
    fn a_refused_argument_is_one_line() {
        let command = clap::Command::new("x").arg(clap::Arg::new("steps").long("steps"));
        let refused = command.try_get_matches_from(["x", "--step\u{7}s", "1"]);
        let line = refused.map_err(|error| of_usage(&error)).err().unwrap_or_default();
        assert!(!line.contains(char::is_control) && line.ends_with("(see --help)"), "{line}");
    }

    #[test]
    fn a_closed_output_is_told_from_other_failures() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_closed_output(&closed().into()));
        assert!(is_closed_output(&anyhow::Error::new(closed()).context("x")));
        assert!(is_closed_output(&anyhow::Error::new(serde_json::Error::io(closed())).context("x")));
        assert!(!is_closed_output(&io::Error::from(io::ErrorKind::StorageFull).into()));
    }
}
