//! Paths of endpoints: built from a template and percent-encoded segments. Pure.

use super::{Error, Result};

/// A path without a query, such as `/management/v1/projects/{}` with the project's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    filled: String,
}

impl Path {
    /// Fills each `{}` of the template with one segment, encoded.
    pub fn new(template: &'static str, segments: &[&str]) -> Result<Self> {
        let mut filled = String::new();
        let mut segments = segments.iter();
        for (n, part) in template.split("{}").enumerate() {
            if n > 0 {
                let next = segments.next().filter(|s| !matches!(**s, "" | "." | ".."));
                let next = next.ok_or(Error::Malformed {
                    endpoint: template.into(),
                    what: "a segment of the path".into(),
                })?;
                for byte in next.bytes() {
                    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                        filled.push(char::from(byte));
                    } else {
                        filled.push_str(&format!("%{byte:02X}"));
                    }
                }
            }
            filled.push_str(part);
        }
        Ok(Self { filled })
    }
}

impl From<&'static str> for Path {
    fn from(path: &'static str) -> Self {
        Self { filled: path.into() }
    }
}

impl std::ops::Deref for Path {
    type Target = str;
    fn deref(&self) -> &str {
        &self.filled
    }
}
