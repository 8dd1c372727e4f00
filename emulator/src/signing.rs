//! The halves of web keys that are secret: made when they are first needed, as that takes a while
//! for RSA.

use std::sync::{Mutex, OnceLock, PoisonError};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
        ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use crate::model::web_key::Config;

/// How many pairs of each size a process makes: keys beyond share them, far from each other.
const POOL: usize = 8;

/// A pair.
enum Pair {
    Rsa(&'static RsaKeyPair),
    Ecdsa(Box<EcdsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// What signs, and tells how that is verified.
pub(crate) struct Signer {
    id: String,
    config: Config,
    pair: Pair,
}

impl Signer {
    /// `number`: how many were made before. `None`: no such pair can be made.
    pub(crate) fn new(id: &str, config: Config, number: usize) -> Option<Self> {
        let pair = match config {
            Config::Rsa { bits, .. } => Pair::Rsa(pooled(bits, number)?),
            Config::Ecdsa { curve } => {
                let algorithm = match curve {
                    256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
                    384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
                    _ => &ECDSA_P521_SHA512_FIXED_SIGNING,
                };
                Pair::Ecdsa(Box::new(EcdsaKeyPair::generate(algorithm).ok()?))
            }
            Config::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().ok()?),
        };
        Some(Self { id: id.to_owned(), config, pair })
    }

    /// A JSON Web Token.
    pub(crate) fn sign(&self, claims: &Value) -> Option<String> {
        let header = json!({"alg": self.config.algorithm(), "kid": self.id, "typ": "JWT"});
        let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let text = format!("{}.{}", part(&header), part(claims));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let padding = match self.config {
                    Config::Rsa { hash: 512, .. } => &RSA_PKCS1_SHA512,
                    Config::Rsa { hash: 384, .. } => &RSA_PKCS1_SHA384,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, text.as_bytes(), &mut signature).ok()?;
                signature
            }
            Pair::Ecdsa(pair) => pair.sign(&random, text.as_bytes()).ok()?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(text.as_bytes()).as_ref().to_vec(),
        };
        Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The public half, as the key set has it.
    pub(crate) fn public(&self) -> Value {
        let encoded = |bytes: &[u8]| Value::from(URL_SAFE_NO_PAD.encode(bytes));
        let mut key = Map::new();
        key.insert("use".to_owned(), "sig".into());
        key.insert("kid".to_owned(), self.id.as_str().into());
        key.insert("alg".to_owned(), self.config.algorithm().into());
        let kind = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let (modulus, exponent) = (public.modulus(), public.exponent());
                key.insert("n".to_owned(), encoded(modulus.big_endian_without_leading_zero()));
                key.insert("e".to_owned(), encoded(exponent.big_endian_without_leading_zero()));
                "RSA"
            }
            Pair::Ecdsa(pair) => {
                // An uncompressed point: a byte that says so, and both coordinates.
                let point = pair.public_key().as_ref();
                let coordinates = point.get(1..).unwrap_or_default();
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                let curve = match self.config {
                    Config::Ecdsa { curve: 256 } => "P-256",
                    Config::Ecdsa { curve: 384 } => "P-384",
                    _ => "P-521",
                };
                key.insert("crv".to_owned(), curve.into());
                key.insert("x".to_owned(), encoded(x));
                key.insert("y".to_owned(), encoded(y));
                "EC"
            }
            Pair::Ed25519(pair) => {
                key.insert("crv".to_owned(), "Ed25519".into());
                key.insert("x".to_owned(), encoded(pair.public_key().as_ref()));
                "OKP"
            }
        };
        key.insert("kty".to_owned(), kind.into());
        Value::Object(key)
    }
}

/// One of the RSA pairs of this size.
fn pooled(bits: u64, number: usize) -> Option<&'static RsaKeyPair> {
    type Pool = [OnceLock<Option<RsaKeyPair>>; POOL];
    static POOLS: [Pool; 3] = [const { [const { OnceLock::new() }; POOL] }; 3];
    // One at a time: each takes all of a processor.
    static MAKING: Mutex<()> = Mutex::new(());
    let (size, pool) = match bits {
        2048 => (KeySize::Rsa2048, POOLS.first()?),
        3072 => (KeySize::Rsa3072, POOLS.get(1)?),
        _ => (KeySize::Rsa4096, POOLS.get(2)?),
    };
    let slot = pool.get(number % POOL)?;
    let _alone =
        slot.get().is_none().then(|| MAKING.lock().unwrap_or_else(PoisonError::into_inner));
    slot.get_or_init(|| RsaKeyPair::generate(size).ok()).as_ref()
}
