//! As much of X.509 as it takes to tell that something is a certificate: its parts are there, and
//! each has the length that it says.

use base64::{Engine as _, engine::general_purpose::STANDARD};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// Whether this is a certificate in PEM, behind whatever comes before it.
pub(crate) fn is_pem(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).ok();
    let body = text.and_then(|text| text.split_once(BEGIN)).and_then(|(_, rest)| {
        let (body, _) = rest.split_once(END)?;
        let body: String = body.split_ascii_whitespace().collect();
        STANDARD.decode(body).ok()
    });
    body.is_some_and(|der| is_certificate(&der))
}

fn is_certificate(der: &[u8]) -> bool {
    let Some((SEQUENCE, body, [])) = element(der) else { return false };
    let Some(parts) = elements(body) else { return false };
    let [(SEQUENCE, content), (SEQUENCE, _), (BIT_STRING, _)] = parts[..] else { return false };
    let Some(content) = elements(content) else { return false };
    let tags: Vec<u8> = content.iter().map(|(tag, _)| *tag).filter(|tag| *tag != VERSION).collect();
    // Serial number, algorithm, issuer, validity, subject, key.
    tags.starts_with(&[INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE])
}

/// The tag and the content of all elements in a row.
fn elements(mut der: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (tag, content, rest) = element(der)?;
        found.push((tag, content));
        der = rest;
    }
    Some(found)
}

/// The first element, and what is behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if length.is_empty() || length.len() > 4 {
            return None;
        }
        (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `CN=test`, with a key of the curve P-256.
    const CERTIFICATE: &str = "MIIBdjCCARugAwIBAgIUWoy6hM8LKkPF0bm0GDFsabyB7jAwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjcyMTAxMTRaGA8yMTI2MTEwMzIxMDExNFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCw2VqkFoUbl44cdw5ZAB5NGTfsaTtZvq9UF7m6gTnstqpj+Z2hWOtHa6/8XDIJyAP10qnY19Z153db0d+vYJ4KjUzBRMB0GA1UdDgQWBBTssFL5htV7dP+glLd+DibUbx7MGzAfBgNVHSMEGDAWgBTssFL5htV7dP+glLd+DibUbx7MGzAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCX/dj/lPkVSzONRKpf16qaV7BAqcELiB3l4N8LVZLPaQIhAM1Q7HpwGHbz92+eqnr2RWxLxjLc9We6ucCq++rJmMLK";

    #[test]
    fn a_certificate_is_told_from_what_is_none() {
        let pem = format!("{BEGIN}\n{CERTIFICATE}\n{END}\n");
        assert!(is_pem(pem.as_bytes()));
        let der = STANDARD.decode(CERTIFICATE).unwrap();
        for cut in [0, 1, 5, der.len() / 2, der.len() - 1] {
            let body = STANDARD.encode(&der[..cut]);
            assert!(!is_pem(format!("{BEGIN}\n{body}\n{END}\n").as_bytes()), "{cut}");
        }
        let none = STANDARD.encode("none");
        for text in ["", "nonsense", CERTIFICATE, &format!("{BEGIN}\n{none}\n{END}\n")] {
            assert!(!is_pem(text.as_bytes()), "{text}");
        }
    }
}
