//! Where something is in a file.

use std::{fmt, path::PathBuf, sync::Arc};

/// A file that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path, as it was asked for.
    pub path: PathBuf,
    /// Its text, for snippets.
    pub text: String,
}

/// A place in a file; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub source: Arc<Source>,
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
    /// How many characters of that line are meant; at least 1.
    pub length: usize,
}

impl Place {
    /// The same place without the text of the file: a line of a Secret is not to be shown.
    pub(super) fn without_text(&self) -> Self {
        let source = Source { path: self.source.path.clone(), text: String::new() };
        Self { source: Arc::new(source), ..self.clone() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.path.display(), self.line, self.column)
    }
}
