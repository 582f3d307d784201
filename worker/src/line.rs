//! What the command line says when it ends early: always one line.
use std::io;

/// An error with its causes on one line: "what: why". Of libtorch's messages the first line is kept, the rest being a C++
/// stack; control characters, which a path or a tensor's name may hold, are shown escaped.
pub fn of_error(error: &anyhow::Error) -> String {
    let causes = error.chain().map(|cause| {
        let text = cause.to_string();
        let text = match cause.downcast_ref::<tch::TchError>() {
            Some(_) => text.lines().next().unwrap_or_default().to_owned(),
            None => text,
        };
        escaped(&text)
    });
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
        let torch = tch::TchError::Torch("sizes differ\nframe #0: c10::Error".into());
        let error = anyhow::Error::new(torch).context("batch");
        assert_eq!(of_error(&error), "batch: Internal torch error: sizes differ");
    }

    #[test]
    fn a_closed_output_is_told_from_other_failures() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_closed_output(&closed().into()));
        assert!(is_closed_output(&anyhow::Error::new(serde_json::Error::io(closed())).context("x")));
        assert!(!is_closed_output(&io::Error::from(io::ErrorKind::StorageFull).into()));
    }
}
