//! The colours. Pure: what can't show them strips them later.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

pub(super) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const HINT: Style = AnsiColor::Cyan.on_default().bold();
pub(super) const CREATE: Style = AnsiColor::Green.on_default();
pub(super) const CHANGE: Style = AnsiColor::Yellow.on_default();
pub(super) const REMOVE: Style = AnsiColor::Red.on_default();
pub(super) const FAINT: Style = Style::new().dimmed();
pub(super) const STRONG: Style = Style::new().bold();

/// A text in a style, on one line.
pub(super) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{}{style:#}", plain(&text.to_string()))
}

/// Text as it is on one line of a terminal, whoever wrote it: what would end the line, be acted on, or
/// show the text in another order than it has, is written out.
pub(in crate::cli) fn plain(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        let is_plain = !c.is_control()
            && !matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if is_plain { line.push(c) } else { line.extend(c.escape_unicode()) }
    }
    line
}

/// The same of a text that may have several lines.
pub(super) fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_shown_and_nothing_is_done_by_it() {
        assert_eq!(plain("a\nb\r\u{1b}[2J\u{202e}é"), "a\\u{a}b\\u{d}\\u{1b}[2J\\u{202e}é");
        assert_eq!(plain_lines("a\n\u{1b}b"), "a\n\\u{1b}b");
        assert_eq!(paint(ERROR, "a\u{7}"), format!("{ERROR}a\\u{{7}}{ERROR:#}"));
    }
}
