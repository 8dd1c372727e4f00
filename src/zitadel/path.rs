//! Paths of endpoints: built from a template and percent-encoded segments, checked before each
//! call. Pure.

use std::borrow::Cow;

use reqwest::Url;

use super::{Error, Result};

/// A path without a query, such as `/management/v1/projects/{}` with the project's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    template: &'static str,
    filled: String,
}

impl Path {
    /// Fills each `{}` of the template with one segment, encoded.
    ///
    /// Fails if their numbers differ, or with a segment that [`segment`] refuses.
    pub fn new(template: &'static str, segments: &[&str]) -> Result<Self> {
        let invalid = |problem| Error::InvalidPath { path: template.into(), problem };
        let mut filled = String::new();
        let mut segments = segments.iter();
        for (n, part) in template.split("{}").enumerate() {
            if n > 0 {
                let next = segments.next().ok_or(invalid("too few segments"))?;
                filled.push_str(&segment(next)?);
            }
            filled.push_str(part);
        }
        match segments.next() {
            None => Ok(Self { template, filled }),
            Some(_) => Err(invalid("too many segments")),
        }
    }
}

impl From<&'static str> for Path {
    fn from(path: &'static str) -> Self {
        Self { template: path, filled: path.into() }
    }
}

/// What names an endpoint of the server: a [`Path`], or the text of a path.
pub trait Endpoint {
    /// The path to call.
    fn path(&self) -> &str;

    /// The path with `{}` in place of ids: few values, for logs and metrics.
    fn template(&self) -> Cow<'_, str>;
}

impl Endpoint for Path {
    fn path(&self) -> &str {
        &self.filled
    }
    fn template(&self) -> Cow<'_, str> {
        self.template.into()
    }
}

impl Endpoint for str {
    fn path(&self) -> &str {
        self
    }
    fn template(&self) -> Cow<'_, str> {
        guess(self)
    }
}

impl Endpoint for String {
    fn path(&self) -> &str {
        self
    }
    fn template(&self) -> Cow<'_, str> {
        guess(self)
    }
}

/// One segment of a path, percent-encoded.
///
/// Fails with an empty segment, `.` and `..`: no encoding protects these, because URLs treat
/// `%2e%2e` as `..`.
pub fn segment(text: &str) -> Result<String> {
    let invalid = |problem| Error::InvalidPath { path: text.into(), problem };
    match text {
        "" => Err(invalid("an empty segment")),
        "." | ".." => Err(invalid("a segment of dots")),
        _ => Ok(percent_encoded(text)),
    }
}

/// A text of which all but ASCII letters, digits, `-`, `_`, `.` and `~` is percent-encoded.
pub fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            write!(encoded, "%{byte:02X}").ok();
        }
        encoded
    })
}

/// The URL of a path below `base`. Fails unless the URL holds the path exactly as given: with `..`,
/// an empty segment, a query, a fragment, or anything else that a URL parser changes.
pub(super) fn url(base: &Url, path: &str) -> Result<Url> {
    let invalid = |problem| Error::InvalidPath { path: path.into(), problem };
    if !path.starts_with('/') {
        return Err(invalid("no leading slash"));
    }
    if path.contains("//") {
        return Err(invalid("an empty segment"));
    }
    let base = base.as_str().trim_end_matches('/');
    let whole = format!("{base}{path}");
    let url = Url::parse(&whole).map_err(|_| invalid("no part of a URL"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("a query or fragment"));
    }
    if url.as_str() != whole {
        return Err(invalid("a segment of dots, or characters that must be encoded"));
    }
    Ok(url)
}

