//! Tokens: a personal access token as it is; JWT profile and client credentials exchanged and kept
//! until shortly before they expire (`POST /oauth/v2/token`).

use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{Error, Result};

/// Asks for a token that ZITADEL's own API accepts.
const SCOPE: &str = "openid urn:zitadel:iam:org:project:id:zitadel:aud";

/// How to log in.
#[derive(Clone)]
pub enum Credentials {
    /// A personal access token of a service account.
    PersonalAccessToken(SecretString),
    /// A key of a service account, for the JWT profile.
    PrivateKey(PrivateKey),
    /// Client id and secret of a service account.
    ClientCredentials {
        /// The account's client id (its user name).
        client_id: String,
        /// The secret.
        secret: SecretString,
    },
}

/// A key file as ZITADEL makes it.
#[derive(Clone)]
pub struct PrivateKey {
    key_id: String,
    user_id: String,
    key: EncodingKey,
}

impl PrivateKey {
    /// Reads `{"type": "serviceaccount", "keyId", "key": PEM, "userId"}`.
    pub fn parse(json: &str) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct File {
            key_id: String,
            user_id: Option<String>,
            key: SecretString,
        }
        let file: File = serde_json::from_str(json).map_err(|_| {
            Error::Credentials("no key file of a service account: a JSON object with keyId, key and userId is expected".into())
        })?;
        let user_id = file.user_id.ok_or_else(|| {
            Error::Credentials(
                "a key file without userId is an application's; a service account's is needed"
                    .into(),
            )
        })?;
        let key = EncodingKey::from_rsa_pem(file.key.expose_secret().as_bytes()).map_err(|_| {
            Error::Credentials("the key in the key file is no RSA private key in PEM form".into())
        })?;
        Ok(Self { key_id: file.key_id, user_id, key })
    }

    fn assertion(&self, audience: &str) -> Result<String> {
        #[derive(Serialize)]
        struct Claims<'a> {
            iss: &'a str,
            sub: &'a str,
            aud: &'a str,
            iat: i64,
            exp: i64,
        }
        let now = jiff::Timestamp::now().as_second();
        let claims = Claims {
            iss: &self.user_id,
            sub: &self.user_id,
            aud: audience,
            iat: now - 5,
            exp: now + 600,
        };
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map_err(|_| Error::Credentials("the key can't sign".into()))
    }
}

impl Credentials {
    /// A personal access token. Fails where it is empty or could not stand in a header.
    pub fn token(token: &SecretString) -> Result<Self> {
        let trimmed = token.expose_secret().trim();
        if trimmed.is_empty() || !trimmed.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::Credentials(
                "the token is empty or holds characters that no token has".into(),
            ));
        }
        Ok(Self::PersonalAccessToken(trimmed.into()))
    }

    /// The form for the token endpoint; `None`: there is nothing to exchange.
    pub(crate) fn exchange(&self, issuer: &str) -> Result<Option<Vec<(&'static str, String)>>> {
        Ok(match self {
            Self::PersonalAccessToken(_) => None,
            Self::PrivateKey(key) => Some(vec![
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".into()),
                ("scope", SCOPE.into()),
                ("assertion", key.assertion(issuer)?),
            ]),
            Self::ClientCredentials { client_id, secret } => Some(vec![
                ("grant_type", "client_credentials".into()),
                ("scope", SCOPE.into()),
                ("client_id", client_id.clone()),
                ("client_secret", secret.expose_secret().to_owned()),
            ]),
        })
    }
}

/// A token and when to get another.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) value: SecretString,
    renew_at: Option<Instant>,
}

impl Token {
    /// One that never expires as far as we know.
    pub(crate) fn fixed(value: SecretString) -> Self {
        Self { value, renew_at: None }
    }

    /// Reads the token endpoint's answer.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answer {
            access_token: SecretString,
            expires_in: Option<u64>,
        }
        let a: Answer = serde_json::from_slice(body).ok()?;
        // A tenth of its life early, a minute at most: in time, and still good for tokens of
        // seconds.
        let renew_at = a.expires_in.map(|s| {
            let life = Duration::from_secs(s);
            Instant::now() + life.saturating_sub((life / 10).min(Duration::from_secs(60)))
        });
        Some(Self { value: a.access_token, renew_at })
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.renew_at.is_none_or(|t| Instant::now() < t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_file_is_refused_without_repeating_it() {
        for text in [
            "",
            "{}",
            "s3cret",
            r#"{"keyId":"1","userId":"2","key":"s3cret"}"#,
            r#"{"keyId":"1","key":"s3cret"}"#,
        ] {
            let Err(e) = PrivateKey::parse(text) else { panic!("accepted: {text}") };
            assert!(!e.to_string().contains("s3cret"), "{e}");
        }
    }

    #[test]
    fn an_empty_token_is_refused() {
        assert!(Credentials::token(&" \n".into()).is_err());
        assert!(Credentials::token(&"abc\n".into()).is_ok());
    }
}
