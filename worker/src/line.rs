//! What the command line says when it ends early: [`albef_line`], and what libtorch's messages need.
pub use albef_line::{is_closed_output, of_usage};

/// An error with its causes on one line. Of libtorch's messages the first line is kept: the rest is a C++ stack.
pub fn of_error(error: &anyhow::Error) -> String {
    albef_line::of_error_as(error, |cause| {
        let text = cause.to_string();
        match cause.downcast_ref::<tch::TchError>() {
            Some(_) => text.lines().next().unwrap_or_default().to_owned(),
            None => text,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_of_libtorch_is_left_out() {
        let torch = tch::TchError::Torch("sizes differ\nframe #0: c10::Error".into());
        let error = anyhow::Error::new(torch).context("batch");
        assert_eq!(of_error(&error), "batch: Internal torch error: sizes differ");
    }
}
