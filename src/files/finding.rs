//! Something that is wrong with a manifest, and where.

use std::path::PathBuf;

use super::Place;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It can't work.
    Error,
    /// It works only with what is declared elsewhere, or it was skipped.
    Warning,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Which check found it: one word that stays the same.
    pub check: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Where.
    pub place: Place,
}

/// All checks, with what each is about; for reports that list them.
pub const CHECKS: &[(&str, &str)] = &[
    ("syntax", "The file can be read as YAML or JSON."),
    ("template", "Templates are rendered before they are read."),
    ("kind", "apiVersion and kind name something that exists."),
    ("metadata", "Names are such as Kubernetes allows."),
    ("unknown-field", "Every field exists."),
    ("required", "What must be given is given."),
    ("schema", "Types, lengths, patterns and values are those of the schema."),
    ("rule", "The rules between fields hold."),
    ("reference", "What is referred to is there and may be referred to."),
    ("duplicate", "No object is declared twice, and nothing in ZITADEL by two objects."),
];

impl Finding {
    /// An error.
    pub fn error(check: &'static str, message: impl Into<String>, place: Place) -> Self {
        Self { severity: Severity::Error, check, message: message.into(), hint: None, place }
    }

    /// A warning.
    pub fn warning(check: &'static str, message: impl Into<String>, place: Place) -> Self {
        Self { severity: Severity::Warning, ..Self::error(check, message, place) }
    }

    /// The same, with what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn order(&self) -> (&PathBuf, usize, usize, &str) {
        (&self.place.source.path, self.place.line, self.place.column, &self.message)
    }
}

/// The candidate that somebody may have meant.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates
        .into_iter()
        .map(|c| (strsim::jaro_winkler(&word.to_lowercase(), &c.to_lowercase()), c));
    scored.filter(|(score, _)| *score > 0.85).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, c)| c)
}

/// `did you mean …?`, or what there is to choose from.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    if let Some(c) = closest(word, candidates.clone()) {
        return format!("did you mean {c}?");
    }
    let mut all: Vec<&str> = candidates.into_iter().collect();
    all.sort_unstable();
    format!("there is {}", all.join(", "))
}
