//! What an id of a remote object may look like. Pure.

/// The longest id that ZITADEL accepts.
pub const MAX_LENGTH: usize = 200;

/// Whether `text` can be the id of a remote object: 1 to 200 ASCII letters, digits, `-` and `_`.
///
/// ZITADEL itself generates digits and accepts nearly anything as a chosen id, slashes and blanks
/// included. Kastellan accepts only what is the same in a path, a header and a log.
pub fn is_id(text: &str) -> bool {
    (1..=MAX_LENGTH).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_safe_everywhere_is_an_id() {
        let longest = "1".repeat(MAX_LENGTH);
        let too_long = "1".repeat(MAX_LENGTH + 1);
        for (text, ok) in [
            ("373298374982374", true),
            ("f1a8a5c0-3b8e-5a39-9d0c-0242ac120002", true),
            ("my_project-1", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            (".", false),
            ("..", false),
            ("x/../../admin", false),
            ("a b", false),
            ("a%2Fb", false),
            ("a?b", false),
            ("a#b", false),
            ("a\nb", false),
            ("ä", false),
        ] {
            assert_eq!(is_id(text), ok, "{text:?}");
        }
    }
}
