//! RSA keys: those of machine users, and the server's own for tokens that are JWTs.

use std::sync::OnceLock;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::KeySize,
    signature::{KeyPair as _, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};

/// A key pair, both halves in the forms in which ZITADEL hands them out.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// PKCS#1 in PEM.
    pub(crate) private: String,
    /// PKIX in PEM.
    pub(crate) public: String,
}

/// The key file of a machine user.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyFile {
    pub(crate) r#type: String,
    pub(crate) key_id: String,
    pub(crate) key: String,
    pub(crate) expiration_date: String,
    pub(crate) user_id: String,
}

/// Why a key was of no use.
#[derive(Debug, thiserror::Error)]
#[error("the key is no RSA key in PEM")]
pub(crate) struct BadKey;

impl Pair {
    /// Makes a new pair. Takes a while without optimization.
    pub(crate) fn generate() -> Result<Self, BadKey> {
        Self::of(&RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| BadKey)?)
    }

    /// The one pair that stands in wherever no test can tell which key it is, so that a process
    /// makes it once.
    pub(crate) fn shared() -> Result<&'static Self, BadKey> {
        static SHARED: OnceLock<Option<Pair>> = OnceLock::new();
        SHARED.get_or_init(|| Self::generate().ok()).as_ref().ok_or(BadKey)
    }

    /// The pair of a private key in PEM, PKCS#1 or PKCS#8.
    pub(crate) fn from_private(pem: &str) -> Result<Self, BadKey> {
        let der = der(pem)?;
        let pair = RsaKeyPair::from_der(&der)
            .or_else(|_| RsaKeyPair::from_pkcs8(&der))
            .map_err(|_| BadKey)?;
        Self::of(&pair)
    }

    fn of(pair: &RsaKeyPair) -> Result<Self, BadKey> {
        let pkcs8 = pair.as_der().map_err(|_| BadKey)?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| BadKey)?;
        Ok(Self {
            private: pem("RSA PRIVATE KEY", pkcs1(pkcs8.as_ref()).ok_or(BadKey)?),
            public: pem("PUBLIC KEY", public.as_ref()),
        })
    }
}

/// Whether a text is a public key in PKIX and PEM: RSA, ECDSA or Ed25519.
pub(crate) fn is_public_key(text: &str) -> bool {
    let text = text.as_bytes();
    text.windows(PUBLIC_KEY.len()).any(|part| part == PUBLIC_KEY)
        && (DecodingKey::from_rsa_pem(text).is_ok()
            || DecodingKey::from_ec_pem(text).is_ok()
            || DecodingKey::from_ed_pem(text).is_ok())
}

/// The key of an assertion and how it is signed. An Ed25519 key is taken when it is added, but no
/// assertion of it is accepted.
pub(crate) fn verification(pem: &[u8], signed: Algorithm) -> Option<DecodingKey> {
    match signed {
        Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => {
            DecodingKey::from_rsa_pem(pem).ok()
        }
        Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem).ok(),
        _ => None,
    }
}

const PUBLIC_KEY: &[u8] = b"-----BEGIN PUBLIC KEY-----";

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, left) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = left;
    }
    text + &format!("-----END {label}-----\n")
}

fn der(pem: &str) -> Result<Vec<u8>, BadKey> {
    let body: String =
        pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    STANDARD.decode(body).map_err(|_| BadKey)
}

/// The PKCS#1 key inside a PKCS#8 one: version, algorithm, and the key as an octet string.
fn pkcs1(pkcs8: &[u8]) -> Option<&[u8]> {
    let (_, sequence, _) = element(pkcs8)?;
    let (_, _, rest) = element(sequence)?;
    let (_, _, rest) = element(rest)?;
    let (tag, key, _) = element(rest)?;
    (tag == 0x04).then_some(key)
}

/// Splits a DER text into its first element's tag, that element's content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let length = bytes.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_private_key_survives_its_file() {
        let pair = Pair::shared().unwrap();
        assert!(pair.private.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
        assert!(is_public_key(&pair.public));
        let again = Pair::from_private(&pair.private).unwrap();
        assert_eq!(again.public, pair.public);
        assert_eq!(again.private, pair.private);
    }
}
