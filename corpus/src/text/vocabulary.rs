//! A list of tokens; a token's id is its place in the list.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Error, Result};

/// The tokens that every vocabulary has, in the order in which a trained one begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Special {
    /// Fills the shorter captions of a batch.
    Pad,
    /// Stands for a word that the vocabulary cannot spell.
    Unk,
    /// Begins every caption; its output embeds the caption.
    Cls,
    /// Ends every caption.
    Sep,
    /// Hides a token in masked language modelling.
    Mask,
}

impl Special {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pad, Self::Unk, Self::Cls, Self::Sep, Self::Mask];

    /// As in `vocab.txt`.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Pad => "[PAD]",
            Self::Unk => "[UNK]",
            Self::Cls => "[CLS]",
            Self::Sep => "[SEP]",
            Self::Mask => "[MASK]",
        }
    }
}

/// Distinct, non-empty tokens, the [special](Special) ones among them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vocabulary {
    tokens: Vec<String>,
}

impl Vocabulary {
    /// Reads `vocab.txt`: UTF-8, one token a line, the first line being id 0. Line ends may be those of Windows.
    ///
    /// # Errors
    /// One line that names the file, the line where there is one, and the remedy.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::Missing { path: path.to_owned() },
            _ => Error::Read { path: path.to_owned(), source },
        })?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            Error::NotUtf8 { path: path.to_owned(), line }
        })?;
        Self::parse(text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let path = || PathBuf::from(path);
        if text.is_empty() {
            return Err(Error::Empty { path: path() });
        }
        let mut lines: HashMap<&str, usize> = HashMap::new();
        for (token, line) in text.lines().zip(1..) {
            // Not `trim`: a token may well be a kind of space.
            if token.is_empty() {
                return Err(Error::Blank { path: path(), line });
            }
            if let Some(first) = lines.insert(token, line) {
                return Err(Error::Duplicate { path: path(), token: token.to_owned(), first, second: line });
            }
        }
        if let Some(absent) = Special::ALL.iter().find(|special| !lines.contains_key(special.token())) {
            return Err(Error::NoSpecial { path: path(), token: absent.token() });
        }
        Ok(Self { tokens: text.lines().map(str::to_owned).collect() })
    }

    /// For the trainer, whose tokens are distinct and begin with the special ones by construction.
    pub(super) fn from_trained(tokens: Vec<String>) -> Self {
        Self { tokens }
    }

    /// Writes `vocab.txt`, one token a line. Readers see the former file or the whole new one, also after a crash.
    ///
    /// # Errors
    /// [`Error::Write`], in which case the former file is untouched.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.write_beside(path).map_err(|source| Error::Write { path: path.to_owned(), source })
    }

    fn write_beside(&self, path: &Path) -> io::Result<()> {
        // Beside the target: a rename is atomic inside one file system only.
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".vocab-");
        #[cfg(unix)]
        {
            // A temporary file is private by default; a vocabulary is an ordinary file, subject to the umask.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let mut file = builder.tempfile_in(directory)?;
        file.write_all(self.text().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        #[cfg(unix)]
        fs::File::open(directory)?.sync_all()?;
        Ok(())
    }

    /// What [`write`](Self::write) writes.
    pub fn text(&self) -> String {
        let mut text = self.tokens.join("\n");
        text.push('\n');
        text
    }

    /// All tokens; the index is the id.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }
}

#[cfg(test)]
mod tests;
