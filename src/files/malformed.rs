//! Documents that are not YAML: what is wrong with them, in our own words. Pure.

use super::place::Place;

/// A document that is not YAML.
#[derive(Debug, Clone)]
pub struct Malformed {
    /// What is wrong.
    pub message: &'static str,
    /// What to do.
    pub hint: &'static str,
    /// Where.
    pub place: Place,
    /// The text of the document.
    pub text: String,
}

/// The documents of a file as text, each with the number of lines before it. At the beginning of a
/// line `---` always separates, even in a block scalar.
pub(super) fn separate(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut lines_before, mut offset) = (0, 0, 0);
    for (n, line) in text.split_inclusive('\n').enumerate() {
        let separates =
            line.strip_prefix("---").is_some_and(|rest| rest.starts_with(char::is_whitespace));
        if separates && offset > start {
            parts.push((lines_before, text.get(start..offset)));
            (start, lines_before) = (offset, n);
        }
        offset += line.len();
    }
    parts.push((lines_before, text.get(start..)));
    parts.into_iter().filter_map(|(before, part)| Some((before, part?))).collect()
}

/// What is wrong, and what to do. The library's own words are advice for those who program with it.
pub(super) fn explain(e: &serde_saphyr::Error) -> (&'static str, &'static str) {
    use serde_saphyr::Error as E;
    match e {
        E::DuplicateMappingKey { .. } => {
            ("this key is there twice", "remove one of the two, or rename it")
        }
        E::UnknownAnchor { .. } => (
            "this alias names no anchor of the same document",
            "define the anchor (&name) before the alias (*name), or quote a text that begins with *",
        ),
        E::Eof { .. } | E::ContainerEndMismatch { .. } => {
            ("this is not YAML: something is not closed", "close every bracket, brace and quote")
        }
        E::AliasReplayCounterOverflow { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. }
        | E::Budget { .. } => {
            ("this document grows too large or too deep", "use fewer aliases and less nesting")
        }
        E::AliasError { error, .. } => explain(error),
        E::ExternalMessage { .. } | E::IndentationError { .. } => (
            "this is not YAML from here on",
            "check the indentation, and that brackets, braces and quotes are closed; a text with `: ` or ` #` in it needs quotes",
        ),
        _ => (
            "this can't be read as a Kubernetes object",
            "keys are text, and values are text, numbers, true, false, null, lists and maps, without tags",
        ),
    }
}