/// Replaces the segments that look like ids: those with a digit, a hyphen, a percent sign or more
/// than 64 characters. ZITADEL's own segments have none of these except its versions (`v1`, `v2beta`) and
/// services (`zitadel.project.v2.ProjectService`).
fn guess(path: &str) -> Cow<'_, str> {
    let is_version = |s: &str| {
        let number = s.strip_prefix('v').unwrap_or_default();
        number.starts_with(|c: char| c.is_ascii_digit())
            && number.len() < 8
            && number.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let is_id = |s: &str| {
        s.len() > 64
            || !(is_version(s) || s.starts_with("zitadel."))
                && s.bytes().any(|b| !(b.is_ascii_alphabetic() || b == b'_'))
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    if !path.split('/').any(is_id) {
        return path.into();
    }
    let segments: Vec<&str> = path.split('/').map(|s| if is_id(s) { "{}" } else { s }).collect();
    segments.join("/").into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base() -> Url {
        "https://auth.example.com/base/".parse().unwrap()
    }

    #[test]
    fn segments_are_encoded() {
        for (text, encoded) in [
            ("371928", "371928"),
            ("a/b", "a%2Fb"),
            ("a b?c#d", "a%20b%3Fc%23d"),
            ("100%", "100%25"),
            ("%2e%2e", "%252e%252e"),
            ("ä", "%C3%A4"),
            ("...", "..."),
            ("a\t\\", "a%09%5C"),
        ] {
            assert_eq!(segment(text).unwrap(), encoded);
        }
        for text in ["", ".", ".."] {
            assert!(segment(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_path_that_a_url_would_change_is_refused() {
        for path in [
            "/v1/x/../../admin",
            "/v1/x/..",
            "/v1/./x",
            "/v1/%2e%2E/x",
            "/v1/.%2e/x",
            "/v1/%2e/x",
            "/v1//x",
            "//evil.example.com/x",
            "/v1/x?admin=1",
            "/v1/x?",
            "/v1/x#y",
            "/v1/x#",
            "/v1\\..\\x",
            "/v1/.\t./x",
            "/v1/a b",
            "/v1/ä",
            "/v1/x\n",
            "",
            "v1",
            "@evil.example.com/",
            ":81/x",
        ] {
            let refused = url(&base(), path);
            assert!(matches!(refused, Err(Error::InvalidPath { .. })), "{path:?}: {refused:?}");
        }
        for path in ["/v1/x", "/zitadel.project.v2.ProjectService/Get", "/v1/a%2Fb/c", "/v1/..."] {
            assert_eq!(url(&base(), path).unwrap().path(), format!("/base{path}"));
        }
    }

    #[test]
    fn a_template_takes_as_many_segments_as_it_has_places() {
        let path = Path::new("/v1/projects/{}/roles/{}", &["1", "a/b"]).unwrap();
        assert_eq!(path.path(), "/v1/projects/1/roles/a%2Fb");
        assert_eq!(path.template(), "/v1/projects/{}/roles/{}");
        assert!(Path::new("/v1/projects/{}", &[]).is_err());
        assert!(Path::new("/v1/projects", &["1"]).is_err());
        assert!(Path::new("/v1/projects/{}", &[".."]).is_err());
    }

    #[test]
    fn ids_are_no_part_of_a_guessed_template() {
        for (path, template) in [
            ("/management/v1/projects/_search", "/management/v1/projects/_search"),
            ("/management/v1/projects/37129", "/management/v1/projects/{}"),
            ("/admin/v1/orgs/a-b/policies/domain", "/admin/v1/orgs/{}/policies/domain"),
            (
                "/zitadel.project.v2.ProjectService/CreateProject",
                "/zitadel.project.v2.ProjectService/CreateProject",
            ),
            ("/v2/users/a%20b", "/v2/users/{}"),
            ("/v1/domains/example.com", "/v1/domains/{}"),
            ("/v2/users/1?x=secret", "/v2/users/{}"),
        ] {
            assert_eq!(path.template(), template);
        }
    }

    proptest! {
        #[test]
        fn no_segment_leaves_its_place(text in "\\PC*|[./%2eE?#\\\\\t ]{0,8}") {
            if let Ok(path) = Path::new("/v1/projects/{}/roles", &[&text]) {
                let url = url(&base(), path.path()).unwrap();
                let segments: Vec<&str> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 5);
                prop_assert_eq!(segments[1..3].join("/"), "v1/projects");
                prop_assert_eq!(segments[4], "roles");
                prop_assert!(url.query().is_none() && url.fragment().is_none());
            }
        }
    }
}
