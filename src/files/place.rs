//! Where something is in a file.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How a text was got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is a file.
    File,
    /// It came from stdin.
    Stdin,
    /// kustomize built it: its lines are in no file.
    Kustomization,
}

/// A text that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// How it was got.
    pub origin: Origin,
    /// Its path, as it was asked for; of what kustomize built, its kustomization.
    pub path: PathBuf,
    /// Its text, for snippets.
    pub text: String,
}

impl Source {
    /// A file.
    pub fn file(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { origin: Origin::File, path: path.into(), text: text.into() }
    }

    /// Its name, for people and programs.
    pub fn name(&self) -> String {
        match self.origin {
            Origin::File => self.path.display().to_string(),
            Origin::Stdin => "<stdin>".into(),
            Origin::Kustomization => {
                let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
                format!("<kustomize build {}>", folder.unwrap_or(Path::new(".")).display())
            }
        }
    }
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
        let Source { origin, path, .. } = &*self.source;
        let source = Source { origin: *origin, path: path.clone(), text: String::new() };
        Self { source: Arc::new(source), ..self.clone() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.name(), self.line, self.column)
    }
}
