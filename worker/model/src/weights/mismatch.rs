//! The report of tensors that do not fit a model.
use std::fmt;

/// Every tensor of a source that does not fit.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Expected but absent: name and expected shape.
    pub missing: Vec<(String, Vec<i64>)>,
    /// Present but not part of the model: name and shape.
    pub surplus: Vec<(String, Vec<i64>)>,
    /// Another shape or type: name, what was expected, what was found.
    pub wrong: Vec<(String, String, String)>,
}

impl Mismatch {
    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty() && self.wrong.is_empty()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.missing.len() + self.surplus.len() + self.wrong.len();
        write!(f, "{count} tensor{} not fit this model", if count == 1 { " does" } else { "s do" })?;
        let mut separator = ": ";
        let mut item = |f: &mut fmt::Formatter<'_>, text: String| {
            let result = write!(f, "{separator}{text}");
            separator = "; ";
            result
        };
        for (name, expected, found) in &self.wrong {
            item(f, format!("{name} is {found}, expected {expected}"))?;
        }
        for (name, shape) in &self.missing {
            item(f, format!("{name} {shape:?} is missing"))?;
        }
        for (name, shape) in &self.surplus {
            item(f, format!("{name} {shape:?} is not part of it"))?;
        }
        Ok(())
    }
}
