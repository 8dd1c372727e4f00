//! Files that ZITADEL keeps, such as pictures: what they are, told by what they hold, and how two
//! are told apart. Pure.

use std::sync::Arc;

use aws_lc_rs::digest;

/// The most that ZITADEL accepts as a file, in bytes.
pub const LARGEST_FILE: usize = 512 * 1024;

/// How many bytes of a digest tell files apart.
const DIGEST: usize = 16;

/// The formats that are known: how they begin, and their media types.
const FORMATS: [(&[u8], &str); 9] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"\x00\x01\x00\x00", "font/ttf"),
    (b"OTTO\x00", "font/otf"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
];

/// The content of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct File(Arc<[u8]>);

impl File {
    /// A file that holds this.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// What it holds.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What it is, by what it holds; `None`: of no format that is known.
    pub fn media_type(&self) -> Option<&'static str> {
        let bytes = self.bytes();
        if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            return Some("image/webp");
        }
        let known = FORMATS.iter().find(|(beginning, _)| bytes.starts_with(beginning));
        known
            .map(|(_, media_type)| *media_type)
            .or_else(|| is_svg(bytes).then_some("image/svg+xml"))
    }

    /// Whether it is a picture with details of how it was taken: some versions of ZITADEL keep such
    /// a picture without them, which makes it another file.
    pub fn holds_exif(&self) -> bool {
        let marker: &[u8] = match self.media_type() {
            Some("image/jpeg") => b"Exif\0\0",
            Some("image/png") => b"eXIf",
            _ => return false,
        };
        self.bytes().windows(marker.len()).any(|part| part == marker)
    }

    /// What tells it from others: media type, size and the beginning of its SHA-256.
    pub fn fingerprint(&self) -> String {
        let digest = digest::digest(&digest::SHA256, self.bytes());
        let digits = digest.as_ref().iter().take(DIGEST).map(|byte| format!("{byte:02x}"));
        let media_type = self.media_type().unwrap_or("unknown");
        format!("{media_type}, {} bytes, sha256:{}", self.0.len(), digits.collect::<String>())
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({})", self.fingerprint())
    }
}

/// Whether this is an XML document whose first element is `svg`.
fn is_svg(bytes: &[u8]) -> bool {
    let Ok(mut rest) = std::str::from_utf8(bytes) else { return false };
    rest = rest.trim_start_matches('\u{feff}').trim_start();
    loop {
        let end = match rest {
            _ if rest.starts_with("<?") => "?>",
            _ if rest.starts_with("<!--") => "-->",
            _ if rest.starts_with("<!") => ">",
            _ => break,
        };
        let Some((_, behind)) = rest.split_once(end) else { return false };
        rest = behind.trim_start();
    }
    let name = rest.strip_prefix("<svg");
    name.is_some_and(|rest| rest.starts_with(|c: char| c.is_whitespace() || c == '>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_follows_from_what_it_holds() {
        for (bytes, media_type) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", Some("image/svg+xml")),
            (b"<?xml version=\"1.0\"?>\n<!-- a -->\n<svg>", Some("image/svg+xml")),
            (b"<!DOCTYPE svg><svg\n>", Some("image/svg+xml")),
            (b"<svgx>", None),
            (b"<html><svg></svg></html>", None),
            (b"a token that mentions <svg >", None),
            (b"<?xml", None),
            (b"", None),
            (b"wOF2\0", Some("font/woff2")),
        ] {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(File::new(bytes).media_type(), media_type, "{text}");
        }
    }

    #[test]
    fn a_fingerprint_tells_size_and_content_and_holds_none_of_it() {
        let (a, b) = (File::new(&b"wOFFa"[..]), File::new(&b"wOFFb"[..]));
        assert_eq!(a.fingerprint(), File::new(&b"wOFFa"[..]).fingerprint());
        assert_ne!(a.fingerprint(), b.fingerprint());
        assert!(a.fingerprint().starts_with("font/woff, 5 bytes, sha256:"), "{a:?}");
        assert!(!format!("{a:?}").contains("wOFFa"));
    }

    #[test]
    fn details_of_how_a_picture_was_taken_are_found_in_pictures_alone() {
        assert!(File::new(&b"\xff\xd8\xff\xe1\0\x10Exif\0\0"[..]).holds_exif());
        assert!(!File::new(&b"\xff\xd8\xff\xe0\0\x10JFIF\0"[..]).holds_exif());
        assert!(!File::new(&b"<svg >Exif\0\0"[..]).holds_exif());
    }
}
